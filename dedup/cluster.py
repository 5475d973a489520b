"""From the verified edges of a component to clusters, stories and representatives.

Edges are the truth, clusters are settled from them, by a procedure that depends on the edges alone:

1. An edge between texts of one outlet joins clusters only where ``own_share`` of both texts is covered, and of
   what both write outside quotation marks; outlets repeat their own background, captions and teasers for
   other reasons than copying.
2. Edges are taken strongest first: kind, then shared unquoted words, then the digests of the two texts.
3. ``NEAR_DUPLICATE`` always joins. Anything weaker must pass a merge test, so that it may attach an article
   but not weld families: of either side more than half of the members, or ``support`` of them, must have an edge
   to the other side; exactly half of them only where ``thin_share`` of each stands in its own side too, so that a
   round-up that has a paragraph of many stories joins no two of them. An article contained whole in a text that its
   cluster holds well attaches without the test.
4. Passes repeat until none joins anything.

What shared copied text but was not joined is *linked*. A *story* groups two or more clusters by copy and
``SHARED_QUOTE`` edges between outlets, strongest first, as long as the whole stays within a span of publication time:
transitive links must not carry it along the calendar.

Texts are nodes here; an article stands where its text stands.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from dedup.model import MatchKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Carrier(msgspec.Struct, frozen=True, gc=False):
    """An article that carries a text.

    ``source`` is a hash of the outlet, ``published`` Unix seconds (of arrival where the publisher gave none, then
    ``dated`` is False), ``agency`` the agency the outlet is or "", ``credits`` as ``records.credit_bits`` packs them.
    """

    number: int
    source: int
    published: float
    dated: bool
    words: int
    agency: str = ""
    credits: int = 0


class TextNode(msgspec.Struct, frozen=True, gc=False):
    """A text with its carriers, the first of which has the smallest id."""

    text: int
    digest: bytes
    carriers: tuple[Carrier, ...]


class Edge(msgspec.Struct, frozen=True, gc=False):
    """A verified match between two texts, ``a < b``; lengths in half words.

    ``own`` is the least share of a text covered, over both texts and over all words and unquoted words apart.
    """

    a: int
    b: int
    kind: MatchKind
    unquoted: int
    quoted: int
    a_containment: float
    b_containment: float
    own: float


@dataclass(frozen=True, slots=True)
class SettlingRules:
    """The numbers of the procedure above; ``story_span`` in seconds."""

    own_share: float = 0.8
    support: int = 8
    hub_share: float = 0.3
    thin_share: float = 0.15
    covered: float = 0.8
    story_span: float = 3 * 86400.0


DEFAULT_SETTLING: Final = SettlingRules()


@dataclass(slots=True)
class Settlement:
    """Clusters as ascending text numbers, pairs of cluster indexes that are linked, stories as cluster indexes."""

    clusters: list[tuple[int, ...]] = field(default_factory=list)
    linked: set[tuple[int, int]] = field(default_factory=set)
    stories: list[tuple[int, ...]] = field(default_factory=list)


def one_outlet(a: TextNode, b: TextNode) -> bool:
    """Whether all carriers of both texts are one outlet's."""
    source = a.carriers[0].source
    if b.carriers[0].source != source:
        return False
    return all(c.source == source for c in b.carriers) and all(c.source == source for c in a.carriers)


def links(edge: Edge, a: TextNode, b: TextNode, rules: SettlingRules = DEFAULT_SETTLING) -> bool:
    """Whether an edge can join clusters or link them in a story; other edges play no part in settling."""
    return _may_join(edge, a, b, rules) or _links_story(edge, a, b, rules)


def settle(
    nodes: Mapping[int, TextNode], edges: Iterable[Edge], rules: SettlingRules = DEFAULT_SETTLING
) -> Settlement:
    """Settle one component or several: ``nodes`` by text number, each edge once, both ends in ``nodes``."""
    every = list(edges)
    grouping = _Grouping(nodes, [e for e in every if _may_join(e, nodes[e.a], nodes[e.b], rules)], rules)
    grouping.join_copies()
    # what stands within one of the groups that these made decides nothing any more
    ordered = sorted(
        [e for e in every if grouping.root[e.a] != grouping.root[e.b]], key=lambda e: _strength(e, nodes)
    )
    grouping.run([e for e in ordered if _may_join(e, nodes[e.a], nodes[e.b], rules)])
    clusters = sorted(tuple(sorted(members)) for members in grouping.members.values())
    where = {text: index for index, members in enumerate(clusters) for text in members}
    linked = set()
    for edge in ordered:
        x, y = where[edge.a], where[edge.b]
        if x != y and edge.kind != MatchKind.SHARED_QUOTE:
            linked.add((min(x, y), max(x, y)))
    stories = _stories(nodes, ordered, clusters, where, rules)
    return Settlement(clusters, linked, stories)


def _strength(edge: Edge, nodes: Mapping[int, TextNode]) -> tuple[int, int, int, bytes, bytes]:
    x, y = nodes[edge.a].digest, nodes[edge.b].digest
    return (int(edge.kind), -edge.unquoted, -edge.quoted, min(x, y), max(x, y))


