"""The fold of a log: processor time an article, the longest slice, bytes an article, at growing sizes.

The log is made while the clock stands still: articles of 122 postings, 15 % of them drawn from a million that others
draw from too, the frequent ones most. Every third article is of a family of a few hundred, and is verified with three
of it (a match) and three others (none). An id has 40 bytes. Batches of 100: an *arrive* entry and a *verified* one.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import xxhash

from bench.options import Options
from bench.report import Grid, Part, Plot
from dedup.model import CollectionParameters
from dedup.state import entries
from dedup.state.collection import Collection

POSTINGS: Final = 122
_BATCH: Final = 100
_SHARED: Final = 0.15
_FREQUENT: Final = 1 << 20
_FAMILIES, _FAMILY_SPAN = 500, 2000
_OF_FAMILY: Final = 12
_KEPT: Final = 8192
_WARM: Final = 3000


@dataclass(frozen=True, slots=True)
class Mark:
    """What was measured up to a size; times of the processor, ``us`` and ``slice_ms`` since the mark before it."""

    articles: int
    us: float
    arrive_us: float
    verified_us: float
    seconds: float
    slice_ms: float
    bytes: float
    resident: float
    edges: int
    digest: str


class Source:
    """Makes entries, the same for the same seed."""

    def __init__(self, seed: int = 2) -> None:
        self._rng = np.random.default_rng(seed)
        self._frequent = self._rng.integers(1, 1 << 42, _FREQUENT, dtype=np.uint64)
        weights = np.cumsum(1.0 / (np.arange(_FREQUENT) + 50.0))
        self._weights = weights / weights[-1]
        self._last = np.zeros((_KEPT, POSTINGS), np.uint64)
        self._families: dict[int, list[int]] = {}

    def batches(self, count: int) -> Iterator[tuple[bytes, bytes]]:
        """The entries of so many articles: *arrive* and *verified*, again and again."""
        for first in range(0, count, _BATCH):
            partners: dict[int, set[int]] = {}
            arrived = self._arrive(first, partners)
            yield arrived, self._verified(first, partners, 2 * (first // _BATCH) + 1)

    def _arrive(self, first: int, partners: dict[int, set[int]]) -> bytes:
        rng = self._rng
        if first % _FAMILY_SPAN == 0:
            self._families.clear()  # Python's collector looks at every list
        drawn = rng.integers(1, 1 << 42, (_BATCH, POSTINGS), dtype=np.uint64)
        shared = rng.random((_BATCH, POSTINGS)) < _SHARED
        drawn[shared] = self._frequent[np.searchsorted(self._weights, rng.random(int(shared.sum())))]
        made = []
        for i in range(_BATCH):
            number = first + i + 1
            if i % 3 == 0:
                family = self._families.setdefault(int(rng.integers(0, _FAMILIES)), [])
                partners[number] = set(family[-3:])
                for k, other in enumerate(sorted(partners[number])):
                    at = 20 + _OF_FAMILY * k
                    drawn[i, at : at + _OF_FAMILY] = self._last[other % _KEPT][:_OF_FAMILY]
                family.append(number)
            self._last[number % _KEPT] = drawn[i]
            id = f"article-{number:032d}"
            made.append(
                entries.Arrival(
                    id=id,
                    content=number,
                    digest=xxhash.xxh3_128_digest(id.encode()),
                    source=number % 400 + 1,
                    published=1.7e9 + first * 86.4,
                    dated=True,
                    arrival=1.7e9 + first,
                    words=500,
                    credits=0,
                    record=number,
                    reading=0,
                    postings=np.unique(drawn[i]),
                )
            )
        return entries.arrive(made)

    def _verified(self, first: int, partners: dict[int, set[int]], position: int) -> bytes:
        texts, decided = [], []
        for number in range(first + 1, first + _BATCH + 1):
            pairs = []
            if number in partners:
                others = set(self._rng.integers(max(1, first - 4000), first + 2, 3).tolist())
                pairs = [_pair(other, 4) for other in partners[number]]
                pairs += [_pair(other, 0) for other in others - partners[number] - {number}]
            texts.append(entries.LookedUp(text=number, position=position, pairs=pairs))
            decided.append(
                entries.Decided(article=number, kind=1, copied=0, covered=0.0, words=(0, 0, 0, 500))
            )
        return entries.verified(texts, decided)


def _pair(other: int, kind: int) -> entries.Pair:
    if kind == 0:
        return entries.Pair(partner=other)
    return entries.Pair(
        partner=other,
        kind=kind,
        unquoted=100,
        quoted=0,
        a_containment=0.5,
        b_containment=0.5,
        min_coverage=0.5,
    )


def _resident() -> int:
    """Bytes of memory that the process has."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


