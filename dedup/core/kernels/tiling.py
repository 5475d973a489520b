"""Greedy string tiling of one text against many, see :mod:`dedup.core.align`.

A text comes as *units*: the hash of each token with its three lowest bits replaced by ``HALF`` and ``QUOTED`` of
:mod:`dedup.core.text` and ``BLOCKED``, which marks a token that may not be part of a passage.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from dedup.core.kernels.hashing import POLY, mix
from dedup.core.kernels.passages import measure

#: Occurrences of one 6-gram that alignment looks at, in either text: bounds its time on repetitive text.
OCCURRENCES = 32
#: A run of equal tokens shorter than this many tokens cannot be a passage.
SEED = 6

#: Length of the shingles that low-order evidence is made of.
TRIGRAM = 3

BLOCKED = 4
_BLOCKED = np.uint64(BLOCKED)
#: Bits of tokens that low-order evidence leaves out: quoted, or not to be part of a passage.
QUOTED_OR_BLOCKED = np.uint64(BLOCKED | 2)
#: How many of a unit's lowest bits are flags; those above are of the word.
FLAG_BITS = np.uint64(3)
_NONE = np.uint64(0)


@nb.njit(cache=True, nogil=True)
def units_of(hashes, flags, usable):
    """Tokens as units; in half words all of them, those that stand unquoted, those that are not usable."""
    out = np.empty(hashes.size, np.uint64)
    whole, unquoted, blocked = np.int64(0), np.int64(0), np.int64(0)
    for i in range(hashes.size):
        bits = flags[i] & 3
        half_words = 2 - np.int64(flags[i] & 1)
        whole += half_words
        if not flags[i] & 2:
            unquoted += half_words
        if not usable[i]:
            blocked += half_words
            bits |= BLOCKED
        out[i] = ((hashes[i] >> FLAG_BITS) << FLAG_BITS) | np.uint64(bits)
    return out, whole, unquoted, blocked


@nb.njit(cache=True, nogil=True, inline="always")
def _slots(entries):
    slots = 16
    while slots < 2 * entries:
        slots *= 2
    return slots


@nb.njit(cache=True, nogil=True, inline="always")
def _sieve_place(sieve, value):
    """Where a value is marked in a sieve, by other bits than its slot in a table."""
    return np.int64(value >> np.uint64(40)) & (sieve.size - 1)


@nb.njit(cache=True, nogil=True)
def _sieve(table):
    """Marks by which most values that a table does not hold are told from those it may hold, in one look."""
    out = np.zeros(8 * table.size, np.bool_)
    for i in range(table.size):
        if table[i] != _NONE:
            out[_sieve_place(out, table[i])] = True
    return out


@nb.njit(cache=True, nogil=True)
def _shingles(units, k, barred):
    """A hash of the k tokens from each position on, never 0; 0 where one of them has a bit that is ``barred``."""
    n = max(0, units.size - k + 1)
    out = np.zeros(n, np.uint64)
    if n == 0:
        return out
    top, s, last_barred = np.uint64(1), np.uint64(0), -1
    for i in range(k - 1):
        top *= POLY
        s = s * POLY + (units[i] >> FLAG_BITS)
        if units[i] & barred != _NONE:
            last_barred = i
    for i in range(n):
        last = i + k - 1
        s = s * POLY + (units[last] >> FLAG_BITS)
        if units[last] & barred != _NONE:
            last_barred = last
        if last_barred < i:
            h = mix(s)
            out[i] = h if h != _NONE else np.uint64(1)
        s -= (units[i] >> FLAG_BITS) * top
    return out


@nb.njit(cache=True, nogil=True)
def shingle_table(units, k, barred=_NONE):
    """The distinct k-shingles of a text in an open-addressing table (0: empty), and how many they are.

    Those that hold a token with a bit that is ``barred`` are left out.
    """
    every = _shingles(units, k, barred)
    table = np.zeros(_slots(every.size), np.uint64)
    mask = np.uint64(table.size - 1)
    distinct = 0
    for s in every:
        if s == _NONE:
            continue
        slot = s & mask
        while table[slot] != _NONE and table[slot] != s:
            slot = (slot + np.uint64(1)) & mask
        if table[slot] == _NONE:
            table[slot] = s
            distinct += 1
    return table, distinct


@nb.njit(cache=True, nogil=True)
def _common(table, sieve, stamps, stamp, units, k, barred):
    """How many distinct shingles of a text stand in a table; ``stamps`` remember which were counted."""
    mask = np.uint64(table.size - 1)
    found = 0
    for s in _shingles(units, k, barred):
        if s == _NONE or not sieve[_sieve_place(sieve, s)]:
            continue
        slot = s & mask
        while table[slot] != _NONE and table[slot] != s:
            slot = (slot + np.uint64(1)) & mask
        if table[slot] == s and stamps[slot] != stamp:
            stamps[slot] = stamp
            found += 1
    return found


@nb.njit(cache=True, nogil=True)
def _seed_table(seeds):
    """Positions of every seed, the first OCCURRENCES of each: keys and first position by slot, and the next one."""
    slots = _slots(seeds.size)
    mask = np.uint64(slots - 1)
    keys = np.zeros(slots, np.uint64)
    head = np.full(slots, -1, np.int32)
    following = np.full(seeds.size, -1, np.int32)
    seen = np.zeros(slots, np.int32)
    tail = np.empty(slots, np.int32)
    for i in range(seeds.size):
        s = seeds[i]
        if s == _NONE:
            continue
        slot = s & mask
        while keys[slot] != _NONE and keys[slot] != s:
            slot = (slot + np.uint64(1)) & mask
        if keys[slot] == _NONE:
            keys[slot] = s
            head[slot] = i
            tail[slot] = i
            seen[slot] = 1
        elif seen[slot] < OCCURRENCES:
            following[tail[slot]] = i
            tail[slot] = i
            seen[slot] += 1
    return keys, head, following


@nb.njit(cache=True, nogil=True, inline="always")
def _equal(a, b):
    """Whether two units are the same token and neither is blocked."""
    return (a ^ b) >> FLAG_BITS == _NONE and (a | b) & _BLOCKED == _NONE


@nb.njit(cache=True, nogil=True, inline="always")
def _half_words(units, start, stop):
    total = 2 * (stop - start)
    for i in range(start, stop):
        total -= np.int64(units[i] & np.uint64(1))
    return total


@nb.njit(cache=True, nogil=True)
def _grown(runs):
    larger = np.empty((runs.shape[0] * 2, runs.shape[1]), np.int32)
    larger[: runs.shape[0]] = runs
    return larger


@nb.njit(cache=True, nogil=True)
def _meeting_seeds(y, keys, sieve):
    """The positions of a text whose seeds stand in a table, and their slots."""
    seeds = _shingles(y, SEED, _BLOCKED)
    at, slots = np.empty(seeds.size, np.int32), np.empty(seeds.size, np.int32)
    mask = np.uint64(keys.size - 1)
    count = 0
    for j in range(seeds.size):
        s = seeds[j]
        if s == _NONE or not sieve[_sieve_place(sieve, s)]:
            continue
        slot = s & mask
        while keys[slot] != _NONE and keys[slot] != s:
            slot = (slot + np.uint64(1)) & mask
        if keys[slot] == s:
            at[count], slots[count] = j, slot
            count += 1
    return at, slots, count


@nb.njit(cache=True, nogil=True)
def _maximal_runs(x, y, at, slots, meeting, keys, head, following, x_first, least):
    """All maximal runs of equal tokens of at least ``least`` half words: rows (a, b, length, half words).

    The table is of x, which is text a if ``x_first`` and text b otherwise.
    """
    runs = np.empty((32, 4), np.int32)
    count = _fill_runs(runs, x, y, at, slots, meeting, keys, head, following, x_first, least)
    if count > runs.shape[0]:
        runs = np.empty((count, 4), np.int32)
        count = _fill_runs(runs, x, y, at, slots, meeting, keys, head, following, x_first, least)
    return runs, count


@nb.njit(cache=True, nogil=True)
def _fill_runs(runs, x, y, at, slots, meeting, keys, head, following, x_first, least):
    """How many maximal runs there are; as many of them are written as ``runs`` has room for.

    An array that is replaced by a larger one within the loop would make it three times slower.
    """
    count = 0
    asked = np.zeros(keys.size, np.uint8)
    covered = np.full(x.size + y.size + 1, -1, np.int32)
    for m in range(meeting):
        j, slot = at[m], slots[m]
        if asked[slot] >= OCCURRENCES:
            continue
        asked[slot] += 1
        i = head[slot]
        while i >= 0:
            diagonal = i - j + y.size
            if covered[diagonal] <= j:
                start_x, start_y = i, j
                while start_x > 0 and start_y > 0 and _equal(x[start_x - 1], y[start_y - 1]):
                    start_x -= 1
                    start_y -= 1
                stop_x, stop_y = i + SEED, j + SEED
                while stop_x < x.size and stop_y < y.size and _equal(x[stop_x], y[stop_y]):
                    stop_x += 1
                    stop_y += 1
                covered[diagonal] = stop_y
                half_words = _half_words(x, start_x, stop_x) if x_first else _half_words(y, start_y, stop_y)
                if half_words >= least:
                    if count < runs.shape[0]:
                        runs[count, 0] = start_x if x_first else start_y
                        runs[count, 1] = start_y if x_first else start_x
                        runs[count, 2], runs[count, 3] = stop_x - start_x, half_words
                    count += 1
            i = following[i]
    return count


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
def _tiles(a, b, runs, count, least):
    """Greedy string tiling: rows (start in a, start in b, length in tokens), ascending by start in a.

    Runs are taken longest first, ties by start in a, then in b; a run that lost tokens to a longer one is
    cut to what is left and takes its place again.
    """
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
                    found = _grown(found)
                found[n, 0], found[n, 1], found[n, 2] = i, j, length
                n += 1
                break
            half_words = _half_words(a, i + start, i + t)
            if t > start and half_words >= least:
                if count == runs.shape[0]:
                    runs = _grown(runs)
                if size + 1 >= heap.size:
                    longer = np.empty(2 * heap.size, np.int32)
                    longer[:size] = heap[:size]
                    heap = longer
                runs[count, 0], runs[count, 1] = i + start, j + start
                runs[count, 2], runs[count, 3] = t - start, half_words
                size = _heap_push(heap, size, runs, count)
                count += 1
    found = found[:n]
    return found[np.argsort(found[:, 0])]


@nb.njit(cache=True, nogil=True)
def _counting(units, k, barred):
    """A text's shingles made ready for :func:`_common`: table, stamps, sieve."""
    table, _ = shingle_table(units, k, barred)
    return table, np.full(table.size, -1, np.int32), _sieve(table)


