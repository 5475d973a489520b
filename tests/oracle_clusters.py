"""The settling procedure of bench/oracle/clusters.py, for texts and edges that go by number as in the package."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from bench.oracle import clusters
from dedup.core.clustering import Edge, Settlement, SettlingRules, TextNode
from dedup.model import TextNumber

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def settle(nodes: Mapping[TextNumber, TextNode], edges: Sequence[Edge], rules: SettlingRules) -> Settlement:
    """Clusters, links and stories of one component or several."""
    # made-up texts may have one digest: the number, too, tells them apart
    name = {text: node.digest + text.to_bytes(8, "big") for text, node in nodes.items()}
    number = {name[text]: text for text in nodes}
    settled = clusters.settle(
        {name[text]: _node(node) for text, node in nodes.items()},
        {(name[e.a], name[e.b]): _edge(e) for e in edges},
        clusters.Rules(**asdict(rules)),
    )
    members = [tuple(sorted(number[text] for text in cluster)) for cluster in settled.clusters]
    ordered = sorted(members)
    place = [ordered.index(each) for each in members]
    linked = {(min(place[x], place[y]), max(place[x], place[y])) for x, y in settled.linked}
    stories = sorted(tuple(sorted(place[x] for x in story)) for story in settled.stories)
    return Settlement(ordered, linked, stories)


def _node(node: TextNode) -> clusters.Node:
    times = [carrier.published for carrier in node.carriers]
    return clusters.Node(frozenset(c.source for c in node.carriers), min(times), max(times))


def _edge(e: Edge) -> clusters.Edge:
    return clusters.Edge(int(e.kind), e.unquoted, e.quoted, e.a_containment, e.b_containment, e.min_coverage)
