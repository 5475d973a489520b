"""Servers on one store settle without waiting for each other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from dedup.core.verify import ComparableText
from dedup.live.comparing import Pairing
from dedup.model import Article
from tests import data, flow


async def test_two_servers_on_one_store_both_answer_with_settled_clusters(
    store_url: str, collection: str
) -> None:
    """Each folds what the other appends, and both tell of the same cluster."""
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
    """A server that takes longer than ``recovery_seconds`` with a batch is not retired while it gives signs of life."""
    servers = [await flow.open_pipeline(store_url, recovery_seconds=1) for _ in range(2)]
    try:
        await flow.ingest(
            servers[0], collection, [Article("first", "H", data.prose(random.Random(1), 60), "S")]
        )
        await servers[1].get_collection(collection)
        opened = await servers[0]._collections.get(collection)
        compare = opened.judge._comparer.compare

        async def slowly(pairings: Sequence[Pairing], ready: dict[int, ComparableText]) -> None:
            await asyncio.sleep(3)
            await compare(pairings, ready)

        monkeypatch.setattr(opened.judge._comparer, "compare", slowly)
        (answer,) = await flow.ingest(
            servers[0], collection, [Article("slow", "H", data.prose(random.Random(2), 60), "S")]
        )
        assert answer.decision is not None
        assert None not in (await opened.log.incarnations()).values()
        assert (await flow.settled(servers[0], collection)).pending == 0
    finally:
        for server in servers:
            await server.close()
