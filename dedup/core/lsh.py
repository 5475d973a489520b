"""Banded locality-sensitive hashing of MinHash signatures: choosing bands and rows.

Two signatures become candidates when all rows of one band agree. With ``b`` bands of ``r`` rows this happens
with probability ``1 - (1 - s**r)**b`` for Jaccard similarity ``s``, the S-curve (Leskovec, Rajaraman and
Ullman, *Mining of Massive Datasets*, 3.4).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

#: Chance that a pair exactly at the threshold becomes a candidate through some band.
RECALL_AT_THRESHOLD: Final = 0.95


@dataclass(frozen=True, slots=True)
class Banding:
    """``bands`` bands of ``rows`` rows each; bands * rows <= permutations."""

    bands: int
    rows: int

    def probability(self, jaccard: float) -> float:
        """The S-curve: chance in [0, 1] that a pair of this Jaccard similarity shares a band."""
        return float(1.0 - (1.0 - jaccard**self.rows) ** self.bands)


#: No bands at all.
NO_BANDS: Final = Banding(0, 0)


@functools.cache
def choose(threshold: float, permutations: int) -> Banding:
    """The steepest S-curve that still reaches RECALL_AT_THRESHOLD at ``threshold``.

    More rows mean fewer chance candidates and more bands, that is postings; the number of bands is the least
    that keeps the recall, so that no posting is stored in vain.

    Raises:
        ValueError: threshold not in (0, 1], or no banding of so few permutations reaches the recall.
    """
    if not 0.0 < threshold <= 1.0:
        message = f"threshold must be in (0, 1], not {threshold}"
        raise ValueError(message)
    for rows in range(permutations, 0, -1):
        for bands in range(1, permutations // rows + 1):
            if Banding(bands, rows).probability(threshold) >= RECALL_AT_THRESHOLD:
                return Banding(bands, rows)
    message = f"no banding of {permutations} permutations reaches threshold {threshold}"
    raise ValueError(message)
