"""What all kernels of the fold share: the rows of its tables, its counters, mixing, digests.

Numbers of articles, rows, texts, lists and edges begin at 1; 0 means none. ``NEVER`` stands for no version, NaN
for no time.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

#: Kernels that make no arrays count no references either: with so many arrays that would be most of their time.
jit = nb.njit(cache=True, nogil=True, _nrt=False)
inline = nb.njit(cache=True, nogil=True, _nrt=False, forceinline=True)
#: Kernels that make arrays.
making = nb.njit(cache=True, nogil=True)

#: A version of an article, in the order of the log.
ROW = np.dtype(
    [
        ("article", "<u4"),
        ("text", "<u4"),  # 0: not comparable
        ("next", "<u4"),  # next carrier of its text
        ("words", "<u4"),
        ("source", "<u8"),
        ("published", "<f8"),
        ("arrival", "<f8"),
        ("position", "<u8"),
        ("removed", "<u8"),  # position at which it was removed or replaced, 0: it stands
        ("content", "<u8"),
        ("version", "<u8"),
        ("version_time", "<f8"),
        ("credits", "<u8"),
        ("record", "<u8"),
        ("reading", "<u8"),  # hash of which words of its body are quoted
        ("flags", "<u4"),  # DATED, BURIED; agency of the outlet, from 1, in bits 8 to 15
        ("removed_by", "<u4"),  # the row that came when it was removed or replaced
    ]
)
DATED, BURIED = 1, 2

#: An article by number; the decision is that about its first version.
ARTICLE = np.dtype(
    [
        ("name_hash", "<u8"),
        ("name_at", "<u8"),
        ("name_size", "<u2"),
        ("flags", "u1"),  # ALIVE, DECIDED, AWAITED
        ("kind", "u1"),
        ("row", "<u4"),  # the version that stands, or stood last
        ("next_name", "<u4"),  # another article in the same slot of the names
        ("asked", "<u4"),  # the version that its decision is about
        ("copied", "<u4"),
        ("covered", "<f8"),
        ("words", "<u4", (4,)),  # copied, quoted, boilerplate, new
    ],
    align=True,
)
ALIVE, DECIDED, AWAITED = 1, 2, 4

#: A text by number.
TEXT = np.dtype(
    [
        ("high", "<u8"),  # its digest
        ("low", "<u8"),
        ("source", "<u8"),  # its first outlet, with the days of that one
        ("reading", "<u8"),  # least of its carriers: the words of these are compared
        ("first", "<f8"),  # least and greatest time of publication of its carriers
        ("last", "<f8"),
        ("arrived", "<u8"),
        ("due", "<u8"),
        ("covered", "<u8"),  # position of the last look-up of a verification with all partners
        ("touched", "<u8"),  # position of the last change of its edges or carriers
        ("low_day", "<i4"),
        ("mid_day", "<i4"),
        ("high_day", "<i4"),
        ("outlets", "<u4"),  # its other outlets
        ("carriers", "<u4"),  # rows, the last that came first
        ("count", "<u4"),  # carriers that stand
        ("lists_at", "<u4"),
        ("lists", "<u4"),
        ("edges", "<u4"),
        ("degree", "<u4"),
        ("cluster", "<u4"),  # as of the last event; of a removed text the text its number leads to
        ("story", "<u4"),  # of a removed text the row that came when it was removed
        ("next_digest", "<u4"),
        ("mark", "<u4"),
        ("owner", "<u2"),
        ("flags", "<u2"),
    ]
)
#: Flags of a text: due for all its partners; waits to have its edges checked; waits for events; verified once;
#: stands in the queue of those that are due.
WHOLE, CHECKING, DIRTY, JOINED, QUEUED = 1, 2, 4, 8, 16

#: Another outlet of a text, and the days on which it carried it.
OUTLET = np.dtype(
    [
        ("source", "<u8"),
        ("next", "<u4"),
        ("low_day", "<i4"),
        ("mid_day", "<i4"),
        ("high_day", "<i4"),
    ]
)

#: A posting that two texts and more have, or had.
LIST = np.dtype(
    [
        ("posting", "<u8"),
        ("group_at", "<u4"),
        ("members_at", "<u4"),
        ("count", "<u4"),  # members, removed ones that are still looked up too
        ("alive", "<u4"),
        ("outlets", "<u4"),  # outlets of which it is boilerplate
        ("group", "u1"),  # texts of the group
        ("flags", "u1"),  # HAS_MEMBERS, EVERYWHERE, REPAIR
        ("group_class", "u1"),
        ("members_class", "u1"),
    ]
)
HAS_MEMBERS, EVERYWHERE, REPAIR = 1, 2, 4

#: An outlet of which a list is boilerplate.
FLAGGED = np.dtype([("source", "<u8"), ("next", "<u4"), ("pad", "<u4")])

#: A verified match of two texts; ``a`` has the smaller digest. Lengths in half words.
EDGE = np.dtype(
    [
        ("a", "<u4"),
        ("b", "<u4"),
        ("next_a", "<u4"),  # in the list of edges of a
        ("next_b", "<u4"),
        ("before_a", "<u4"),
        ("before_b", "<u4"),
        ("a_containment", "<f8"),
        ("b_containment", "<f8"),
        ("min_coverage", "<f8"),
        ("position", "<u8"),  # at which the pair was looked up
        ("unquoted", "<u4"),
        ("quoted", "<u4"),
        ("kind", "<u4"),
        ("mark", "<u4"),  # the last check that looked at it
    ]
)

#: Work that an entry left to later ones.
WORK = np.dtype([("kind", "<u4"), ("what", "<u4"), ("source", "<u8"), ("position", "<u8"), ("cursor", "<u8")])
SPREAD, CHECK, MEND, EXPIRE = 1, 2, 3, 4

#: What happened to a cluster or story at a position.
EVENT = np.dtype([("position", "<u8"), ("kind", "<u4"), ("old", "<u4"), ("new", "<u4"), ("pad", "<u4")])
CLUSTER_CHANGED, CLUSTER_MERGED, CLUSTER_SPLIT, CLUSTER_ENDED = 1, 2, 3, 4
STORY_CHANGED, STORY_ENDED = 5, 6

#: What was told of the cluster and the story that are named after a text, at their last events.
TOLD = np.dtype(
    [
        ("cluster_1", "<u8"),  # their parts of the content digest, in both lanes; 0: there is none
        ("cluster_2", "<u8"),
        ("story_1", "<u8"),
        ("story_2", "<u8"),
        ("next", "<u4"),  # the next text of the cluster that the text belongs to
        ("next_cluster", "<u4"),  # the next cluster of the story
    ]
)
#: Flags of a text: clusters are listed by it; a story is named after it; it has edges.
LISTED, STORY, PAIRED = 1, 2, 4
#: Places of ``told_sums``: after both lanes of the content digest, how many clusters are listed, how many stories.
TOLD_CLUSTERS, TOLD_STORIES = 2, 3

NEVER = np.uint64(0xFFFFFFFFFFFFFFFF)
DAY = 86400.0

# Places in ``meta``.
ROWS, ARTICLES, TEXTS, LISTS, EDGES, OUTLETS, FLAGS = 0, 1, 2, 3, 4, 5, 6
FREE_EDGE, FREE_OUTLET, FREE_FLAG = 7, 8, 9
NAME_BYTES, GROUP_WORDS, MEMBER_WORDS, LIST_WORDS = 10, 11, 12, 13
WORK_HEAD, WORK_TAIL, DIRTY_COUNT, LATE_COUNT, LATE_AGE = 14, 15, 16, 17, 18
STANDING, LIVING, EDGE_COUNT, DUE_COUNT, UNDECIDED, FIRST_UNDECIDED = 19, 20, 21, 22, 23, 24
LANDMARKS, WINDOW_DAYS, EVENTS, MARK, HORIZON, OWNER, SERIAL = 25, 26, 27, 28, 29, 30, 31
DUE_TAIL, BURIAL_HEAD, BURIAL_TAIL, POSITION, BURIED_COUNT = 32, 33, 34, 35, 36
NEED_GROUPS, NEED_MEMBERS, NEED_TEXT_LISTS, NEED_FLAGS, SALT = 37, 38, 39, 40, 41
MAX_LISTS, MAX_OUTLETS, WORK_BASE, WANTING = 42, 43, 44, 45
META_SIZE = 48

# Places in ``sums``: the content digest in two lanes, the log digest.
CONTENT, CONTENT_2, LOG = 0, 1, 2

# First words of the elements of the digests.
E_CARRIER, E_EDGE, E_BOILERPLATE, E_CLUSTER, E_STORY = 1, 2, 3, 4, 5
L_DUE, L_COVERED, L_TOUCHED, L_CLUSTER, L_STORY, L_ROW, L_ROW_GONE, L_DECISION = (
    10,
    11,
    12,
    13,
    14,
    15,
    16,
    17,
)
L_LISTED, L_GROUP, L_EDGE, L_WORK, L_NAME, L_EVENT, L_VERSION, L_UNINDEXED = 18, 19, 20, 21, 22, 23, 24, 25
L_RETIRED, L_RECORD, L_PAIRS = 26, 27, 28

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
_S32, _S21 = np.uint64(32), np.uint64(21)
_42 = np.uint64((1 << 42) - 1)


class Tables(NamedTuple):
    """All arrays of a collection's state, as kernels take them."""

    rows: np.ndarray
    articles: np.ndarray
    texts: np.ndarray
    dead: np.ndarray
    lists: np.ndarray
    spreads: np.ndarray
    edges: np.ndarray
    outlets: np.ndarray
    flagged: np.ndarray
    groups: np.ndarray
    members: np.ndarray
    text_lists: np.ndarray
    names: np.ndarray
    work: np.ndarray
    burials: np.ndarray
    buried: np.ndarray
    due: np.ndarray
    dirty: np.ndarray
    late: np.ndarray
    events: np.ndarray
    told: np.ndarray
    told_flags: np.ndarray
    told_sums: np.ndarray
    free: np.ndarray
    meta: np.ndarray
    sums: np.ndarray
    slots: np.ndarray
    slots_before: np.ndarray
    slots_meta: np.ndarray
    ids: np.ndarray
    ids_before: np.ndarray
    ids_meta: np.ndarray
    digests: np.ndarray
    digests_before: np.ndarray
    digests_meta: np.ndarray


