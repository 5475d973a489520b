"""Greedy string tiling and what is measured on it, see :mod:`dedup.align`."""

from __future__ import annotations

import numba as nb
import numpy as np

from dedup.kernels.hashing import POLY, mix

#: Occurrences of one 6-gram that alignment looks at, in either text: bounds its time on repetitive text.
OCCURRENCES = 32
#: A run of equal tokens shorter than this many tokens cannot be a passage.
SEED = 6


@nb.njit(cache=True, nogil=True)
def _seed_hashes(tokens, usable):
    """A hash of the SEED tokens from each position on; 0 where one of them cannot be used."""
    n = max(0, tokens.size - SEED + 1)
    out = np.zeros(n, np.uint64)
    blocked = -1
    for i in range(min(SEED - 1, tokens.size)):
        if not usable[i]:
            blocked = i
    for i in range(n):
        if not usable[i + SEED - 1]:
            blocked = i + SEED - 1
        if blocked >= i:
            continue
        s = np.uint64(SEED)
        for j in range(SEED):
            s = s * POLY + tokens[i + j]
        s = mix(s)
        out[i] = s if s != 0 else np.uint64(1)
    return out


@nb.njit(cache=True, nogil=True, inline="always")
def _heavier(runs, x, y):
    """Whether run x comes before run y: more half words, then earlier in a, then earlier in b."""
    if runs[x, 3] != runs[y, 3]:
        return runs[x, 3] > runs[y, 3]
    if runs[x, 0] != runs[y, 0]:
        return runs[x, 0] < runs[y, 0]
    return runs[x, 1] < runs[y, 1]


@nb.njit(cache=True, nogil=True)
def _heap_push(heap, size, runs, run):
    i = size
    heap[i] = run
    while i > 0:
        parent = (i - 1) >> 1
        if not _heavier(runs, heap[i], heap[parent]):
            break
        heap[i], heap[parent] = heap[parent], heap[i]
        i = parent
    return size + 1


@nb.njit(cache=True, nogil=True)
def _heap_pop(heap, size, runs):
    top = heap[0]
    size -= 1
    heap[0] = heap[size]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and _heavier(runs, heap[child + 1], heap[child]):
            child += 1
        if not _heavier(runs, heap[child], heap[i]):
            break
        heap[i], heap[child] = heap[child], heap[i]
        i = child
    return top, size


@nb.njit(cache=True, nogil=True)
def _grown(runs):
    larger = np.empty((runs.shape[0] * 2, 4), np.int32)
    larger[: runs.shape[0]] = runs
    return larger


@nb.njit(cache=True, nogil=True)
def _half_words(flags, start, stop):
    units = 2 * (stop - start)
    for i in range(start, stop):
        units -= flags[i] & 1
    return units


@nb.njit(cache=True, nogil=True)
def _maximal_runs(a, b, a_usable, b_usable, a_flags, least):
    """All maximal runs of equal usable tokens of at least ``least`` half words: rows (a, b, length, half words)."""
    runs = np.empty((64, 4), np.int32)
    count = 0
    a_seeds, b_seeds = _seed_hashes(a, a_usable), _seed_hashes(b, b_usable)
    slots = 16
    while slots < 2 * a_seeds.size:
        slots *= 2
    mask = np.uint64(slots - 1)
    head = np.full(slots, -1, np.int32)
    # head of the chain of positions by slot; seen counts occurrences of the same seed at its first position
    following = np.full(a_seeds.size, -1, np.int32)
    first_of = np.empty(a_seeds.size, np.int32)
    seen = np.zeros(a_seeds.size, np.int32)
    tail = np.empty(a_seeds.size, np.int32)
    asked = np.zeros(a_seeds.size, np.int32)
    for i in range(a_seeds.size):
        s = a_seeds[i]
        if s == 0:
            continue
        slot = s & mask
        while head[slot] >= 0 and a_seeds[head[slot]] != s:
            slot = (slot + np.uint64(1)) & mask
        if head[slot] < 0:
            head[slot] = i
            first_of[i] = i
            tail[i] = i
            seen[i] = 1
        else:
            first = head[slot]
            if seen[first] < OCCURRENCES:
                following[tail[first]] = i
                tail[first] = i
                seen[first] += 1
    covered = np.full(a.size + b.size + 1, -1, np.int32)
    for j in range(b_seeds.size):
        s = b_seeds[j]
        if s == 0:
            continue
        slot = s & mask
        while head[slot] >= 0 and a_seeds[head[slot]] != s:
            slot = (slot + np.uint64(1)) & mask
        first = head[slot]
        if first < 0 or asked[first] >= OCCURRENCES:
            continue
        asked[first] += 1
        i = first
        while i >= 0:
            diagonal = i - j + b.size
            if covered[diagonal] <= j:
                start_a, start_b = i, j
                while (
                    start_a > 0
                    and start_b > 0
                    and a[start_a - 1] == b[start_b - 1]
                    and a_usable[start_a - 1]
                    and b_usable[start_b - 1]
                ):
                    start_a -= 1
                    start_b -= 1
                stop_a, stop_b = i + SEED, j + SEED
                while (
                    stop_a < a.size
                    and stop_b < b.size
                    and a[stop_a] == b[stop_b]
                    and a_usable[stop_a]
                    and b_usable[stop_b]
                ):
                    stop_a += 1
                    stop_b += 1
                covered[diagonal] = stop_b
                units = _half_words(a_flags, start_a, stop_a)
                if units >= least:
                    if count == runs.shape[0]:
                        runs = _grown(runs)
                    runs[count, 0], runs[count, 1] = start_a, start_b
                    runs[count, 2], runs[count, 3] = stop_a - start_a, units
                    count += 1
            i = following[i]
    return runs, count