def _fold(collection: Collection, position: int, raw: bytes) -> tuple[float, float]:
    """Seconds of the processor that an entry takes, and its longest slice."""
    steps = collection.slices(position, raw)
    total = longest = 0.0
    ended = False
    while not ended:
        began = time.thread_time()
        ended = next(steps, steps) is steps
        took = time.thread_time() - began
        total, longest = total + took, max(longest, took)
    return total, longest


def _measure(sizes: tuple[int, ...], options: Options) -> list[Mark]:
    marks: list[Mark] = []
    collection = Collection(CollectionParameters(landmarks=10))
    spent, before, grown, longest, last = [0.0, 0.0], [0.0, 0.0], 0, 0.0, 0
    for batch, pair in enumerate(Source().batches(max(sizes))):
        resident = _resident()
        for kind, raw in enumerate(pair):
            total, slice_ = _fold(collection, 2 * batch + kind + 1, raw)
            spent[kind] += total
            longest = max(longest, slice_)
        grown += _resident() - resident
        articles = (batch + 1) * _BATCH
        if articles in sizes:
            each = [1e6 * (spent[kind] - before[kind]) / (articles - last) for kind in (0, 1)]
            marks.append(
                Mark(
                    articles=articles,
                    us=sum(each),
                    arrive_us=each[0],
                    verified_us=each[1],
                    seconds=sum(spent),
                    slice_ms=1000 * longest,
                    bytes=sum(collection.nbytes().values()) / articles,
                    resident=grown / articles,
                    edges=collection.edges,
                    digest=collection.log_digest(),
                )
            )
            options.say(f"fold: {articles}: {marks[-1].us:.1f} us an article")
            before, longest, last = list(spent), 0.0, articles
    return marks


def run(options: Options) -> Part:
    """One log, folded once; figures at each of the sizes, in hundreds of articles."""
    chosen = options.sizes or ((2000, 4000) if options.quick else (20_000, 100_000, 300_000, 1_000_000))
    sizes = tuple(-(-size // _BATCH) * _BATCH for size in chosen)
    warm = Collection(CollectionParameters(landmarks=10))
    for batch, pair in enumerate(Source().batches(_WARM)):
        for kind, raw in enumerate(pair):
            warm.apply(2 * batch + kind + 1, raw)
    gc.collect()
    gc.freeze()  # a full collection of all modules takes 50 ms, and would be the longest slice
    marks = _measure(sizes, options)
    gc.unfreeze()
    columns = (
        "articles|us an article|arrive us|verified us|seconds in all|longest slice ms|B in use|B resident"
    )
    rows = tuple(
        (m.articles, m.us, m.arrive_us, m.verified_us, m.seconds, m.slice_ms, m.bytes, m.resident)
        for m in marks
    )
    settings: dict[str, Any] = {"batches": _BATCH, "postings": POSTINGS, "shared": _SHARED}
    x = tuple(float(mark.articles) for mark in marks)
    plot = Plot(
        "fold",
        "Fold of an article by size",
        "us of the processor",
        x,
        {"arrive": tuple(m.arrive_us for m in marks), "verified": tuple(m.verified_us for m in marks)},
        x_name="articles",
        log_x=True,
    )
    notes = (
        "times are the processor's, since the size before; B in use counts both arrays of a table that grows",
    )
    grid = Grid("Fold", tuple(columns.split("|")), rows)
    return Part("fold", settings, (grid,), {"marks": [asdict(mark) for mark in marks]}, (plot,), notes)
