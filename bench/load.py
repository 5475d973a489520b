"""Load on a running service: batches in a stream, unary calls from many callers, and open-loop arrivals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench import corpus
from dedup.client import AsyncDedupClient
from dedup.client.calls import WINDOW
from dedup.errors import DedupError
from dedup.model import Article, CollectionParameters, ExportedArticle, IngestResult, Match, MatchKind

BATCH: Final = 100
IN_FLIGHT: Final = WINDOW
CALLERS: Final = 32
_SETTLE_SECONDS: Final = 1800.0


async def prepare(
    client: AsyncDedupClient, name: str, parameters: CollectionParameters | None = None
) -> None:
    """Create a collection for the run, and let the server meet every kind of call in another one."""
    chosen = parameters or CollectionParameters()
    await client.create_collection("warm", chosen)
    warm = corpus.articles(150, seed=99, prefix="warm")
    await batches(client, warm[:100], "warm")
    await unary(client, warm[100:], "warm", callers=8)
    await client.find(warm[0], collection="warm")
    await settled(client, "warm")
    await client.create_collection(name, chosen)


async def batches(
    client: AsyncDedupClient,
    articles: Iterable[Article],
    collection: str,
    seen: Callable[[IngestResult], None] | None = None,
) -> float:
    """Ingest in batches of 100, several in flight; the seconds it took. Raises the first refusal."""
    started = time.perf_counter()
    stream = client.ingest_stream(articles, collection=collection, batch_size=BATCH, window=IN_FLIGHT)
    async for _, outcome in stream:
        if isinstance(outcome, DedupError):
            raise outcome
        if seen is not None:
            seen(outcome)
    return time.perf_counter() - started


async def unary(
    client: AsyncDedupClient, articles: Sequence[Article], collection: str, *, callers: int = CALLERS
) -> list[float]:
    """Ingest one by one from so many callers; the seconds each call took."""
    return await closed_loop(lambda article: client.ingest(article, collection=collection), articles, callers)


async def closed_loop(
    call: Callable[[Article], Awaitable[object]], articles: Iterable[Article], callers: int = CALLERS
) -> list[float]:
    """Call from so many callers, each waiting for its answer; the seconds each call took."""
    taken: list[float] = []
    left = iter(articles)

    async def caller() -> None:
        for article in left:
            started = time.perf_counter()
            await call(article)
            taken.append(time.perf_counter() - started)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return taken


async def open_loop(
    call: Callable[[Article], Awaitable[object]], articles: Sequence[Article], rate: float, *, seed: int = 1
) -> list[float]:
    """Start calls at Poisson arrivals of ``rate`` a second, whether earlier ones have ended or not.

    The seconds from the moment each was due to its answer, so that a server that stalls is charged for those
    that waited meanwhile.
    """
    due = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, len(articles))).tolist()
    taken: list[float] = []
    loop = asyncio.get_running_loop()
    start = loop.time() + 0.05

    async def one(article: Article, when: float) -> None:
        await call(article)
        taken.append(loop.time() - when)

    async with asyncio.TaskGroup() as group:
        for article, offset in zip(articles, due, strict=True):
            when = start + offset
            if (wait := when - loop.time()) > 0:
                await asyncio.sleep(wait)
            group.create_task(one(article, when))
    return taken


async def settled(client: AsyncDedupClient, collection: str, *, seconds: float = _SETTLE_SECONDS) -> float:
    """Wait until nothing is pending and nothing dirty; the seconds it took. Raises TimeoutError."""
    started = time.perf_counter()
    async with asyncio.timeout(seconds):
        while True:
            status = await client.get_collection(collection)
            if status.pending == 0 and status.dirty == 0:
                return time.perf_counter() - started
            await asyncio.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Exported:
    """What the service knows: pairs of ids with their kind, equal texts included; clusters and stories by id."""

    kinds: dict[tuple[str, str], MatchKind]
    clusters: dict[str, str]
    stories: dict[str, str]


async def exported(client: AsyncDedupClient, collection: str) -> Exported:
    """Every pair of articles that the service answers as a match.

    Equal texts are one text with many carriers: a match of the text is one of each of its carriers.
    """
    carriers: dict[str, list[str]] = {}
    text_of: dict[str, str] = {}
    matches: list[Match] = []
    clusters: dict[str, str] = {}
    stories: dict[str, str] = {}
    async for line in client.export(collection=collection):
        if isinstance(line, ExportedArticle):
            text_of[line.id] = line.text
            carriers.setdefault(line.text, []).append(line.id)
            clusters |= {line.id: line.cluster} if line.cluster else {}
            stories |= {line.id: line.story} if line.story else {}
        else:
            matches.append(line)
    kinds: dict[tuple[str, str], MatchKind] = {}
    for ids in carriers.values():
        for i, one in enumerate(ids):
            for other in ids[i + 1 :]:
                kinds[min(one, other), max(one, other)] = MatchKind.EXACT
    for match in matches:
        for one in carriers[text_of[match.article]]:
            for other in carriers[text_of[match.other]]:
                kinds.setdefault((min(one, other), max(one, other)), match.kind)
    return Exported(kinds, clusters, stories)
