"""Settling does what its rules say, and a record of one article made quickly says what one made at length does."""

from __future__ import annotations

import itertools
import random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.core.cluster_summary import describe, describe_one
from dedup.core.clustering import EDGES, Carrier, Edge, SettlingRules, TextNode, linking, settle
from dedup.core.provenance import credit_bits
from dedup.model import ArticleNumber, Credit, CreditPlace, MatchKind, TextNumber
from tests import oracle_clusters

AFP = Credit("AFP", CreditPlace.DATELINE, "AFP", 0, 3)
PHOTO = Credit("Reuters", CreditPlace.PHOTO, "Reuters", 0, 7)
PLAIN = Credit("Agencies", CreditPlace.BYLINE, "Agencies", 0, 8)


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("agency", ["", "AFP"])
@pytest.mark.parametrize(
    "credits",
    list(itertools.chain.from_iterable(itertools.combinations((AFP, PHOTO, PLAIN), n) for n in range(4))),
)
def test_one_article_is_described_alike_both_ways(
    credits: tuple[Credit, ...], agency: str, dated: bool
) -> None:
    """With and without a time, an agency's own copy or not, any credits: the same record."""
    carrier = Carrier(ArticleNumber(7), 99, 1.5e9, dated, 300, agency, credit_bits(credits))
    node = TextNode(TextNumber(4), b"digest", (carrier,))
    assert describe_one(node) == describe([node], 1, 0, (), {})


_SHARES = (0.0, 0.1, 0.2, 0.5, 0.8, 1.0)
_RULES = SettlingRules(support=3)


def _component(rng: random.Random, texts: int, edges: int) -> tuple[dict[TextNumber, TextNode], list[Edge]]:
    """Made-up texts of a few outlets and days, with matches between some of them."""
    numbers = sorted(map(TextNumber, rng.sample(range(1, 9 * texts), texts)))
    nodes = {}
    for text in numbers:
        carriers = tuple(
            Carrier(ArticleNumber(10 * text + i), rng.randrange(1, 5), 86400.0 * rng.randrange(6), True, 300)
            for i in range(rng.choice((1, 1, 1, 2)))
        )
        nodes[text] = TextNode(text, rng.randbytes(16), carriers)
    pairs = {tuple(sorted(rng.sample(numbers, 2))) for _ in range(edges)} if texts > 1 else set()
    kinds = rng.choices(list(MatchKind)[1:6], weights=[rng.random() for _ in range(5)], k=len(pairs))
    made = [
        Edge(a, b, kind, rng.randrange(3), rng.randrange(2), *(rng.choice(_SHARES) for _ in range(3)))
        for (a, b), kind in zip(sorted(pairs), kinds, strict=True)
    ]
    return nodes, rng.sample(made, len(made))


def _array(edges: list[Edge]) -> np.ndarray:
    rows = [
        (e.a, e.b, int(e.kind), e.unquoted, e.quoted, e.a_containment, e.b_containment, e.min_coverage)
        for e in edges
    ]
    return np.array(rows, EDGES)


@given(st.randoms(use_true_random=False), st.integers(1, 14), st.integers(0, 40))
def test_settling_does_what_its_rules_say(rng: random.Random, texts: int, edges: int) -> None:
    """Clusters, links and stories of made-up components, against the rules taken edge by edge."""
    nodes, made = _component(rng, texts, edges)
    wanted = oracle_clusters.settle(nodes, made, _RULES)
    assert settle(nodes, _array(made), _RULES) == wanted
    counts = linking(nodes, _array(made), _RULES)
    left = [edge for edge, does in zip(made, counts, strict=True) if does]
    assert oracle_clusters.settle(nodes, left, _RULES).clusters == wanted.clusters
    assert oracle_clusters.settle(nodes, left, _RULES).stories == wanted.stories


@given(st.randoms(use_true_random=False), st.integers(1, 14), st.integers(0, 40))
def test_the_first_carrier_decides_nothing(rng: random.Random, texts: int, edges: int) -> None:
    """A text is of one outlet if all its carriers are, in whatever order these are named."""
    nodes, made = _component(rng, texts, edges)
    turned = {t: msgspec.structs.replace(node, carriers=node.carriers[::-1]) for t, node in nodes.items()}
    assert settle(turned, _array(made), _RULES) == settle(nodes, _array(made), _RULES)


@pytest.mark.parametrize("seed", range(6))
def test_large_components_settle_by_the_same_rules(seed: int) -> None:
    """A hundred texts in groups that grow for many passes."""
    rng = random.Random(seed)
    nodes, made = _component(rng, 100, 60 + 60 * seed)
    assert settle(nodes, _array(made), _RULES) == oracle_clusters.settle(nodes, made, _RULES)


def test_an_edge_that_failed_is_tried_again_when_its_group_has_grown() -> None:
    """Text 4 stands whole in 1, which its cluster holds well only once 3 has come to it."""
    nodes = {
        n: TextNode(n, bytes([n] * 16), (Carrier(ArticleNumber(n), n, 0.0, True, 300),))
        for n in map(TextNumber, range(1, 5))
    }
    one, two, three, four = nodes
    edges = [
        Edge(one, two, MatchKind.REWRITE, 9, 0, 0.1, 0.5, 0.1),
        Edge(one, four, MatchKind.REWRITE, 8, 0, 0.2, 0.9, 0.2),
        Edge(two, three, MatchKind.REWRITE, 7, 0, 0.5, 0.5, 0.5),
        Edge(one, three, MatchKind.REWRITE, 6, 0, 0.5, 0.5, 0.5),
    ]
    assert settle(nodes, _array(edges)) == oracle_clusters.settle(nodes, edges, SettlingRules())
    assert settle(nodes, _array(edges)).clusters == [(1, 2, 3, 4)]
    assert settle(nodes, _array(edges[:2])).clusters == [(1, 2), (3,), (4,)]


def test_nothing_settles_to_nothing() -> None:
    """No texts, no clusters."""
    assert settle({}, np.empty(0, EDGES)).clusters == []
