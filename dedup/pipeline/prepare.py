"""An article made ready for the index: text, tokens, sketch, credits. Pure and compiled; runs in worker threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from dedup import kernels
from dedup.index import records
from dedup.index.packing import Arrival, posting_bytes
from dedup.model import PubStatus
from dedup.observability import stage
from dedup.provenance import credits as find_credits
from dedup.sketch import Sketch, SketchParameters, sketch
from dedup.telling import fields, span_of, word_pairs
from dedup.text import Tokens, tokenize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dedup.index.codec import Codec
    from dedup.model import Article, CollectionParameters, Credit


_NO_PAIRS: Final = np.empty(0, np.uint64)


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """Everything that depends on the article and the collection's parameters alone.

    ``sketch`` is None where the body is too short to compare; ``pairs``, as in :mod:`dedup.telling`, are empty where
    the collection does not ask for them.
    """

    article: Article
    tokens: Tokens
    digest: bytes
    sketch: Sketch | None
    words: int
    credits: tuple[Credit, ...]
    pairs: NDArray[np.uint64] = msgspec.field(default_factory=lambda: _NO_PAIRS)

    @property
    def comparable(self) -> bool:
        """Whether the body is long enough to be compared."""
        return self.sketch is not None


def prepare(article: Article, parameters: CollectionParameters) -> Prepared:
    """Tokenize, sketch and look for credits."""
    return _prepare_each([article], parameters)[0]


def _prepare_each(articles: Sequence[Article], parameters: CollectionParameters) -> list[Prepared]:
    with stage("tokenize"):
        read = [_read(article, parameters) for article in articles]
    with stage("sketch"):
        how = SketchParameters.of(parameters)
        made = [
            _sketched(tokens, parameters, how) if long_enough else (None, _NO_PAIRS)
            for tokens, _, long_enough in read
        ]
    with stage("credits"):
        return [
            Prepared(article, tokens, digest, drawn, tokens.half_words() // 2, find_credits(article), pairs)
            for article, (tokens, digest, _), (drawn, pairs) in zip(articles, read, made, strict=True)
        ]


def _read(article: Article, parameters: CollectionParameters) -> tuple[Tokens, bytes, bool]:
    """Tokens as the collection keeps them, the digest of the body, and whether it is long enough to compare."""
    tokens = tokenize(article.headline, article.body)
    long_enough = tokens.half_words(tokens.headline) >= 2 * parameters.minimum_words
    digest = tokens.body_digest()
    return tokens if parameters.keep_text else tokens.reduced(), digest, long_enough


def _sketched(
    tokens: Tokens, parameters: CollectionParameters, how: SketchParameters
) -> tuple[Sketch, NDArray[np.uint64]]:
    made = sketch(tokens, how)
    if not parameters.same_story:
        return made, _NO_PAIRS
    body = slice(tokens.headline, None)
    usable = np.ones(len(tokens), np.bool_)[body]
    units, *_ = kernels.units_of(tokens.hashes[body], tokens.flags[body], usable)
    return made, word_pairs(units)


def of_record(record: records.ArticleRecord, article: Article, parameters: CollectionParameters) -> Prepared:
    """What :func:`prepare` made of an article that is stored now, from its record."""
    tokens = record.tokens()
    made = sketch(tokens, SketchParameters.of(parameters)) if record.comparable else None
    return Prepared(article, tokens, record.digest, made, record.words, record.credits)


def arrival(prepared: Prepared, now: float, codec: Codec, span_days: int) -> Arrival:
    """The article as the index stores it; ``span_days`` as in :func:`dedup.telling.span_of`."""
    article = prepared.article
    published = article.published if article.published is not None else now
    told = fields(prepared.pairs, span_of(published, span_days)) if len(prepared.pairs) else b""
    return Arrival(
        name_hash=records.name_hash(article.id),
        id=article.id,
        canceled=article.pubstatus == PubStatus.CANCELED,
        content=records.content_hash(article),
        version=article.version,
        version_time=article.version_time,
        comparable=prepared.comparable,
        digest=prepared.digest,
        carrier=records.encode_carrier(article, now, prepared.words, prepared.credits),
        postings=posting_bytes(prepared.sketch.postings) if prepared.sketch is not None else b"",
        payload=records.encode_payload(article, prepared.words, prepared.credits, codec, prepared.tokens),
        word_pairs=told,
    )


def prepare_batch(
    articles: Sequence[Article], parameters: CollectionParameters, codec: Codec, now: float
) -> list[tuple[Prepared, Arrival]]:
    """Prepare several articles; called in a worker thread."""
    prepared = _prepare_each(articles, parameters)
    with stage("pack"):
        return [(ready, arrival(ready, now, codec, parameters.story_span_days)) for ready in prepared]
