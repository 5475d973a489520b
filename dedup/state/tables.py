"""The arrays of a collection's state: made small, grown without a pause, handed to the kernels."""

from __future__ import annotations

import math
import os
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dedup.state.columns import Column
from dedup.state.entry_reading import Arrived
from dedup.state.kernels import arena, base, table

#: Share of its slots from which on a hash table grows, and by how much, once it has more than ``_FEW`` slots.
_FULL: Final = 0.85
_GROWTH: Final = 1.25
_SMALLEST: Final = 256
_FEW: Final = 1 << 16
_SPARE: Final = 64


class HashTable:
    """A table of :mod:`dedup.state.kernels.table` and the array that it grows out of."""

    def __init__(self, *, of_texts: bool) -> None:
        self.slots = Column(np.uint8, table.BEYOND)
        self.before = Column(np.uint8)
        self.meta = np.zeros(table.META_SIZE, np.int64)
        self.meta[table.WIDTH], self.meta[table.TAG] = 8, table.ALL
        self._of_texts = of_texts
        self._highest = self._highest_before = 0

    def is_full(self, more: int, highest: int) -> bool:
        """Whether so many new keys, or values so high, need a larger array: in time, before values are too high."""
        used = self.meta[table.USED] + more
        return bool(used > _FULL * self.meta[table.CAPACITY] or highest > self._highest >> 1)

    def grow(self, more: int, highest: int) -> None:
        """Begin to grow, so that there is room for so many new keys. An earlier growth must have ended."""
        used = int(self.meta[table.USED]) + more
        least = max(_SMALLEST, int(used / _FULL * (_GROWTH if used > _FEW else 4)))
        value_bits = (3 * highest).bit_length()
        capacity, width = min(
            ((_capacity(least, 8 * width - value_bits), width) for width in (6, 8)), key=math.prod
        )
        for now, old in (
            (table.CAPACITY, table.OLD_CAPACITY),
            (table.WIDTH, table.OLD_WIDTH),
            (table.TAG, table.OLD_TAG),
        ):
            self.meta[old] = self.meta[now]
        self.before, self.slots = self.slots, Column(np.uint8)
        self.slots.reserve((capacity + min(table.SLACK, capacity)) * width + table.BEYOND)
        self.meta[table.CAPACITY], self.meta[table.WIDTH] = capacity, width
        self.meta[table.TAG] = _tag_bits(capacity)
        self.meta[table.CURSOR] = 0
        self._highest, self._highest_before = (1 << (8 * width - _tag_bits(capacity))) - 1, self._highest

    def move(self, steps: int, dead: NDArray[np.uint8]) -> bool:
        """Move so many slots over; whether the growth has ended."""
        if self.meta[table.OLD_CAPACITY] > 0:
            slots, before = self.slots.array, self.before.array
            table.advance(slots, before, self.meta, steps, dead, self._of_texts)
        if self.meta[table.OLD_CAPACITY] == 0:
            if len(self.before.array):
                self.before.clear()
            return True
        self.before.release(int(self.meta[table.CURSOR] * self.meta[table.OLD_WIDTH]))
        return False

    def _end(self, dead: NDArray[np.uint8]) -> None:
        """End a growth."""
        while not self.move(1 << 18, dead):
            pass

    def make_room(self, more: int, highest: int, dead: NDArray[np.uint8]) -> bool:
        """Have room for so many new keys and values so high; whether a growth begins or ends by that."""
        full = self.is_full(more, highest)
        if not full and not len(self.before.array):
            return False
        if full:
            self._end(dead)
            self.grow(more, highest)
        if highest > self._highest_before:  # the array that it grows out of has no room for them
            self._end(dead)
        return True


