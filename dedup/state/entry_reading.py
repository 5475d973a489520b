"""Reading entries of a log: all of an entry is checked before any of it is folded."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import xxhash
from numpy.typing import DTypeLike, NDArray

from dedup.core.article_rules import FIRST_SECOND, LAST_SECOND
from dedup.core.same_event import PAIRS
from dedup.state.entries import (
    ARRIVED,
    CANCELED_FLAG,
    DECISION,
    FOLD_VERSION,
    FORMAT,
    HEADER,
    HEALS_FLAG,
    LOOKED_UP,
    MAX_ID_BYTES,
    MEASURES,
    PAIRS_SHIFT,
    POSTING_BYTES,
    REMOVED,
    InvalidEntry,
    Kind,
)
from dedup.state.kernels import unpacking
from dedup.state.kernels.arriving import CANCELS, HEALS
from dedup.state.kernels.base import DATED
from dedup.state.kernels.verifying import ALL_PARTNERS, COMPLETE

_AGENCY: Final = 0xFF00
_PAIRS: Final = 0xFF << PAIRS_SHIFT
#: What was found of a pair, as the fold takes it; ``kind`` 0 where nothing was.
VALUES: Final = np.dtype(
    [
        ("a_containment", "<f8"),
        ("b_containment", "<f8"),
        ("min_coverage", "<f8"),
        ("unquoted", "<u4"),
        ("quoted", "<u4"),
        ("kind", "<u4"),
        ("pad", "<u4"),
    ]
)


class Arrived(NamedTuple):
    """An *arrive* entry as the kernels read it, a column a field."""

    status: NDArray[np.uint8]
    content: NDArray[np.uint64]
    version: NDArray[np.uint64]
    version_time: NDArray[np.float64]
    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    source: NDArray[np.uint64]
    published: NDArray[np.float64]
    arrival: NDArray[np.float64]
    credits: NDArray[np.uint64]
    record: NDArray[np.uint64]
    reading: NDArray[np.uint64]
    words: NDArray[np.uint32]
    flags: NDArray[np.uint32]
    name_hash: NDArray[np.uint64]
    names: NDArray[np.uint8]
    names_at: NDArray[np.int64]
    postings: NDArray[np.uint64]
    postings_at: NDArray[np.int64]
    pairs: NDArray[np.uint64]
    pairs_at: NDArray[np.int64]


class Verified(NamedTuple):
    """A *verified* entry as the kernels read it."""

    texts: NDArray[np.uint32]
    looked_up: NDArray[np.uint64]
    flags: NDArray[np.uint32]
    partners_at: NDArray[np.int64]
    partners: NDArray[np.uint32]
    edges: NDArray[np.void]
    decisions: NDArray[np.void]


class Removed(NamedTuple):
    """A *remove* entry as the kernels read it."""

    version: NDArray[np.uint64]
    version_time: NDArray[np.float64]
    name_hash: NDArray[np.uint64]
    names: NDArray[np.uint8]
    names_at: NDArray[np.int64]


class Reader:
    """The bytes of one entry, taken from the front; an :class:`InvalidEntry` where they end early or go on too long."""

    def __init__(self, raw: bytes, position: int) -> None:
        self.raw, self.position, self.at = raw, position, HEADER.size
        if len(raw) < HEADER.size:
            raise self.error("is cut off within its header")
        layout, fold, kind, zero, self.items = HEADER.unpack_from(raw)
        if layout > FORMAT or fold > FOLD_VERSION:
            raise self.error(
                f"has format {layout} and fold version {fold}; this release reads up to {FORMAT} and {FOLD_VERSION}"
            )
        if not (layout and fold) or zero:
            raise self.error("has a header that no release writes")
        try:
            self.kind = Kind(kind)
        except ValueError as error:
            raise self.error(f"is of kind {kind}, which this release does not know") from error

    def error(self, what: str) -> InvalidEntry:
        """An error that names the entry."""
        return InvalidEntry(f"log entry {self.position} {what}", position=self.position)

    def take(self, dtype: DTypeLike, count: int) -> NDArray[Any]:
        """The next rows."""
        kind = np.dtype(dtype)
        size = kind.itemsize * count
        if self.at + size > len(self.raw):
            raise self.error(f"is cut off after {len(self.raw)} bytes")
        found = np.frombuffer(self.raw, kind, count, self.at)
        self.at += size
        return found

    def end(self) -> None:
        """Nothing may be left."""
        if self.items and self.kind not in (Kind.ARRIVE, Kind.VERIFIED, Kind.REMOVE):
            raise self.error("has items, but is of a kind without any")
        if self.at != len(self.raw):
            raise self.error(f"has {len(self.raw) - self.at} bytes more than it says")

    def arrived(self) -> Arrived:
        """Read an *arrive* entry."""
        items = self.take(ARRIVED, self.items)
        names_at, names, hashes = self._names(items["name"])
        flags = items["flags"]
        count = flags >> PAIRS_SHIFT & 0xFF
        postings, postings_at = self._ascending(items["postings"], "postings")
        pairs, pairs_at = self._ascending(count, "word pairs")
        self.end()
        if (count > PAIRS).any():
            raise self.error(f"has more than {PAIRS} word pairs of an article")
        if (count[items["postings"] == 0] > 0).any():
            raise self.error("has word pairs of an article that is not comparable")
        given = ~np.isnan(items["version_time"])
        for times in (items["published"], items["arrival"], items["version_time"][given]):
            if not ((times >= FIRST_SECOND) & (times <= LAST_SECOND)).all():
                raise self.error("has a time outside the years 1 to 9999")
        if (flags & ~np.uint32(DATED | _AGENCY | _PAIRS | HEALS_FLAG | CANCELED_FLAG)).any():
            raise self.error("has an article with flags that this release does not know")
        status = np.where(flags & CANCELED_FLAG, CANCELS, np.where(flags & HEALS_FLAG, HEALS, 0)).astype("u1")
        columns = [items[name].copy() for name in Arrived._fields[1:13]]
        return Arrived(  # type: ignore[call-arg]  # a column a field
            status,
            *columns,
            (flags & (DATED | _AGENCY)).astype(np.uint32),
            hashes,
            names,
            names_at,
            postings,
            postings_at,
            pairs,
            pairs_at,
        )

    def _ascending(self, sizes: NDArray[Any], what: str) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Postings of many articles and where those of each end: 42 bits, ascending in each article."""
        ends = _ends(sizes)
        packed = self.take("u1", int(ends[-1]) * POSTING_BYTES)
        found = np.empty(int(ends[-1]), np.uint64)
        wrong = unpacking.unpack(packed, ends, found)
        if wrong == unpacking.TOO_WIDE:
            raise self.error(f"has {what} of more than 42 bits")
        if wrong == unpacking.NOT_ASCENDING:
            raise self.error(f"has {what} that do not ascend")
        return found, ends

    def verified(self) -> Verified:
        """Read a *verified* entry."""
        count = int(self.take("<u8", 1)[0])
        items = self.take(LOOKED_UP, self.items)
        if count > len(self.raw) or int(items["partners"].max(initial=0)) > len(self.raw):
            raise self.error(f"is cut off after {len(self.raw)} bytes")
        if (items["flags"] > ALL_PARTNERS | COMPLETE).any():
            raise self.error("has a text with flags that this release does not know")
        partners_at = _ends(items["partners"])
        pairs = int(partners_at[-1])
        partners, kinds = self.take("<u4", pairs), self.take("u1", pairs)
        there = kinds > 0
        measures = self.take(MEASURES, int(np.count_nonzero(there)))
        decisions = self.take(DECISION, count)
        self.end()
        edges = np.zeros(pairs, VALUES)
        edges["kind"] = kinds
        for name in MEASURES.names or ():
            edges[name][there] = measures[name]
        return Verified(
            texts=items["text"].copy(),
            looked_up=items["position"].copy(),
            flags=items["flags"].copy(),
            partners_at=partners_at,
            partners=partners.copy(),
            edges=edges,
            decisions=decisions.copy(),
        )

    def removed(self) -> Removed:
        """Read a *remove* entry."""
        items = self.take(REMOVED, self.items)
        names_at, names, hashes = self._names(items["name"])
        self.end()
        return Removed(
            version=items["version"].copy(),
            version_time=items["version_time"].copy(),
            name_hash=hashes,
            names=names,
            names_at=names_at,
        )

    def number(self) -> int:
        """Read an entry that is one number."""
        found = int(self.take("<u8", 1)[0])
        self.end()
        return found

    def _names(self, sizes: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint64]]:
        """Where each id ends, their bytes, their hashes."""
        if sizes.size and (int(sizes.min()) < 1 or int(sizes.max()) > MAX_ID_BYTES):
            raise self.error(f"has an id that is empty or over {MAX_ID_BYTES} bytes")
        ends = _ends(sizes)
        start = self.at
        names = self.take("u1", int(ends[-1]))
        try:
            self.raw[start : self.at].decode()
        except UnicodeDecodeError as error:
            raise self.error("has an id that is not UTF-8") from error
        if ((names[ends[:-1]] & 0xC0) == 0x80).any():
            raise self.error("has an id that is not UTF-8")
        raw, bounds = self.raw, (ends + start).tolist()
        hashes = [xxhash.xxh3_64_intdigest(raw[i:j]) for i, j in pairwise(bounds)]
        return ends, names.copy(), np.array(hashes, np.uint64)


def _ends(sizes: NDArray[Any]) -> NDArray[np.int64]:
    """Where each of many parts ends, 0 before the first."""
    ends = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=ends[1:])
    return ends
