"""From the verified edges of a component to clusters, stories and representatives.

Edges are the truth, clusters are settled from them, by a procedure that depends on the edges alone:

1. An edge between texts of one outlet joins clusters only where ``same_source_share`` of both texts is covered, and of
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

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from dedup.core import kernels
from dedup.model import ArticleNumber, MatchKind, TextNumber

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Edges = NDArray[np.void]


class Carrier(msgspec.Struct, frozen=True, gc=False):
    """An article that carries a text.

    ``source`` is a hash of the outlet, ``published`` Unix seconds (of arrival where the publisher gave none, then
    ``dated`` is False), ``agency`` the agency the outlet is or "", ``credits`` as ``credit_bits`` packs them.
    """

    number: ArticleNumber
    source: int
    published: float
    dated: bool
    words: int
    agency: str = ""
    credits: int = 0


class TextNode(msgspec.Struct, frozen=True, gc=False):
    """A text with its carriers, the first of which has the smallest id."""

    text: TextNumber
    digest: bytes
    carriers: tuple[Carrier, ...]


class Edge(msgspec.Struct, frozen=True, gc=False):
    """A verified match between two texts, ``a < b``; lengths in half words.

    ``min_coverage`` is the least share of a text covered, over both texts and over all words and unquoted words apart.
    """

    a: TextNumber
    b: TextNumber
    kind: MatchKind
    unquoted: int
    quoted: int
    a_containment: float
    b_containment: float
    min_coverage: float

    def other_than(self, text: TextNumber) -> TextNumber:
        """The other end."""
        return self.b if self.a == text else self.a


#: What an edge says, as fields of an array.
MEASURES: Final = (
    ("kind", "u1"),
    ("unquoted", "<u4"),
    ("quoted", "<u4"),
    ("a_containment", "<f8"),
    ("b_containment", "<f8"),
    ("min_coverage", "<f8"),
)
#: An edge as a row of an array: components of a hot story have a hundred thousand.
EDGES: Final = np.dtype([("a", "<u4"), ("b", "<u4"), *MEASURES])


@dataclass(frozen=True, slots=True)
class SettlingRules:
    """The numbers of the procedure above; ``story_span`` in seconds."""

    same_source_share: float = 0.8
    support: int = 8
    hub_share: float = 0.3
    thin_share: float = 0.15
    covered: float = 0.8
    story_span: float = 3 * 86400.0


DEFAULT_SETTLING: Final = SettlingRules()


@dataclass(slots=True)
class Settlement:
    """Clusters as ascending text numbers, pairs of cluster indexes that are linked, stories as cluster indexes."""

    clusters: list[tuple[TextNumber, ...]] = field(default_factory=list)
    linked: set[tuple[int, int]] = field(default_factory=set)
    stories: list[tuple[int, ...]] = field(default_factory=list)


def linking(
    nodes: Mapping[TextNumber, TextNode], edges: Edges, rules: SettlingRules = DEFAULT_SETTLING
) -> NDArray[np.bool_]:
    """Which edges can join clusters or link them in a story, (edges,); the others play no part in settling."""
    texts, a, b = _places(edges)
    within = _within_outlets(_outlets([nodes[t] for t in texts.tolist()]), a, b)
    return _may_join(edges, within, rules) | _links_story(edges, within, rules)


def settle(
    nodes: Mapping[TextNumber, TextNode], edges: Edges, rules: SettlingRules = DEFAULT_SETTLING
) -> Settlement:
    """Settle one component or several: ``nodes`` by text number, each edge, :data:`EDGES`, once, ends in ``nodes``."""
    texts = np.array(sorted(nodes), np.int64)
    if not len(texts):
        return Settlement()
    ordered_nodes = [nodes[t] for t in texts.tolist()]
    a, b = np.searchsorted(texts, edges["a"]), np.searchsorted(texts, edges["b"])
    within = _within_outlets(_outlets(ordered_nodes), a, b)
    joins = _may_join(edges, within, rules)
    # copies always join, in whatever order; what stands within a group of them decides nothing any more
    copies = joins & (edges["kind"] <= MatchKind.NEAR_DUPLICATE)
    groups = kernels.join_all(len(texts), a[copies], b[copies])
    between = np.flatnonzero(groups[a] != groups[b])
    between = between[_strongest_first(edges[between], a[between], b[between], ordered_nodes)]
    weaker = between[joins[between]]
    if weaker.size:
        a_share, b_share = edges["a_containment"], edges["b_containment"]
        groups = kernels.join_supported(
            groups,
            *kernels.neighbors(len(texts), a[joins], b[joins], a_share[joins], b_share[joins]),
            a[weaker],
            b[weaker],
            a_share[weaker],
            b_share[weaker],
            rules.support,
            rules.hub_share,
            rules.thin_share,
            rules.covered,
        )
    clusters = _Groups.of(groups)
    x, y = clusters.where[a[between]], clusters.where[b[between]]
    apart = x != y
    copied = apart & (edges["kind"][between] != MatchKind.SHARED_QUOTE)
    linked = set(zip(np.minimum(x, y)[copied].tolist(), np.maximum(x, y)[copied].tolist(), strict=True))
    of_stories = apart & _links_story(edges[between], within[between], rules)
    stories: list[tuple[int, ...]] = []
    if of_stories.any():
        joined = _Groups.of(
            kernels.join_within(
                *_spans(ordered_nodes, clusters), x[of_stories], y[of_stories], rules.story_span
            )
        )
        stories = [part for part in joined.members(np.arange(len(clusters.starts))) if len(part) > 1]
    return Settlement(clusters.members(texts), linked, stories)


def _places(edges: Edges) -> tuple[NDArray[np.uint32], NDArray[np.intp], NDArray[np.intp]]:
    """The texts that edges have as ends, ascending, and where in them the ends of each edge stand."""
    texts, at = np.unique(np.concatenate([edges["a"], edges["b"]]), return_inverse=True)
    return texts, at[: len(edges)], at[len(edges) :]


def _outlets(nodes: Sequence[TextNode]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """An outlet of each text, and whether the text is of one outlet: all its carriers are, whichever is the first."""
    sources = np.fromiter((node.carriers[0].source for node in nodes), np.uint64, len(nodes))
    alone = np.fromiter((_is_of_one(node.carriers) for node in nodes), np.bool_, len(nodes))
    return sources, alone


def _is_of_one(carriers: Sequence[Carrier]) -> bool:
    return len(carriers) == 1 or all(c.source == carriers[0].source for c in carriers)


def _within_outlets(
    outlets: tuple[NDArray[np.uint64], NDArray[np.bool_]], a: NDArray[np.intp], b: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Which edges have ends all of whose carriers are one outlet's."""
    sources, alone = outlets
    within: NDArray[np.bool_] = (sources[a] == sources[b]) & alone[a] & alone[b]
    return within


