"""What the index stores, as bytes and as values. Layouts stand in :mod:`dedup.store.keys`.

Payloads are msgpack arrays, compressed by :mod:`dedup.store.codec`. Nothing is pickled.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import xxhash

from dedup.core import kernels
from dedup.core.clustering import EDGES, MEASURES, Carrier, Edge, TextNode
from dedup.core.identity import source_hash
from dedup.core.provenance import AGENCIES, agency_of_source, credit_bits
from dedup.core.text import Tokens, of_letters, tokenize
from dedup.model import (
    Article,
    ArticleNumber,
    Credit,
    CreditPlace,
    Decision,
    DecisionKind,
    MatchKind,
    PubStatus,
    TextNumber,
)
from dedup.store import keys
from dedup.store.codec import Codec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dedup.core.clustering import Edges

#: A decision as stored: kind, number of the article it copies, share covered, words copied, quoted, boilerplate, new.
RawDecision = tuple[int, ArticleNumber, float, int, int, int, int]
_LENGTH: Final = struct.Struct("<H")
_PLACEMENT: Final = struct.Struct("<Qd")
_NUMBER: Final = struct.Struct("<I")
#: What placements.lua says of a text, and its state where the text is dead.
_PLACED: Final = np.dtype([("source", "<u8"), ("published", "<f8"), ("state", "u1")])
_DEAD: Final = 2
_KINDS: Final = {int(kind): kind for kind in MatchKind}
#: A row of ``keys.EDGE_FROM``.
_EDGE_FROM: Final = np.dtype([("other", "<u4"), *MEASURES])


class _Payload(msgspec.Struct, array_like=True):
    headline: str
    body: str
    source: str
    byline: str
    located: str
    url: str
    language: str
    published: float | None
    published_is_date: bool
    words: int
    credits: list[tuple[str, int, str, int, int, bool]]


class _Reduced(msgspec.Struct, array_like=True):
    """A payload without text: seven bits a token, and their flags as runs (flags, length, flags, ...)."""

    letters: bytes
    runs: list[int]
    source: str
    byline: str
    located: str
    url: str
    language: str
    published: float | None
    published_is_date: bool
    words: int
    credits: list[tuple[str, int, bool]]


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(_Payload)
_reduced_decoder: Final = msgspec.msgpack.Decoder(_Reduced)
#: Second byte of a reduced payload: its first field is bytes, where the other form has text.
_REDUCED: Final = frozenset({0xC4, 0xC5, 0xC6})


class ArticleRecord(msgspec.Struct, frozen=True, gc=False):
    """An article record read back; ``copies`` in the decision is still a number.

    ``reduced`` are the tokens of an article whose text is not kept: headline and body of ``article`` are empty then.
    """

    number: ArticleNumber
    text: TextNumber
    comparable: bool
    tombstone: bool
    decided: bool
    version: int | None
    version_time: float | None
    arrival: float
    digest: bytes
    id: str
    decision: RawDecision
    article: Article | None
    words: int
    credits: tuple[Credit, ...]
    reduced: Tokens | None = None

    def tokens(self) -> Tokens:
        """The tokens of the article, made of its text or as they are stored; none of one that was removed."""
        if self.reduced is not None:
            return self.reduced
        return (
            tokenize(self.article.headline, self.article.body)
            if self.article is not None
            else tokenize("", "")
        )


class Placements(msgspec.Struct, frozen=True, gc=False):
    """Texts, ascending by number, with outlet and publication time of their first carriers; all of shape (texts,)."""

    texts: NDArray[np.uint32]
    sources: NDArray[np.uint64]
    published: NDArray[np.float64]
    dead: NDArray[np.bool_]


class TextState(msgspec.Struct, frozen=True, gc=False):
    """A text as stored; ``node`` holds its digest and carriers: all if ``whole``, else only the first."""

    node: TextNode
    revision: int
    id: str
    boilerplate: bytes
    cluster: TextNumber | None
    dead: bool
    placement: bytes
    whole: bool = True


def placement_of(carrier: Carrier) -> bytes:
    """Outlet and time of a carrier as the boilerplate rule sees them, in the bytes of the record."""
    return _PLACEMENT.pack(carrier.source, carrier.published)


def placed_source(placement: bytes) -> int:
    """The outlet in a placement."""
    return int(_PLACEMENT.unpack(placement)[0])


def name_hash(article_id: str) -> bytes:
    """The 12 bytes an id is looked up by."""
    return xxhash.xxh3_128_digest(article_id.encode())[:12]


def encode_payload(
    article: Article, words: int, credits: tuple[Credit, ...], codec: Codec, tokens: Tokens
) -> bytes:
    """The variable part of a record: with the text, or with the tokens alone where they are reduced."""
    if tokens.is_reduced:
        return codec.encode(_encoder.encode(_reduced_payload(article, words, credits, tokens)))
    payload = _Payload(
        headline=article.headline,
        body=article.body,
        source=article.source,
        byline=article.byline,
        located=article.located,
        url=article.url,
        language=article.language,
        published=article.published,
        published_is_date=article.published_is_date,
        words=words,
        credits=[(c.agency, int(c.place), c.text, c.start, c.end, c.in_byline_field) for c in credits],
    )
    return codec.encode(_encoder.encode(payload))


def _reduced_payload(article: Article, words: int, credits: tuple[Credit, ...], tokens: Tokens) -> _Reduced:
    return _Reduced(
        letters=tokens.letters().tobytes(),
        runs=kernels.runs(tokens.flags).ravel().tolist(),
        source=article.source,
        byline=article.byline,
        located=article.located,
        url=article.url,
        language=article.language,
        published=article.published,
        published_is_date=article.published_is_date,
        words=words,
        credits=[(c.agency, int(c.place), c.in_byline_field) for c in credits],
    )


def _reduced_tokens(p: _Reduced) -> Tokens:
    flags = np.repeat(np.array(p.runs[::2], np.uint8), p.runs[1::2])
    return of_letters(np.frombuffer(p.letters, np.uint8), flags)


def payload_of(raw: bytes) -> bytes:
    """The payload of an article record as stored, empty in a tombstone."""
    at = keys.HEAD.size + keys.DECISION.size
    (length,) = _LENGTH.unpack_from(raw, at)
    return raw[at + 2 + length :]


def decode_head(raw: bytes) -> tuple[bool, RawDecision, float]:
    """Whether an article is decided, its decision (the copied article by number), its arrival in Unix seconds."""
    _, flags, _, _, _, arrival, _ = keys.HEAD.unpack_from(raw)
    return bool(flags & keys.FLAG_DECIDED), keys.DECISION.unpack_from(raw, keys.HEAD.size), arrival / 1000.0


def decode_record(number: ArticleNumber, raw: bytes, codec: Codec) -> ArticleRecord:
    """Read an article record; raises what :meth:`Codec.decode` raises."""
    text, flags, _, version, version_time, arrival, digest = keys.HEAD.unpack_from(raw)
    decision = keys.DECISION.unpack_from(raw, keys.HEAD.size)
    at = keys.HEAD.size + keys.DECISION.size
    (length,) = _LENGTH.unpack_from(raw, at)
    name = raw[at + 2 : at + 2 + length].decode()
    tombstone = bool(flags & keys.FLAG_TOMBSTONE)
    article: Article | None = None
    words = 0
    credits: tuple[Credit, ...] = ()
    reduced: Tokens | None = None
    if not tombstone:
        article, words, credits, reduced = _decode_payload(
            name, codec.decode(raw[at + 2 + length :]), version, version_time
        )
    return ArticleRecord(
        number=number,
        text=text,
        comparable=bool(flags & keys.FLAG_COMPARABLE),
        tombstone=tombstone,
        decided=bool(flags & keys.FLAG_DECIDED),
        version=int.from_bytes(version, "big") if version != keys.NO_VERSION else None,
        version_time=version_time if version_time >= 0 else None,
        arrival=arrival / 1000.0,
        digest=digest,
        id=name,
        decision=decision,
        article=article,
        words=words,
        credits=credits,
        reduced=reduced,
    )


def _decode_payload(
    name: str, raw: bytes, version: bytes, version_time: float
) -> tuple[Article, int, tuple[Credit, ...], Tokens | None]:
    p: _Payload | _Reduced = (_reduced_decoder if raw[1] in _REDUCED else _decoder).decode(raw)
    headline, body = (p.headline, p.body) if isinstance(p, _Payload) else ("", "")
    article = Article(
        id=name,
        headline=headline,
        body=body,
        source=p.source,
        byline=p.byline,
        located=p.located,
        url=p.url,
        language=p.language,
        published=p.published,
        published_is_date=p.published_is_date,
        version=int.from_bytes(version, "big") if version != keys.NO_VERSION else None,
        version_time=version_time if version_time >= 0 else None,
        pubstatus=PubStatus.USABLE,
    )
    if isinstance(p, _Reduced):
        named = tuple(
            Credit(agency=a, place=CreditPlace(place), text="", start=0, end=0, in_byline_field=field)
            for a, place, field in p.credits
        )
        return article, p.words, named, _reduced_tokens(p)
    credits = tuple(
        Credit(agency=a, place=CreditPlace(place), text=text, start=s, end=e, in_byline_field=field)
        for a, place, text, s, e, field in p.credits
    )
    return article, p.words, credits, None


def encode_carrier(article: Article, arrival: float, words: int, credits: tuple[Credit, ...]) -> bytes:
    """A carrier without its number, which the store assigns."""
    dated = article.published is not None
    flags = keys.CARRIER_DATED if dated else 0
    agency = agency_of_source(article.source)
    if agency in AGENCIES:
        flags |= (AGENCIES.index(agency) + 1) << 1
    published = article.published if article.published is not None else arrival
    raw = keys.CARRIER.pack(0, source_hash(article), published, flags, words, credit_bits(credits))
    return raw[4:]


def decode_carriers(raw: bytes) -> tuple[Carrier, ...]:
    """The carriers of a text, that with the smallest id first."""
    if len(raw) == keys.CARRIER.size:
        return (_carrier(*keys.CARRIER.unpack(raw)),)
    return tuple([_carrier(*fields) for fields in keys.CARRIER.iter_unpack(raw)])


def _carrier(
    number: ArticleNumber, source: int, published: float, flags: int, words: int, bits: int
) -> Carrier:
    agency = AGENCIES[(flags >> 1) - 1] if flags >> 1 else ""
    return Carrier(
        number=number,
        source=source,
        published=published,
        dated=bool(flags & keys.CARRIER_DATED),
        words=words,
        agency=agency,
        credits=bits,
    )


def decode_text(text: TextNumber, fields: list[bytes]) -> TextState | None:
    """A text from the answer of texts.lua; None where there is none."""
    digest, revision, name, carriers, boilerplate, cluster, dead, placement = fields
    if not digest:
        return None
    size = keys.CARRIER.size
    whole = len(carriers) % size == 0
    placement = placement or carriers[4:20]
    node = TextNode(text, digest, decode_carriers(carriers if whole else carriers[:size]))
    return TextState(
        node=node,
        revision=int(revision),
        id=name.decode(),
        boilerplate=boilerplate,
        cluster=TextNumber(int(cluster)) if cluster else None,
        dead=bool(dead),
        placement=placement,
        whole=whole,
    )


def decode_placements(texts: NDArray[np.uint32], raw: bytes) -> Placements:
    """The answer of placements.lua; texts that there are not are left out."""
    rows = np.frombuffer(raw, _PLACED)
    known = rows["state"] > 0
    rows = rows[known]
    return Placements(
        texts=texts[known],
        sources=np.ascontiguousarray(rows["source"]),
        published=np.ascontiguousarray(rows["published"]),
        dead=rows["state"] == _DEAD,
    )


def pack_number(number: int) -> bytes:
    """The number of a text or an article, 4 bytes."""
    return _NUMBER.pack(number)


def state_of_one(text: TextNumber, digest: bytes, article_id: str, carrier: bytes) -> TextState:
    """A text that has just come with one carrier, as it would be read."""
    return TextState(
        node=TextNode(text, digest, decode_carriers(carrier)),
        revision=1,
        id=article_id,
        boilerplate=b"",
        cluster=None,
        dead=False,
        placement=b"",
    )


def encode_decision(decision: Decision, copied: ArticleNumber) -> bytes:
    """A decision; ``copied`` is the number of the article it copies, or 0."""
    return keys.DECISION.pack(
        int(decision.kind),
        copied,
        decision.covered,
        decision.words_copied,
        decision.words_quoted,
        decision.words_boilerplate,
        decision.words_new,
    )


def decode_decision(raw: RawDecision, copies: str) -> Decision:
    """A decision whose copied article has been resolved to its id."""
    kind, _, covered, copied, quoted, boilerplate, new = raw
    return Decision(
        kind=DecisionKind(kind),
        copies=copies,
        covered=covered,
        words_copied=copied,
        words_quoted=quoted,
        words_boilerplate=boilerplate,
        words_new=new,
    )


def encode_edge(edge: Edge) -> bytes:
    """An edge without its ends."""
    return keys.EDGE.pack(
        int(edge.kind), edge.unquoted, edge.quoted, edge.a_containment, edge.b_containment, edge.min_coverage
    )


def decode_edges(text: TextNumber, raw: bytes) -> list[Edge]:
    """The edges of a text: the number of the other and the bytes of :func:`encode_edge`, one after another."""
    found = []
    for other, kind, *lengths in keys.EDGE_FROM.iter_unpack(raw):
        a, b = (text, other) if text < other else (other, text)
        found.append(Edge(a, b, _KINDS[kind], *lengths))
    return found


def edges_once(texts: Sequence[TextNumber], raw: Mapping[TextNumber, bytes]) -> Edges:
    """The same of many texts, given ascending, in one array; an edge between two of them as the smaller one has it."""
    rows = np.frombuffer(b"".join(raw.values()), _EDGE_FROM)
    own = np.repeat(
        np.array(list(raw), np.uint32), [len(each) // _EDGE_FROM.itemsize for each in raw.values()]
    )
    keep = (own < rows["other"]) | ~np.isin(rows["other"], np.array(texts, np.uint32))
    rows, own = rows[keep], own[keep]
    found = np.empty(len(rows), EDGES)
    found["a"], found["b"] = np.minimum(own, rows["other"]), np.maximum(own, rows["other"])
    for name, _ in MEASURES:
        found[name] = rows[name]
    return found