def _tag_bits(capacity: int) -> int:
    """Bits of a key that tell it from the others in a period."""
    return min(table.ALL, (table.PERIOD * (1 << 42) // capacity).bit_length())


def _capacity(least: int, bits: int) -> int:
    """The least capacity of a table whose tags have at most so many bits."""
    return least if bits >= table.ALL else max(least, 1 + (table.PERIOD << 42 >> bits))


class State:
    """Every array of a collection, see :class:`~dedup.state.kernels.base.Tables`."""

    def __init__(self, *, landmarks: int, window_days: int) -> None:
        self.meta = np.zeros(base.META_SIZE, np.int64)
        self.meta[base.LANDMARKS], self.meta[base.WINDOW_DAYS] = landmarks, window_days
        self.meta[base.SALT] = int.from_bytes(os.urandom(5), "little")
        self.meta[base.FIRST_UNDECIDED] = 1
        for words in (base.GROUP_WORDS, base.MEMBER_WORDS, base.LIST_WORDS):
            self.meta[words] = 2  # 0 stands for no block
        self.sums = np.zeros(3, np.uint64)
        self.told_sums = np.zeros(4, np.uint64)
        self.free = np.zeros((arena.KINDS, arena.SIZES), np.int64)
        self.columns = {
            name: Column(dtype, 1)  # number 0, which is none, can be read
            for name, dtype in {
                "rows": base.ROW,
                "articles": base.ARTICLE,
                "texts": base.TEXT,
                "dead": np.uint8,
                "lists": base.LIST,
                "spreads": np.uint32,
                "edges": base.EDGE,
                "outlets": base.OUTLET,
                "flagged": base.FLAGGED,
                "groups": np.uint64,
                "members": np.uint32,
                "text_lists": np.uint32,
                "names": np.uint8,
                "work": base.WORK,
                "burials": np.uint32,
                "buried": np.uint64,
                "due": np.uint32,
                "dirty": np.uint32,
                "late": np.uint32,
                "events": base.EVENT,
                "told": base.TOLD,
                "told_flags": np.uint8,
            }.items()
        }
        self.postings = HashTable(of_texts=True)
        self.ids = HashTable(of_texts=False)
        self.digests = HashTable(of_texts=False)
        self.tables = self._gather()

    def _gather(self) -> base.Tables:
        arrays = {name: column.array for name, column in self.columns.items()}
        return base.Tables(
            **arrays,
            free=self.free,
            meta=self.meta,
            sums=self.sums,
            told_sums=self.told_sums,
            slots=self.postings.slots.array,
            slots_before=self.postings.before.array,
            slots_meta=self.postings.meta,
            ids=self.ids.slots.array,
            ids_before=self.ids.before.array,
            ids_meta=self.ids.meta,
            digests=self.digests.slots.array,
            digests_before=self.digests.before.array,
            digests_meta=self.digests.meta,
        )

    def number(self, place: int) -> int:
        """A counter of ``meta``."""
        return int(self.meta[place])

    def reserve(self, wanted: dict[str, int]) -> None:
        """Have room in columns for so many items."""
        short = [name for name, items in wanted.items() if items > len(self.columns[name].array)]
        if not short:
            return
        self.tables = None  # type: ignore[assignment]  # its arrays must not be held while columns move
        for name in short:
            self.columns[name].reserve(wanted[name])
        self.tables = self._gather()

    def reserve_work(self, items: int, postings: int) -> None:
        """Room in queues for what an entry of so many items and postings can add: once each text, twice each list."""
        texts = self.number(base.TEXTS) + items
        lists = self.number(base.LISTS) + postings
        self.reserve(
            {
                "work": self.number(base.WORK_TAIL) + 2 * lists + texts + _SPARE,
                "due": self.number(base.DUE_TAIL) + texts + _SPARE,
                "dirty": self.number(base.DIRTY_COUNT) + texts + _SPARE,
                "late": self.number(base.LATE_COUNT) + 2 * texts + _SPARE,
                "burials": self.number(base.BURIAL_TAIL) + self.number(base.ROWS) + 2 * items + _SPARE,
                "buried": self.number(base.BURIED_COUNT) + self.number(base.ROWS) + 2 * items + _SPARE,
                "rows": self.number(base.ROWS) + 2 * items + _SPARE,
                "articles": self.number(base.ARTICLES) + items + _SPARE,
                "outlets": self.number(base.OUTLETS) + items + _SPARE,
            }
        )

    def reserve_arrivals(self, e: Arrived) -> None:
        """Room for what an *arrive* entry can bring; a text for which lists are written anew asks for more itself."""
        count, postings = len(e.status), len(e.postings)
        self.reserve_work(count, postings)
        self.reserve(
            {
                "texts": self.number(base.TEXTS) + count + 1,
                "dead": self.number(base.TEXTS) + count + 1,
                "told": self.number(base.TEXTS) + count + 1,
                "told_flags": self.number(base.TEXTS) + count + 1,
                "lists": self.number(base.LISTS) + postings + 1,
                "spreads": self.number(base.LISTS) + postings + 1,
                "names": self.number(base.NAME_BYTES) + len(e.names),
                "groups": self.number(base.GROUP_WORDS) + 8 * postings,
                "members": self.number(base.MEMBER_WORDS) + 8 * postings,
                "text_lists": self.number(base.LIST_WORDS) + 8 * postings,
                "flagged": self.number(base.FLAGS) + postings + _SPARE,
            }
        )
        self.reserve_tables(postings, count)

    def reserve_arenas(self) -> None:
        """What a text was found to need, and as much again."""
        self.meta[base.WANTING] = 0
        self.reserve(
            {
                "groups": self.number(base.GROUP_WORDS) + 2 * self.number(base.NEED_GROUPS) + _SPARE,
                "members": self.number(base.MEMBER_WORDS) + 2 * self.number(base.NEED_MEMBERS) + _SPARE,
                "text_lists": self.number(base.LIST_WORDS) + 2 * self.number(base.NEED_TEXT_LISTS) + _SPARE,
                "flagged": self.number(base.FLAGS) + 2 * self.number(base.NEED_FLAGS) + _SPARE,
            }
        )

    def tidy_queues(self) -> None:
        """Queues that are empty begin anew, long ones are moved to their beginning."""
        for name, head, tail in (
            ("work", base.WORK_HEAD, base.WORK_TAIL),
            ("burials", base.BURIAL_HEAD, base.BURIAL_TAIL),
        ):
            first, last = self.number(head), self.number(tail)
            if first and (first == last or (first > 1 << 12 and 2 * first > last)):
                array = getattr(self.tables, name)
                array[: last - first] = array[first:last].copy()
                self.meta[head], self.meta[tail] = 0, last - first
                if name == "work":
                    self.meta[base.WORK_BASE] += first

    def reserve_tables(self, postings: int, articles: int) -> None:
        """Have room for so many new postings and articles."""
        highest = max(self.number(base.TEXTS) + articles, self.number(base.LISTS) + postings)
        dead = self.columns["dead"].array
        changed = [
            self.postings.make_room(postings, 2 * highest + 1, dead),
            self.ids.make_room(articles, self.number(base.ARTICLES) + articles, dead),
            self.digests.make_room(articles, self.number(base.TEXTS) + articles, dead),
        ]
        if any(changed):
            self.tables = self._gather()

    def move_tables(self, articles: int) -> None:
        """Go on with the growth of tables that kernels do not move, and let go of what has been moved."""
        tables = (self.postings, self.ids, self.digests)
        if any(held.meta[table.FARTHEST] >= table.TOO_FAR for held in tables):
            raise RuntimeError(
                "keys crowd in a hash table; a process that folds the log anew mixes them otherwise"
            )
        if not any(len(held.before.array) for held in tables):
            return
        dead = self.columns["dead"].array
        self.postings.move(0, dead)
        for held in (self.ids, self.digests):
            held.move(table.STEP * (articles + _SPARE), dead)
        self.tables = self._gather()

    def nbytes(self) -> dict[str, int]:
        """Bytes in use, by array."""
        used = {
            "rows": base.ROWS,
            "articles": base.ARTICLES,
            "texts": base.TEXTS,
            "dead": base.TEXTS,
            "told": base.TEXTS,
            "told_flags": base.TEXTS,
            "lists": base.LISTS,
            "spreads": base.LISTS,
            "edges": base.EDGES,
            "outlets": base.OUTLETS,
            "flagged": base.FLAGS,
            "groups": base.GROUP_WORDS,
            "members": base.MEMBER_WORDS,
            "text_lists": base.LIST_WORDS,
            "names": base.NAME_BYTES,
            "work": base.WORK_TAIL,
            "burials": base.BURIAL_TAIL,
            "buried": base.BURIED_COUNT,
            "due": base.DUE_TAIL,
            "events": base.EVENTS,
        }
        found = {
            name: (self.number(place) + 1) * self.columns[name].dtype.itemsize for name, place in used.items()
        }
        for name, held in (("postings", self.postings), ("ids", self.ids), ("digests", self.digests)):
            found[name] = held.slots.array.nbytes + held.before.array.nbytes
        return found
