"""An article that was prepared, as an *arrive* entry says it: for the service and for a run over files alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xxhash

from dedup.core.identity import content_hash, source_hash
from dedup.core.provenance import AGENCIES, agency_of_source, credit_bits
from dedup.core.same_event import postings as pair_postings
from dedup.core.same_event import span_of
from dedup.model import PubStatus
from dedup.state import entries

if TYPE_CHECKING:
    from dedup.core.prepare import Prepared
    from dedup.model import CollectionParameters


def content_of(prepared: Prepared) -> int:
    """What tells one version of an article from another, as a number."""
    return int.from_bytes(content_hash(prepared.article), "little")


def arrival_of(
    prepared: Prepared,
    *,
    arrived: float,
    record: int,
    parameters: CollectionParameters,
    heals: bool = False,
) -> entries.Arrival:
    """An article that arrived at a time, in Unix seconds, and is kept under a record (0: none).

    ``heals``: the record of the version that it repeats is lost.
    """
    article = prepared.article
    agency = agency_of_source(article.source)
    published = arrived if article.published is None else article.published
    pairs = entries.NO_POSTINGS
    if len(prepared.pairs):
        pairs = pair_postings(prepared.pairs, span_of(published, parameters.story_span_days))
    return entries.Arrival(
        id=article.id,
        content=content_of(prepared),
        digest=prepared.digest,
        source=source_hash(article),
        published=published,
        dated=article.published is not None,
        arrival=arrived,
        words=prepared.words,
        credits=credit_bits(prepared.credits),
        record=record,
        reading=xxhash.xxh3_64_intdigest(prepared.tokens.flags.tobytes()),
        postings=prepared.sketch.postings if prepared.sketch is not None else entries.NO_POSTINGS,
        version=article.version,
        version_time=article.version_time,
        canceled=article.pubstatus is PubStatus.CANCELED,
        agency=AGENCIES.index(agency) + 1 if agency in AGENCIES else 0,
        heals=heals,
        pairs=pairs,
    )
