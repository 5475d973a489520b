"""The story families of ``seeds/`` through the real pipeline give exactly what their labels say."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from dedup.live import Pipeline
from dedup.model import DecisionKind, ExportedArticle, IngestResult, Match, MatchKind, StoredArticle
from tests import data, flow, oracle, oracle_text

COLLECTION = "golden-seeds"
FAMILIES = [str(label["family"]) for label in data.labels()]


@dataclass(frozen=True)
class Golden:
    """What came out: answers in order of arrival, the export, and every article as stored."""

    answers: list[IngestResult]
    matches: dict[tuple[str, str], Match]
    exported: dict[str, ExportedArticle]
    stored: dict[str, StoredArticle]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pipeline(store_url: str) -> AsyncIterator[Pipeline]:
    """A pipeline with no limit on the wait for a cluster that these tests could meet."""
    opened = await flow.open_pipeline(store_url, settle_wait_milliseconds=30_000)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def golden(pipeline: Pipeline) -> AsyncIterator[Golden]:
    """All families, in file order, one article after the other."""
    answers = [await pipeline.ingest_one(COLLECTION, article) for article in data.seeds()]
    await flow.settled(pipeline, COLLECTION)
    matches: dict[tuple[str, str], Match] = {}
    exported: dict[str, ExportedArticle] = {}
    async for line in pipeline.export(COLLECTION):
        if isinstance(line, ExportedArticle):
            exported[line.id] = line
        else:
            matches[line.article, line.other] = line
    stored = {name: await pipeline.get_article(COLLECTION, name) for name in exported}
    yield Golden(answers, matches, exported, stored)
    await pipeline.delete_collection(COLLECTION)


def label_of(family: str) -> Mapping[str, Any]:
    """The labels of one family."""
    return next(label for label in data.labels() if label["family"] == family)


@pytest.mark.parametrize("family", FAMILIES)
def test_pairs_have_the_labeled_kinds(golden: Golden, family: str) -> None:
    """Each pair is exported with one of its kinds, and not at all where the label says that nothing is shared.

    Equal texts are verified once, as the smallest of their ids.
    """
    smallest = {name: min(_equal(golden, name), key=str.encode) for name in golden.exported}
    wrong = []
    for pair in label_of(family)["pairs"]:
        first, second = sorted((smallest[pair["article"]], smallest[pair["other"]]), key=str.encode)
        found = golden.matches.get((first, second))
        kind = "exact" if first == second else found.kind.name.lower() if found else None
        if kind not in (pair["kinds"] or [None]):
            wrong.append((pair["article"], pair["other"], kind, pair["kinds"]))
    assert not wrong


def test_families_share_nothing(golden: Golden) -> None:
    """No exported pair joins two families."""
    family = {name: label["family"] for label in data.labels() for name in _articles(label)}
    assert [pair for pair in golden.matches if family[pair[0]] != family[pair[1]]] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_clusters_are_the_labeled_ones(golden: Golden, family: str) -> None:
    """Articles labeled together share a cluster id, everyone else is alone; each cluster has one representative."""
    label = label_of(family)
    together: dict[str, set[str]] = defaultdict(set)
    for name in _articles(label):
        cluster = golden.exported[name].cluster
        if cluster is None:
            assert _articles(label)[name]["decision"] == "not_comparable"
        else:
            together[cluster].add(name)
    assert {frozenset(group) for group in together.values() if len(group) > 1} == {
        frozenset(group) for group in label["clusters"]
    }
    for group in together.values():
        assert sum(golden.exported[name].representative for name in group) == 1
    everywhere = {a.cluster for n, a in golden.exported.items() if n not in _articles(label)}
    assert not everywhere & set(together)


@pytest.mark.parametrize("family", FAMILIES)
def test_stories_are_the_labeled_ones(golden: Golden, family: str) -> None:
    """The articles of the story share one story id that no other article of the family has."""
    label = label_of(family)
    if label["story"] is None:
        return
    ids = {golden.exported[name].story for name in label["story"]}
    assert len(ids) == 1
    (story,) = ids
    assert story is not None
    assert {n for n, a in golden.exported.items() if a.story == story} == set(label["story"])


@pytest.mark.parametrize("family", FAMILIES)
def test_decisions_on_first_arrival(golden: Golden, family: str) -> None:
    """In file order each first arrival gets the labeled decision, and the stored one is that of the answer."""
    label = label_of(family)
    first: dict[str, IngestResult] = {}
    for answer in golden.answers:
        first.setdefault(answer.id, answer)
    wrong = []
    for name, article in _articles(label).items():
        decision = first[name].decision
        said = decision.kind.name.lower() if decision else "not_comparable"
        if said != article["decision"]:
            wrong.append((name, said, article["decision"]))
        assert golden.stored[name].decision == decision
    assert not wrong


def test_decisions_name_an_earlier_arrival_and_count_every_word(golden: Golden) -> None:
    """``copies`` arrived before and is another article; the four counts add up to the words of the article."""
    arrived: dict[str, int] = {}
    for answer, article in zip(golden.answers, data.seeds(), strict=True):
        decision = answer.decision
        if decision is None or answer.id in arrived:
            continue
        if decision.kind == DecisionKind.NEW:
            assert (decision.copies, decision.covered) == ("", 0.0)
        else:
            assert arrived[decision.copies] < answer.number
            assert 0 < decision.covered <= 1
        words = oracle.OracleArticle(article.id, article.headline, article.body).words
        parts = decision.words_copied, decision.words_quoted, decision.words_boilerplate, decision.words_new
        assert sum(parts) == words
        assert min(parts) >= 0
        arrived[answer.id] = answer.number


@pytest.mark.parametrize("family", FAMILIES)
def test_credits_are_the_labeled_ones(golden: Golden, family: str) -> None:
    """Agencies and the places where they stand, of every article, also in the export."""
    wrong = []
    for name, article in _articles(label_of(family)).items():
        expected = {(c["agency"], place) for c in article["agencies"] for place in c["places"]}
        found = {(c.agency, c.place.name.lower()) for c in golden.stored[name].credits}
        if found != expected:
            wrong.append((name, sorted(found - expected), sorted(expected - found)))
        assert set(golden.exported[name].agencies) == {agency for agency, _ in found}
    assert not wrong


def test_passages_slice_to_equal_words(golden: Golden) -> None:
    """Both texts sliced at the offsets give the same words, as many as stated; passages do not overlap."""
    text = {article.id: article.text for article in data.seeds()}
    assert golden.matches
    for match in golden.matches.values():
        assert match.passages or match.kind == MatchKind.EXACT
        total = 0
        for p in match.passages:
            mine = oracle_text.tokenize(text[match.article][p.start : p.end])
            theirs = oracle_text.tokenize(text[match.other][p.other_start : p.other_end])
            assert [t.text for t in mine] == [t.text for t in theirs]
            assert oracle_text.half_words(mine) // 2 == p.words >= 6
            assert 0 <= p.quoted <= p.words
            total += oracle_text.half_words(mine)
        assert total // 2 == match.shared_words
        for key in ("start", "other_start"):
            spans = sorted((getattr(p, key), getattr(p, key.replace("start", "end"))) for p in match.passages)
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


async def test_what_a_correction_replaced_is_gone(golden: Golden, pipeline: Pipeline) -> None:
    """A higher version took the place of the lower: one article, the new text, the old decision."""
    lines: dict[str, list[IngestResult]] = defaultdict(list)
    for answer in golden.answers:
        lines[answer.id].append(answer)
    corrected = [name for name, answers in lines.items() if len(answers) > 1]
    assert corrected
    for name in corrected:
        first, second = lines[name]
        assert (first.outcome.name, second.outcome.name) == ("CREATED", "REPLACED")
        assert (second.number, second.decision) == (first.number, first.decision)
        newest = max((a for a in data.seeds() if a.id == name), key=lambda a: a.version or 0)
        assert (await pipeline.get_article(COLLECTION, name)).article.body == newest.body


def _equal(golden: Golden, name: str) -> list[str]:
    """The articles with the text of this one; texts too short to compare equal none."""
    if not golden.stored[name].comparable:
        return [name]
    return [other for other, line in golden.exported.items() if line.text == golden.exported[name].text]


def _articles(label: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = label["articles"]
    return found
