"""Entries of a collection's log, and their bytes.

An entry begins with a header of eight bytes: format, fold version, kind, zero, and how many items it has. All numbers
are little-endian. Then come the items, rows of a fixed size, and after them what has no fixed size. A reader checks
all of it before anything is folded: an entry is folded whole or not at all.

============ =====================================================================================================
``ARRIVE``   articles: identity, digests, outlet, times, postings; no text
``VERIFIED`` texts: when they were looked up, what each partner then turned out to be; and decisions about articles
``REMOVE``   articles killed or deleted, by id
``HORIZON``  a position: articles that arrived before it have expired
``RETIRED``  a server whose work belongs, from here on, to the one that wrote this
``SETTLE``   nothing: waiting work goes on, and all events are told
============ =====================================================================================================
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from dedup.errors import DedupError
from dedup.state.kernels.base import NEVER

#: Changes with the layout of bytes, and with what an entry means to the fold.
FORMAT: Final = 1
FOLD_VERSION: Final = 1
HEADER: Final = struct.Struct("<BBBBI")
_NUMBER: Final = struct.Struct("<Q")
POSTING_BYTES: Final = 6
_NO_BYTES: Final = np.empty(0, np.uint8)
#: What an entry may hold: ids have 512 bytes at most.
MAX_ID_BYTES: Final = 512


class Kind(enum.IntEnum):
    """Kinds of entries."""

    ARRIVE = 1
    VERIFIED = 2
    REMOVE = 3
    HORIZON = 4
    RETIRED = 5
    SETTLE = 6


class InvalidEntry(DedupError):
    """An entry of a log cannot be folded; ``metadata["position"]`` is where it stands. Nothing of it was folded."""


ARRIVED: Final = np.dtype(
    [
        ("content", "<u8"),
        ("version", "<u8"),
        ("version_time", "<f8"),
        ("high", "<u8"),
        ("low", "<u8"),
        ("source", "<u8"),
        ("published", "<f8"),
        ("arrival", "<f8"),
        ("credits", "<u8"),
        ("record", "<u8"),
        ("reading", "<u8"),
        ("words", "<u4"),
        ("flags", "<u4"),  # as in a row; word pairs in bits 16 to 23; then HEALS_FLAG, CANCELED_FLAG
        ("postings", "<u4"),
        ("name", "<u4"),  # bytes of the id
    ]
)
CANCELED_FLAG: Final = 1 << 31
HEALS_FLAG: Final = 1 << 30
PAIRS_SHIFT: Final = 16
LOOKED_UP: Final = np.dtype([("position", "<u8"), ("text", "<u4"), ("flags", "<u4"), ("partners", "<u8")])
MEASURES: Final = np.dtype(
    [
        ("a_containment", "<f8"),
        ("b_containment", "<f8"),
        ("min_coverage", "<f8"),
        ("unquoted", "<u4"),
        ("quoted", "<u4"),
    ]
)
#: A decision: its article, its kind, the article that is copied (0: none), the share covered, words of each sort.
DECISION: Final = np.dtype(
    [
        ("article", "<u4"),
        ("kind", "<u4"),
        ("copied", "<u4"),
        ("pad", "<u4"),
        ("covered", "<f8"),
        ("words", "<u4", (4,)),
    ]
)
REMOVED: Final = np.dtype([("version", "<u8"), ("version_time", "<f8"), ("name", "<u8")])


NO_POSTINGS: Final[NDArray[np.uint64]] = np.empty(0, np.uint64)


class Arrival(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One article of an *arrive* entry.

    ``digest`` is that of the body, 16 bytes; ``postings`` uint64 of 42 bits, ascending, empty where the article is not
    comparable; times are Unix seconds, ``published`` that of arrival where the publisher gave none (then ``dated`` is
    False); ``agency`` is that which the outlet is, from 1, or 0; ``credits`` are packed by the caller; ``record`` names
    its record; ``reading`` hashes what of the body is quoted: of equal bodies that with the least is compared;
    ``pairs`` are postings of word pairs, uint64 of 42 bits, ascending, in a collection that has them
    (:func:`dedup.core.same_event.postings`). ``heals``: if this repeats the version that stands, ``record`` takes the
    place of that version's, which the sender has found lost.
    """

    id: str
    content: int
    digest: bytes
    source: int
    published: float
    dated: bool
    arrival: float
    words: int
    credits: int
    record: int
    reading: int
    postings: NDArray[np.uint64]
    version: int | None = None
    version_time: float | None = None
    canceled: bool = False
    agency: int = 0
    heals: bool = False
    pairs: NDArray[np.uint64] = msgspec.field(default_factory=lambda: NO_POSTINGS)


