"""What workers do, each call a function of its arguments and of stored bytes: prepare, verify, write matches.

A worker holds no collection. The text of an article lies compressed in one storage under a place that the main process
gave it room for. Its words lie in another storage for some time, so that a text which is compared soon is not read
again. The same functions run in the main process where there are no workers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from dedup.bulk.storage import Storage
from dedup.core.article_rules import ArticleRules
from dedup.core.candidates import unmasked_tokens
from dedup.core.prepare import Prepared, prepare_each, read_body
from dedup.core.provenance import agencies_of
from dedup.core.sketch import SketchParameters, sketch
from dedup.core.text import HALF, QUOTED, Tokens
from dedup.core.verify import ComparableText, Evidence, comparable, verify_many
from dedup.core.verify_pair import VerifiedMatch, is_text_a, to_match
from dedup.errors import DedupError
from dedup.model import Article, CollectionParameters
from dedup.sources.formats import match_fields, to_line
from dedup.sources.jsonl import article_of_line
from dedup.state import entries
from dedup.state.arrivals import arrival_of

#: Texts ready to be compared that one process keeps; one of 500 words takes some 5 KB.
KEPT: Final = 8192
#: Words of a text that take more bytes are not kept.
MAX_WORDS_BYTES: Final = 1 << 16
_LEVEL: Final = 1
_FLAGS: Final = np.uint64(HALF | QUOTED)
_NO_BYTES: Final = np.empty(0, np.uint8)
_NO_POSTINGS: Final = np.empty(0, np.uint64)
_NO_PLACES: Final = np.empty(0, np.int32)
_NO_ROWS: Final = np.empty((0, 3), np.int32)
_NO_ROW_UNITS: Final = np.empty((0, 2), np.int32)


#: A line, the bytes of one that is stored, an article, or why a line could not be read; with the time at which it
#: arrives if it does not say so itself.
Delivery = tuple[bytes | int | Article | DedupError, float]


class Space(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Where the records of some articles may be written, ``size`` bytes at ``at``, and where their words."""

    at: int
    size: int
    words_at: int
    words_size: int


class Ref(msgspec.Struct, frozen=True, gc=False, array_like=True, kw_only=True):
    """Where a text is, and in which form it is compared.

    ``record`` is the number of the record whose words count, ``at`` and ``size`` its place in the storage of texts;
    ``words_at`` that of its words, -1 where they are not kept, with ``tokens`` tokens and ``minima`` window minima.
    ``mask`` are the postings that are boilerplate, uint64 ascending, and ``name`` tells masks of one text apart.
    """

    text: int
    digest: bytes
    record: int
    at: int
    size: int
    words_at: int
    tokens: int
    minima: int
    name: int
    mask: bytes


class ShownText(msgspec.Struct, frozen=True, gc=False, array_like=True, kw_only=True):
    """A text as it is shown: under the id of the article whose record is at ``at``, of ``size`` bytes."""

    ref: Ref
    id: str
    at: int
    size: int


class PartnerMatch(msgspec.Struct, frozen=True, gc=False):
    """What a text shares with the partner at a place of its list; ``first``: the text is text a."""

    partner: int
    evidence: Evidence
    first: bool


class TextMatches(msgspec.Struct, frozen=True, gc=False):
    """What came of one text: its half words, those of them that are boilerplate, its matches."""

    half_words: int
    boilerplate_half_words: int
    found: list[PartnerMatch]


class Part(msgspec.Struct, gc=False, kw_only=True):
    """Articles that were prepared together, in their order.

    There were ``lines`` deliveries, of which ``errors`` names by place those that hold no article. All else is of the
    articles: ``packed`` as in an *arrive* entry; ``comparable``, shape (articles,); ``sizes`` the bytes of their
    records, shape (articles,), which stand one behind the other from ``at`` on; ``words``, shape (articles, 3), the
    place of each one's words with its tokens and window minima, or -1, 0, 0; ``agencies`` credited, by place. Records
    that did not fit are in ``late``, all of them.
    """

    lines: int
    errors: dict[int, DedupError]
    packed: entries.PackedArrivals
    comparable: NDArray[np.bool_]
    at: int
    sizes: NDArray[np.int64]
    words: NDArray[np.int64]
    agencies: dict[int, tuple[str, ...]]
    late: list[bytes]


