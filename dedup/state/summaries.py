"""What is said of clusters and stories, from the state's columns; what was said of large ones is kept while it holds.

It is what :func:`dedup.core.cluster_summary.describe` and ``describe_story`` say of the same carriers. These go over an
object for each; here articles of one outlet with the same credits are put together first.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from dedup.core.cluster_summary import FORMAT, ClusterRecord, StoryRecord
from dedup.core.provenance import (
    AGENCIES,
    OriginEvidence,
    agencies_of_groups,
    credits_of_bits,
    origin,
)
from dedup.model import ArticleNumber, Credit
from dedup.state.collection import Collection
from dedup.state.kernels import base, members, told

#: Articles from which on what is said of a cluster or story is kept, and how many are.
_LARGE: Final = 64
_KEPT: Final = 256
#: Events since a look at what is kept after which it is made anew.
_MANY_EVENTS: Final = 4096


class _Kept(msgspec.Struct, gc=False, kw_only=True):
    """What was said, and what it rests on: texts and their revision, events up to a place, names in later ones."""

    record: ClusterRecord | StoryRecord
    texts: NDArray[np.int64]
    names: NDArray[np.int64]
    revision: int
    position: int
    events: int


class _Carriers(NamedTuple):
    """The versions that stand of some texts, by text and arrival, a column a field, shape (versions,)."""

    text: NDArray[np.int64]
    article: NDArray[np.int64]
    source: NDArray[np.uint64]
    published: NDArray[np.float64]
    dated: NDArray[np.bool_]
    words: NDArray[np.int64]
    agency: NDArray[np.int64]
    credits: NDArray[np.uint64]


class Summaries:
    """Says what clusters and stories of a collection are, as of its last events."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._kept: OrderedDict[tuple[bool, int], _Kept] = OrderedDict()

    def cluster(self, number: int) -> ClusterRecord | None:
        """The record of a cluster, None where there is none of this number."""
        kept = self._known((False, number))
        if kept is not None:
            return kept  # type: ignore[return-value]  # of the first kind
        s = self._collection.tables
        texts = members.cluster_texts(s, number)
        if not len(texts):
            return None
        linked = members.linked_to(s, texts, self._collection.rules)
        carriers = _carriers(s, texts)
        dated = carriers.published[carriers.dated]
        evidence, groups = _evidence(carriers)
        found = origin(evidence)
        record = ClusterRecord(
            format=FORMAT,
            texts=texts.tolist(),
            revision=int(members.revision_of(s, texts)),
            size=len(carriers.article),
            representative=ArticleNumber(int(told.representative(s, texts))),
            reason=_reason(carriers),
            earliest=ArticleNumber(int(carriers.article.min())),
            first_published=float(dated.min()) if len(dated) else None,
            story=int(s.texts["story"][texts[0]]),
            linked=linked.tolist(),
            agencies=list(agencies_of_groups(groups)),
            origin=(_origin_name(found.name, carriers), found.confidence, found.reason),
        )
        self._keep((False, number), record, texts, np.union1d(linked, [number]))
        return record

    def story(self, number: int) -> StoryRecord | None:
        """The record of a story, None where there is none of this number."""
        kept = self._known((True, number))
        if kept is not None:
            return kept  # type: ignore[return-value]  # of the second kind
        s = self._collection.tables
        clusters = members.story_clusters(s, number)
        if not len(clusters):
            return None
        each = [members.cluster_texts(s, cluster) for cluster in clusters]
        texts = np.concatenate(each)
        carriers = _carriers(s, texts)
        dated = carriers.published[carriers.dated]
        _, groups = _evidence(carriers)
        sizes = [int(s.texts["count"][own].sum()) for own in each]
        firsts = [float(s.texts["first"][own].min()) for own in each]
        largest = max(range(len(each)), key=lambda i: (sizes[i], -firsts[i], -int(clusters[i])))
        record = StoryRecord(
            format=FORMAT,
            clusters=clusters.tolist(),
            revision=int(members.revision_of(s, texts)),
            size=len(carriers.article),
            first_published=float(dated.min()) if len(dated) else None,
            last_published=float(dated.max()) if len(dated) else None,
            agencies=list(agencies_of_groups(groups)),
            representative=ArticleNumber(int(told.representative(s, each[largest]))),
        )
        self._keep((True, number), record, texts, np.union1d(clusters, [number]))
        return record

    def _known(self, what: tuple[bool, int]) -> ClusterRecord | StoryRecord | None:
        """What was said of it, if that still holds."""
        kept = self._kept.get(what)
        if kept is None:
            return None
        position, events = self._collection.position, self._collection.number(base.EVENTS)
        if kept.position != position:
            s = self._collection.tables
            if (
                events - kept.events > _MANY_EVENTS
                or members.revision_of(s, kept.texts) != kept.revision
                or members.is_named(s, kept.names, kept.events)
            ):
                del self._kept[what]
                return None
            kept.position, kept.events = position, events
        self._kept.move_to_end(what)
        return kept.record

    def _keep(
        self,
        what: tuple[bool, int],
        record: ClusterRecord | StoryRecord,
        texts: NDArray[np.int64],
        names: NDArray[np.int64],
    ) -> None:
        if record.size < _LARGE:
            return
        self._kept[what] = _Kept(
            record=record,
            texts=texts,
            names=names,
            revision=record.revision,
            position=self._collection.position,
            events=self._collection.number(base.EVENTS),
        )
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)


