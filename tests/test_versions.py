"""Versions, kills and redelivery as a whole: what an answer says and what the settled collection then holds."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from dedup.errors import DedupError, NotFound
from dedup.live import Pipeline
from dedup.model import Article, DecisionKind, IngestResult, MatchKind, Outcome, PubStatus
from tests import data, flow

T0 = 1.6e9


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def _cleared(pipeline: Pipeline, collection: str) -> AsyncIterator[None]:
    yield
    for name in (collection, f"{collection}-fresh"):
        with contextlib.suppress(NotFound):
            await pipeline.delete_collection(name)


def prose(seed: int, words: int = 80) -> str:
    """Text that shares no passage with that of another seed."""
    return data.prose(random.Random(seed), words)


def news(name: str, seed: int, *, version: int | None = None, time: float | None = None) -> Article:
    """An article of an outlet of its own with the text of a seed."""
    return Article(
        name,
        f"Headline of {name}",
        prose(seed),
        f"Outlet {name}",
        published=T0,
        version=version,
        version_time=time,
    )


def kill(name: str, version: int | None = None) -> Article:
    """The message that takes an article back."""
    return Article(name, pubstatus=PubStatus.CANCELED, version=version)


async def put(pipeline: Pipeline, collection: str, article: Article) -> IngestResult:
    """Ingest one article as a batch of its own."""
    (answer,) = await flow.ingest(pipeline, collection, [article])
    return answer


async def stocked(pipeline: Pipeline, collection: str, **of_a: float) -> flow.State:
    """Two families of two, of which ``a`` and ``b`` carry one text."""
    await flow.ingest(
        pipeline,
        collection,
        [
            replace(news("a", 1), **of_a),  # type: ignore[arg-type]
            news("b", 1),
            news("x", 2),
            replace(news("y", 2), body=prose(2) + "\n" + prose(3, 40)),
        ],
    )
    return await flow.state(pipeline, collection)


async def like_fresh(pipeline: Pipeline, collection: str, left: list[Article]) -> None:
    """The settled state is that of a fresh ingest of what is left."""
    fresh = f"{collection}-fresh"
    await flow.ingest(pipeline, fresh, left)
    found, expected = await flow.state(pipeline, collection), await flow.state(pipeline, fresh)
    await pipeline.delete_collection(fresh)
    assert found == expected


# -- stale -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "late"),
    [
        ({"version": 5}, news("a", 2, version=4)),
        ({"version": 5}, kill("a", 4)),
        ({"version": 2**63 - 1}, news("a", 2, version=2**63 - 2)),
        ({"version": 2**53 + 1}, news("a", 2, version=2**53)),
        ({"version": 5, "version_time": T0}, news("a", 2, version=4, time=T0 + 9)),
        ({"version_time": T0}, news("a", 2, time=T0 - 1)),
        ({"version_time": T0}, news("a", 2, version=9, time=T0 - 1)),
        ({"version": 5, "version_time": T0}, news("a", 2, time=T0 - 1)),
    ],
)
async def test_what_is_stale_changes_nothing(
    pipeline: Pipeline, collection: str, stored: dict[str, float], late: Article
) -> None:
    """Text, place, matches, decisions and counters are as before; the answer tells what is stored."""
    before = await stocked(pipeline, collection, **stored)
    kept = await pipeline.get_article(collection, "a")
    status = await pipeline.get_collection(collection)
    answer = await put(pipeline, collection, late)
    assert (answer.outcome, answer.number, answer.arrival_time) == (
        Outcome.STALE_VERSION,
        kept.number,
        kept.arrival_time,
    )
    assert (answer.decision, answer.matches, answer.carriers) == (kept.decision, (), ())
    assert answer.cluster is not None
    assert (answer.cluster.id, answer.cluster.size) == (kept.cluster, 2)
    assert await flow.state(pipeline, collection) == before
    assert await pipeline.get_article(collection, "a") == kept
    after = await pipeline.get_collection(collection)
    assert replace(after, store_memory_bytes=0) == replace(status, store_memory_bytes=0)


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
@pytest.mark.parametrize("together", [True, False])
async def test_the_highest_version_stands_in_any_order(
    pipeline: Pipeline, collection: str, order: tuple[int, int, int], together: bool
) -> None:
    """Three versions in any order, in one batch or one by one, leave the third; what came too late is stale."""
    versions = [news("a", 10 + number, version=number) for number in order]
    if together:
        answers = await flow.ingest(pipeline, collection, versions)
    else:
        answers = [await pipeline.ingest_one(collection, version) for version in versions]
    highest, expected = 0, []
    for number in order:
        expected.append("STALE_VERSION" if number < highest else "REPLACED" if highest else "CREATED")
        highest = max(highest, number)
    assert [answer.outcome.name for answer in answers] == expected
    assert (await pipeline.get_article(collection, "a")).article == news("a", 13, version=3)
    assert len({(answer.number, answer.decision) for answer in answers}) == 1
    await like_fresh(pipeline, collection, [news("a", 13, version=3)])


# -- redelivery --------------------------------------------------------------------------------------


async def test_equal_content_raises_the_version_and_nothing_else(pipeline: Pipeline, collection: str) -> None:
    """UNCHANGED under a higher version or a later time, which from then on turn earlier ones away."""
    before = await stocked(pipeline, collection, version=1, version_time=T0)
    again = await put(pipeline, collection, news("a", 1, version=7, time=T0 + 50))
    assert again.outcome == Outcome.UNCHANGED
    assert await flow.state(pipeline, collection) == before
    kept = (await pipeline.get_article(collection, "a")).article
    assert (kept.version, kept.version_time) == (7, T0 + 50)
    bare = await put(pipeline, collection, news("a", 1))
    assert bare.outcome == Outcome.UNCHANGED
    assert (await pipeline.get_article(collection, "a")).article == kept
    for late in (news("a", 2, version=6), news("a", 2, time=T0 + 49)):
        assert (await put(pipeline, collection, late)).outcome == Outcome.STALE_VERSION


async def test_redelivery_answers_the_stored_decision_of_every_kind(
    pipeline: Pipeline, collection: str, store_url: str
) -> None:
    """However late, in whatever order, through another server: outcome UNCHANGED, decision, number, time as stored."""
    articles = data.latest(data.seeds())
    random.Random(4).shuffle(articles)
    first = {a.id: a for a in await flow.ingest(pipeline, collection, articles, 16)}
    kinds = {a.decision.kind for a in first.values() if a.decision is not None}
    assert kinds >= {
        DecisionKind.NEW,
        DecisionKind.COPY,
        DecisionKind.PARTIAL_COPY,
        DecisionKind.QUOTES_ONLY,
    }
    before = await flow.state(pipeline, collection)
    other = await flow.open_pipeline(store_url)
    try:
        answers = [
            *await flow.ingest(pipeline, collection, articles[::-1], 33),
            *await flow.ingest(other, collection, articles, 7),
            *await asyncio.gather(*(other.ingest_one(collection, a) for a in articles[::3])),
        ]
    finally:
        await other.close()
    for again in answers:
        stored = first[again.id]
        assert again.outcome == Outcome.UNCHANGED
        assert (again.decision, again.number, again.arrival_time) == (
            stored.decision,
            stored.number,
            stored.arrival_time,
        )
        assert again.decision is None or again.decision.copies != again.id
    assert await flow.state(pipeline, collection) == before


async def test_other_white_space_is_another_content_and_the_same_text(
    pipeline: Pipeline, collection: str
) -> None:
    """A body set anew is REPLACED, so that offsets fit it, and stays the text that its copies carry."""
    before = await stocked(pipeline, collection)
    answer = await put(
        pipeline, collection, replace(news("a", 1), body="  " + prose(1).upper().replace(" ", "\n"))
    )
    assert answer.outcome == Outcome.REPLACED
    (match,) = answer.matches
    assert (match.kind, match.other) == (MatchKind.EXACT, "b")
    assert match.passages[0].start == len("Headline of a\n") + 2
    after = await flow.state(pipeline, collection)
    assert (after.articles, after.clusters, after.matches[1:]) == (
        before.articles,
        before.clusters,
        before.matches[1:],
    )


# -- corrections -------------------------------------------------------------------------------------


async def test_a_correction_moves_between_clusters(pipeline: Pipeline, collection: str) -> None:
    """Number, arrival and decision stay; it leaves one cluster for another, and the answer shows the new one."""
    await stocked(pipeline, collection, version=1)
    kept = await pipeline.get_article(collection, "a")
    family = await pipeline.get_article(collection, "x")
    corrected = news("a", 2, version=2)
    answer = await put(pipeline, collection, corrected)
    assert (answer.outcome, answer.number, answer.arrival_time, answer.decision) == (
        Outcome.REPLACED,
        kept.number,
        kept.arrival_time,
        kept.decision,
    )
    assert answer.cluster is not None
    assert (answer.cluster.id, answer.cluster.size, answer.cluster.settled) == (family.cluster, 3, True)
    assert [m.other for m in answer.matches] == ["x", "y"]
    assert (await pipeline.get_article(collection, "b")).copies_of_text == ()
    status = await flow.settled(pipeline, collection)
    assert (status.articles, status.texts) == (4, 3)
    y = replace(news("y", 2), body=prose(2) + "\n" + prose(3, 40))
    await like_fresh(pipeline, collection, [news("b", 1), news("x", 2), y, corrected])


async def test_a_correction_of_what_others_copied(pipeline: Pipeline, collection: str) -> None:
    """The decision about a copy stays, and names the wire article, also after the wire has changed its text."""
    await put(pipeline, collection, news("wire", 1, version=1))
    made = (await put(pipeline, collection, news("copy", 1))).decision
    assert made is not None
    assert (made.kind, made.copies) == (DecisionKind.COPY, "wire")
    await put(pipeline, collection, news("wire", 5, version=2))
    again = await put(pipeline, collection, news("copy", 1))
    assert (again.outcome, again.decision, again.matches) == (Outcome.UNCHANGED, made, ())
    later = (await put(pipeline, collection, news("later", 1))).decision
    assert later is not None
    assert (later.kind, later.copies) == (DecisionKind.COPY, "copy")


# -- kills -------------------------------------------------------------------------------------------


async def test_a_kill_names_every_remaining_carrier(pipeline: Pipeline, collection: str) -> None:
    """Those with its text by arrival, then those with part of it; not those that only quote it or are unrelated."""
    said = f"“{prose(8, 24)}”"
    wire = replace(news("wire", 1), body=prose(1) + "\n" + said)
    carriers = [replace(wire, id=f"same-{i}", source=f"S{i}", headline=f"H{i}") for i in range(3)]
    part = replace(wire, id="part", source="P", body=wire.body + "\n" + prose(9, 150))
    quoting = Article("quoting", "Q", prose(11, 120) + "\n" + said, "Q", published=T0)
    await flow.ingest(pipeline, collection, [quoting, part, wire, *carriers, news("other", 12)])
    answer = await put(pipeline, collection, kill("wire"))
    assert (answer.outcome, answer.cluster, answer.matches) == (Outcome.CANCELED, None, ())
    assert answer.carriers == ("same-0", "same-1", "same-2", "part")
    await like_fresh(pipeline, collection, [quoting, part, *carriers, news("other", 12)])
    for name, left in (
        ("same-1", ("same-0", "same-2", "part")),
        ("same-0", ("same-2", "part")),
        ("same-2", ("part",)),
    ):
        assert await pipeline.delete_article(collection, name) == left
    await like_fresh(pipeline, collection, [quoting, part, news("other", 12)])


async def test_a_killed_id_comes_back_as_a_new_arrival(pipeline: Pipeline, collection: str) -> None:
    """Revived it is CREATED under a new number and decided anew; decisions that name it go on naming it."""
    first = await put(pipeline, collection, news("a", 1, version=1))
    copy = await put(pipeline, collection, news("b", 1))
    await put(pipeline, collection, kill("a", 2))
    revived = await put(pipeline, collection, news("a", 1, version=3))
    assert revived.outcome == Outcome.CREATED
    assert revived.number > copy.number > first.number
    assert revived.decision is not None
    assert (revived.decision.kind, revived.decision.copies) == (DecisionKind.COPY, "b")
    kept = await pipeline.get_article(collection, "b")
    assert kept.decision == copy.decision
    assert kept.decision is not None
    assert kept.decision.copies == "a"
    again = await put(pipeline, collection, news("a", 1, version=3))
    assert (again.outcome, again.number, again.decision) == (
        Outcome.UNCHANGED,
        revived.number,
        revived.decision,
    )
    await like_fresh(pipeline, collection, [news("a", 1, version=3), news("b", 1)])


async def test_killed_and_revived_in_one_batch(pipeline: Pipeline, collection: str) -> None:
    """Applied in order: created, killed, revived with another text, killed by a late kill that is stale."""
    batch = [
        news("a", 1, version=1),
        kill("a", 2),
        news("a", 4, version=1),
        news("a", 5, version=3),
        kill("a", 2),
    ]
    answers = await flow.ingest(pipeline, collection, [news("b", 5), *batch])
    assert [answer.outcome.name for answer in answers[1:]] == [
        "CREATED",
        "CANCELED",
        "STALE_VERSION",
        "CREATED",
        "STALE_VERSION",
    ]
    await like_fresh(pipeline, collection, [news("b", 5), news("a", 5, version=3)])
    kept = await pipeline.get_article(collection, "a")
    assert kept.decision is not None
    assert (kept.decision.kind, kept.decision.copies) == (DecisionKind.COPY, "b")


# -- texts that cannot be compared -------------------------------------------------------------------


async def test_versions_hold_for_texts_that_cannot_be_compared(pipeline: Pipeline, collection: str) -> None:
    """An empty text is stored, redelivered, outdated, replaced and killed like any other, and matches nothing."""
    empty = Article("a", "Flash: vote passes", "", "Outlet", published=T0, version=2)
    steps = [
        (empty, Outcome.NOT_COMPARABLE),
        (empty, Outcome.UNCHANGED),
        (replace(empty, body="Earlier.", version=1), Outcome.STALE_VERSION),
        (replace(empty, body="More follows.", version=3), Outcome.NOT_COMPARABLE),
        (news("a", 1, version=4), Outcome.REPLACED),
        (replace(empty, version=5), Outcome.NOT_COMPARABLE),
        (kill("a", 6), Outcome.CANCELED),
    ]
    await put(pipeline, collection, replace(empty, id="twin"))
    numbers = set()
    for article, outcome in steps:
        answer = await put(pipeline, collection, article)
        assert answer.outcome == outcome
        assert answer.comparable is (outcome == Outcome.REPLACED)
        assert (answer.matches, answer.carriers) == ((), ())
        numbers.add(answer.number)
    assert len(numbers) == 1
    await like_fresh(pipeline, collection, [replace(empty, id="twin")])


# -- copies that arrive together ---------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 17, 130])
async def test_of_copies_in_one_batch_exactly_one_is_new(
    pipeline: Pipeline, collection: str, size: int
) -> None:
    """Three texts, each many times, mixed with duplicate ids: one NEW a text, all others copy that very article."""
    rng = random.Random(size)
    batch = [
        Article(f"t{text}-{i:03}", f"Headline {i}", prose(text), f"Outlet {i}", published=T0 + i)
        for text in range(3)
        for i in range(size)
    ]
    rng.shuffle(batch)
    batch += rng.sample(batch, size // 2)
    answers = await pipeline.ingest(collection, batch)
    new: dict[str, str] = {}
    for answer in answers:
        assert not isinstance(answer, DedupError)
        assert answer.decision is not None
        if answer.decision.kind == DecisionKind.NEW:
            assert new.setdefault(answer.id[:2], answer.id) == answer.id
    assert len(new) == 3
    for answer in answers:
        assert not isinstance(answer, DedupError)
        assert answer.decision is not None
        assert answer.decision.copies in ("", new[answer.id[:2]])
        assert (answer.decision.copies == "") == (answer.id in new.values())
    assert new == {text: next(a.id for a in batch if a.id.startswith(text)) for text in new}
