"""Driving the pipeline in tests: open it on the embedded store, wait until all is settled, read the whole state."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from dedup.config import load_settings
from dedup.core.prepare import Prepared
from dedup.errors import DedupError
from dedup.live import Pipeline
from dedup.model import Article, CollectionStatus, ExportedArticle, IngestResult, Match
from dedup.store.codec import Codec
from dedup.store.payload import Kept, decode, encode


@dataclass(frozen=True)
class State:
    """What a collection says once it is settled; ids of clusters and stories are left out, they may differ."""

    matches: tuple[Match, ...]
    clusters: frozenset[tuple[str, ...]]
    stories: frozenset[tuple[str, ...]]
    representatives: tuple[str, ...]
    articles: tuple[tuple[str, str, tuple[str, ...]], ...]


async def open_pipeline(url: str, **settings: object) -> Pipeline:
    """A pipeline on a store."""
    return await Pipeline.open(load_settings(store=url, **settings))


async def settled(pipeline: Pipeline, collection: str, seconds: float = 120.0) -> CollectionStatus:
    """Wait until the store itself says that nothing is pending and nothing is dirty."""
    deadline = time.monotonic() + seconds
    while True:
        status = await pipeline.get_collection(collection)
        if status.pending == 0 and status.dirty == 0:
            return status
        assert time.monotonic() < deadline, f"not settled: {status}"
        await asyncio.sleep(0.02)


async def state(pipeline: Pipeline, collection: str) -> State:
    """The settled state of a collection, by export."""
    await settled(pipeline, collection)
    articles: list[ExportedArticle] = []
    matches: list[Match] = []
    async for line in pipeline.export(collection):
        if isinstance(line, ExportedArticle):
            articles.append(line)
        else:
            matches.append(line)
    clusters: dict[str | None, list[str]] = defaultdict(list)
    stories: dict[str | None, list[str]] = defaultdict(list)
    for article in articles:
        clusters[article.cluster].append(article.id)
        stories[article.story].append(article.id)
    stories.pop(None, None)
    assert [a.id for a in articles] == sorted((a.id for a in articles), key=str.encode)
    return State(
        tuple(matches),
        frozenset(map(tuple, clusters.values())),
        frozenset(map(tuple, stories.values())),
        tuple(a.id for a in articles if a.representative),
        tuple((a.id, a.text, a.agencies) for a in articles),
    )


async def ingest(
    pipeline: Pipeline, collection: str, articles: Sequence[Article], size: int = 100
) -> list[IngestResult]:
    """Ingest in batches; every article must be accepted."""
    answers: list[IngestResult] = []
    for start in range(0, len(articles), size):
        for answer in await pipeline.ingest(collection, articles[start : start + size]):
            assert not isinstance(answer, DedupError), answer
            answers.append(answer)
    return answers


def payload(ready: Prepared, codec: Codec) -> bytes:
    """The record of an article."""
    digest = b"" if ready.comparable else ready.digest
    return encode(
        ready.article,
        words=ready.words,
        credits=ready.credits,
        tokens=ready.tokens,
        digest=digest,
        codec=codec,
    )


def kept(ready: Prepared, codec: Codec) -> Kept:
    """What is read back of it."""
    return decode(payload(ready, codec), codec)