def _may_join(edge: Edge, a: TextNode, b: TextNode, rules: SettlingRules) -> bool:
    if edge.kind == MatchKind.SHARED_QUOTE:
        return False
    if one_outlet(a, b):
        return edge.own >= rules.own_share
    return True


class _Grouping:
    """Agglomeration of texts; ``members`` by root."""

    def __init__(self, nodes: Mapping[int, TextNode], edges: Sequence[Edge], rules: SettlingRules) -> None:
        self.rules = rules
        self.edges = edges
        self.members: dict[int, set[int]] = {text: {text} for text in nodes}
        self.root = {text: text for text in nodes}

    def join_copies(self) -> None:
        """What always joins: it is strongest, and among such edges the order does not matter."""
        for edge in self.edges:
            if edge.kind <= MatchKind.NEAR_DUPLICATE:
                x, y = self.root[edge.a], self.root[edge.b]
                if x != y:
                    self._join(x, y)

    def run(self, edges: Sequence[Edge]) -> None:
        """Join by all other edges, given strongest first."""
        waiting = edges
        while waiting:
            left = []
            tried: set[tuple[int, int, int, int]] = set()
            joined = False
            for edge in waiting:
                x, y = self.root[edge.a], self.root[edge.b]
                if x == y:
                    continue
                if self._passes(edge, x, y, tried):
                    self._join(x, y)
                    joined = True
                else:
                    left.append(edge)
            if not joined:
                return
            waiting = left

    def _join(self, x: int, y: int) -> None:
        if len(self.members[x]) < len(self.members[y]):
            x, y = y, x
        for text in self.members[y]:
            self.root[text] = x
        self.members[x] |= self.members.pop(y)

    def _passes(self, edge: Edge, x: int, y: int, tried: set[tuple[int, int, int, int]]) -> bool:
        size_x, size_y = len(self.members[x]), len(self.members[y])
        if size_x == size_y == 1:
            return True
        if (
            size_y == 1
            and edge.b_containment >= self.rules.covered
            and self._held(edge.a, self.rules.hub_share)
        ):
            return True
        if (
            size_x == 1
            and edge.a_containment >= self.rules.covered
            and self._held(edge.b, self.rules.hub_share)
        ):
            return True
        attempt = (x, y, size_x, size_y) if x < y else (y, x, size_y, size_x)
        if attempt in tried:
            return False
        tried.add(attempt)
        return self._supported(x, y)

    @functools.cached_property
    def neighbors(self) -> dict[int, dict[int, Edge]]:
        """Edges by their ends; where copies join everything nobody asks for them."""
        found: dict[int, dict[int, Edge]] = defaultdict(dict)
        for edge in self.edges:
            found[edge.a][edge.b] = edge
            found[edge.b][edge.a] = edge
        return found

    def _held(self, text: int, least: float) -> bool:
        """Whether at least this share of ``text`` stands in another member of its cluster."""
        for other, edge in self.neighbors[text].items():
            if self.root[other] == self.root[text]:
                share = edge.a_containment if edge.a == text else edge.b_containment
                if share >= least:
                    return True
        return False

    def _supported(self, x: int, y: int) -> bool:
        if len(self.members[x]) > len(self.members[y]):
            x, y = y, x
        small: set[int] = set()
        large: set[int] = set()
        for text in self.members[x]:
            for other in self.neighbors[text]:
                if self.root[other] == y:
                    small.add(text)
                    large.add(other)
        return self._enough(small, len(self.members[x])) and self._enough(large, len(self.members[y]))

    def _enough(self, supporting: set[int], size: int) -> bool:
        count = len(supporting)
        if 2 * count == size:
            return count >= self.rules.support or all(
                self._held(text, self.rules.thin_share) for text in supporting
            )
        return 2 * count > size or count >= self.rules.support


def _stories(
    nodes: Mapping[int, TextNode],
    ordered: Sequence[Edge],
    clusters: Sequence[tuple[int, ...]],
    where: Mapping[int, int],
    rules: SettlingRules,
) -> list[tuple[int, ...]]:
    """Groups of two and more cluster indexes, joined strongest edge first within the span of time."""
    group = list(range(len(clusters)))
    parts = [[index] for index in range(len(clusters))]
    spans = [_span(nodes, members) for members in clusters]
    for edge in ordered:
        x, y = group[where[edge.a]], group[where[edge.b]]
        if x == y or not _links_story(edge, nodes[edge.a], nodes[edge.b], rules):
            continue
        low, high = min(spans[x][0], spans[y][0]), max(spans[x][1], spans[y][1])
        if high - low > rules.story_span:
            continue
        if len(parts[x]) < len(parts[y]):
            x, y = y, x
        for index in parts[y]:
            group[index] = x
        parts[x] += parts[y]
        parts[y] = []
        spans[x] = (low, high)
    return sorted(tuple(sorted(part)) for part in parts if len(part) > 1)


def _span(nodes: Mapping[int, TextNode], members: Sequence[int]) -> tuple[float, float]:
    times = [c.published for text in members for c in nodes[text].carriers]
    return min(times), max(times)


def _links_story(edge: Edge, a: TextNode, b: TextNode, rules: SettlingRules) -> bool:
    if one_outlet(a, b):
        return (
            edge.kind != MatchKind.SHARED_QUOTE
            and max(edge.a_containment, edge.b_containment) >= rules.covered
        )
    return True
