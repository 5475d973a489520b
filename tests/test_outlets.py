"""Boilerplate of outlets: the made-up world of the quality benchmark, its scores, and that nothing in it is welded."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

from bench.quality import outlets
from bench.quality.finders import Found
from dedup.live import Pipeline
from dedup.model import Article, DecisionKind, IngestResult
from tests import flow
from tests.data import prose


def test_the_world_is_as_described() -> None:
    """Every day's items, four reprints of a wire story, a footer on every page and another one after the change."""
    made = outlets.world(16)
    assert made == outlets.world(16)
    per_day = outlets.OUTLETS * outlets.OWN_ITEMS + outlets.STORIES * outlets.TAKERS
    assert len(made.articles) == 16 * per_day
    assert len(made.until(7).articles) == 7 * per_day
    reprints = [s for s in made.stories.values() if s.startswith("wire")]
    assert len(reprints) == 16 * outlets.STORIES * outlets.TAKERS
    assert len(set(reprints)) == 16 * outlets.STORIES
    assert len(outlets._copies(made)) == 16 * outlets.STORIES * 6
    footers = [a.body.rstrip().rsplit("\n", 1)[-1] for a in made.articles if a.source == "outlet0"]
    assert len(set(footers)) == 2
    days = [a.published for a in made.articles]
    assert all(x is not None and y is not None and x <= y for x, y in itertools.pairwise(days))


def test_false_clusters_are_counted() -> None:
    """Two pages of one outlet in one cluster are wrong, two reprints of one wire story are right."""
    young = outlets.world(1)
    own = [a.id for a in young.articles if young.stories[a.id] == a.id][:2]
    reprints = sorted(i for i, s in young.stories.items() if s == "wire-0-0")[:2]
    found = Found(
        {(own[0], own[1]), (reprints[0], reprints[1])},
        dict.fromkeys(own, "x") | dict.fromkeys(reprints, "y"),
        0.0,
    )
    count, wrong, inside, _, largest, called_new, recall = outlets._row(young, found)
    assert (count, wrong, inside, largest, called_new, recall) == (68, 1, 2, 2, None, 1 / 12)
    decided = replace(found, decisions=dict.fromkeys(own, DecisionKind.NEW))
    assert outlets._row(young, decided)[-2] == 2 / 60


async def test_boilerplate_welds_nothing(pipeline: Pipeline, collection: str) -> None:
    """Nine days of twelve outlets: no cluster of two stories, and the wire stories are clusters."""
    made = outlets.world(9)
    await flow.ingest(pipeline, collection, made.articles)
    state = await flow.state(pipeline, collection)
    assert all(len({made.stories[i] for i in members}) == 1 for members in state.clusters)
    assert sum(len(members) >= 3 for members in state.clusters) >= 0.9 * 9 * outlets.STORIES


async def test_the_first_pages_of_an_outlet_are_no_updates_of_one_another(
    pipeline: Pipeline, collection: str
) -> None:
    """From the fourth page on what all share is its boilerplate, hours after the first; a real update is still one."""
    rng = random.Random(31)
    footer = prose(rng, 80)
    pages = [_page(f"p{n}", f"{prose(rng, 60)}\n{footer}", n) for n in range(6)]
    answers = [(await flow.ingest(pipeline, collection, [page]))[0] for page in pages]
    assert [_kind(answer) for answer in answers] == ["NEW", *["OWN_UPDATE"] * 2, *["NEW"] * 3]
    counted = answers[-1].decision
    assert counted is not None
    assert (counted.words_boilerplate, counted.words_copied, counted.words_new) == (80, 0, 60)
    updated = _page("update", pages[5].body.replace(footer, f"{prose(rng, 12)}\n{footer}"), 7)
    found = await pipeline.find(collection, replace(updated, id="asked"))
    (answer,) = await flow.ingest(pipeline, collection, [updated])
    assert answer.decision is not None
    assert found.decision is not None
    assert (_kind(answer), answer.decision.copies) == ("OWN_UPDATE", "p5")
    assert (found.decision.kind, found.decision.copies) == (DecisionKind.OWN_UPDATE, "p5")


async def test_habits_leave_copies_of_others_alone(pipeline: Pipeline, collection: str) -> None:
    """What another outlet has as well is no habit: a page that copies it is its copy, whatever the outlet repeats."""
    rng = random.Random(32)
    footer, background = prose(rng, 70), prose(rng, 70)
    wire = f"{background}\n{prose(rng, 130)}"
    pages = [_page(f"q{n}", f"{prose(rng, 60)}\n{background}\n{footer}", n) for n in range(4)]
    await flow.ingest(pipeline, collection, [*pages, replace(_page("wire", wire, 5), source="Agency")])
    (answer,) = await flow.ingest(pipeline, collection, [_page("taken", f"{wire}\n{footer}", 6)])
    assert answer.decision is not None
    assert (_kind(answer), answer.decision.copies) == ("PARTIAL_COPY", "wire")
    assert (answer.decision.words_copied, answer.decision.words_boilerplate) == (200, 70)


async def test_versions_of_one_page_are_no_habit(pipeline: Pipeline, collection: str) -> None:
    """Five versions of one page in one batch and a much longer one later: updates, though all share most words."""
    rng = random.Random(33)
    body = prose(rng, 150)
    versions = [_page(f"v{n}", f"{body}\n{prose(rng, 12)}", n) for n in range(5)]
    answers = await flow.ingest(pipeline, collection, versions)
    assert [_kind(answer) for answer in answers] == ["NEW", *["OWN_UPDATE"] * 4]
    await flow.settled(pipeline, collection)
    (longer,) = await flow.ingest(pipeline, collection, [_page("longer", f"{body}\n{prose(rng, 70)}", 6)])
    assert _kind(longer) == "OWN_UPDATE"  # it is the same page as none of them, but they are one cluster


def _page(name: str, body: str, hour: int) -> Article:
    return Article(name, "", body, "Echo", published=1.6e9 + 3600.0 * hour)


def _kind(answer: IngestResult) -> str:
    assert answer.decision is not None
    return answer.decision.kind.name
