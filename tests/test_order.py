"""The settled state depends on the articles alone: not on their order, their batches, or how many writers there are."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dedup.core.sketch import SketchParameters, sketch
from dedup.core.text import tokenize
from dedup.live import Pipeline
from dedup.model import Article, CollectionParameters, PubStatus
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


async def _every_way(
    pipeline: Pipeline, rng: random.Random, articles: list[Article], parameters: CollectionParameters
) -> tuple[str, flow.State]:
    """The state that every way and order of arriving settles to, and a collection in it."""
    states = []
    for way in (*WAYS, _batches):
        rng.shuffle(articles)
        name = f"ways-{uuid.uuid4().hex[:8]}"
        await pipeline.create_collection(name, parameters)
        await way(pipeline, name, articles)
        states.append(await flow.state(pipeline, name))
    assert all(state == states[0] for state in states[1:])
    return name, states[0]


async def _fresh_state(pipeline: Pipeline, articles: list[Article]) -> flow.State:
    """The state of a new collection of these articles."""
    fresh = f"fresh-{uuid.uuid4().hex[:8]}"
    await flow.ingest(pipeline, fresh, articles, 7)
    return await flow.state(pipeline, fresh)


async def _state_of_what_is_left(
    pipeline: Pipeline, name: str, articles: list[Article], left: list[Article]
) -> flow.State:
    """The state of a collection after all but ``left`` were deleted, which is that of a new one of them."""
    for article in articles:
        if article not in left:
            await pipeline.delete_article(name, article.id)
    state = await flow.state(pipeline, name)
    assert state == await _fresh_state(pipeline, left)
    return state


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("count", "permutations"), [(2000, 4), (400, 15)])
async def test_any_order_any_way_gives_the_same_state(store_url: str, count: int, permutations: int) -> None:
    """Seeds and real articles, with a component of over 64 texts, hot postings, boilerplate; reference in batches."""
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


@pytest.mark.parametrize("landmarks", [2, 5])
async def test_few_landmarks_in_any_order_give_the_same_state(store_url: str, landmarks: int) -> None:
    """Lists that are hot from three or six texts on: every way of arriving settles to the same."""
    rng = random.Random(landmarks)
    articles = data.family(rng, "a", 60) + data.family(rng, "b", 12)
    pipeline = await flow.open_pipeline(store_url)
    try:
        _, state = await _every_way(pipeline, rng, articles, CollectionParameters(landmarks=landmarks))
        assert state.matches
    finally:
        await pipeline.close()


def _sharing_one_posting(rng: random.Random, said: str, count: int) -> list[str]:
    """Bodies around the same words, any two of which have one posting in common."""
    bodies: list[str] = []
    seen: set[int] = set()
    while len(bodies) < count:
        body = f"{data.prose(rng, 50)}\n{said}\n{data.prose(rng, 50)}"
        postings = set(sketch(tokenize("", body), SketchParameters()).postings.tolist())
        if not bodies or len(postings & seen) == 1:
            bodies.append(body)
            seen |= postings
    return bodies


async def test_one_posting_of_a_hot_list_makes_no_pair(store_url: str) -> None:
    """Ten texts that share twelve quoted words match one another; with an eleventh only those that share more do."""
    rng = random.Random(8)
    bodies = _sharing_one_posting(rng, f"“{data.prose(rng, 12)}”", 13)
    other = data.prose(rng, 24)
    for number in (3, 12):
        bodies[number] += f"\n“{other}”"
    articles = [
        Article(f"q{number:02}", f"Report {number}", body, f"Outlet {number}", published=1.6e9)
        for number, body in enumerate(bodies)
    ]
    pipeline = await flow.open_pipeline(store_url)
    try:
        name, state = await _every_way(pipeline, rng, articles, CollectionParameters())
        assert {(match.article, match.other) for match in state.matches} == {("q03", "q12")}
        for gone in ("q12", "q11"):
            await pipeline.delete_article(name, gone)
        assert not (await flow.state(pipeline, name)).matches
        await pipeline.delete_article(name, "q10")
        assert len((await flow.state(pipeline, name)).matches) == 10 * 9 // 2
    finally:
        await pipeline.close()


async def test_a_crowd_in_any_order_gives_the_same_state(store_url: str) -> None:
    """From 100 texts on half of the landmarks open a list; below, after deletions, all of them again."""
    rng = random.Random(5)
    paragraphs = [data.prose(rng, 30) for _ in range(5)]
    articles = [
        Article(
            f"c{number:03}",
            f"Report {number}",
            "\n".join([*paragraphs[: rng.randrange(1, 6)], data.prose(rng, 30)]),
            f"Outlet {number % 50}",
            published=1.6e9,
        )
        for number in range(130)
    ]
    pipeline = await flow.open_pipeline(store_url)
    try:
        name, state = await _every_way(pipeline, rng, articles, CollectionParameters())
        pairs = len(state.matches)
        left = sorted(articles, key=lambda a: a.id)[:90]
        after = await _state_of_what_is_left(pipeline, name, articles, left)
        assert len(after.matches) / len(left) > 1.1 * pairs / len(articles), (
            "fewer texts, and more pairs each"
        )
    finally:
        await pipeline.close()


async def test_boilerplate_in_a_crowd_ends_when_a_landmark_that_opens_nothing_moves(store_url: str) -> None:
    """Any landmark counts for boilerplate, in the upper half of a crowd's too: who rests on it is verified again."""
    rng = random.Random(6)
    passage = data.prose(rng, 40)
    bodies = sorted(
        (f"{data.prose(rng, 60)} {passage}" for _ in range(110)),
        key=lambda body: tokenize("", body).body_digest(),
    )
    days = {2: 0, 3: 3, 7: 6, **dict.fromkeys(range(20, 40), 0)}  # of one outlet, by place among the digests
    articles = [
        Article(
            f"m{place:03}",
            "Report",
            body,
            "Daily" if place in days else f"Outlet {place}",
            published=1.6e9 + 86400 * days.get(place, 0),
        )
        for place, body in enumerate(bodies)
    ]
    pipeline = await flow.open_pipeline(store_url)
    try:
        name = f"moved-{uuid.uuid4().hex[:8]}"
        await flow.ingest(pipeline, name, articles)
        before = await flow.state(pipeline, name)
        articles[7] = replace(articles[7], source="Weekly")
        await flow.ingest(pipeline, name, articles[7:8])
        after = await flow.state(pipeline, name)
        daily = {f"m{place:03}" for place in range(20, 40)}
        assert not any({match.article, match.other} & daily for match in before.matches)
        assert all(any(each in (match.article, match.other) for match in after.matches) for each in daily)
        assert after == await _fresh_state(pipeline, articles)
    finally:
        await pipeline.close()


