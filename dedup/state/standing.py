"""What stands in a collection's state, and how much of it waits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dedup.model import CollectionParameters
from dedup.state.kernels import base
from dedup.state.tables import State
from dedup.state.word_pairs import WordPairs


class Standing:
    """The counters and digests of a state, and where it is kept."""

    def __init__(self, parameters: CollectionParameters) -> None:
        self.parameters = parameters
        self._state = State(landmarks=parameters.landmarks, window_days=parameters.match_window_days)
        self._pairs = WordPairs() if parameters.same_story else None
        self._met = np.empty(0, np.int64)

    @property
    def position(self) -> int:
        """Where the last entry folded stands, 0 before the first."""
        return self._state.number(base.POSITION)

    @property
    def articles(self) -> int:
        """Articles that stand."""
        return self._state.number(base.STANDING)

    @property
    def texts(self) -> int:
        """Texts that some article carries."""
        return self._state.number(base.LIVING)

    @property
    def edges(self) -> int:
        """Pairs of texts with a match."""
        return self._state.number(base.EDGE_COUNT)

    @property
    def due(self) -> int:
        """Texts that wait to be verified."""
        return self._state.number(base.DUE_COUNT)

    @property
    def undecided(self) -> int:
        """Articles that wait for their decision."""
        return self._state.number(base.UNDECIDED)

    @property
    def waiting(self) -> int:
        """Items of work that entries have left to later ones."""
        work = self._state.number(base.WORK_TAIL) - self._state.number(base.WORK_HEAD)
        burials = self._state.number(base.BURIAL_TAIL) - self._state.number(base.BURIAL_HEAD)
        return work + burials + self._state.number(base.LATE_COUNT)

    @property
    def highest_text(self) -> int:
        """The number of the last text that came."""
        return self._state.number(base.TEXTS)

    @property
    def highest_article(self) -> int:
        """The number of the last article that came."""
        return self._state.number(base.ARTICLES)

    @property
    def tables(self) -> base.Tables:
        """The arrays, for kernels; valid until the next entry."""
        return self._state.tables

    def number(self, place: int) -> int:
        """A counter."""
        return self._state.number(place)

    def content_sums(self) -> tuple[int, int]:
        """The content digest but for clusters and stories, see :mod:`dedup.state.reading`."""
        return int(self._state.sums[base.CONTENT]), int(self._state.sums[base.CONTENT_2])

    @property
    def is_settled(self) -> bool:
        """Whether nothing is due, undecided or waiting."""
        return not (self.due or self.undecided or self.waiting)

    def nbytes(self) -> dict[str, int]:
        """Bytes in use, by array."""
        return self._state.nbytes() | (self._pairs.nbytes() if self._pairs is not None else {})

    def log_digest(self) -> str:
        """16 hexadecimal digits of everything: equal wherever the same entries have been folded."""
        return f"{int(self._state.sums[base.LOG]):016x}"

    @property
    def erased_count(self) -> int:
        """How many records are gone for good."""
        return self.number(base.BURIED_COUNT)

    @property
    def late(self) -> int:
        """Texts of large components that wait for their events."""
        return self.number(base.LATE_COUNT)

    def erased_after(self, count: int) -> NDArray[np.uint64]:
        """The records that nobody will read any more, in the order in which they went, but for the first ones.

        They are those of versions that are out of all tables, or never were in one; of arrivals that became no version;
        and of versions that were healed.
        """
        done = self.number(base.BURIED_COUNT)
        found: NDArray[np.uint64] = self._state.tables.buried[count:done].copy()
        return found
