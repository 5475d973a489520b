"""The settling procedure as its documentation has it, one edge after the other: slow, and plain to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dedup.core.clustering import Edge, Settlement, SettlingRules, TextNode
from dedup.model import MatchKind, TextNumber

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def settle(nodes: Mapping[TextNumber, TextNode], edges: Sequence[Edge], rules: SettlingRules) -> Settlement:
    """Clusters, links and stories of one component or several."""
    return _Procedure(nodes, edges, rules).run()


@dataclass
class _Procedure:
    nodes: Mapping[TextNumber, TextNode]
    edges: Sequence[Edge]
    rules: SettlingRules
    group: dict[TextNumber, set[TextNumber]] = field(default_factory=dict)

    def run(self) -> Settlement:
        self.group = {text: {text} for text in self.nodes}
        ordered = sorted(self.edges, key=self.strength)
        joining = [edge for edge in ordered if self.may_join(edge)]
        while sum(self.joins(edge) for edge in joining):
            pass
        clusters = sorted({tuple(sorted(members)) for members in self.group.values()})
        where = {text: number for number, members in enumerate(clusters) for text in members}
        placed = [(edge, where[edge.a], where[edge.b]) for edge in ordered]
        between = [(edge, min(x, y), max(x, y)) for edge, x, y in placed if x != y]
        linked = {(x, y) for edge, x, y in between if edge.kind != MatchKind.SHARED_QUOTE}
        stories = {number: {number} for number in range(len(clusters))}
        for edge, x, y in between:
            together = stories[x] | stories[y]
            times = [
                c.published
                for number in together
                for text in clusters[number]
                for c in self.nodes[text].carriers
            ]
            if self.tells(edge) and max(times) - min(times) <= self.rules.story_span:
                stories.update(dict.fromkeys(together, together))
        told = sorted({tuple(sorted(story)) for story in stories.values() if len(story) > 1})
        return Settlement(clusters, linked, told)

    def strength(self, edge: Edge) -> tuple[int, int, int, bytes, bytes]:
        x, y = sorted((self.nodes[edge.a].digest, self.nodes[edge.b].digest))
        return int(edge.kind), -edge.unquoted, -edge.quoted, x, y

    def one_outlet(self, edge: Edge) -> bool:
        ends = self.nodes[edge.a], self.nodes[edge.b]
        return len({carrier.source for node in ends for carrier in node.carriers}) == 1

    def may_join(self, edge: Edge) -> bool:
        if edge.kind == MatchKind.SHARED_QUOTE:
            return False
        return not self.one_outlet(edge) or edge.min_coverage >= self.rules.same_source_share

    def tells(self, edge: Edge) -> bool:
        if not self.one_outlet(edge):
            return True
        covered = max(edge.a_containment, edge.b_containment) >= self.rules.covered
        return edge.kind != MatchKind.SHARED_QUOTE and covered

    def joins(self, edge: Edge) -> bool:
        """Join the groups at both ends of an edge if the rules allow it; whether that was done."""
        x, y = self.group[edge.a], self.group[edge.b]
        if x is y or not (edge.kind <= MatchKind.NEAR_DUPLICATE or self.passes(edge, x, y)):
            return False
        together = x | y
        self.group.update(dict.fromkeys(together, together))
        return True

    def passes(self, edge: Edge, x: set[TextNumber], y: set[TextNumber]) -> bool:
        if len(x) == len(y) == 1:
            return True
        for alone, covered, hub in ((y, edge.b_containment, edge.a), (x, edge.a_containment, edge.b)):
            if len(alone) == 1 and covered >= self.rules.covered and self.held(hub) >= self.rules.hub_share:
                return True
        pairs = [(e.a, e.b) for e in self.edges if self.may_join(e)]
        pairs += [(b, a) for a, b in pairs]
        return all(
            self.enough({a for a, b in pairs if a in one and b in other}, len(one))
            for one, other in ((x, y), (y, x))
        )

    def enough(self, supporting: set[TextNumber], size: int) -> bool:
        if 2 * len(supporting) > size or len(supporting) >= self.rules.support:
            return True
        half = 2 * len(supporting) == size
        return half and all(self.held(text) >= self.rules.thin_share for text in supporting)

    def held(self, text: TextNumber) -> float:
        """The largest share of a text that stands in another member of its group."""
        shares = [
            edge.a_containment if edge.a == text else edge.b_containment
            for edge in self.edges
            if self.may_join(edge) and text in (edge.a, edge.b) and {edge.a, edge.b} <= self.group[text]
        ]
        return max(shares, default=0.0)