def record_bytes(deliveries: Sequence[Delivery]) -> int:
    """Bytes that the records of some articles take at most; those of markup may take more, see :class:`Part`."""
    sizes = [_size(each) for each, _ in deliveries]
    return sum(size + (size >> 7) + 128 for size in sizes)


def _size(each: bytes | int | Article | DedupError) -> int:
    if isinstance(each, int):
        return each
    if isinstance(each, Article):
        return 4 * len(each.text)
    return len(each) if isinstance(each, bytes) else 0


class Tasks:
    """The functions, with what they share: parameters, rules and the two storages."""

    def __init__(
        self,
        *,
        parameters: CollectionParameters,
        rules: ArticleRules,
        lines: Storage,
        texts: Storage,
        words: Storage,
    ) -> None:
        self.parameters = parameters
        self.rules = rules
        self.lines = lines
        self.texts = texts
        self.words = words
        self._packer = zstandard.ZstdCompressor(level=_LEVEL)
        self._unpacker = zstandard.ZstdDecompressor()
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(tuple[str, str]).decode
        self._ready: OrderedDict[tuple[int, int, int], ComparableText] = OrderedDict()

    def do(self, name: str, arguments: tuple[object, ...]) -> object:
        """Do a task by its name."""
        return getattr(self, name)(*arguments)

    # -- preparing -------------------------------------------------------------------------------------

    def prepare(self, deliveries: Sequence[Delivery], lines_at: int, space: Space) -> Part:
        """Read and prepare articles; deliveries that are a number of bytes are lines that stand at ``lines_at``."""
        errors: dict[int, DedupError] = {}
        articles: list[Article] = []
        times: list[float] = []
        lines = (
            self.lines.read(lines_at, sum(_size(each) for each, _ in deliveries)) if lines_at >= 0 else b""
        )
        at = 0
        for place, (each, default) in enumerate(deliveries):
            read: Article | DedupError
            arrived = None
            if isinstance(each, int):
                read, arrived = article_of_line(lines[at : at + each], self.rules)
                at += each
            elif isinstance(each, bytes):
                read, arrived = article_of_line(each, self.rules)
            else:
                read = each
            if isinstance(read, DedupError):
                errors[place] = read
            else:
                articles.append(read)
                times.append(default if arrived is None else arrived)
        prepared = prepare_each(articles, self.parameters)
        records = [self._packer.compress(self._encode((a.headline, a.body))) for a in articles]
        sizes = np.array([len(record) for record in records], np.int64)
        late = [] if int(sizes.sum()) <= space.size else records
        if not late:
            self.texts.write(space.at, records)
        return Part(
            lines=len(deliveries),
            errors=errors,
            packed=entries.pack_arrivals(
                [
                    arrival_of(p, arrived=t, record=0, parameters=self.parameters)
                    for p, t in zip(prepared, times, strict=True)
                ]
            ),
            comparable=np.array([p.comparable for p in prepared], np.bool_),
            at=space.at,
            sizes=sizes,
            words=self._keep_words(prepared, space),
            agencies={i: agencies_of([p.credits]) for i, p in enumerate(prepared) if p.credits},
            late=late,
        )

    def _keep_words(self, prepared: Sequence[Prepared], space: Space) -> NDArray[np.int64]:
        """Units, window minima and their positions; the place of each text, its tokens and minima: (texts, 3)."""
        places = np.zeros((len(prepared), 3), np.int64)
        pieces, stop = [], space.words_at
        for place, p in zip(places, prepared, strict=True):
            place[0] = -1
            if p.sketch is None:
                continue
            units = comparable(p.tokens, p.digest, self.parameters.shingle_size).units
            piece = units.tobytes() + p.sketch.minima.tobytes() + p.sketch.positions.tobytes()
            if len(piece) > MAX_WORDS_BYTES or stop + len(piece) > space.words_at + space.words_size:
                continue
            place[:] = stop, len(units), len(p.sketch.minima)
            pieces.append(piece)
            stop += len(piece)
        self.words.write(space.words_at, pieces)
        return places

    # -- verifying -------------------------------------------------------------------------------------

    def verify(
        self, refs: Sequence[Ref], jobs: Sequence[tuple[int, Sequence[int], int]]
    ) -> list[TextMatches]:
        """Compare texts; a job is a place in ``refs``, places of partners, and how many of these need their rows."""
        ready = [self.ready(ref) for ref in refs]
        return [self._verified(ready[q], [ready[p] for p in partners], rows) for q, partners, rows in jobs]

    def _verified(self, query: ComparableText, others: Sequence[ComparableText], rows: int) -> TextMatches:
        first = [is_text_a(query, other) for other in others]
        found = []
        measured = verify_many(query, others, first, self.parameters.rules) if others else []
        for place, evidence in enumerate(measured):
            if evidence is None:
                continue
            kept = evidence.rows.copy() if place < rows else _NO_ROWS
            slim = msgspec.structs.replace(evidence, rows=kept, row_units=_NO_ROW_UNITS)
            found.append(PartnerMatch(place, slim, first[place]))
        return TextMatches(query.half_words, query.boilerplate_half_words, found)

    def ready(self, ref: Ref) -> ComparableText:
        """A text as it is compared, without places; those used last are kept."""
        key = (ref.text, ref.record, ref.name)
        held = self._ready.get(key)
        if held is not None:
            self._ready.move_to_end(key)
            return held
        made = self._read_words(ref) if ref.words_at >= 0 else self._read_text(ref)
        self._ready[key] = made
        if len(self._ready) > KEPT:
            self._ready.popitem(last=False)
        return made

    def _read_words(self, ref: Ref) -> ComparableText:
        n, m = ref.tokens, ref.minima
        raw = bytearray(self.words.read(ref.words_at, 8 * n + 12 * m))  # kernels know no other arrays
        units = np.frombuffer(raw, np.uint64, n)
        usable = None
        if ref.mask:
            minima = np.frombuffer(raw, np.uint64, m, 8 * n)
            positions = np.frombuffer(raw, np.int32, m, 8 * (n + m))
            usable = unmasked_tokens(minima, positions, _mask(ref), n, self.parameters.shingle_size)
        tokens = Tokens(
            hashes=units,
            starts=_NO_PLACES,
            ends=_NO_PLACES,
            flags=(units & _FLAGS).astype(np.uint8),
            utf8=_NO_BYTES,
            byte_starts=_NO_PLACES,
            byte_ends=_NO_PLACES,
        )
        return comparable(tokens, ref.digest, self.parameters.shingle_size, usable)

    def _read_text(self, ref: Ref) -> ComparableText:
        tokens = read_body(*self.text(ref.at, ref.size), self.parameters)
        usable = None
        if ref.mask:
            made = sketch(tokens, SketchParameters.of(self.parameters))
            usable = unmasked_tokens(
                made.minima, made.positions, _mask(ref), len(tokens), self.parameters.shingle_size
            )
        return comparable(tokens, ref.digest, self.parameters.shingle_size, usable)

    def text(self, at: int, size: int) -> tuple[str, str]:
        """Headline and body of a record."""
        return self._decode(self._unpacker.decompress(self.texts.read(at, size)))

    # -- matches out -----------------------------------------------------------------------------------

    def print_matches(self, shown: Sequence[ShownText], groups: Sequence[tuple[int, Sequence[int]]]) -> str:
        """The lines of ``matches.jsonl`` of some texts, places in ``shown``, each with others, in their order."""
        ready = [self._placed(each) for each in shown]
        lines = []
        for a, others in groups:
            query = ready[a]
            first = [is_text_a(query, ready[b]) for b in others]
            measured = verify_many(query, [ready[b] for b in others], first, self.parameters.rules)
            for b, evidence, ahead in zip(others, measured, first, strict=True):
                if evidence is None:
                    continue
                match = VerifiedMatch(other=shown[b], text=ready[b], evidence=evidence, first=ahead)
                lines.append(to_line(match_fields(to_match(shown[a].id, query, match))) + "\n")
        return "".join(lines)

    def _placed(self, shown: ShownText) -> ComparableText:
        """A text as it is compared, with the places of its words in the article that it is shown with."""
        ready = self.ready(shown.ref)
        if not self.parameters.keep_text:  # such a collection has no text to point into
            starts = ends = np.zeros(len(ready.tokens), np.int32)
        else:
            tokens = read_body(*self.text(shown.at, shown.size), self.parameters)
            starts, ends = tokens.starts, tokens.ends
        return msgspec.structs.replace(
            ready, tokens=msgspec.structs.replace(ready.tokens, starts=starts, ends=ends)
        )


def _mask(ref: Ref) -> NDArray[np.uint64]:
    return np.frombuffer(bytearray(ref.mask), np.uint64)