@inline
def mix(x):
    """A 64-bit number to another, all bits of it anywhere."""
    x ^= x >> _S32
    x *= _MULTIPLIER
    x ^= x >> _S32
    x *= _MULTIPLIER
    return x ^ (x >> _S32)


@inline
def scatter(posting, salt):
    """A 42-bit posting to another one, one to one: minima of windows are small numbers more often than large ones.

    ``salt`` is drawn by each process, so that nobody can write texts whose postings fall into one corner of the table.
    """
    key = ((posting ^ np.uint64(salt)) * _GOLDEN) & _42
    key ^= key >> _S21
    key = (key * _MULTIPLIER) & _42
    return key ^ (key >> _S21)


@inline
def start(seed):
    """The beginning of the hash of an element of a digest."""
    return mix(np.uint64(seed) + _GOLDEN)


@inline
def absorb(h, word):
    """One word more of an element."""
    return mix(h ^ np.uint64(word)) * _GOLDEN + np.uint64(1)


@inline
def hashed(seed, kind, x, y, z):
    """The hash of an element of four words."""
    return absorb(absorb(absorb(absorb(start(seed), kind), x), y), z)


@inline
def content_add(sums, sign, kind, x, y):
    """Put an element of three words into the content digest (``sign`` 1), or take it out (-1)."""
    for lane in range(2):
        h = absorb(absorb(absorb(start(lane + 1), kind), x), y)
        if sign > 0:
            sums[lane] += h
        else:
            sums[lane] -= h


@inline
def log_add(sums, sign, kind, x, y, z):
    """The same for the log digest."""
    h = hashed(3, kind, x, y, z)
    if sign > 0:
        sums[LOG] += h
    else:
        sums[LOG] -= h


@inline
def log_swap(sums, kind, x, old, new):
    """An element (kind, x, value) of the log digest takes another value; 0 is no element."""
    if old == new:
        return
    if old != 0:
        sums[LOG] -= hashed(3, kind, x, old, 0)
    if new != 0:
        sums[LOG] += hashed(3, kind, x, new, 0)