def _carriers(s: base.Tables, texts: NDArray[np.int64]) -> _Carriers:
    numbers = np.sort(members.rows_of(s, texts))
    rows = s.rows[numbers]
    order = np.argsort(rows["text"], kind="stable")
    rows = rows[order]
    agency = (rows["flags"] >> 8 & 0xFF).astype(np.int64)
    return _Carriers(
        text=rows["text"].astype(np.int64),
        article=rows["article"].astype(np.int64),
        source=np.ascontiguousarray(rows["source"]),
        published=np.ascontiguousarray(rows["published"]),
        dated=rows["flags"] & base.DATED > 0,
        words=rows["words"].astype(np.int64),
        agency=np.where(agency <= len(AGENCIES), agency, 0),
        credits=np.ascontiguousarray(rows["credits"]),
    )


def _reason(c: _Carriers) -> str:
    """Why the representative stands for its cluster, see :func:`dedup.core.cluster_summary.representative`."""
    if len(c.words) == 1:
        return "the only article"
    complete = c.words >= told.COMPLETE * int(c.words.max())
    count = np.count_nonzero(complete)
    if c.dated[complete].any():
        return f"earliest published of {count} complete versions"
    return f"longest of {count} complete versions, none with a publication time"


def _evidence(c: _Carriers) -> tuple[list[OriginEvidence], Iterable[tuple[tuple[Credit, ...], int]]]:
    """Carriers of one outlet with the same credits as one, and how many there are with which credits."""
    source = np.where(c.agency > 0, np.uint64(0), c.source)
    order = np.lexsort((c.credits, source, c.agency))
    keys = [column[order] for column in (c.agency, source, c.credits)]
    changed = np.zeros(len(order), np.bool_)
    for column in keys:
        changed[1:] |= column[1:] != column[:-1]
    changed[0] = True
    first = np.flatnonzero(changed)
    agency, outlet, credits = (column[first].tolist() for column in keys)
    published = np.minimum.reduceat(c.published[order], first).tolist()
    dated = np.logical_and.reduceat(c.dated[order], first).tolist()
    words = np.maximum.reduceat(c.words[order], first).tolist()
    sizes = np.diff(np.append(first, len(order))).tolist()
    said = [_credits(bits) for bits in credits]
    evidence = [
        OriginEvidence(
            id="",
            source=AGENCIES[agency[i] - 1] if agency[i] else str(outlet[i]),
            published=published[i] if dated[i] else None,
            words=words[i],
            credits=said[i],
        )
        for i in range(len(first))
    ]
    return evidence, [(each, size) for each, size in zip(said, sizes, strict=True) if each]


@functools.lru_cache(maxsize=4096)
def _credits(bits: int) -> tuple[Credit, ...]:
    return credits_of_bits(bits)


def _origin_name(name: str, c: _Carriers) -> str:
    """An agency by name; an outlet, known here by its hash alone, as ``#`` and the number of an article of it."""
    if name.isdigit():
        found = np.flatnonzero((c.agency == 0) & (c.source == np.uint64(int(name))))
        if len(found):
            return f"#{int(c.article[found[0]])}"
    return name
