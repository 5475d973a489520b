"""Which words are evidence, see :mod:`dedup.core.candidates`."""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def usable(postings, minima, positions, boilerplate, tokens, k):
    """Which of so many tokens are no boilerplate, bool (tokens,).

    ``boilerplate`` bool (postings,) says which postings are. ``minima``, each of which is a posting, stand at
    ``positions``; one covers its k tokens, two neighbors all between them.
    """
    out = np.ones(tokens, np.bool_)
    stop = 0  # of the boilerplate so far, where the minimum before was some
    for i in range(positions.size):
        if not boilerplate[np.searchsorted(postings, minima[i])]:
            stop = 0
            continue
        start = positions[i]
        for t in range(stop if stop > 0 else start, min(start + k, tokens)):
            out[t] = False
        stop = start + k
    return out


@nb.njit(cache=True, nogil=True)
def unmasked(minima, positions, mask, tokens, k):
    """The same, where ``mask``, ascending, has the postings that are boilerplate."""
    out = np.ones(tokens, np.bool_)
    stop = 0
    for i in range(positions.size):
        at = np.searchsorted(mask, minima[i])
        if at == mask.size or mask[at] != minima[i]:
            stop = 0
            continue
        start = positions[i]
        for t in range(stop if stop > 0 else start, min(start + k, tokens)):
            out[t] = False
        stop = start + k
    return out