class Pair(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a partner turned out to be, ``kind`` 0 where nothing of weight is shared.

    Text a of a pair is the one with the smaller digest.
    """

    partner: int
    kind: int = 0
    unquoted: int = 0
    quoted: int = 0
    a_containment: float = 0.0
    b_containment: float = 0.0
    min_coverage: float = 0.0


class LookedUp(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A text verified with partners it had at ``position``: with all of them or else with those that came before it.

    ``complete``: no more partners of this look-up follow in later entries.
    """

    text: int
    position: int
    pairs: Sequence[Pair]
    all_partners: bool = False
    complete: bool = True


class Decided(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The decision about an article; ``words`` copied, quoted, boilerplate, new."""

    article: int
    kind: int
    copied: int
    covered: float
    words: tuple[int, int, int, int]


class Removal(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An article that is killed, with the version of the kill, or deleted, without one."""

    id: str
    version: int | None = None
    version_time: float | None = None


def _header(kind: Kind, items: int) -> bytes:
    return HEADER.pack(FORMAT, FOLD_VERSION, kind, 0, items)


class PackedArrivals(msgspec.Struct, gc=False, kw_only=True):
    """Articles of an *arrive* entry as they stand in it.

    ``rows`` of :data:`ARRIVED`, shape (articles,); ``names`` their ids, ``postings`` and ``pairs`` uint8 of six bytes
    each, all one behind the other.
    """

    rows: NDArray[np.void]
    names: bytes
    postings: NDArray[np.uint8]
    pairs: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.rows)

    def ids(self) -> list[str]:
        """The ids."""
        found, at = [], 0
        for size in self.rows["name"].tolist():
            found.append(self.names[at : at + size].decode())
            at += size
        return found

    def split(self, count: int) -> tuple[PackedArrivals, PackedArrivals]:
        """The first articles, and the rest."""
        names = int(self.rows["name"][:count].sum())
        postings = POSTING_BYTES * int(self.rows["postings"][:count].sum())
        pairs = POSTING_BYTES * int(_pair_counts(self.rows[:count]).sum())
        return (
            PackedArrivals(
                rows=self.rows[:count],
                names=self.names[:names],
                postings=self.postings[:postings],
                pairs=self.pairs[:pairs],
            ),
            PackedArrivals(
                rows=self.rows[count:],
                names=self.names[names:],
                postings=self.postings[postings:],
                pairs=self.pairs[pairs:],
            ),
        )


def _pair_counts(rows: NDArray[np.void]) -> NDArray[np.uint32]:
    """How many word pairs each article of an *arrive* entry has."""
    counts: NDArray[np.uint32] = (rows["flags"] >> PAIRS_SHIFT & 0xFF).astype(np.uint32)
    return counts


def join_arrivals(parts: Sequence[PackedArrivals]) -> PackedArrivals:
    """The articles of several, in order."""
    return PackedArrivals(
        rows=np.concatenate([np.empty(0, ARRIVED), *(part.rows for part in parts)]),
        names=b"".join([part.names for part in parts]),
        postings=np.concatenate([_NO_BYTES, *(part.postings for part in parts)]),
        pairs=np.concatenate([_NO_BYTES, *(part.pairs for part in parts)]),
    )


def pack_arrivals(articles: Sequence[Arrival]) -> PackedArrivals:
    """Articles as they stand in an entry."""
    rows = np.zeros(len(articles), ARRIVED)
    names = [a.id.encode() for a in articles]
    rows[:] = [
        (
            a.content,
            int(NEVER) if a.version is None else a.version,
            float("nan") if a.version_time is None else a.version_time,
            int.from_bytes(a.digest[:8], "big"),
            int.from_bytes(a.digest[8:], "big"),
            a.source,
            a.published,
            a.arrival,
            a.credits,
            a.record,
            a.reading,
            a.words,
            int(a.dated)
            | a.agency << 8
            | len(a.pairs) << PAIRS_SHIFT
            | a.heals * HEALS_FLAG
            | a.canceled * CANCELED_FLAG,
            len(a.postings),
            len(name),
        )
        for a, name in zip(articles, names, strict=True)
    ]
    return PackedArrivals(
        rows=rows,
        names=b"".join(names),
        postings=_packed([a.postings for a in articles]),
        pairs=_packed([a.pairs for a in articles]),
    )


def _packed(postings: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint8]:
    flat = np.concatenate([NO_POSTINGS, *postings])
    return flat.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :POSTING_BYTES].reshape(-1)


