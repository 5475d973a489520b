"""What ingest answers, what is kept, and what can be asked afterwards; every test on the real store."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import orjson
import pytest
import pytest_asyncio
import redis

from dedup.errors import AlreadyExists, InvalidArgument, NotFound, Reason
from dedup.live import Pipeline
from dedup.model import (
    Article,
    CollectionParameters,
    DecisionKind,
    ExportedArticle,
    IngestResult,
    Match,
    MatchKind,
    Outcome,
    Page,
    PubStatus,
    Rules,
)
from dedup.store import keys
from tests import data, flow, oracle

T = TypeVar("T")
DAY = 86400.0
T0 = 1.6e9


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def _cleared(pipeline: Pipeline, collection: str) -> AsyncIterator[None]:
    yield
    with contextlib.suppress(NotFound):
        await pipeline.delete_collection(collection)


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
    """Words of the text by the reference tokenizer."""
    return oracle.OracleArticle(article.id, article.headline, article.body).words


def counted(answer: IngestResult) -> int:
    """The four counts of a decision together."""
    assert answer.decision is not None
    d = answer.decision
    return d.words_copied + d.words_quoted + d.words_boilerplate + d.words_new


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
    later = replace(news("a", 1), body=prose(2), **given)  # type: ignore[arg-type]
    answer = await put(pipeline, collection, later)
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
    """The text stays the same text and is measured the same; offsets and what is shown follow the new headline."""
    wire = news("a", 1)
    await flow.ingest(pipeline, collection, [wire, news("b", 1, more="\n" + prose(2, 20))])
    before = (await pipeline.list_matches(collection, article_id="b", page_size=9, page_token="")).items[0]
    answer = await put(pipeline, collection, replace(wire, headline="Headline of b"))
    assert answer.outcome == Outcome.REPLACED
    await flow.settled(pipeline, collection)
    after = (await pipeline.list_matches(collection, article_id="b", page_size=9, page_token="")).items[0]
    assert (await pipeline.get_article(collection, "a")).article.headline == "Headline of b"
    assert (await pipeline.get_collection(collection)).texts == 2
    assert (before.shared_words, after.shared_words) == (60, 60)
    (match,) = [line async for line in pipeline.export(collection) if isinstance(line, Match)]
    assert answer.matches == (match,)
    (passage,) = match.passages
    shift = len("Headline of b\n")
    assert (passage.start, passage.end) == (shift, shift + len(wire.body))


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


@pytest.mark.parametrize(
    ("headline", "body"),
    [
        (
            "A headline with more than twelve words in it does not make a body any longer",
            "eleven words are one too few for any text to compare",
        ),
        ("A headline with more than twelve words in it does not make a body any longer", "one"),
        ("eleven words are one too few for any text to compare", ""),
        ("Short", " \n"),
        ("", "！？…"),
        ("", ""),
    ],
)
async def test_too_short_to_compare(pipeline: Pipeline, collection: str, headline: str, body: str) -> None:
    """A text of fewer than twelve words is kept and answered NOT_COMPARABLE: no decision, no cluster, no match."""
    article = Article("a", headline, body)
    assert words_of(article) < 12
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
    for sides in (("a", "b"), (article, "b"), (article, replace(article, id="b"))):
        assert (await pipeline.compare(collection, *sides)).match is None


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


# -- decisions -----------------------------------------------------------------------------------------


async def test_each_kind_of_decision(pipeline: Pipeline, collection: str) -> None:
    """What an article is on arrival, against what came before, and whom it copies."""
    wire = news("wire", 1, words=120, source="Agency")
    said = "“" + prose(9, 20) + "”"
    arrivals = [
        (wire, "NEW", ""),
        (news("else", 2), "NEW", ""),
        (
            news("background", 7, words=400, source="Agency", more="\n" + " ".join(wire.body.split()[:30])),
            "NEW",
            "",
        ),
        (replace(wire, id="update", body=wire.body + "\n" + prose(4, 15)), "OWN_UPDATE", "wire"),
        (replace(wire, id="copy", source="One", headline="A new headline"), "COPY", "wire"),
        (replace(wire, id="trimmed", source="Two", body=" ".join(wire.body.split()[:70])), "COPY", "wire"),
        (
            replace(wire, id="merged", source="Three", body=wire.body + "\n" + prose(3, 300)),
            "PARTIAL_COPY",
            "wire",
        ),
        (news("statement", 5, more=f"\n{said}"), "NEW", ""),
        (news("quoting", 6, words=100, more=f"\n{said}"), "QUOTES_ONLY", "statement"),
    ]
    for number, (given, kind, copies) in enumerate(arrivals):
        article = replace(given, headline=f"H{number}")
        answer = await put(pipeline, collection, article)
        assert answer.decision is not None
        assert (article.id, answer.decision.kind.name, answer.decision.copies) == (article.id, kind, copies)
        assert counted(answer) == words_of(article)
        assert (await pipeline.get_article(collection, article.id)).decision == answer.decision


async def test_the_counts_of_a_merged_article(pipeline: Pipeline, collection: str) -> None:
    """Words copied and quoted are counted against all earlier arrivals, each word once; the rest is new."""
    said = "“" + prose(9, 20) + "”"
    await flow.ingest(pipeline, collection, [news("x", 1, more="\n" + said), news("y", 2), news("z", 2)])
    article = Article("m", "", "\n".join([prose(1), prose(2), prose(3, 50), said]), "M", published=T0)
    answer = await put(pipeline, collection, article)
    d = answer.decision
    assert d is not None
    assert (d.words_copied, d.words_quoted, d.words_boilerplate, d.words_new) == (120, 20, 0, 50)
    assert (d.kind, d.copies) == (DecisionKind.PARTIAL_COPY, "x")
    assert d.covered == pytest.approx(80 / 190)


async def test_a_decision_never_changes(pipeline: Pipeline, collection: str) -> None:
    """Whatever becomes of an article and of the one it copies, its decision is the one of its first arrival."""
    await flow.ingest(pipeline, collection, [news("a", 1)])
    made = (await put(pipeline, collection, news("b", 1))).decision
    assert made is not None
    for change in (
        replace(news("b", 1), headline="Another"),
        replace(news("b", 1), body=prose(2)),
        replace(news("a", 1), body=prose(3)),
        replace(news("a", 1), pubstatus=PubStatus.CANCELED),
        news("b", 1),
    ):
        await put(pipeline, collection, change)
        await flow.settled(pipeline, collection)
        assert (await pipeline.get_article(collection, "b")).decision == made
        assert (
            await put(pipeline, collection, replace(change, id="b", pubstatus=PubStatus.USABLE))
        ).decision == made
    assert made.copies == "a"


@pytest.mark.parametrize("together", [True, False])
async def test_of_exact_copies_one_is_new(pipeline: Pipeline, collection: str, together: bool) -> None:
    """In one batch or from many callers at once: one NEW, the earliest arrival, which all the others copy."""
    copies = [Article(f"c{i:02}", f"Headline {i}", prose(1), f"Outlet {i}", published=T0) for i in range(60)]
    random.Random(1).shuffle(copies)
    if together:
        answers = await flow.ingest(pipeline, collection, copies)
    else:
        answers = list(await asyncio.gather(*(pipeline.ingest_one(collection, c) for c in copies)))
    first = min(answers, key=lambda a: a.number)
    for answer in answers:
        assert answer.decision is not None
        expected = (DecisionKind.NEW, "") if answer is first else (DecisionKind.COPY, first.id)
        assert (answer.decision.kind, answer.decision.copies) == expected
    status = await flow.settled(pipeline, collection)
    assert (status.articles, status.texts) == (60, 1)
    stored = await pipeline.get_article(collection, "c00")
    assert len(stored.copies_of_text) == 59


# -- clusters and stories --------------------------------------------------------------------------------


async def cluster_of(pipeline: Pipeline, collection: str, name: str) -> str:
    """The cluster of an article once all is settled."""
    await flow.settled(pipeline, collection)
    cluster = (await pipeline.get_article(collection, name)).cluster
    assert cluster is not None
    return cluster


async def test_ids_stay_through_growth_merge_and_split(pipeline: Pipeline, collection: str) -> None:
    """Growth keeps the id; a merge the older one, and says so; a split leaves it with the first text; all resolve."""
    left, right = news("l1", 1, words=100), news("r1", 2, words=100)
    await put(pipeline, collection, left)
    older = await cluster_of(pipeline, collection, "l1")
    await put(pipeline, collection, right)
    younger = await cluster_of(pipeline, collection, "r1")
    await put(pipeline, collection, replace(right, id="r2", source="R2", body=right.body + " and more"))
    assert await cluster_of(pipeline, collection, "r2") == younger != older
    bridge = Article("x", "Both", left.body + "\n" + right.body, "X", published=T0)
    answer = await put(pipeline, collection, bridge)
    assert {await cluster_of(pipeline, collection, name) for name in ("l1", "r1", "r2", "x")} == {older}
    assert [(c.change, c.old, c.new) for c in answer.affected_clusters] == [("merged", younger, older)]
    assert answer.cluster is not None
    assert (answer.cluster.id, answer.cluster.size, answer.cluster.settled) == (older, 4, True)
    assert (await pipeline.get_cluster(collection, younger)).id == older
    members = await pipeline.list_cluster_articles(collection, younger, page_size=9, page_token="")
    assert [m.article.id for m in members.items] == ["l1", "r1", "r2", "x"]
    await pipeline.delete_article(collection, "x")
    after = {name: await cluster_of(pipeline, collection, name) for name in ("l1", "r1", "r2")}
    assert after["r1"] == after["r2"] == younger
    assert after["l1"] == older
    assert (await pipeline.get_cluster(collection, younger)).size == 2
    assert (await pipeline.get_cluster(collection, older)).representative == "l1"


async def test_a_merge_of_single_articles_is_told(pipeline: Pipeline, collection: str) -> None:
    """Two articles that had clusters of their own are joined by a third: the younger id resolves to the older."""
    await flow.ingest(pipeline, collection, [news("a", 1, words=100), news("b", 2, words=100)])
    a, b = [await cluster_of(pipeline, collection, name) for name in "ab"]
    bridge = Article("c", "Both", prose(1, 100) + "\n" + prose(2, 100), "C", published=T0)
    answer = await put(pipeline, collection, bridge)
    assert [(c.change, c.old, c.new) for c in answer.affected_clusters] == [("merged", b, a)]
    assert (await pipeline.get_cluster(collection, b)).id == a
    with pytest.raises(NotFound) as error:
        await pipeline.get_cluster(collection, "c999")
    assert error.value.reason == Reason.CLUSTER_NOT_FOUND


async def test_representative_earliest_and_story(pipeline: Pipeline, collection: str) -> None:
    """The earliest published complete version stands for a cluster; a shared statement makes clusters a story."""
    said = "\n“" + prose(9, 20) + "”"
    wire = news("wire", 1, words=100, more=said)
    late = replace(wire, published=T0 + 3600)
    other = news("other", 2, words=100, more=said)
    far = replace(news("far", 3, words=100, more=said), published=T0 + 30 * DAY)
    batch = [replace(late, id="copy", source="C"), wire, other, far]
    await flow.ingest(pipeline, collection, batch)
    await flow.settled(pipeline, collection)
    stored = {name: await pipeline.get_article(collection, name) for name in ("wire", "copy", "other", "far")}
    cluster = await pipeline.get_cluster(collection, stored["wire"].cluster or "")
    assert (cluster.representative, cluster.earliest, cluster.size) == ("wire", "copy", 2)
    assert cluster.first_published == T0
    assert cluster.representative_reason
    assert {n: s.representative for n, s in stored.items()} == {
        "wire": True,
        "copy": False,
        "other": True,
        "far": True,
    }
    assert stored["wire"].story == stored["copy"].story == stored["other"].story is not None
    assert stored["far"].story is None
    story = await pipeline.get_story(collection, stored["wire"].story or "")
    assert (story.size, story.first_published, story.last_published) == (3, T0, T0 + 3600)
    assert set(story.clusters) == {stored["wire"].cluster, stored["other"].cluster}
    assert (await pipeline.list_stories(collection, page_size=9, page_token="")).items == (story,)
    await pipeline.delete_article(collection, "other")
    await flow.settled(pipeline, collection)
    assert (await pipeline.list_stories(collection, page_size=9, page_token="")).items == ()
    with pytest.raises(NotFound) as error:
        await pipeline.get_story(collection, story.id)
    assert error.value.reason == Reason.STORY_NOT_FOUND


# -- questions -------------------------------------------------------------------------------------------


async def pages(ask: Callable[[str], Awaitable[Page[T]]]) -> list[list[T]]:
    """Every page of a listing."""
    found: list[list[T]] = []
    token = ""
    while True:
        page = await ask(token)
        found.append(list(page.items))
        token = page.next_page_token
        if not token:
            return found
        assert len(found) < 1000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stocked(pipeline: Pipeline) -> AsyncIterator[str]:
    """A collection with families, a hundred copies and removed articles, settled."""
    name = "stocked"
    articles = data.corpus(300)
    await flow.ingest(pipeline, name, articles)
    for article in articles[5:300:17]:
        await pipeline.delete_article(name, article.id)
    await flow.settled(pipeline, name)
    yield name
    await pipeline.delete_collection(name)


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
async def test_paging_gives_every_item_once(pipeline: Pipeline, stocked: str, size: int) -> None:
    """Pages of any size together are the whole list, in order, each item once, none longer than asked for."""
    lines = [line async for line in pipeline.export(stocked)]
    exported = {line.id: line for line in lines if isinstance(line, ExportedArticle)}
    matches = {(line.article, line.other): line for line in lines if isinstance(line, Match)}

    listed = await pages(lambda t: pipeline.list_articles(stocked, page_size=size, page_token=t))
    articles = [a for page in listed for a in page]
    assert [a.number for a in articles] == sorted({a.number for a in articles})
    assert sorted(a.article.id for a in articles) == sorted(exported)
    assert max(map(len, listed)) <= size
    for a in articles:
        line = exported[a.article.id]
        assert (a.cluster, a.story, a.representative) == (line.cluster, line.story, line.representative)

    found = [
        m
        for page in await pages(
            lambda t: pipeline.list_matches(stocked, article_id=None, page_size=size, page_token=t)
        )
        for m in page
    ]
    assert len(found) == len(matches)
    assert {(m.article, m.other): m for m in found} == matches

    members: dict[str, set[str]] = defaultdict(set)
    for line in exported.values():
        if line.cluster is not None:
            members[line.cluster].add(line.id)
    clusters = await pages(
        lambda t: pipeline.list_clusters(stocked, min_size=2, page_size=size, page_token=t)
    )
    assert {c.id: c.size for page in clusters for c in page} == {
        c: len(m) for c, m in members.items() if len(m) > 1
    }
    assert sum(map(len, clusters)) == sum(len(m) > 1 for m in members.values())
    assert max(map(len, clusters)) <= size
    largest = max(members, key=lambda c: len(members[c]))
    inside = await pages(
        lambda t: pipeline.list_cluster_articles(stocked, largest, page_size=size, page_token=t)
    )
    assert sorted(a.article.id for page in inside for a in page) == sorted(members[largest])
    assert max(map(len, inside)) <= size

    stories = await pages(lambda t: pipeline.list_stories(stocked, page_size=size, page_token=t))
    assert sorted(s.id for page in stories for s in page) == sorted(
        {a.story for a in exported.values() if a.story}
    )
    assert max(map(len, stories)) <= size


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_matches_of_one_article(pipeline: Pipeline, stocked: str, size: int) -> None:
    """The matches of an article are those of the export seen from its side, and an exact one for its copies."""
    lines = [line async for line in pipeline.export(stocked)]
    text = {line.id: line.text for line in lines if isinstance(line, ExportedArticle)}
    for name in random.Random(size).sample(sorted(text), 12 if size > 1 else 3):
        same = sorted((other for other in text if text[other] == text[name]), key=str.encode)
        expected = {
            text[m.other if m.article == same[0] else m.article]
            for m in lines
            if isinstance(m, Match) and same[0] in (m.article, m.other)
        }
        listed = await pages(
            lambda t, name=name: pipeline.list_matches(stocked, article_id=name, page_size=size, page_token=t)  # type: ignore[misc]
        )
        found = [m for page in listed for m in page]
        assert max(map(len, listed)) <= size
        assert {m.article for m in found} <= {name}
        exact = [m for m in found if m.kind == MatchKind.EXACT]
        assert (
            sorted([name, *(o for m in exact for o in (m.other, *m.other_carriers))], key=str.encode) == same
        )
        others = [text[m.other] for m in found if m.kind != MatchKind.EXACT]
        assert len(others) == len(set(others))
        assert set(others) == expected
        assert [m.kind for m in found] == sorted(m.kind for m in found)


async def test_find_stores_nothing_and_agrees_with_ingest(pipeline: Pipeline, collection: str) -> None:
    """Find answers the matches and the decision that ingest gives right after, and leaves no trace."""
    articles = data.corpus(120, seed=5)
    random.Random(2).shuffle(articles)
    await flow.ingest(pipeline, collection, articles[:80])
    before = await flow.settled(pipeline, collection)
    for stored, article in enumerate(articles[80:], before.articles):
        found = await pipeline.find(collection, article, max_matches=50)
        again = await pipeline.find(collection, article, max_matches=50)
        assert again == found
        assert (await pipeline.get_collection(collection)).articles == stored
        answer = await put(pipeline, collection, article)
        await flow.settled(pipeline, collection)
        assert found.comparable == answer.comparable
        assert found.decision == answer.decision
        assert found.total_matches == answer.total_matches
        assert found.matches == answer.matches
        assert found.credits == answer.credits


async def test_find_cuts_the_list_and_says_so(pipeline: Pipeline, collection: str) -> None:
    """At most ``max_matches`` matches, the best; the total and the flag tell of the rest."""
    wire = news("wire", 1, words=100)
    batch = [
        Article(f"v{i}", f"V{i}", wire.body + "\n" + prose(10 + i, 20 + 20 * i), f"V{i}", published=T0)
        for i in range(6)
    ]
    await flow.ingest(pipeline, collection, batch)
    everything = await pipeline.find(collection, wire)
    few = await pipeline.find(collection, wire, max_matches=2)
    assert (everything.total_matches, everything.matches_truncated) == (6, False)
    assert (few.total_matches, few.matches_truncated) == (6, True)
    assert few.matches == everything.matches[:2]
    answer = await put(pipeline, collection, wire)
    assert (answer.total_matches, answer.matches_truncated) == (6, False)


async def test_compare(pipeline: Pipeline, collection: str) -> None:
    """Stored or given, either side first: the same measures and passages, seen from the first."""
    a, b = news("a", 1, words=100), news("b", 1, words=60, more="\n" + prose(2, 40))
    await flow.ingest(pipeline, collection, [a, b, news("c", 3)])
    stored = await pipeline.compare(collection, "a", "b")
    assert stored.match is not None
    assert stored.match.kind == MatchKind.REWRITE
    assert stored == await pipeline.compare(collection, a, b) == await pipeline.compare(collection, a, "b")
    turned = await pipeline.compare(collection, "b", "a")
    assert turned.match is not None
    assert (turned.article.id, turned.other.id) == ("b", "a")
    assert (turned.match.containment, turned.match.other_containment) == (
        stored.match.other_containment,
        stored.match.containment,
    )
    assert [(p.other_start, p.other_end, p.start, p.end) for p in turned.passages] == [
        (p.start, p.end, p.other_start, p.other_end) for p in stored.passages
    ]
    listed = await pipeline.list_matches(collection, article_id="a", page_size=9, page_token="")
    assert listed.items == (stored.match,)
    nothing = await pipeline.compare(collection, "a", "c")
    assert (nothing.match, nothing.passages) == (None, ())
    assert (await pipeline.compare("no-such-collection", a, b)).match == stored.match
    for x, y in (("a", "gone"), ("gone", a)):
        with pytest.raises(NotFound) as error:
            await pipeline.compare(collection, x, y)
        assert error.value.reason == Reason.ARTICLE_NOT_FOUND


# -- collections -----------------------------------------------------------------------------------------


async def test_life_of_a_collection(pipeline: Pipeline, collection: str) -> None:
    """Created, found, listed, used, deleted; reads of what is not there are NOT_FOUND and create nothing."""
    asks = [
        lambda: pipeline.get_collection(collection),
        lambda: pipeline.find(collection, news("a", 1)),
        lambda: pipeline.get_article(collection, "a"),
        lambda: pipeline.delete_article(collection, "a"),
        lambda: pipeline.list_articles(collection, page_size=1, page_token=""),
        lambda: pipeline.delete_collection(collection),
    ]
    for ask in asks:
        with pytest.raises(NotFound) as error:
            await ask()  # type: ignore[no-untyped-call]
        assert error.value.reason == Reason.COLLECTION_NOT_FOUND
    parameters = CollectionParameters(window=16, seed=7)
    status = await pipeline.create_collection(collection, parameters)
    assert (status.name, status.parameters, status.articles, status.pending, status.dirty) == (
        collection,
        parameters,
        0,
        0,
        0,
    )
    with pytest.raises(AlreadyExists):
        await pipeline.create_collection(collection, parameters)
    await put(pipeline, collection, news("a", 1))
    assert (await pipeline.get_collection(collection)).parameters == parameters
    listed = await pages(lambda t: pipeline.list_collections(page_size=1, page_token=t))
    names = [status.name for page in listed for status in page]
    assert names == sorted(set(names))
    assert collection in names
    await pipeline.delete_collection(collection)
    with pytest.raises(NotFound):
        await pipeline.get_collection(collection)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("Upper", {}),
        ("", {}),
        ("a" * 64, {}),
        ("{x}", {}),
        ("a", {"profile": "none"}),
        ("a", {"window": 0}),
        ("a", {"landmarks": 1}),
        ("a", {"band_threshold": 0.0}),
        ("a", {"rules": Rules(rewrite_run=0)}),
    ],
)
async def test_a_collection_that_cannot_be(pipeline: Pipeline, name: str, given: dict[str, object]) -> None:
    """Names and parameters out of range are refused and leave nothing behind."""
    with pytest.raises(InvalidArgument):
        await pipeline.create_collection(name, replace(CollectionParameters(), **given))  # type: ignore[arg-type]
    listed = await pages(lambda t: pipeline.list_collections(page_size=100, page_token=t))
    assert name not in [status.name for page in listed for status in page]


async def test_a_collection_has_its_own_rules(pipeline: Pipeline, collection: str) -> None:
    """A pair that shares 30 words is a rewrite; where 40 are asked for it is none, in whatever answer."""
    shared = prose(5, 30)
    one, two = (Article(n, n, f"{prose(s, 80)}\n{shared}", n, published=T0) for n, s in (("a", 1), ("b", 2)))
    strict = f"{collection}-strict"
    await pipeline.create_collection(strict, CollectionParameters(rules=Rules(rewrite_words=40)))
    kinds: dict[str, list[MatchKind]] = {}
    for name in (collection, strict):
        await put(pipeline, name, one)
        answer = await put(pipeline, name, two)
        await flow.settled(pipeline, name)
        listed = await pipeline.list_matches(name, article_id="a", page_size=9, page_token="")
        every = await pipeline.list_matches(name, article_id=None, page_size=9, page_token="")
        found = await pipeline.find(name, replace(two, id="c", body=two.body + " more"))
        compared = [await pipeline.compare(name, *pair) for pair in (("a", "b"), ("a", two), (one, two))]
        exported = [line async for line in pipeline.export(name) if isinstance(line, Match)]
        of_a = [m for m in found.matches if m.other == "a"]
        matches = [*answer.matches, *listed.items, *every.items, *of_a, *exported]
        kinds[name] = [m.kind for m in matches] + [c.match.kind for c in compared if c.match is not None]
    await pipeline.delete_collection(strict)
    assert kinds == {collection: [MatchKind.REWRITE] * 8, strict: []}


async def test_a_collection_that_was_stored_before_there_were_rules(
    store_url: str, pipeline: Pipeline, collection: str
) -> None:
    """It has the default rules; a rule that this release does not know is left out."""
    rules = Rules(rewrite_words=40)
    for stored, expected in ((None, Rules()), ({"rewrite_words": 40, "later": 1}, rules)):
        await pipeline.create_collection(collection, CollectionParameters(window=16))
        with redis.Redis.from_url(store_url) as client:
            line, _, described = client.hget(keys.own(collection), "d").partition(b"\n")
            given = orjson.loads(described)
            assert given["parameters"].pop("rules")["rewrite_words"] == 20
            given["parameters"] |= {"rules": stored} if stored else {}
            client.hset(keys.own(collection), "d", line + b"\n" + orjson.dumps(given))
        later = await flow.open_pipeline(store_url)
        found = (await later.get_collection(collection)).parameters
        await later.close()
        assert found == CollectionParameters(window=16, rules=expected)
        await pipeline.delete_collection(collection)


async def test_a_deleted_collection_is_forgotten(pipeline: Pipeline, collection: str) -> None:
    """A new collection of the same name knows nothing of the texts and names of the old one."""
    for seed in (1, 2):
        wire = news("b", seed, words=80 + seed)
        longer = replace(wire, id="a", source="A", body=wire.body + " and some more words")
        for article in (wire, longer, replace(wire, id=f"c{seed}", source="C")):
            answer = await pipeline.ingest_one(collection, article)
            assert answer.decision is not None
            assert answer.decision.copies == ("" if article is wire else "b")
        await flow.settled(pipeline, collection)
        assert (await pipeline.get_collection(collection)).articles == 3
        (match,) = [line async for line in pipeline.export(collection) if isinstance(line, Match)]
        assert match.shared_words == words_of(wire)
        await pipeline.delete_collection(collection)


@pytest.mark.parametrize("token", ["x", "-1", "١", "9" * 40])
async def test_a_page_token_of_someone_else(pipeline: Pipeline, stocked: str, token: str) -> None:
    """A token that no page gave is refused."""
    for ask in (
        pipeline.list_articles(stocked, page_size=1, page_token=token),
        pipeline.list_clusters(stocked, min_size=1, page_size=1, page_token=token),
        pipeline.list_stories(stocked, page_size=1, page_token=token),
        pipeline.list_matches(stocked, article_id=None, page_size=1, page_token=token),
    ):
        with pytest.raises(InvalidArgument) as error:
            await ask
        assert error.value.reason == Reason.INVALID_PAGE_TOKEN


async def test_a_collection_deleted_by_another_server_is_made_anew(store_url: str, collection: str) -> None:
    """What is ingested through a server that had it open goes into a new collection, which every server sees."""
    first, second = await flow.open_pipeline(store_url), await flow.open_pipeline(store_url)
    try:
        await flow.ingest(first, collection, [news("a", 1), news("b", 2)])
        await second.delete_collection(collection)
        assert (await first.ingest_one(collection, news("c", 3))).outcome == Outcome.CREATED
        await flow.ingest(first, collection, [news("d", 4)])
        for server in (first, second):
            assert (await flow.settled(server, collection)).articles == 2
    finally:
        await first.close()
        await second.close()
