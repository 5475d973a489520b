"""The settled state depends on the articles alone: not on their order, their batches, or how many writers there are."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dedup.model import Article, PubStatus
from dedup.pipeline import Pipeline
from tests import data, flow


async def _one_by_one(pipeline: Pipeline, name: str, articles: list[Article]) -> None:
    for article in articles:
        await pipeline.ingest_one(name, article)


async def _four_clients(pipeline: Pipeline, name: str, articles: list[Article]) -> None:
    await asyncio.gather(*(flow.ingest(pipeline, name, articles[i::4], 16) for i in range(4)))


async def _many_callers(pipeline: Pipeline, name: str, articles: list[Article]) -> None:
    await asyncio.gather(*(_one_by_one(pipeline, name, articles[i::32]) for i in range(32)))


async def _twice_over(pipeline: Pipeline, name: str, articles: list[Article]) -> None:
    await flow.ingest(pipeline, name, articles, 40)
    again = await flow.ingest(pipeline, name, articles[::-1], 77)
    assert {answer.outcome.name for answer in again} == {"UNCHANGED"}


async def _batches(pipeline: Pipeline, name: str, articles: list[Article]) -> None:
    await flow.ingest(pipeline, name, articles, 100)


WAYS = (_batches, _four_clients, _twice_over, _many_callers)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("count", "permutations"), [(2000, 4), (400, 15)])
async def test_any_order_any_way_gives_the_same_state(store_url: str, count: int, permutations: int) -> None:
    """Seeds and real articles, with a component of over 64 texts, hot postings, furniture; reference in batches."""
    articles = data.mixed(count)
    pipeline = await flow.open_pipeline(store_url)
    rng = random.Random(count)
    try:
        name = f"order-{uuid.uuid4().hex[:8]}"
        await flow.ingest(pipeline, name, articles, 64)
        expected = await flow.state(pipeline, name)
        await pipeline.delete_collection(name)
        assert expected.matches
        if count >= 2000:
            assert max(map(len, expected.clusters)) > 64
        for number in range(permutations):
            rng.shuffle(articles)
            name = f"order-{uuid.uuid4().hex[:8]}"
            await WAYS[number % len(WAYS)](pipeline, name, articles)
            found = await flow.state(pipeline, name)
            await pipeline.delete_collection(name)
            assert found.articles == expected.articles
            assert found.matches == expected.matches
            assert found.clusters == expected.clusters
            assert found.stories == expected.stories
            assert found.representatives == expected.representatives
    finally:
        await pipeline.close()


@given(
    seed=st.integers(0, 10**6), size=st.integers(3, 40), changes=st.integers(0, 25), step=st.integers(1, 17)
)
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    database=None,
)
async def test_after_any_history_the_state_is_that_of_what_is_left(
    store_url: str, seed: int, size: int, changes: int, step: int
) -> None:
    """Replacing, canceling, deleting and redelivering leave what a fresh ingest of the remaining articles gives."""
    rng = random.Random(seed)
    articles = data.family(rng, "a", size) + data.family(rng, "b", max(2, size // 3))
    rng.shuffle(articles)
    pipeline = await flow.open_pipeline(store_url, recovery_seconds=1)
    try:
        name, fresh = f"h-{uuid.uuid4().hex[:8]}", f"f-{uuid.uuid4().hex[:8]}"
        await flow.ingest(pipeline, name, articles, step)
        left = {article.id: article for article in articles}
        for _ in range(changes):
            victim = rng.choice(articles)
            action = rng.randrange(5)
            if action == 0 and victim.id in left:
                await pipeline.delete_article(name, victim.id)
                del left[victim.id]
            elif action == 1:
                await pipeline.ingest(name, [replace(victim, pubstatus=PubStatus.CANCELED)])
                left.pop(victim.id, None)
            elif action == 2:
                other = replace(victim, body=rng.choice(articles).body)
                await flow.ingest(pipeline, name, [other])
                left[victim.id] = other
            elif action == 3:
                other = replace(left.get(victim.id, victim), headline=f"Changed {rng.randrange(9)}")
                await flow.ingest(pipeline, name, [other])
                left[victim.id] = other
            else:
                other = replace(
                    victim, source=f"Outlet {rng.randrange(5)}", published=1.6e9 + 86400 * rng.randrange(20)
                )
                await flow.ingest(pipeline, name, [other])
                left[victim.id] = other
        if left:
            await flow.ingest(pipeline, fresh, sorted(left.values(), key=lambda a: a.id), 7)
            after, expected = await flow.state(pipeline, name), await flow.state(pipeline, fresh)
            assert after == expected
            await pipeline.delete_collection(fresh)
        status = await flow.settled(pipeline, name)
        assert status.articles == len(left)
        await pipeline.delete_collection(name)
    finally:
        await pipeline.close()
