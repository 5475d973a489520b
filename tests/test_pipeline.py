"""What ingest answers, what is kept, and what can be asked afterwards; every test on the real store."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from dedup.errors import NotFound
from dedup.model import (
    Article,
    DecisionKind,
    ExportedArticle,
    IngestResult,
    Match,
    Outcome,
    PubStatus,
)
from dedup.pipeline import Pipeline
from tests import data, flow, oracle_text

DAY = 86400.0
T0 = 1.6e9


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pipeline(store_url: str) -> AsyncIterator[Pipeline]:
    """A pipeline that waits for clusters as long as it takes."""
    opened = await flow.open_pipeline(store_url, settle_wait_milliseconds=30_000)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def _cleared(pipeline: Pipeline, collection: str) -> AsyncIterator[None]:
    yield
    try:
        await pipeline.delete_collection(collection)
    except NotFound:
        pass


def prose(seed: int, words: int = 60) -> str:
    """Text that shares no passage with that of another seed."""
    return data.prose(random.Random(seed), words)


def news(name: str, seed: int, *, words: int = 60, source: str = "", more: str = "") -> Article:
    """An article of its own outlet (unless told) with invented text."""
    return Article(
        name, f"Headline of {name}", prose(seed, words) + more, source or f"Outlet {name}", published=T0
    )


async def put(pipeline: Pipeline, collection: str, article: Article) -> IngestResult:
    """Ingest one article as a batch of its own."""
    (answer,) = await flow.ingest(pipeline, collection, [article])
    return answer


def words_of(article: Article) -> int:
    """Words of headline and body by the reference tokenizer."""
    return oracle_text.half_words(oracle_text.tokenize(article.text)) // 2


def counted(answer: IngestResult) -> int:
    """The four counts of a decision together."""
    assert answer.decision is not None
    d = answer.decision
    return d.words_copied + d.words_quoted + d.words_furniture + d.words_new


# -- outcomes and versions ---------------------------------------------------------------------------


async def test_redelivery_changes_nothing(pipeline: Pipeline, collection: str) -> None:
    """The same article again is UNCHANGED, with the number, time and decision of its first arrival."""
    first = await put(pipeline, collection, news("a", 1))
    copy = await put(pipeline, collection, news("b", 1))
    for article, before in ((news("a", 1), first), (news("b", 1), copy)):
        again = await put(pipeline, collection, article)
        assert again.outcome == Outcome.UNCHANGED
        assert (again.decision, again.number, again.arrival_time) == (
            before.decision,
            before.number,
            before.arrival_time,
        )
        assert again.cluster is not None
        assert again.cluster.size == 2
    assert (await flow.settled(pipeline, collection)).articles == 2
    assert first.decision is not None
    assert copy.decision is not None
    assert (first.decision.kind, copy.decision.kind) == (DecisionKind.NEW, DecisionKind.COPY)
    assert copy.decision.copies == "a"


@pytest.mark.parametrize(
    ("stored", "given", "outcome"),
    [
        ({"version": 2}, {"version": 1}, Outcome.STALE_VERSION),
        ({"version": 2}, {"version": 2}, Outcome.REPLACED),
        ({"version": 2}, {"version": 3}, Outcome.REPLACED),
        ({"version_time": 20.0}, {"version_time": 10.0}, Outcome.STALE_VERSION),
        ({"version_time": 20.0}, {"version_time": 20.0}, Outcome.REPLACED),
        ({"version_time": 20.0}, {"version_time": 30.0}, Outcome.REPLACED),
        ({"version": 2, "version_time": 20.0}, {"version": 3, "version_time": 10.0}, Outcome.REPLACED),
        ({"version": 2}, {}, Outcome.REPLACED),
        ({}, {"version": 0}, Outcome.REPLACED),
        ({}, {}, Outcome.REPLACED),
    ],
)
async def test_versions(
    pipeline: Pipeline, collection: str, stored: dict[str, float], given: dict[str, float], outcome: Outcome
) -> None:
    """A lower version is stale; where either lacks one, an older version time is; anything else replaces."""
    before = replace(news("a", 1), **stored)  # type: ignore[arg-type]
    first = await put(pipeline, collection, before)
    answer = await put(
        pipeline, collection, replace(before, body=prose(2), version=None, version_time=None, **given)
    )  # type: ignore[arg-type]
    kept = await pipeline.get_article(collection, "a")
    assert answer.outcome == outcome
    assert (answer.number, answer.decision) == (first.number, first.decision)
    stale = outcome == Outcome.STALE_VERSION
    assert kept.article.body == (before.body if stale else prose(2))
    assert kept.decision == first.decision
    if stale:
        assert (kept.article.version, kept.article.version_time) == (before.version, before.version_time)


async def test_a_stale_redelivery_of_equal_content_is_stale(pipeline: Pipeline, collection: str) -> None:
    """The version is looked at before the content; equal content under a higher version raises it."""
    article = replace(news("a", 1), version=5)
    await put(pipeline, collection, article)
    assert (await put(pipeline, collection, replace(article, version=4))).outcome == Outcome.STALE_VERSION
    assert (await put(pipeline, collection, replace(article, version=9))).outcome == Outcome.UNCHANGED
    changed = replace(article, version=8, body=prose(2))
    assert (await put(pipeline, collection, changed)).outcome == Outcome.STALE_VERSION


async def test_a_kill_names_what_still_carries_the_text(pipeline: Pipeline, collection: str) -> None:
    """Canceling removes the article and names those that carry its text or copied part of it, closest first."""
    wire = news("wire", 1, words=120)
    await flow.ingest(
        pipeline,
        collection,
        [
            wire,
            replace(wire, id="same", source="Same"),
            replace(wire, id="part", source="Part", body=wire.body + "\n" + prose(2, 200)),
            news("other", 3),
        ],
    )
    answer = await put(pipeline, collection, Article("wire", pubstatus=PubStatus.CANCELED, version=2))
    assert answer.outcome == Outcome.CANCELED
    assert answer.carriers == ("same", "part")
    with pytest.raises(NotFound):
        await pipeline.get_article(collection, "wire")
    assert (await flow.settled(pipeline, collection)).articles == 3
    again = await put(pipeline, collection, Article("wire", pubstatus=PubStatus.CANCELED, version=2))
    assert (again.outcome, again.number) == (Outcome.CANCELED, answer.number)
    assert (await flow.settled(pipeline, collection)).articles == 3


async def test_after_a_kill_lower_versions_are_stale(pipeline: Pipeline, collection: str) -> None:
    """The tombstone keeps its version: what was sent before the kill and arrives after it stays out."""
    await put(pipeline, collection, replace(news("a", 1), version=1))
    await put(pipeline, collection, Article("a", pubstatus=PubStatus.CANCELED, version=3))
    late = await put(pipeline, collection, replace(news("a", 1), version=2))
    assert late.outcome == Outcome.STALE_VERSION
    with pytest.raises(NotFound):
        await pipeline.get_article(collection, "a")
    revived = await put(pipeline, collection, replace(news("a", 1), version=4))
    assert revived.outcome == Outcome.CREATED
    assert revived.cluster is not None
    assert (await flow.settled(pipeline, collection)).articles == 1
    assert (
        await put(pipeline, collection, Article("a", pubstatus=PubStatus.CANCELED, version=3))
    ).outcome == (Outcome.STALE_VERSION)


async def test_a_kill_may_come_first(pipeline: Pipeline, collection: str) -> None:
    """A canceled article that was never seen leaves a tombstone that turns its earlier versions away."""
    answer = await put(pipeline, collection, Article("a", pubstatus=PubStatus.CANCELED, version=2))
    assert (answer.outcome, answer.carriers, answer.decision) == (Outcome.CANCELED, (), None)
    late = await put(pipeline, collection, replace(news("a", 1), version=1))
    assert late.outcome == Outcome.STALE_VERSION
    status = await flow.settled(pipeline, collection)
    assert (status.articles, status.texts) == (0, 0)
    assert [line async for line in pipeline.export(collection)] == []


async def test_replacing_moves_the_article(pipeline: Pipeline, collection: str) -> None:
    """Another body: it leaves its cluster for another, keeps its decision, and matches what it now says."""
    await flow.ingest(pipeline, collection, [news("x", 1), news("y", 2)])
    first = await put(pipeline, collection, news("m", 1))
    answer = await put(pipeline, collection, replace(news("m", 1), body=news("y", 2).body))
    assert answer.outcome == Outcome.REPLACED
    assert first.decision is not None
    assert answer.decision == first.decision
    assert answer.decision.copies == "x"
    assert [m.other for m in answer.matches] == ["y"]
    await flow.settled(pipeline, collection)
    x, y, m = [await pipeline.get_article(collection, name) for name in "xym"]
    assert m.cluster == y.cluster != x.cluster
    assert (m.copies_of_text, x.copies_of_text) == (("y",), ())


async def test_replacing_the_headline_alone(pipeline: Pipeline, collection: str) -> None:
    """The text stays the same text; the new headline is the one that is measured and shown."""
    wire = news("a", 1)
    await flow.ingest(pipeline, collection, [wire, news("b", 1, more="\n" + prose(2, 20))])
    before = (await pipeline.list_matches(collection, article_id="b", page_size=9, page_token="")).items[0]
    answer = await put(pipeline, collection, replace(wire, headline="Headline of b"))
    assert answer.outcome == Outcome.REPLACED
    await flow.settled(pipeline, collection)
    stored = await pipeline.get_article(collection, "a")
    after = (await pipeline.list_matches(collection, article_id="b", page_size=9, page_token="")).items[0]
    assert stored.article.headline == "Headline of b"
    assert stored.text_digest == (await pipeline.get_article(collection, "a")).text_digest
    assert (await pipeline.get_collection(collection)).texts == 2
    assert before.shared_words == after.shared_words == 60
    (match,) = [line async for line in pipeline.export(collection) if isinstance(line, Match)]
    body = match.passages[-1]
    assert answer.matches[0].passages[-1] == body
    assert replace(wire, headline="Headline of b").text[body.start : body.end] == wire.body


async def test_duplicates_in_one_batch_are_applied_in_order(pipeline: Pipeline, collection: str) -> None:
    """The last line of an id stands; every answer carries the decision made for the first."""
    await put(pipeline, collection, news("old", 7))
    batch = [news("a", 1), news("a", 1), replace(news("a", 1), body=prose(7)), news("b", 2), news("a", 3)]
    answers = await flow.ingest(pipeline, collection, batch)
    assert [a.outcome.name for a in answers] == ["CREATED", "UNCHANGED", "REPLACED", "CREATED", "REPLACED"]
    assert len({a.number for a in answers if a.id == "a"}) == 1
    decisions = {a.decision for a in answers if a.id == "a"}
    await flow.settled(pipeline, collection)
    kept = await pipeline.get_article(collection, "a")
    assert decisions == {kept.decision}
    assert kept.decision is not None
    assert kept.decision.kind == DecisionKind.NEW
    assert kept.article.body == prose(3)
    status = await pipeline.get_collection(collection)
    assert (status.articles, status.texts) == (3, 3)


async def test_created_and_killed_in_one_batch(pipeline: Pipeline, collection: str) -> None:
    """An article and its kill in one batch leave nothing behind."""
    batch = [news("a", 1), Article("a", pubstatus=PubStatus.CANCELED), news("b", 1)]
    answers = await flow.ingest(pipeline, collection, batch)
    assert [a.outcome.name for a in answers] == ["CREATED", "CANCELED", "CREATED"]
    status = await flow.settled(pipeline, collection)
    assert (status.articles, status.texts) == (1, 1)
    assert [line.id async for line in pipeline.export(collection) if isinstance(line, ExportedArticle)] == [
        "b"
    ]


@pytest.mark.parametrize("body", ["", " \n", "eleven words are one too few for any text to compare", "！？…"])
async def test_too_short_to_compare(pipeline: Pipeline, collection: str, body: str) -> None:
    """A body of fewer than twelve words is kept and answered NOT_COMPARABLE: no decision, no cluster, no match."""
    article = Article(
        "a", "A headline with more than twelve words in it does not make a body any longer", body
    )
    assert len(oracle_text.tokenize(body)) < 12
    for outcome in (Outcome.NOT_COMPARABLE, Outcome.UNCHANGED):
        answer = await put(pipeline, collection, article)
        assert (answer.outcome, answer.comparable) == (outcome, False)
        assert (answer.decision, answer.cluster, answer.story, answer.matches) == (None, None, None, ())
    twin = await put(pipeline, collection, replace(article, id="b"))
    assert twin.matches == ()
    kept = await pipeline.get_article(collection, "a")
    assert (kept.comparable, kept.cluster, kept.representative, kept.decision) == (False, None, False, None)
    assert kept.article == article
    status = await flow.settled(pipeline, collection)
    assert (status.articles, status.texts) == (2, 0)
    lines = [line async for line in pipeline.export(collection)]
    assert [line.id for line in lines if isinstance(line, ExportedArticle)] == ["a", "b"]
    assert len(lines) == 2
    found = await pipeline.find(collection, article)
    assert (found.comparable, found.matches, found.decision) == (False, (), None)


async def test_an_article_grows_beyond_the_minimum_and_back(pipeline: Pipeline, collection: str) -> None:
    """A flash that becomes a report is decided then, once; cut back, it leaves its cluster and keeps the decision."""
    await put(pipeline, collection, news("wire", 1))
    flash = Article("a", "Flash", "Too short to compare.", "Outlet a", published=T0)
    assert (await put(pipeline, collection, flash)).outcome == Outcome.NOT_COMPARABLE
    grown = await put(pipeline, collection, replace(flash, body=prose(1)))
    assert grown.outcome == Outcome.REPLACED
    assert grown.decision is not None
    assert (grown.decision.kind, grown.decision.copies) == (DecisionKind.COPY, "wire")
    cut = await put(pipeline, collection, flash)
    assert (cut.outcome, cut.decision, cut.cluster) == (Outcome.NOT_COMPARABLE, grown.decision, None)
    status = await flow.settled(pipeline, collection)
    assert (status.articles, status.texts) == (2, 1)
    cluster = (await pipeline.get_article(collection, "wire")).cluster
    assert cluster is not None
    assert (await pipeline.get_cluster(collection, cluster)).size == 1


async def test_every_field_comes_back(pipeline: Pipeline, collection: str) -> None:
    """What was sent is what is stored, control characters, astral code points and all."""
    article = Article(
        id="naïve/\u0001 id\n🜚",
        headline="Head \u0000 line",
        body=prose(1) + "\t\u0007\U0001f600 e\u0301",
        source="Outlet \u202e x",
        byline="By A. B. (AFP)",
        located="Geneva",
        url="https://a.example/?q=1",
        language="fr",
        published=T0 + 0.5,
        published_is_date=True,
        version=2**53,
        version_time=T0 + 7.25,
    )
    answer = await put(pipeline, collection, article)
    kept = await pipeline.get_article(collection, article.id)
    assert kept.article == article
    assert (kept.number, kept.arrival_time) == (answer.number, answer.arrival_time)
    assert kept.words == words_of(article)
    assert kept.credits == answer.credits
    assert [c.agency for c in kept.credits] == ["AFP"]