async def test_a_notice_of_a_hundred_articles_is_nobodys_copy(store_url: str) -> None:
    """What a chain prints under every article for weeks joins nothing, in any order; under fewer it is copy."""
    rng = random.Random(3)
    notice = data.prose(rng, 40)
    articles = [
        Article(
            f"n{number:03}",
            f"Report {number}",
            f"{data.prose(rng, 60)} {notice}",
            f"Chain {number % 12}",
            published=1.6e9 + number * 16_000.0,
        )
        for number in range(160)
    ]
    wire = data.prose(rng, 60)
    copies = [
        replace(articles[number], body=f"{wire} {data.prose(rng, 8)} {notice}") for number in (20, 21, 22)
    ]
    articles[20:23] = copies
    pipeline = await flow.open_pipeline(store_url)
    try:
        name, state = await _every_way(pipeline, rng, articles, CollectionParameters())
        assert {(match.article, match.other) for match in state.matches} == {
            ("n020", "n021"), ("n020", "n022"), ("n021", "n022"),
        }  # fmt: skip
        left = sorted((a for a in articles if int(a.id[1:]) % 2), key=lambda a: a.id)
        after = await _state_of_what_is_left(pipeline, name, articles, left)
        assert len(after.matches) > len(left)
    finally:
        await pipeline.close()


@given(
    seed=st.integers(0, 10**6),
    size=st.integers(3, 40),
    changes=st.integers(0, 25),
    step=st.integers(1, 17),
    landmarks=st.sampled_from([3, 10]),
    keep_text=st.booleans(),
)
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    database=None,
)
async def test_after_any_history_the_state_is_that_of_what_is_left(
    store_url: str, seed: int, size: int, changes: int, step: int, landmarks: int, keep_text: bool
) -> None:
    """Replacing, canceling, deleting and redelivering leave what a fresh ingest of the remaining articles gives."""
    rng = random.Random(seed)
    articles = data.family(rng, "a", size) + data.family(rng, "b", max(2, size // 3))
    rng.shuffle(articles)
    pipeline = await flow.open_pipeline(store_url, recovery_seconds=1)
    try:
        name, fresh = f"h-{uuid.uuid4().hex[:8]}", f"f-{uuid.uuid4().hex[:8]}"
        for collection in (name, fresh):
            parameters = CollectionParameters(landmarks=landmarks, keep_text=keep_text)
            await pipeline.create_collection(collection, parameters)
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
