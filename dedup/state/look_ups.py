"""Whom a text may be compared with, and what is boilerplate in it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dedup.state.kernels import asking, looking_up
from dedup.state.standing import Standing


class LookUps(Standing):
    """Look-ups of a state; none of them changes it."""

    def look_up(
        self, texts: Sequence[int], *, below: Sequence[bool] | None = None
    ) -> list[NDArray[np.int64]]:
        """The texts that each may be compared with now, ascending; with ``below`` only those that came before it."""
        wanted = np.array(texts, np.int64)
        only_below = np.zeros(len(wanted), np.bool_) if below is None else np.array(below, np.bool_)
        met_at = np.zeros(len(wanted) + 1, np.int64)
        i = 0
        while i < len(wanted):
            i = looking_up.look_up_each(self._state.tables, wanted, i, only_below, self._met, met_at)
            if i < len(wanted):
                self._met = np.concatenate(
                    [self._met, np.empty(len(self._met) + self.highest_text, np.int64)]
                )
        ends = met_at.tolist()
        return [self._met[a:b].copy() for a, b in pairwise(ends)]

    def look_up_late(self, article: int, text: int) -> NDArray[np.int64]:
        """The texts that an article's text might be compared with when it came, whatever has happened since."""
        met = np.empty(self.highest_text, np.int64)
        came = int(self._state.tables.articles[article]["asked"])
        count = looking_up.look_up_late(self._state.tables, text, came, met)
        return met[:count].copy()

    def look_up_unstored(
        self, *, digest: bytes, source: int, published: float, postings: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """The texts that a text would be compared with if it came now, ascending, and its boilerplate postings.

        Args:
            digest: of its body, 16 bytes.
            source: its outlet.
            published: in Unix seconds.
            postings: of 42 bits, ascending.
        """
        self._state.reserve({"texts": self.highest_text + 2, "dead": self.highest_text + 2})
        met = np.empty(self.highest_text + 1, np.int64)
        masked = np.zeros(len(postings), np.bool_)
        high, low = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")
        count = asking.look_up_unstored(
            self._state.tables,
            np.uint64(high),
            np.uint64(low),
            np.uint64(source),
            published,
            postings,
            met,
            masked,
        )
        return met[:count].copy(), postings[masked]

    def same_event_candidates(self, postings: bytes, least: int, most: int) -> list[int]:
        """The texts that share word pairs with one, those that share most first, then by digest.

        Of a pair that more texts have than :data:`~dedup.state.kernels.word_pairs.MOST`, those with the smallest
        digests are looked at.

        Args:
            postings: as :func:`dedup.core.same_event.fields` makes them.
            least: pairs that are shared at least.
            most: texts that are wanted at most.
        """
        if self._pairs is None:
            return []
        return self._pairs.candidates(self._state, postings, least, most)

    def masks(self, texts: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """How many postings of each text are boilerplate, and a number that names which (0: none)."""
        wanted = np.array(texts, np.int64)
        counts, names = np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.int64)
        looking_up.masks_of(self._state.tables, wanted, counts, names)
        return counts, names

    def mask(self, text: int) -> NDArray[np.uint64]:
        """The postings of a text that are boilerplate for it, ascending."""
        count = looking_up.mask_of(self._state.tables, text, np.empty(0, np.uint64))
        found = np.empty(count, np.uint64)
        looking_up.mask_of(self._state.tables, text, found)
        found.sort()
        return found
