"""Articles on their way into the index and out of it: prepared, and packed as the store takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dedup.core.identity import content_hash
from dedup.core.prepare import Prepared, prepare_each
from dedup.core.same_event import fields, span_of
from dedup.core.sketch import SketchParameters, sketch
from dedup.model import PubStatus
from dedup.observability import stage
from dedup.store.packing import Arrival, posting_bytes
from dedup.store.records import encode_carrier, encode_payload, name_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dedup.model import Article, CollectionParameters
    from dedup.store.codec import Codec
    from dedup.store.records import ArticleRecord


def of_record(record: ArticleRecord, article: Article, parameters: CollectionParameters) -> Prepared:
    """What :func:`prepare` made of an article that is stored now, from its record."""
    tokens = record.tokens()
    sketched = sketch(tokens, SketchParameters.of(parameters)) if record.comparable else None
    return Prepared(
        article=article,
        tokens=tokens,
        digest=record.digest,
        sketch=sketched,
        words=record.words,
        credits=record.credits,
    )


def arrival(prepared: Prepared, now: float, codec: Codec, span_days: int) -> Arrival:
    """The article as the index stores it; ``span_days`` as in :func:`dedup.core.same_event.span_of`."""
    article = prepared.article
    published = article.published if article.published is not None else now
    word_pair_postings = fields(prepared.pairs, span_of(published, span_days)) if len(prepared.pairs) else b""
    return Arrival(
        name_hash=name_hash(article.id),
        id=article.id,
        canceled=article.pubstatus == PubStatus.CANCELED,
        content=content_hash(article),
        version=article.version,
        version_time=article.version_time,
        comparable=prepared.comparable,
        digest=prepared.digest,
        carrier=encode_carrier(article, now, prepared.words, prepared.credits),
        postings=posting_bytes(prepared.sketch.postings) if prepared.sketch is not None else b"",
        payload=encode_payload(article, prepared.words, prepared.credits, codec, prepared.tokens),
        word_pairs=word_pair_postings,
    )


def prepare_batch(
    articles: Sequence[Article], parameters: CollectionParameters, codec: Codec, now: float
) -> list[tuple[Prepared, Arrival]]:
    """Prepare several articles; called in a worker thread."""
    prepared = prepare_each(articles, parameters, stage)
    with stage("pack"):
        return [(ready, arrival(ready, now, codec, parameters.story_span_days)) for ready in prepared]