@nb.njit(cache=True, nogil=True)
def passages(a, b, a_usable, b_usable, a_flags, least):
    """Greedy string tiling: rows (start in a, start in b, length in tokens), ascending by start in a.

    Runs are taken longest first, ties by start in a, then in b; a run that lost tokens to a longer one is
    cut to what is left and takes its place again.
    """
    runs, count = _maximal_runs(a, b, a_usable, b_usable, a_flags, least)
    heap = np.empty(max(64, 2 * count), np.int32)
    size = 0
    for r in range(count):
        size = _heap_push(heap, size, runs, r)
    a_taken, b_taken = np.zeros(a.size, np.bool_), np.zeros(b.size, np.bool_)
    found = np.empty((16, 3), np.int32)
    n = 0
    while size > 0:
        run, size = _heap_pop(heap, size, runs)
        i, j, length = runs[run, 0], runs[run, 1], runs[run, 2]
        t = 0
        while t < length:
            while t < length and (a_taken[i + t] or b_taken[j + t]):
                t += 1
            start = t
            while t < length and not (a_taken[i + t] or b_taken[j + t]):
                t += 1
            if t - start == length:
                a_taken[i : i + length] = True
                b_taken[j : j + length] = True
                if n == found.shape[0]:
                    more = np.empty((2 * n, 3), np.int32)
                    more[:n] = found
                    found = more
                found[n, 0], found[n, 1], found[n, 2] = i, j, length
                n += 1
                break
            units = _half_words(a_flags, i + start, i + t)
            if t > start and units >= least:
                if count == runs.shape[0]:
                    runs = _grown(runs)
                if size + 1 >= heap.size:
                    longer = np.empty(2 * heap.size, np.int32)
                    longer[:size] = heap[:size]
                    heap = longer
                runs[count, 0], runs[count, 1], runs[count, 2], runs[count, 3] = (
                    i + start,
                    j + start,
                    t - start,
                    units,
                )
                size = _heap_push(heap, size, runs, count)
                count += 1
    found = found[:n]
    return found[np.argsort(found[:, 0])]


@nb.njit(cache=True, nogil=True)
def measure(rows, a_flags, b_flags, quote_least):
    """Lengths in half words.

    Returns shared, quoted in both, longest unquoted run, quoted in passages of ``quote_least`` and more; then half
    words and quoted half words of every passage.
    """
    shared, quoted, longest, spoken = 0, 0, 0, 0
    each = np.zeros((rows.shape[0], 2), np.int32)
    for r in range(rows.shape[0]):
        run = 0
        for t in range(rows[r, 2]):
            flag = a_flags[rows[r, 0] + t]
            units = 2 - (flag & 1)
            each[r, 0] += units
            if flag & b_flags[rows[r, 1] + t] & 2:
                each[r, 1] += units
                run = 0
            else:
                run += units
                longest = max(longest, run)
        shared += each[r, 0]
        quoted += each[r, 1]
        if each[r, 0] >= quote_least:
            spoken += each[r, 1]
    return shared, quoted, longest, spoken, each


@nb.njit(cache=True, nogil=True)
def intersection(x, y):
    """How many values two ascending arrays of distinct values share."""
    i, j, n = 0, 0, 0
    while i < x.size and j < y.size:
        if x[i] == y[j]:
            n += 1
            i += 1
            j += 1
        elif x[i] < y[j]:
            i += 1
        else:
            j += 1
    return n