@nb.njit(cache=True, nogil=True)
def compare(x, ys, bounds, x_first, least, quote_least, k, every):
    """One text against many: passages by greedy string tiling, and what they measure.

    ``ys`` are the units of all others, that of number c at ``bounds[c]:bounds[c + 1]``; ``x_first[c]`` tells that x is
    text a of the pair and the other text b. Shared shingles are counted where there is a passage, or
    for ``every`` pair; clear ones of ``TRIGRAM`` tokens only where there is a passage.
    Returns measures (pairs, 9), first six in half words: shared; quoted in either text; longest run quoted in neither;
    quoted in either, in passages of ``quote_least`` and more; quoted in both; longest run not quoted in both; then
    distinct shingles in both, those of ``TRIGRAM`` clear tokens in both, and passages. And of all passages, pair by
    pair, rows (start in a, start in b, length in tokens) with each one's half words and those quoted in either text.
    """
    pairs = x_first.size
    measures = np.zeros((pairs, 9), np.int64)
    rows = np.empty((max(16, 4 * pairs), 3), np.int32)
    each = np.empty((max(16, 4 * pairs), 2), np.int32)
    total = 0
    keys, head, following = _seed_table(_shingles(x, SEED, _BLOCKED))
    sieve = _sieve(keys)
    table, stamps, table_sieve = np.zeros(0, np.uint64), np.zeros(0, np.int32), sieve
    trigram_table, trigram_stamps, trigram_sieve = table, stamps, sieve
    for c in range(pairs):
        y = ys[bounds[c] : bounds[c + 1]]
        at, slots, meeting = _meeting_seeds(y, keys, sieve)
        count = 0
        if meeting > 0:  # most pairs that share a posting by chance do not get here
            runs, count = _maximal_runs(x, y, at, slots, meeting, keys, head, following, x_first[c], least)
        if count > 0:
            a, b = (x, y) if x_first[c] else (y, x)
            found = _tiles(a, b, runs, count, least)
            n = found.shape[0]
            while total + n > rows.shape[0]:
                rows, each = _grown(rows), _grown(each)
            rows[total : total + n] = found
            measure(found, a, b, quote_least, each[total : total + n], measures[c])
            measures[c, 8] = n
            total += n
        if count > 0 or every:
            if table.size == 0:
                table, stamps, table_sieve = _counting(x, k, _NONE)
                trigram_table, trigram_stamps, trigram_sieve = _counting(x, TRIGRAM, QUOTED_OR_BLOCKED)
            measures[c, 6] = _common(table, table_sieve, stamps, c, y, k, _NONE)
            if count > 0:
                measures[c, 7] = _common(
                    trigram_table, trigram_sieve, trigram_stamps, c, y, TRIGRAM, QUOTED_OR_BLOCKED
                )
    return measures, rows[:total].copy(), each[:total].copy()
