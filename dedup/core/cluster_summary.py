"""What is said of a cluster and of a story: representative, origin, size, times, and the ids that they keep.

Made when a component is settled, so that reading one is a look-up. A cluster of a single article without links or
story has no record; it is the text itself, under the text's number.
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from dedup.core.provenance import OriginEvidence, agencies_of, credits_of_bits, origin
from dedup.model import ArticleNumber, TextNumber

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dedup.core.clustering import Carrier, TextNode

Member = TypeVar("Member", bound=int)
Number = TypeVar("Number", bound=int)

#: A version is complete if it has at least this share of the words of the longest.
COMPLETE: Final = 0.8
FORMAT: Final = 1


class ClusterRecord(msgspec.Struct, array_like=True):
    """A settled cluster; texts and articles by number. ``origin`` names an agency or an article's outlet."""

    format: int
    texts: list[TextNumber]
    revision: int
    size: int
    representative: ArticleNumber
    reason: str
    earliest: ArticleNumber
    first_published: float | None
    story: int
    linked: list[TextNumber]
    agencies: list[str]
    origin: tuple[str, float, str]
    merged_into: TextNumber = TextNumber(0)


class StoryRecord(msgspec.Struct, array_like=True):
    """A settled story; clusters by number."""

    format: int
    clusters: list[TextNumber]
    revision: int
    size: int
    first_published: float | None
    last_published: float | None
    agencies: list[str]
    representative: ArticleNumber
    merged_into: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """The representative: the candidates still equal after all rules but the id, and why they were chosen."""

    candidates: tuple[Carrier, ...]
    reason: str


def representative(nodes: Sequence[TextNode]) -> Choice:
    """The earliest complete version, then the longest; the smallest id, which the caller knows, breaks ties."""
    carriers = [c for node in nodes for c in node.carriers]
    if len(carriers) == 1:
        return Choice((carriers[0],), "the only article")
    most = max(c.words for c in carriers)
    complete = [c for c in carriers if c.words >= COMPLETE * most]
    dated = [c for c in complete if c.dated]
    if dated:
        first = min(c.published for c in dated)
        equal = [c for c in dated if c.published == first]
        reason = f"earliest published of {len(complete)} complete versions"
    else:
        equal = complete
        reason = f"longest of {len(complete)} complete versions, none with a publication time"
    longest = max(c.words for c in equal)
    return Choice(tuple(c for c in equal if c.words == longest), reason)


def describe(
    nodes: Sequence[TextNode],
    revision: int,
    story: int,
    linked: Iterable[TextNumber],
    names: Mapping[ArticleNumber, str],
) -> ClusterRecord:
    """The record of a cluster; ``names`` resolves the numbers of the candidates for representative.

    This is the definition; :mod:`dedup.state.summaries` says the same from columns.
    """
    choice = representative(nodes)
    best = min(choice.candidates, key=lambda c: names.get(c.number, "").encode())
    carriers = [c for node in nodes for c in node.carriers]
    published = [c.published for c in carriers if c.dated]
    evidence = [
        OriginEvidence(
            id=str(c.number),
            source=c.agency or str(c.source),
            published=c.published if c.dated else None,
            words=c.words,
            credits=credits_of_bits(c.credits),
        )
        for c in carriers
    ]
    found = origin(evidence)
    return ClusterRecord(
        format=FORMAT,
        texts=[node.text for node in nodes],
        revision=revision,
        size=len(carriers),
        representative=best.number,
        reason=choice.reason,
        earliest=min(c.number for c in carriers),
        first_published=min(published) if published else None,
        story=story,
        linked=sorted(linked),
        agencies=list(agencies_of(e.credits for e in evidence)),
        origin=(_origin_name(found.name, carriers), found.confidence, found.reason),
    )


@functools.lru_cache(maxsize=4096)
def _said_by_one(agency: str, credits: int, dated: bool) -> tuple[tuple[str, ...], tuple[str, float, str]]:
    """Agencies and origin of a single article, which depend on no more than this."""
    evidence = OriginEvidence(
        id="1", source=agency, published=0.0 if dated else None, words=1, credits=credits_of_bits(credits)
    )
    found = origin([evidence])
    return agencies_of([evidence.credits]), (found.name, found.confidence, found.reason)


def describe_one(node: TextNode) -> ClusterRecord:
    """The record that a text with one carrier, no links and no story would have: as :func:`describe`, but quick."""
    (carrier,) = node.carriers
    agencies, origin_ = _said_by_one(carrier.agency, carrier.credits, carrier.dated)
    return ClusterRecord(
        format=FORMAT,
        texts=[node.text],
        revision=1,
        size=1,
        representative=carrier.number,
        reason="the only article",
        earliest=carrier.number,
        first_published=carrier.published if carrier.dated else None,
        story=0,
        linked=[],
        agencies=list(agencies),
        origin=origin_,
    )


def _origin_name(name: str, carriers: Sequence[Carrier]) -> str:
    """An agency by name; an outlet, known here by its hash alone, as ``#`` and the number of an article of it."""
    for carrier in carriers:
        if name and name == str(carrier.source) and not carrier.agency:
            return f"#{carrier.number}"
    return name


def describe_story(
    clusters: Sequence[tuple[TextNumber, Sequence[TextNode], ArticleNumber]], revision: int
) -> StoryRecord:
    """The record of a story from (cluster, its texts, its representative)."""
    carriers = [c for _, nodes, _ in clusters for node in nodes for c in node.carriers]
    published = [c.published for c in carriers if c.dated]
    sizes = Counter({cluster: sum(len(n.carriers) for n in nodes) for cluster, nodes, _ in clusters})
    largest = max(
        clusters, key=lambda c: (sizes[c[0]], -min(x.published for n in c[1] for x in n.carriers), -c[0])
    )
    return StoryRecord(
        format=FORMAT,
        clusters=sorted(cluster for cluster, _, _ in clusters),
        revision=revision,
        size=len(carriers),
        first_published=min(published) if published else None,
        last_published=max(published) if published else None,
        agencies=list(agencies_of(credits_of_bits(c.credits) for c in carriers)),
        representative=largest[2],
    )


def assign(
    groups: Sequence[Sequence[Member]], old: Mapping[Member, Number]
) -> tuple[list[Number | None], dict[Number, Number]]:
    """Give groups of texts (or clusters) their stable ids.

    Growth keeps the id; of several ids that meet in one group the oldest (smallest) stays and the others resolve
    to it; when an id's members part, the group with most of them keeps it (ties: the group with the smallest
    member).

    Args:
        groups: the new groups.
        old: the id each member had, if any.

    Returns:
        An id for every group, None where it needs a new one, and where each id that is no longer used went.
    """
    shares: dict[Number, Counter[int]] = {}
    for index, members in enumerate(groups):
        for member in members:
            if member in old:
                shares.setdefault(old[member], Counter())[index] += 1
    claims: dict[int, list[Number]] = {}
    went: dict[Number, int] = {}
    for number, counted in shares.items():
        winner = max(counted, key=lambda index: (counted[index], -min(groups[index])))
        claims.setdefault(winner, []).append(number)
        went[number] = winner
    kept = {index: min(numbers) for index, numbers in claims.items()}
    moved = {number: kept[index] for number, index in went.items() if kept[index] != number}
    return [kept.get(index) for index in range(len(groups))], moved
