"""What is measured and read off the passages of two texts given as units, see :mod:`dedup.core.kernels.tiling`."""

from __future__ import annotations

import numba as nb
import numpy as np

_0, _QUOTED = np.uint64(0), np.uint64(2)
_HALF = np.uint8(1)


@nb.njit(cache=True, nogil=True)
def measure(rows, a, b, quote_least, each, measures):
    """Lengths in half words: of every passage and its quoted part, and over all of them, see ``compare`` in tiling."""
    shared, quoted, unquoted, quoted_in_long_passages = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    quoted_in_both, longest = np.int64(0), np.int64(0)
    for r in range(rows.shape[0]):
        plain_run, run, length, within = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
        for t in range(rows[r, 2]):
            first, second = a[rows[r, 0] + t], b[rows[r, 1] + t]
            half_words = 2 - np.int64(first & np.uint64(1))
            length += half_words
            plain_run += half_words
            run += half_words
            if (first | second) & _QUOTED != _0:
                within += half_words
                plain_run = np.int64(0)
            if first & second & _QUOTED != _0:
                quoted_in_both += half_words
                run = np.int64(0)
            unquoted, longest = max(unquoted, plain_run), max(longest, run)
        each[r, 0], each[r, 1] = length, within
        shared += length
        quoted += within
        if length >= quote_least:
            quoted_in_long_passages += within
    measures[0], measures[1], measures[2], measures[3] = shared, quoted, unquoted, quoted_in_long_passages
    measures[4], measures[5] = quoted_in_both, longest


@nb.njit(cache=True, nogil=True)
def mark(own, other, rows, mine, marks):
    """Mark the tokens of a text, whose positions are column ``mine`` of ``rows``: 1 copied, 2 quoted in either text."""
    for r in range(rows.shape[0]):
        i, j = rows[r, mine], rows[r, 1 - mine]
        for t in range(rows[r, 2]):
            quoted = (own[i + t] | other[j + t]) & _QUOTED != _0
            marks[i + t] |= np.uint8(2) if quoted else np.uint8(1)


@nb.njit(cache=True, nogil=True)
def length(flags, chosen):
    """Length in half words of the chosen tokens."""
    total = 0
    for i in range(flags.size):
        if chosen[i]:
            total += 1 if flags[i] & _HALF else 2
    return total


@nb.njit(cache=True, nogil=True)
def offsets(rows, each, mine, starts, ends, other_starts, other_ends):
    """Passages as answers give them, (passages, 6), ascending in the text whose positions are column ``mine``.

    Start and end in that text, start and end in the other one, in code points; words, quoted words.
    """
    out = np.empty((rows.shape[0], 6), np.int32)
    order = np.argsort(rows[:, mine])
    for n in range(rows.shape[0]):
        r = order[n]
        i, j, last = rows[r, mine], rows[r, 1 - mine], rows[r, 2] - 1
        out[n, 0], out[n, 1] = starts[i], ends[i + last]
        out[n, 2], out[n, 3] = other_starts[j], other_ends[j + last]
        out[n, 4], out[n, 5] = each[r, 0] // 2, each[r, 1] // 2
    return out
