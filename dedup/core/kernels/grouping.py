"""Joining texts into clusters and clusters into stories, see :mod:`dedup.core.clustering`.

Groups are known by one of their members, the *label*, which every member has in ``label``; a joined group keeps the
label of its larger part. So a label and a size stand for the same members whenever they are met.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from dedup.core.kernels.hashing import mix

_S32 = np.uint64(32)


@nb.njit(cache=True, nogil=True)
def _join(label, size, following, x, y):
    """Join two groups, whose members are the cycles of ``following``; the label of both from now on."""
    if size[x] < size[y]:
        x, y = y, x
    at = y
    while True:
        label[at] = x
        at = following[at]
        if at == y:
            break
    following[x], following[y] = following[y], following[x]
    size[x] += size[y]
    return x


@nb.njit(cache=True, nogil=True)
def join_all(count, a, b):
    """Labels, int64 (count,), of the groups that edges between ``a`` and ``b``, int64 (edges,), make."""
    label = np.arange(count)
    size = np.ones(count, np.int64)
    following = np.arange(count)
    for e in range(a.size):
        if label[a[e]] != label[b[e]]:
            _join(label, size, following, label[a[e]], label[b[e]])
    return label


@nb.njit(cache=True, nogil=True)
def neighbors(count, a, b, a_share, b_share):
    """Edges by their ends: those of text i are at ``start[i]:start[i + 1]`` of other ends and own shares covered."""
    start = np.zeros(count + 1, np.int64)
    for e in range(a.size):
        start[a[e] + 1] += 1
        start[b[e] + 1] += 1
    for i in range(count):
        start[i + 1] += start[i]
    at = start[:count].copy()
    others = np.empty(2 * a.size, np.int64)
    shares = np.empty(2 * a.size, np.float64)
    for e in range(a.size):
        i, j = at[a[e]], at[b[e]]
        others[i], shares[i] = b[e], a_share[e]
        others[j], shares[j] = a[e], b_share[e]
        at[a[e]] += 1
        at[b[e]] += 1
    return start, others, shares


@nb.njit(cache=True, nogil=True)
def _held(text, least, label, start, others, shares):
    """Whether at least this share of a text stands in another member of its group."""
    for i in range(start[text], start[text + 1]):  # noqa: SIM110 - Numba knows no generators
        if shares[i] >= least and label[others[i]] == label[text]:
            return True
    return False


@nb.njit(cache=True, nogil=True)
def _enough(supporting, count, size, support, thin, label, start, others, shares):
    """Whether so many of a group's members support a merge; ``supporting`` are the first of them."""
    if 2 * count > size or count >= support:
        return True
    if 2 * count < size:
        return False
    for i in range(count):  # noqa: SIM110 - the same
        if not _held(supporting[i], thin, label, start, others, shares):
            return False
    return True


@nb.njit(cache=True, nogil=True)
def _supported(x, y, support, thin, label, size, following, start, others, shares, seen, mark):
    """Whether enough members of both groups have an edge to the other; ``seen`` gets ``mark`` where one was met."""
    if size[x] > size[y]:
        x, y = y, x
    few, many = np.empty(support, np.int64), np.empty(support, np.int64)
    of_x, of_y = 0, 0
    text = x
    while True:
        meets = False
        for i in range(start[text], start[text + 1]):
            other = others[i]
            if label[other] == y:
                meets = True
                if seen[other] != mark:
                    seen[other] = mark
                    if of_y < support:
                        many[of_y] = other
                    of_y += 1
        if meets:
            if of_x < support:
                few[of_x] = text
            of_x += 1
        text = following[text]
        if text == x:
            break
    return _enough(few, of_x, size[x], support, thin, label, start, others, shares) and _enough(
        many, of_y, size[y], support, thin, label, start, others, shares
    )


