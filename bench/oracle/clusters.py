"""Clusters and stories of verified edges, one edge after the other: slow, plain to read, nothing of the package.

The procedure is the one that stands in the docstring of the package's own. Texts go by their digests; an edge stands
under the digests of its ends. A text is *of one outlet* if all its carriers have that outlet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

#: The kinds that the procedure tells apart, as numbers.
NEAR_DUPLICATE: Final = 2
SHARED_QUOTE: Final = 5

Pair = tuple[bytes, bytes]


class Edge(NamedTuple):
    """What is measured between texts a and b: half words, containment of either, least own share."""

    kind: int
    unquoted: int
    quoted: int
    a_share: float
    b_share: float
    own: float


class Node(NamedTuple):
    """The outlets of a text's carriers, and the least and greatest of their times."""

    outlets: frozenset[int]
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers of the procedure; ``story_span`` in seconds."""

    same_source_share: float = 0.8
    support: int = 8
    hub_share: float = 0.3
    thin_share: float = 0.15
    covered: float = 0.8
    story_span: float = 3 * 86400.0


class Settled(NamedTuple):
    """Clusters, and by their places in that list which are linked and which make a story."""

    clusters: list[set[bytes]]
    linked: set[tuple[int, int]]
    stories: list[set[int]]


def settle(nodes: Mapping[bytes, Node], edges: Mapping[Pair, Edge], rules: Rules) -> Settled:
    """Clusters, links and stories of all texts; either end of an edge may be the smaller."""
    procedure = _Procedure(nodes, edges, rules)
    while sum([procedure.joins(pair) for pair in procedure.joining]):
        pass
    return procedure.settled()


class _Procedure:
    def __init__(self, nodes: Mapping[bytes, Node], edges: Mapping[Pair, Edge], rules: Rules) -> None:
        self.nodes, self.edges, self.rules = nodes, edges, rules
        self.ordered = sorted(edges, key=self.strength)
        self.joining = [pair for pair in self.ordered if self.may_join(pair)]
        #: Of every text those that an edge may join it to, and the share of it that stands in them.
        self.shares: dict[bytes, dict[bytes, float]] = {text: {} for text in nodes}
        for a, b in self.joining:
            self.shares[a][b], self.shares[b][a] = edges[a, b].a_share, edges[a, b].b_share
        self.group = {text: {text} for text in nodes}

    def strength(self, pair: Pair) -> tuple[int, int, int, bytes, bytes]:
        edge = self.edges[pair]
        return edge.kind, -edge.unquoted, -edge.quoted, min(pair), max(pair)

    def in_one_outlet(self, pair: Pair) -> bool:
        a, b = (self.nodes[text].outlets for text in pair)
        return len(a) == len(b) == 1 and a == b

    def may_join(self, pair: Pair) -> bool:
        edge = self.edges[pair]
        if edge.kind == SHARED_QUOTE:
            return False
        return not self.in_one_outlet(pair) or edge.own >= self.rules.same_source_share

    def tells(self, pair: Pair) -> bool:
        """Whether an edge can join clusters to a story."""
        edge = self.edges[pair]
        if not self.in_one_outlet(pair):
            return True
        return edge.kind != SHARED_QUOTE and max(edge.a_share, edge.b_share) >= self.rules.covered

    def joins(self, pair: Pair) -> bool:
        """Join the groups at both ends of an edge if the rules allow it; whether that was done."""
        a, b = pair
        x, y = self.group[a], self.group[b]
        if x is y or not (self.edges[pair].kind <= NEAR_DUPLICATE or self.passes(a, b)):
            return False
        together = x | y
        self.group.update(dict.fromkeys(together, together))
        return True

    def passes(self, a: bytes, b: bytes) -> bool:
        """The merge test for anything weaker than a near duplicate."""
        x, y = self.group[a], self.group[b]
        if len(x) == len(y) == 1:
            return True
        for alone, hub in ((a, b), (b, a)):
            whole = len(self.group[alone]) == 1 and self.shares[alone][hub] >= self.rules.covered
            if whole and self.held(hub) >= self.rules.hub_share:
                return True
        return self.supports(x, y) and self.supports(y, x)

    def supports(self, side: set[bytes], other: set[bytes]) -> bool:
        """Whether enough of one side have an edge to the other."""
        supporting = [text for text in side if self.shares[text].keys() & other]
        if 2 * len(supporting) > len(side) or len(supporting) >= self.rules.support:
            return True
        half = 2 * len(supporting) == len(side)
        return half and all(self.held(text) >= self.rules.thin_share for text in supporting)

    def held(self, text: bytes) -> float:
        """The largest share of a text that stands in another member of its group."""
        inside = [share for other, share in self.shares[text].items() if other in self.group[text]]
        return max(inside, default=0.0)

    def settled(self) -> Settled:
        clusters = sorted({id(members): members for members in self.group.values()}.values(), key=min)
        where = {text: place for place, members in enumerate(clusters) for text in members}
        between = [(pair, where[pair[0]], where[pair[1]]) for pair in self.ordered]
        between = [(pair, x, y) for pair, x, y in between if x != y]
        linked = {(min(x, y), max(x, y)) for pair, x, y in between if self.edges[pair].kind != SHARED_QUOTE}
        stories = {place: {place} for place in range(len(clusters))}
        for pair, x, y in between:
            together = stories[x] | stories[y]
            if self.tells(pair) and self.span(clusters, together) <= self.rules.story_span:
                stories.update(dict.fromkeys(together, together))
        told = {min(story): story for story in stories.values() if len(story) > 1}
        return Settled(clusters, linked, [told[place] for place in sorted(told)])

    def span(self, clusters: list[set[bytes]], chosen: set[int]) -> float:
        """From the first to the last time of any carrier in some clusters."""
        nodes = [self.nodes[text] for place in chosen for text in clusters[place]]
        return max(node.last for node in nodes) - min(node.first for node in nodes)
