"""The arrays of a collection's state: made small, grown without a pause, handed to the kernels."""

from __future__ import annotations

import os
from typing import Final

import numpy as np

from dedup.state.columns import Column
from dedup.state.entry_reading import Arrived
from dedup.state.kernels import arena, base, table

#: Share of its slots from which on a hash table grows, and by how much.
_FULL: Final = 0.8
_GROWTH: Final = 1.35
_SMALLEST: Final = 256
_FEW: Final = 1 << 16
_SPARE: Final = 64
#: Numbers below this fit into the slots of a small table, with room for what one entry brings.
_SMALL_NUMBERS: Final = (1 << 21) - (1 << 18)


class HashTable:
    """A table of :mod:`dedup.state.kernels.table` and the array that it grows out of."""

    def __init__(self, *, of_texts: bool) -> None:
        self.slots = Column(np.uint64)
        self.before = Column(np.uint64)
        self.meta = np.zeros(table.META_SIZE, np.int64)
        self.meta[table.BITS] = 22
        self._of_texts = of_texts

    def is_full(self, more: int, highest: int) -> bool:
        """Whether so many new keys, or numbers so high, need a larger array."""
        capacity = int(self.meta[table.CAPACITY])
        too_high = self.meta[table.BITS] == 22 and highest > _SMALL_NUMBERS
        return bool(self.meta[table.USED] + more > _FULL * capacity or too_high)

    def grow(self, more: int, highest: int) -> None:
        """Begin to grow, so that there is room for so many new keys. An earlier growth must have ended."""
        used = int(self.meta[table.USED]) + more
        capacity = max(_SMALLEST, int(used / _FULL * (_GROWTH if used > _FEW else 4)))
        if highest > _SMALL_NUMBERS:
            capacity = max(capacity, table.LARGE)
        self.before, self.slots = self.slots, Column(np.uint64)
        self.slots.reserve(capacity + min(table.SLACK, capacity))
        self.meta[table.OLD_CAPACITY] = self.meta[table.CAPACITY]
        self.meta[table.OLD_BITS] = self.meta[table.BITS]
        self.meta[table.CURSOR] = 0
        self.meta[table.CAPACITY] = capacity
        self.meta[table.BITS] = 22 if capacity < table.LARGE else 32

    def move(self, steps: int, dead: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> bool:
        """Move so many slots over; whether the growth has ended."""
        if self.meta[table.OLD_CAPACITY] > 0:
            table.advance(self.slots.array, self.before.array, self.meta, steps, dead, self._of_texts)
        if self.meta[table.OLD_CAPACITY] == 0:
            if len(self.before.array):
                self.before.clear()
            return True
        self.before.release(int(self.meta[table.CURSOR]))
        return False


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
        self.free = np.zeros((arena.KINDS, arena.SIZES), np.int64)
        self.columns = {
            name: Column(dtype)
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
                "due": np.uint32,
                "dirty": np.uint32,
                "late": np.uint32,
                "events": base.EVENT,
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

    def reserve_tables(self, postings: int, articles: int) -> bool:
        """Have room for so many new postings and articles; whether some table grows now."""
        grown = False
        highest = max(self.number(base.TEXTS) + articles, self.number(base.LISTS) + postings)
        needs = (
            (self.postings, postings, highest),
            (self.ids, articles, self.number(base.ARTICLES) + articles),
            (self.digests, articles, self.number(base.TEXTS) + articles),
        )
        for held, more, high in needs:
            if held.is_full(more, high):
                while not held.move(1 << 18, self.columns["dead"].array):
                    pass
                held.grow(more, high)
                grown = True
        if grown:
            self.tables = self._gather()
        return grown

    def move_tables(self, articles: int) -> None:
        """Go on with the growth of tables that kernels do not move, and let go of what has been moved."""
        if not any(len(held.before.array) for held in (self.postings, self.ids, self.digests)):
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
            "due": base.DUE_TAIL,
            "events": base.EVENTS,
        }
        found = {
            name: (self.number(place) + 1) * self.columns[name].dtype.itemsize for name, place in used.items()
        }
        for name, held in (("postings", self.postings), ("ids", self.ids), ("digests", self.digests)):
            found[name] = held.slots.array.nbytes + held.before.array.nbytes
        return found