def arrive_packed(articles: PackedArrivals) -> bytes:
    """The bytes of an *arrive* entry."""
    header = _header(Kind.ARRIVE, len(articles))
    return b"".join(
        [
            header,
            articles.rows.tobytes(),
            articles.names,
            articles.postings.tobytes(),
            articles.pairs.tobytes(),
        ]
    )


def arrive(articles: Sequence[Arrival]) -> bytes:
    """The bytes of an *arrive* entry."""
    return arrive_packed(pack_arrivals(articles))


def verified(texts: Sequence[LookedUp], decisions: Sequence[Decided] = ()) -> bytes:
    """The bytes of a *verified* entry."""
    items = np.zeros(len(texts), LOOKED_UP)
    pairs = [pair for each in texts for pair in each.pairs]
    items[:] = [
        (each.position, each.text, int(each.all_partners) | int(each.complete) << 1, len(each.pairs))
        for each in texts
    ]
    found = [pair for pair in pairs if pair.kind]
    measures = np.zeros(len(found), MEASURES)
    measures[:] = [(p.a_containment, p.b_containment, p.min_coverage, p.unquoted, p.quoted) for p in found]
    decided = np.zeros(len(decisions), DECISION)
    decided[:] = [(d.article, d.kind, d.copied, 0, d.covered, d.words) for d in decisions]
    return b"".join(
        [
            _header(Kind.VERIFIED, len(texts)),
            _NUMBER.pack(len(decisions)),
            items.tobytes(),
            np.array([p.partner for p in pairs], "<u4").tobytes(),
            np.array([p.kind for p in pairs], np.uint8).tobytes(),
            measures.tobytes(),
            decided.tobytes(),
        ]
    )


def remove(articles: Sequence[Removal]) -> bytes:
    """The bytes of a *remove* entry."""
    names = [a.id.encode() for a in articles]
    items = np.zeros(len(articles), REMOVED)
    items[:] = [
        (
            int(NEVER) if a.version is None else a.version,
            float("nan") if a.version_time is None else a.version_time,
            len(name),
        )
        for a, name in zip(articles, names, strict=True)
    ]
    return b"".join([_header(Kind.REMOVE, len(articles)), items.tobytes(), b"".join(names)])


def horizon(position: int) -> bytes:
    """The bytes of a *horizon* entry."""
    return _header(Kind.HORIZON, 0) + _NUMBER.pack(position)


def retired(incarnation: int) -> bytes:
    """The bytes of a *retired* entry."""
    return _header(Kind.RETIRED, 0) + _NUMBER.pack(incarnation)


def settle() -> bytes:
    """The bytes of a *settle* entry."""
    return _header(Kind.SETTLE, 0)