@nb.njit(cache=True, nogil=True)
def join_supported(
    groups, start, others, shares, a, b, a_share, b_share, support, hub_share, thin_share, covered
):
    """Labels after joining groups by edges, strongest first, that pass the merge test.

    ``groups`` int64 (texts,) are the labels so far; ``start``, ``others``, ``shares`` all edges that may join, from
    :func:`neighbors`; ``a``, ``b`` int64 the ends of those between groups, with the shares of them covered.
    An edge, or a pair of groups, that failed is not tried again before one of the groups has grown.
    """
    n = groups.size
    label = groups.copy()
    size = np.zeros(n, np.int64)
    following = np.arange(n)
    for i in range(n):
        size[label[i]] += 1
        if label[i] != i:
            following[i], following[label[i]] = following[label[i]], i
    seen = np.full(n, -1, np.int64)
    mark = 0
    waiting = np.arange(a.size)
    tried_x, tried_y = np.full(a.size, -1, np.int64), np.full(a.size, -1, np.int64)
    tried_size = np.zeros(a.size, np.int64)
    slots = 16
    while slots < 2 * a.size:
        slots *= 2
    pair_x, pair_y = np.full(slots, -1, np.int64), np.full(slots, -1, np.int64)
    pair_size = np.zeros(slots, np.int64)
    pairs = 0
    count, joined = a.size, True
    while joined:
        joined = False
        left = 0
        for w in range(count):
            e = waiting[w]
            x, y = label[a[e]], label[b[e]]
            if x == y:
                continue
            waiting[left] = e
            left += 1
            together = size[x] + size[y]  # with both labels it tells both sizes: groups only grow
            if tried_x[e] == x and tried_y[e] == y and tried_size[e] == together:
                continue
            tried_x[e], tried_y[e], tried_size[e] = x, y, together
            passes = together == 2
            if not passes and size[y] == 1 and b_share[e] >= covered:
                passes = _held(a[e], hub_share, label, start, others, shares)
            if not passes and size[x] == 1 and a_share[e] >= covered:
                passes = _held(b[e], hub_share, label, start, others, shares)
            if not passes:
                low, high = np.int64(min(x, y)), np.int64(max(x, y))
                at = np.int64(mix(np.uint64(low) << _S32 | np.uint64(high)) % np.uint64(slots))
                while pair_x[at] >= 0 and (pair_x[at] != low or pair_y[at] != high):
                    at = np.int64(at + 1 if at + 1 < slots else 0)
                if pair_x[at] < 0 or pair_size[at] != together:
                    if pair_x[at] < 0:
                        pairs += 1
                    pair_x[at], pair_y[at], pair_size[at] = low, high, together
                    # as groups grow there are ever new pairs; those of before may be forgotten
                    if 2 * pairs > slots:
                        pair_x[:] = -1
                        pairs = 0
                    passes = _supported(
                        x,
                        y,
                        support,
                        thin_share,
                        label,
                        size,
                        following,
                        start,
                        others,
                        shares,
                        seen,
                        mark,
                    )
                    mark += 1
            if passes:
                left -= 1
                _join(label, size, following, x, y)
                joined = True
        count = left
    return label


@nb.njit(cache=True, nogil=True)
def join_within(earliest, latest, a, b, longest):
    """Labels, int64 (groups,), after joining by edges in order while what is joined spans ``longest`` at most.

    ``earliest`` and ``latest`` float64 (groups,) are when each begins and ends; ``a``, ``b`` int64 (edges,).
    """
    n = earliest.size
    label = np.arange(n)
    size = np.ones(n, np.int64)
    following = np.arange(n)
    low, high = earliest.copy(), latest.copy()
    for e in range(a.size):
        x, y = label[a[e]], label[b[e]]
        if x == y:
            continue
        first, last = min(low[x], low[y]), max(high[x], high[y])
        if last - first <= longest:
            whole = _join(label, size, following, x, y)
            low[whole], high[whole] = first, last
    return label
