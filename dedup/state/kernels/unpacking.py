"""Postings as an entry has them, and as the fold takes them."""

from __future__ import annotations

import numpy as np

from dedup.state.kernels.base import jit

FINE, TOO_WIDE, NOT_ASCENDING = 0, 1, 2


@jit
def unpack(packed, ends, postings):
    """Write the postings of 6 bytes in ``packed`` uint8 (6 n,) to ``postings`` uint64 (n,); what is wrong with them.

    Those of article i end before ``ends[i + 1]``; they ascend and have 42 bits.
    """
    high = np.uint64(0)
    ascending = True
    for i in range(ends.size - 1):
        before = np.int64(-1)
        for j in range(ends[i], ends[i + 1]):
            posting = np.uint64(0)
            for k in range(6):
                posting |= np.uint64(packed[6 * j + k]) << np.uint64(8 * k)
            postings[j] = posting
            high |= posting
            ascending &= bool(np.int64(posting) > before)
            before = np.int64(posting)
    if high >> np.uint64(42) != 0:
        return TOO_WIDE
    return FINE if ascending else NOT_ASCENDING
