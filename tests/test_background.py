"""Loops beside the calls end when they are told to; servers on one store settle without waiting for each other."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from dedup.errors import DedupError
from dedup.live.matching import Query, QueryResult
from dedup.live.worker import Worker
from dedup.model import Article, TextNumber
from tests import data, flow


async def test_stop_ends_a_loop_that_was_woken_at_that_very_moment() -> None:
    """A wake before the stop does not swallow it, however the two meet."""
    for pause in range(4):
        ran: list[int] = []

        async def work(ran: list[int] = ran) -> float | None:
            ran.append(1)
            return None

        loop = Worker("test", "c", work)
        loop.start()
        for _ in range(pause):
            await asyncio.sleep(0)
        loop.wake()
        async with asyncio.timeout(5):
            await loop.stop()
        assert len(ran) <= 1


async def test_stop_ends_a_loop_whose_work_drops_the_cancellation() -> None:
    """As asyncio.wait_for does until Python 3.12 where it meets the end of its wait: the loop ends after that call."""
    for rest in (None, 0.0):
        begun = asyncio.Event()

        async def work(begun: asyncio.Event = begun, rest: float | None = rest) -> float | None:
            begun.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(30)
            return rest

        loop = Worker("test", "c", work)
        loop.start()
        loop.wake()
        await begun.wait()
        async with asyncio.timeout(5):
            await loop.stop()


async def test_a_failure_does_not_end_a_loop() -> None:
    """What fails is logged and tried again."""
    calls: list[int] = []
    again = asyncio.Event()

    async def work() -> float | None:
        calls.append(1)
        if len(calls) == 1:
            message = "a component that cannot be settled"
            raise DedupError(message)
        again.set()
        return None

    loop = Worker("test", "c", work)
    loop.start()
    loop.wake()
    async with asyncio.timeout(10):
        await again.wait()
    await loop.stop()


async def test_two_servers_on_one_store_both_answer_with_settled_clusters(
    store_url: str, collection: str
) -> None:
    """The lease of a settler is held for one pass: the other server's callers do not wait out their limit."""
    servers = [await flow.open_pipeline(store_url, settle_wait_milliseconds=20_000) for _ in range(2)]
    try:
        wire = data.prose(random.Random(5), 80)
        answers = []
        for number in range(24):
            article = Article(f"a{number}", f"H{number}", f"{wire} own{number} end", f"S{number}")
            async with asyncio.timeout(10):
                answers += [await servers[number % 2].ingest_one(collection, article)]
        clusters = [a.cluster for a in answers if a.cluster is not None]
        assert [c.size for c in clusters] == list(range(1, 25))
        assert all(c.settled for c in clusters)
    finally:
        for server in servers:
            await server.close()


async def test_articles_still_on_their_way_are_not_taken_over(
    store_url: str, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that takes longer than ``recovery_seconds`` is not verified a second time by the sweeper beside it."""
    pipeline = await flow.open_pipeline(store_url, recovery_seconds=1)
    try:
        await flow.ingest(
            pipeline, collection, [Article("first", "H", data.prose(random.Random(1), 60), "S")]
        )
        opened = await pipeline._collections.get(collection)
        match, lookup = opened.matcher.match, opened.index.lookup
        asked: list[int] = []

        async def slowly(queries: Sequence[Query]) -> list[QueryResult]:
            await asyncio.sleep(3)
            return await match(queries)

        async def told(text: TextNumber, digest: bytes, postings: bytes) -> tuple[int, NDArray[np.uint32]]:
            asked.append(text)
            return await lookup(text, digest, postings)

        monkeypatch.setattr(opened.matcher, "match", slowly)
        monkeypatch.setattr(opened.index, "lookup", told)
        (answer,) = await flow.ingest(
            pipeline, collection, [Article("slow", "H", data.prose(random.Random(2), 60), "S")]
        )
        assert answer.decision is not None
        assert asked == []
        assert (await flow.settled(pipeline, collection)).pending == 0
    finally:
        await pipeline.close()
