"""What is kept of an article: its fields and text, or the tokens alone where a collection keeps no text.

A payload is a msgpack array, compressed by :mod:`dedup.store.codec`. Nothing is pickled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from dedup.core import kernels
from dedup.core.text import Tokens, of_letters
from dedup.model import Article, Credit, CreditPlace

if TYPE_CHECKING:
    from dedup.store.codec import Codec


class _Text(msgspec.Struct, array_like=True):
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
    digest: bytes
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
    digest: bytes
    credits: list[tuple[str, int, bool]]


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(_Text)
_reduced_decoder: Final = msgspec.msgpack.Decoder(_Reduced)
#: Second byte of a reduced payload: its first field is bytes, where the other form has text.
_REDUCED: Final = frozenset({0xC4, 0xC5, 0xC6})


class Kept(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What is kept of an article. ``digest`` is that of its body, empty where its text is in the index.

    ``reduced`` are the tokens of an article whose text is not kept: headline and body are empty then.
    """

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
    digest: bytes
    credits: tuple[Credit, ...]
    reduced: Tokens | None = None


def encode(
    article: Article,
    *,
    words: int,
    credits: tuple[Credit, ...],
    tokens: Tokens,
    digest: bytes,
    codec: Codec,
) -> bytes:
    """An article as it is kept: with the text, or with the tokens alone where they are reduced."""
    if tokens.is_reduced:
        reduced = _Reduced(
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
            digest=digest,
            credits=[(c.agency, int(c.place), c.in_byline_field) for c in credits],
        )
        return codec.encode(_encoder.encode(reduced))
    text = _Text(
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
        digest=digest,
        credits=[(c.agency, int(c.place), c.text, c.start, c.end, c.in_byline_field) for c in credits],
    )
    return codec.encode(_encoder.encode(text))


def decode(packed: bytes, codec: Codec) -> Kept:
    """What :func:`encode` made; raises what :meth:`Codec.decode` raises."""
    raw = codec.decode(packed)
    if raw[1] in _REDUCED:
        r = _reduced_decoder.decode(raw)
        flags = np.repeat(np.array(r.runs[::2], np.uint8), r.runs[1::2])
        return Kept(
            headline="",
            body="",
            source=r.source,
            byline=r.byline,
            located=r.located,
            url=r.url,
            language=r.language,
            published=r.published,
            published_is_date=r.published_is_date,
            words=r.words,
            digest=r.digest,
            credits=tuple(
                Credit(agency=a, place=CreditPlace(place), text="", start=0, end=0, in_byline_field=field)
                for a, place, field in r.credits
            ),
            reduced=of_letters(np.frombuffer(r.letters, np.uint8), flags),
        )
    p = _decoder.decode(raw)
    return Kept(
        headline=p.headline,
        body=p.body,
        source=p.source,
        byline=p.byline,
        located=p.located,
        url=p.url,
        language=p.language,
        published=p.published,
        published_is_date=p.published_is_date,
        words=p.words,
        digest=p.digest,
        credits=tuple(
            Credit(agency=a, place=CreditPlace(place), text=text, start=s, end=e, in_byline_field=field)
            for a, place, text, s, e, field in p.credits
        ),
    )
