"""Clusters do not snowball: made-up news in which single linkage would join what is not one story's copy."""

from __future__ import annotations

import random

import networkx as nx
import pytest

from dedup.live import Pipeline
from dedup.model import COPY_KINDS, Article
from tests import data, flow

_DAY = 86400.0


def _components(state: flow.State) -> list[set[str]]:
    """What single linkage would make of the same matches; networkx is the oracle."""
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(article for article, _, _ in state.articles)
    graph.add_edges_from((m.article, m.other) for m in state.matches if m.kind in COPY_KINDS)
    return [set(part) for part in nx.connected_components(graph)]


def _sizes(state: flow.State) -> list[int]:
    return sorted((len(members) for members in state.clusters), reverse=True)


def _shuffled(articles: list[Article], seed: int) -> list[Article]:
    random.Random(seed).shuffle(articles)
    return articles


async def _settle(pipeline: Pipeline, collection: str, articles: list[Article]) -> flow.State:
    await flow.ingest(pipeline, collection, articles)
    return await flow.state(pipeline, collection)


@pytest.mark.parametrize("seed", range(3))
async def test_a_chain_falls_apart(pipeline: Pipeline, collection: str, seed: int) -> None:
    """Forty articles, each with a paragraph of the one before it: one component, and no cluster of more than four."""
    rng = random.Random(seed)
    shared = [data.prose(rng, 45) for _ in range(41)]
    articles = [
        Article(f"a{i:02}", "", f"{shared[i]}\n{data.prose(rng, 150)}\n{shared[i + 1]}", f"S{i}")
        for i in range(40)
    ]
    state = await _settle(pipeline, collection, _shuffled(articles, seed))
    assert [len(part) for part in _components(state)] == [40]
    assert 2 <= _sizes(state)[0] <= 4


async def test_a_round_up_welds_no_stories(pipeline: Pipeline, collection: str) -> None:
    """A round-up with a paragraph of each of ten stories stands with one of them at most; the ten stay apart."""
    rng = random.Random(5)
    leads = [data.prose(rng, 45) for _ in range(10)]
    articles = [
        Article(f"s{i}-{j}", "", f"{lead}\n{body}\n{data.prose(rng, 20)}", f"S{i}-{j}")
        for i, (lead, body) in enumerate((lead, data.prose(rng, 180)) for lead in leads)
        for j in range(3)
    ]
    articles.append(Article("round-up", "", "\n".join(leads), "Digest"))
    state = await _settle(pipeline, collection, _shuffled(articles, 5))
    assert max(len(part) for part in _components(state)) == 31
    families = {frozenset(a for a in members if a != "round-up") for members in state.clusters} - {
        frozenset()
    }
    assert families == {frozenset(f"s{i}-{j}" for j in range(3)) for i in range(10)}


@pytest.mark.parametrize("outlets", [1, 300])
async def test_a_template_makes_no_cluster(pipeline: Pipeline, collection: str, outlets: int) -> None:
    """Three hundred unrelated items around one paragraph: of one outlet on one day, or of all outlets over weeks."""
    rng = random.Random(6)
    template = data.prose(rng, 45)
    articles = [
        Article(
            f"t{i:03}",
            "",
            f"{data.prose(rng, 60)}\n{template}\n{data.prose(rng, 60)}",
            f"S{i % outlets}",
            published=1.7e9 + (i * _DAY / 6 if outlets > 1 else i),
        )
        for i in range(300)
    ]
    state = await _settle(pipeline, collection, _shuffled(articles, 6))
    assert _sizes(state)[0] == 1
    if outlets == 1:
        assert len(max(_components(state), key=len)) == 300
    else:
        assert not state.matches


async def test_a_story_of_five_hundred_copies_is_one_cluster(pipeline: Pipeline, collection: str) -> None:
    """Five hundred edited copies, each compared with few others, stand together, and nothing else with them."""
    rng = random.Random(7)
    story = data.prose(rng, 300).split(" ")
    articles = []
    for i in range(500):
        at = rng.randrange(len(story) - 20)
        body = " ".join((*story[:at], data.prose(rng, 8), *story[at + rng.randrange(20) :]))
        articles.append(Article(f"c{i:03}", "", body, f"S{i}"))
    articles += [Article(f"x{i}", "", data.prose(rng, 300), f"S{i}") for i in range(50)]
    state = await _settle(pipeline, collection, _shuffled(articles, 7))
    assert _sizes(state) == [500, *[1] * 50]
    assert tuple(f"c{i:03}" for i in range(500)) in state.clusters


async def test_one_article_bridges_no_families(pipeline: Pipeline, collection: str) -> None:
    """An article merged from two families of six stands in one of them; the families stay two."""
    rng = random.Random(8)
    stories = [data.prose(rng, 240) for _ in range(2)]
    articles = [
        Article(f"f{i}-{j}", "", f"{data.prose(rng, 15)}\n{story}", f"S{i}-{j}")
        for i, story in enumerate(stories)
        for j in range(6)
    ]
    words = [story.split(" ") for story in stories]
    merged = " ".join(words[0][:150]) + "\n" + " ".join(words[1][:90])
    articles.append(Article("merged", "", merged, "Both"))
    state = await _settle(pipeline, collection, _shuffled(articles, 8))
    assert [len(part) for part in _components(state)] == [13]
    first = tuple(sorted(("merged", *(f"f0-{j}" for j in range(6))), key=str.encode))
    assert state.clusters == {first, tuple(f"f1-{j}" for j in range(6))}
