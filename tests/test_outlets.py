"""Furniture of outlets: the made-up world of the quality benchmark, its scores, and that nothing in it is welded."""

from __future__ import annotations

import itertools

from bench.quality import outlets
from bench.quality.finders import Found
from dedup.pipeline import Pipeline
from tests import flow


def test_the_world_is_as_described() -> None:
    """Every day's items, four tellers of a wire story, a footer on every page and another one after the change."""
    made = outlets.world(16)
    assert made == outlets.world(16)
    per_day = outlets.OUTLETS * outlets.OWN_ITEMS + outlets.STORIES * outlets.TAKERS
    assert len(made.articles) == 16 * per_day
    assert len(made.until(7).articles) == 7 * per_day
    tellers = [s for s in made.stories.values() if s.startswith("wire")]
    assert len(tellers) == 16 * outlets.STORIES * outlets.TAKERS
    assert len(set(tellers)) == 16 * outlets.STORIES
    assert len(outlets._copies(made)) == 16 * outlets.STORIES * 6
    footers = [a.body.rstrip().rsplit("\n", 1)[-1] for a in made.articles if a.source == "outlet0"]
    assert len(set(footers)) == 2
    days = [a.published for a in made.articles]
    assert all(x is not None and y is not None and x <= y for x, y in itertools.pairwise(days))


def test_false_clusters_are_counted() -> None:
    """Two pages of one outlet in one cluster are wrong, two tellers of one wire story are right."""
    young = outlets.world(1)
    own = [a.id for a in young.articles if young.stories[a.id] == a.id][:2]
    tellers = sorted(i for i, s in young.stories.items() if s == "wire-0-0")[:2]
    found = Found(
        {(own[0], own[1]), (tellers[0], tellers[1])},
        dict.fromkeys(own, "x") | dict.fromkeys(tellers, "y"),
        0.0,
    )
    count, wrong, inside, _, largest, recall = outlets._row(young, found)
    assert (count, wrong, inside, largest, recall) == (68, 1, 2, 2, 1 / 12)


async def test_furniture_welds_nothing(pipeline: Pipeline, collection: str) -> None:
    """Nine days of twelve outlets: no cluster of two stories, and the wire stories are clusters."""
    made = outlets.world(9)
    await flow.ingest(pipeline, collection, made.articles)
    state = await flow.state(pipeline, collection)
    assert all(len({made.stories[i] for i in members}) == 1 for members in state.clusters)
    assert sum(len(members) >= 3 for members in state.clusters) >= 0.9 * 9 * outlets.STORIES