def _may_join(edges: Edges, within: NDArray[np.bool_], rules: SettlingRules) -> NDArray[np.bool_]:
    joins: NDArray[np.bool_] = (edges["kind"] != MatchKind.SHARED_QUOTE) & (
        ~within | (edges["min_coverage"] >= rules.same_source_share)
    )
    return joins


def _links_story(edges: Edges, within: NDArray[np.bool_], rules: SettlingRules) -> NDArray[np.bool_]:
    covered = np.maximum(edges["a_containment"], edges["b_containment"]) >= rules.covered
    links: NDArray[np.bool_] = ~within | ((edges["kind"] != MatchKind.SHARED_QUOTE) & covered)
    return links


def _strongest_first(
    edges: Edges, a: NDArray[np.intp], b: NDArray[np.intp], nodes: Sequence[TextNode]
) -> NDArray[np.intp]:
    """The order of edges: kind, then shared unquoted words, quoted ones, and the digests of the two texts."""
    rank = np.empty(len(nodes), np.int64)
    rank[sorted(range(len(nodes)), key=lambda i: nodes[i].digest)] = np.arange(len(nodes))
    x, y = rank[a], rank[b]
    unquoted, quoted = edges["unquoted"].astype(np.int64), edges["quoted"].astype(np.int64)
    return np.lexsort((np.maximum(x, y), np.minimum(x, y), -quoted, -unquoted, edges["kind"]))


class _Groups(msgspec.Struct):
    """A division of places 0 to n - 1: the group of each, ascending by their first members, and all by group."""

    where: NDArray[np.intp]
    order: NDArray[np.intp]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, labels: NDArray[np.int64]) -> _Groups:
        """The groups that labels stand for."""
        _, first, at = np.unique(labels, return_index=True, return_inverse=True)
        number = np.empty(len(first), np.intp)
        number[np.argsort(first)] = np.arange(len(first))
        where = number[at]
        sizes = np.bincount(where)
        return cls(where, np.argsort(where, kind="stable"), np.cumsum(sizes) - sizes)

    def members(self, names: NDArray[np.int64]) -> list[tuple[TextNumber, ...]]:
        """The names of each group's places, which are given ascending."""
        listed, starts = names[self.order].tolist(), self.starts.tolist()
        return [tuple(listed[i:j]) for i, j in zip(starts, [*starts[1:], len(listed)], strict=True)]


def _spans(nodes: Sequence[TextNode], groups: _Groups) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """When the first and the last carrier of each group's texts were published."""
    low = np.fromiter((min(c.published for c in node.carriers) for node in nodes), np.float64, len(nodes))
    high = np.fromiter((max(c.published for c in node.carriers) for node in nodes), np.float64, len(nodes))
    return (
        np.minimum.reduceat(low[groups.order], groups.starts),
        np.maximum.reduceat(high[groups.order], groups.starts),
    )
