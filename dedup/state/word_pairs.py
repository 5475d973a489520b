"""The word pairs of a collection's texts: the tables of :mod:`dedup.state.kernels.word_pairs`, made and grown."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dedup.core.same_event import FIELD
from dedup.state.columns import Column
from dedup.state.entry_reading import Arrived
from dedup.state.kernels import arena, base, table, word_pairs
from dedup.state.kernels.arriving import CANCELED, CREATED, REPLACED
from dedup.state.tables import HashTable, State

#: Pairs that are put in or taken out in one slice.
_SLICE: Final = 4000
_SPARE: Final = 64


class WordPairs:
    """Who has which word pair; one a collection that was made for ``same_story``."""

    def __init__(self) -> None:
        self.meta = np.zeros(word_pairs.META_SIZE, np.int64)
        for words in (word_pairs.MEMBER_WORDS, word_pairs.SET_WORDS):
            self.meta[words] = 2  # 0 stands for no block
        self.free = np.zeros((2, arena.SIZES), np.int64)
        self.columns = {
            name: Column(dtype)
            for name, dtype in {
                "gone": np.uint8,
                "lists": word_pairs.PAIR_LIST,
                "members": np.uint32,
                "sets": word_pairs.PAIR_SET,
                "words": np.uint64,
                "of_text": np.uint32,
                "of_row": np.uint32,
            }.items()
        }
        self.slots = HashTable(of_texts=True)
        self._seen = 0
        self.tables = self._gather()

    def _gather(self) -> word_pairs.PairTables:
        return word_pairs.PairTables(
            slots=self.slots.slots.array,
            slots_before=self.slots.before.array,
            slots_meta=self.slots.meta,
            free=self.free,
            meta=self.meta,
            **{name: column.array for name, column in self.columns.items()},
        )

    def _reserve(self, wanted: dict[str, int]) -> None:
        short = [name for name, items in wanted.items() if items > len(self.columns[name].array)]
        if not short:
            return
        self.tables = None  # type: ignore[assignment]  # its arrays must not be held while columns move
        for name in short:
            self.columns[name].reserve(wanted[name])
        self.columns["gone"].array[1] = 2  # the place of nobody
        self.tables = self._gather()

    def _reserve_slots(self, pairs: int, highest: int) -> None:
        if not self.slots.is_full(pairs, highest):
            return
        while not self._move(1 << 18):
            pass
        self.slots.grow(pairs - int(self.meta[word_pairs.NOBODY]), highest)
        self.tables = self._gather()

    def _move(self, steps: int) -> bool:
        """Go on with the growth of the table; whether it has ended."""
        used = int(self.slots.meta[table.USED])
        ended = self.slots.move(steps, self.columns["gone"].array)
        self.meta[word_pairs.NOBODY] -= used - int(self.slots.meta[table.USED])
        return ended

    def add(self, state: State, e: Arrived, rows: NDArray[np.int64]) -> Generator[None]:
        """Versions have come with an entry: ``rows`` are theirs, 0 for an article that became no version."""
        texts, pairs = state.number(base.TEXTS), len(e.pairs)
        lists = int(self.meta[word_pairs.LISTS]) + pairs + 1
        self._reserve(
            {
                "gone": max(texts + 2, 2),
                "lists": lists,
                "members": int(self.meta[word_pairs.MEMBER_WORDS]) + 6 * pairs,
                "sets": int(self.meta[word_pairs.SETS]) + len(rows) + 1,
                "words": int(self.meta[word_pairs.SET_WORDS]) + 2 * pairs,
                "of_text": texts + 1,
                "of_row": state.number(base.ROWS) + 1,
            }
        )
        if not pairs:
            return
        self._reserve_slots(pairs, max(texts + 2, lists))
        i = 0
        while i < len(rows):
            i = word_pairs.add_each(state.tables, self.tables, rows, e.pairs, e.pairs_at, i, _SLICE)
            if i < 0:
                i = -1 - i
                needs = {"members": word_pairs.NEED_MEMBERS, "words": word_pairs.NEED_SETS}
                used = {"members": word_pairs.MEMBER_WORDS, "words": word_pairs.SET_WORDS}
                self._reserve(
                    {n: int(self.meta[used[n]]) + 2 * int(self.meta[needs[n]]) + _SPARE for n in needs}
                )
            yield
        if len(self.slots.before.array):
            self._move(0)
            self.tables = self._gather()

    def remove(self, state: State) -> Generator[None]:
        """Versions that the queue of burials has got since the last call are gone; called before it is tidied."""
        last = state.number(base.BURIAL_TAIL)
        while self._seen < last:
            self._seen = word_pairs.remove_each(state.tables, self.tables, self._seen, last, _SLICE)
            yield

    def tidied(self, state: State) -> None:
        """The queue of burials may have moved."""
        self._seen = state.number(base.BURIAL_TAIL)

    def candidates(self, state: State, postings: bytes, least: int, most: int) -> list[int]:
        """See :meth:`dedup.state.collection.Collection.same_event_candidates`."""
        wide = np.zeros((len(postings) // FIELD, 8), np.uint8)
        wide[:, :FIELD] = np.frombuffer(postings, np.uint8).reshape(-1, FIELD)
        asked = np.unique(wide.view("<u8").ravel())
        asked = asked[asked < 1 << 42]
        if most < 1:
            return []
        found = word_pairs.candidates(state.tables, self.tables, asked, max(1, least), most)
        return list(found.tolist())

    def nbytes(self) -> dict[str, int]:
        """Bytes in use, by array."""
        used = {
            "lists": word_pairs.LISTS,
            "members": word_pairs.MEMBER_WORDS,
            "sets": word_pairs.SETS,
            "words": word_pairs.SET_WORDS,
        }
        found = {
            f"pair_{name}": (int(self.meta[place]) + 1) * self.columns[name].dtype.itemsize
            for name, place in used.items()
        }
        for name in ("of_text", "of_row"):
            found[f"pairs_{name}"] = self.columns[name].array.nbytes
        found["pairs"] = self.slots.slots.array.nbytes + self.slots.before.array.nbytes
        return found


def rows_of_arrivals(outcomes: NDArray[np.int64], before: int) -> NDArray[np.int64]:
    """The row of each article of an entry, 0 where it became no version; ``before`` is the last row before it."""
    what = outcomes[:, 0]
    made = (what == CREATED) | (what == REPLACED)
    rows: NDArray[np.int64] = np.where(made, before + np.cumsum(made | (what == CANCELED)), 0)
    return rows
