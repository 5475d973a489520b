"""Shared passages of two token sequences: greedy string tiling (Wise 1993).

A passage is a maximal run of equal tokens of at least ``MINIMUM_WORDS`` words. Passages are found longest
first (in words), ties by position in the first text, then in the second, and overlap in neither text. Time is linear in
the lengths of the texts: of every 6-token seed at most ``kernels.OCCURRENCES`` places are looked at in either
text, which only texts that repeat themselves dozens of times can tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dedup import kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dedup.text import Tokens

#: Shortest passage, in words; two characters of a script without spaces are one word.
MINIMUM_WORDS: Final = 6


def shared_passages(
    a: Tokens,
    b: Tokens,
    a_usable: NDArray[np.bool_] | None = None,
    b_usable: NDArray[np.bool_] | None = None,
) -> NDArray[np.int32]:
    """Rows (start in a, start in b, length), in tokens, ascending by start in a; shape (m, 3).

    ``a_usable`` and ``b_usable``, shape (tokens,), are False where a token may not be part of a passage.
    """
    if a_usable is None:
        a_usable = np.ones(len(a), np.bool_)
    if b_usable is None:
        b_usable = np.ones(len(b), np.bool_)
    rows: NDArray[np.int32] = kernels.passages(
        a.hashes, b.hashes, a_usable, b_usable, a.flags, 2 * MINIMUM_WORDS
    )
    return rows
