"""The compiled loops: code points to tokens, shingles, signatures, window minima, and alignment.

Everything here is a Numba function that releases the interpreter lock and is compiled once into a cache.
The callers in text, shingle, sketch and align document what is computed and where it comes from; nothing else in the
project is compiled. Conventions: integer arrays, C order, no Python objects, no exceptions.
"""

from __future__ import annotations

import numba as nb
import numpy as np

# Kinds of code points.
K_OTHER, K_WORD, K_CHARACTER, K_MARK, K_IGNORED, K_NEWLINE, K_SPACE, K_OPENING = range(8)

# Quotation marks. Those from Q_APOSTROPHE on are tracked apart: single quotations inside double ones.
(
    Q_NONE,
    Q_STRAIGHT,
    Q_LEFT,
    Q_RIGHT,
    Q_LOW,
    Q_GUILLEMET_LEFT,
    Q_GUILLEMET_RIGHT,
    Q_CORNER_LEFT,
    Q_CORNER_RIGHT,
    Q_WHITE_CORNER_LEFT,
    Q_WHITE_CORNER_RIGHT,
    Q_PRIME_LEFT,
    Q_PRIME_RIGHT,
    Q_APOSTROPHE,
    Q_SINGLE_LEFT,
    Q_SINGLE_RIGHT,
    Q_SINGLE_LOW,
    Q_ANGLE_LEFT,
    Q_ANGLE_RIGHT,
) = range(19)

_HALF, _QUOTED = np.uint8(1), np.uint8(2)
_FNV_OFFSET, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_MIX, _POLY = np.uint64(0xD6E8FEB86659FD93), np.uint64(0x9E3779B97F4A7C15)
_S32 = np.uint64(32)

# XXH32 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md)
_P1, _P2, _P3 = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D)
_P4, _P5 = np.uint32(0x27D4EB2F), np.uint32(0x165667B1)

#: Occurrences of one 6-gram that alignment looks at, in either text: bounds its time on repetitive text.
OCCURRENCES = 32
#: A run of equal tokens shorter than this many tokens cannot be a passage.
SEED = 6


@nb.njit(cache=True, nogil=True, inline="always")
def _mix(x):
    x ^= x >> _S32
    x *= _MIX
    x ^= x >> _S32
    x *= _MIX
    return x ^ (x >> _S32)


@nb.njit(cache=True, nogil=True, inline="always")
def _is_word(kind):
    return kind == K_WORD or kind == K_CHARACTER or kind == K_MARK


@nb.njit(cache=True, nogil=True)
def _next_kind(points, i, kinds):
    """Kind of the next visible code point after i; the end counts as a newline."""
    j = i + 1
    while j < points.size:
        k = kinds[points[j]]
        if k != K_IGNORED:
            return k
        j += 1
    return K_NEWLINE


@nb.njit(cache=True, nogil=True)
def _closes(opened, mark):
    if opened == Q_STRAIGHT:
        return mark == Q_STRAIGHT or mark == Q_RIGHT
    if opened == Q_LEFT:
        return mark == Q_RIGHT or mark == Q_STRAIGHT
    if opened == Q_LOW:
        return mark == Q_LEFT or mark == Q_RIGHT or mark == Q_STRAIGHT
    if opened == Q_RIGHT:
        return mark == Q_RIGHT
    if opened == Q_GUILLEMET_LEFT:
        return mark == Q_GUILLEMET_RIGHT
    if opened == Q_GUILLEMET_RIGHT:
        return mark == Q_GUILLEMET_LEFT or mark == Q_GUILLEMET_RIGHT
    if opened == Q_CORNER_LEFT:
        return mark == Q_CORNER_RIGHT
    if opened == Q_WHITE_CORNER_LEFT:
        return mark == Q_WHITE_CORNER_RIGHT
    if opened == Q_PRIME_LEFT:
        return mark == Q_PRIME_RIGHT
    return False


@nb.njit(cache=True, nogil=True)
def _opens(mark, opening, closing):
    if mark == Q_STRAIGHT or mark == Q_LEFT or mark == Q_GUILLEMET_LEFT:
        return not closing
    if mark == Q_RIGHT or mark == Q_GUILLEMET_RIGHT:
        return opening
    return mark == Q_LOW or mark == Q_CORNER_LEFT or mark == Q_WHITE_CORNER_LEFT or mark == Q_PRIME_LEFT


@nb.njit(cache=True, nogil=True)
def _single_closes(opened, mark):
    if opened == Q_APOSTROPHE:
        return mark == Q_APOSTROPHE or mark == Q_SINGLE_RIGHT
    if opened == Q_ANGLE_LEFT:
        return mark == Q_ANGLE_RIGHT
    return mark == Q_SINGLE_RIGHT or mark == Q_APOSTROPHE or (opened == Q_SINGLE_LOW and mark == Q_SINGLE_LEFT)


@nb.njit(cache=True, nogil=True)
def _quote(flags, first, last):
    for t in range(first, last):
        flags[t] |= _QUOTED


@nb.njit(cache=True, nogil=True)
def _double_mark(mark, opening, closing, state, tokens, flags):
    """Advance ``state`` = (open mark, token where it opened) of double quotations by one mark."""
    opened = state[0]
    if opened == Q_NONE:
        if _opens(mark, opening, closing):
            state[0], state[1] = mark, tokens
    elif mark == Q_STRAIGHT and opened == Q_STRAIGHT and opening and not closing:
        state[1] = tokens  # the mark before it was never closed
    elif _closes(opened, mark) or (opened == Q_LEFT and mark == Q_LEFT and closing):
        _quote(flags, state[1], tokens)
        state[0] = Q_NONE


@nb.njit(cache=True, nogil=True)
def _single_mark(mark, before, after, state, tokens, flags):
    """The same for single quotations, which share their marks with the apostrophe."""
    if mark <= Q_SINGLE_RIGHT and _is_word(before) and _is_word(after):
        return
    opened = state[0]
    if opened != Q_NONE and _single_closes(opened, mark) and before != K_SPACE and before != K_NEWLINE:
        _quote(flags, state[1], tokens)
        state[0] = Q_NONE
    elif mark == Q_SINGLE_LEFT or mark == Q_SINGLE_LOW or mark == Q_ANGLE_LEFT:
        state[0], state[1] = mark, tokens
    elif mark == Q_APOSTROPHE and not _is_word(before) and _is_word(after):
        state[0], state[1] = mark, tokens


@nb.njit(cache=True, nogil=True)
def _put_utf8(out, n, c):
    if c < 0x80:
        out[n] = c
        return n + 1
    if c < 0x800:
        out[n] = 0xC0 | (c >> 6)
        out[n + 1] = 0x80 | (c & 0x3F)
        return n + 2
    if c < 0x10000:
        out[n] = 0xE0 | (c >> 12)
        out[n + 1] = 0x80 | ((c >> 6) & 0x3F)
        out[n + 2] = 0x80 | (c & 0x3F)
        return n + 3
    out[n] = 0xF0 | (c >> 18)
    out[n + 1] = 0x80 | ((c >> 12) & 0x3F)
    out[n + 2] = 0x80 | ((c >> 6) & 0x3F)
    out[n + 3] = 0x80 | (c & 0x3F)
    return n + 4


@nb.njit(cache=True, nogil=True)
def _normal_size(points, kinds, fold_length):
    """Upper bounds: tokens, and bytes of the normal form."""
    tokens, size, inside, alone = 0, 1, False, False
    for i in range(points.size):
        k = kinds[points[i]]
        if _is_word(k):
            if not inside or (k != K_MARK and (alone or k == K_CHARACTER)):
                tokens += 1
                size += 1
                alone = k == K_CHARACTER
            inside = True
            size += 4 * fold_length[points[i]] if points[i] >= 0x80 else 1
        elif k != K_IGNORED:
            inside = False
    return tokens, size


@nb.njit(cache=True, nogil=True)
def tokenize(points, kinds, quotes, fold_start, fold_length, folded):
    """Tokens of a text given as code points; see :class:`dedup.text.Tokens` for what is returned."""
    most, size = _normal_size(points, kinds, fold_length)
    hashes = np.empty(most, np.uint64)
    starts = np.empty(most, np.int32)
    ends = np.empty(most, np.int32)
    flags = np.zeros(most + 1, np.uint8)
    utf8 = np.empty(size, np.uint8)
    byte_starts = np.empty(most, np.int32)
    byte_ends = np.empty(most, np.int32)
    double = np.zeros(2, np.int64)
    single = np.zeros(2, np.int64)
    n, size = 0, 0
    inside, alone = False, False
    h = _FNV_OFFSET
    before = K_NEWLINE
    for i in range(points.size):
        c = points[i]
        k = kinds[c]
        if k == K_IGNORED:
            continue
        if _is_word(k):
            if inside and k != K_MARK and (alone or k == K_CHARACTER):
                hashes[n - 1] = _mix(h)
                byte_ends[n - 1] = size
                inside = False
            if not inside:
                if fold_length[c] == 0:
                    before = k
                    continue
                if n > 0:
                    utf8[size] = 32
                    size += 1
                starts[n] = i
                byte_starts[n] = size
                flags[n] = _HALF if k == K_CHARACTER else np.uint8(0)
                n += 1
                h = _FNV_OFFSET
                inside, alone = True, k == K_CHARACTER
            first = fold_start[c]
            for j in range(first, first + fold_length[c]):
                h = (h ^ np.uint64(folded[j])) * _FNV_PRIME
                size = _put_utf8(utf8, size, folded[j])
            ends[n - 1] = i + 1
        else:
            if inside:
                hashes[n - 1] = _mix(h)
                byte_ends[n - 1] = size
                inside = False
            q = quotes[c]
            if k == K_NEWLINE:
                if double[0] != Q_NONE:
                    _quote(flags, double[1], n)
                double[0], single[0] = Q_NONE, Q_NONE
            elif q != Q_NONE:
                after = _next_kind(points, i, kinds)
                if q >= Q_APOSTROPHE:
                    _single_mark(q, before, after, single, n, flags)
                else:
                    blank = before == K_SPACE or before == K_NEWLINE
                    opening = (blank or before == K_OPENING) and after != K_SPACE and after != K_NEWLINE
                    closing = not blank and before != K_OPENING and not _is_word(after)
                    _double_mark(q, opening, closing, double, n, flags)
        before = k
    if inside:
        hashes[n - 1] = _mix(h)
        byte_ends[n - 1] = size
    if double[0] != Q_NONE:
        _quote(flags, double[1], n)
    return (
        hashes[:n].copy(),
        starts[:n].copy(),
        ends[:n].copy(),
        flags[:n].copy(),
        utf8[:size].copy(),
        byte_starts[:n].copy(),
        byte_ends[:n].copy(),
    )


@nb.njit(cache=True, nogil=True)
def shingles(tokens, k):
    """64-bit hashes of the word k-grams, shape (n - k + 1,), in order of position."""
    n = tokens.size - k + 1
    if n <= 0:
        return np.empty(0, np.uint64)
    out = np.empty(n, np.uint64)
    for i in range(n):
        s = np.uint64(k)
        for j in range(k):
            s = s * _POLY + tokens[i + j]
        out[i] = _mix(s)
    return out


@nb.njit(cache=True, nogil=True, inline="always")
def _rotl(x, r):
    return np.uint32((x << np.uint32(r)) | (x >> np.uint32(32 - r)))


@nb.njit(cache=True, nogil=True, inline="always")
def _u32(data, p):
    return np.uint32(
        np.uint32(data[p])
        | (np.uint32(data[p + 1]) << np.uint32(8))
        | (np.uint32(data[p + 2]) << np.uint32(16))
        | (np.uint32(data[p + 3]) << np.uint32(24))
    )


@nb.njit(cache=True, nogil=True)
def xxh32(data, start, end):
    """XXH32, seed 0, of ``data[start:end]``."""
    p = start
    if end - start >= 16:
        v1, v2, v3, v4 = np.uint32(_P1 + _P2), _P2, np.uint32(0), np.uint32(np.uint32(0) - _P1)
        while p <= end - 16:
            v1 = np.uint32(_rotl(np.uint32(v1 + np.uint32(_u32(data, p) * _P2)), 13) * _P1)
            v2 = np.uint32(_rotl(np.uint32(v2 + np.uint32(_u32(data, p + 4) * _P2)), 13) * _P1)
            v3 = np.uint32(_rotl(np.uint32(v3 + np.uint32(_u32(data, p + 8) * _P2)), 13) * _P1)
            v4 = np.uint32(_rotl(np.uint32(v4 + np.uint32(_u32(data, p + 12) * _P2)), 13) * _P1)
            p += 16
        h = np.uint32(_rotl(v1, 1) + _rotl(v2, 7) + _rotl(v3, 12) + _rotl(v4, 18))
    else:
        h = _P5
    h = np.uint32(h + np.uint32(end - start))
    while p + 4 <= end:
        h = np.uint32(_rotl(np.uint32(h + np.uint32(_u32(data, p) * _P3)), 17) * _P4)
        p += 4
    while p < end:
        h = np.uint32(_rotl(np.uint32(h + np.uint32(np.uint32(data[p]) * _P5)), 11) * _P1)
        p += 1
    h = np.uint32((h ^ (h >> np.uint32(15))) * _P2)
    h = np.uint32((h ^ (h >> np.uint32(13))) * _P3)
    return np.uint32(h ^ (h >> np.uint32(16)))


@nb.njit(cache=True, nogil=True)
def signature(utf8, byte_starts, byte_ends, first, k, a, b):
    """MinHash signature, shape (permutations,), of the word k-grams from token ``first`` on."""
    out = np.full(a.size, np.uint32(0xFFFFFFFF), np.uint32)
    for i in range(first, byte_starts.size - k + 1):
        x = xxh32(utf8, byte_starts[i], byte_ends[i + k - 1])
        x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
        x = np.uint32((x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
        x = np.uint32(x ^ (x >> np.uint32(16)))
        for j in range(a.size):
            v = np.uint32(a[j] * x + b[j])
            if v < out[j]:
                out[j] = v
    return out


@nb.njit(cache=True, nogil=True)
def window_minima(hashes, w):
    """Positions, ascending, of the rightmost minimum of every window of ``w`` hashes."""
    n = hashes.size
    keep = np.empty(n, np.int32)
    count, last = 0, -1
    for i in range(max(1, n - w + 1) if n > 0 else 0):
        stop = min(i + w, n)
        if last >= i:  # the minimum before still stands in the window: compare what came in
            best = last
            if hashes[stop - 1] <= hashes[best]:
                best = stop - 1
        else:
            best = i
            for j in range(i + 1, stop):
                if hashes[j] <= hashes[best]:
                    best = j
        if best != last:
            keep[count] = best
            count += 1
            last = best
    return keep[:count].copy()


@nb.njit(cache=True, nogil=True)
def band_keys(signature, bands, rows):
    """A 64-bit key of every band of a signature."""
    out = np.empty(bands, np.uint64)
    for band in range(bands):
        s = np.uint64(band + 1) * _POLY
        for row in range(rows):
            s = s * _POLY + np.uint64(signature[band * rows + row])
        out[band] = _mix(s)
    return out


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
            s = s * _POLY + tokens[i + j]
        s = _mix(s)
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
                runs[count, 0], runs[count, 1], runs[count, 2], runs[count, 3] = i + start, j + start, t - start, units
                size = _heap_push(heap, size, runs, count)
                count += 1
    found = found[:n]
    return found[np.argsort(found[:, 0])]


@nb.njit(cache=True, nogil=True)
def measure(rows, a_flags, b_flags, quote_least):
    """Half words: shared, quoted in both, longest unquoted run, quoted in passages of ``quote_least`` and more; then
    half words and quoted half words of every passage."""
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


@nb.njit(cache=True, nogil=True)
def _repeats(sources, days, count, source):
    """Whether ``source`` stands at least three times, on three days, more than five days apart."""
    total, distinct, low, high = 0, 0, 0, 0
    for i in range(count):
        if sources[i] != source:
            continue
        new = True
        for j in range(i):
            if sources[j] == source and days[j] == days[i]:
                new = False
        distinct += 1 if new else 0
        low = days[i] if total == 0 else min(low, days[i])
        high = days[i] if total == 0 else max(high, days[i])
        total += 1
    return total >= 3 and distinct >= 3 and high - low > 5


@nb.njit(cache=True, nogil=True)
def survey(lists, texts, sources, days, own, own_source, own_day, size, leaving):
    """Read posting lists: which are furniture, who may be compared, whose furniture changed.

    ``lists`` uint32 is a sequence of entries (index, e, m, moved, e eligible texts, m landmarks); ``texts``,
    ascending, with their sources and days are all texts in them that are alive; ``own`` is the asking text, which
    stands in no list of eligible texts. With ``leaving`` False the own text came in and ``moved`` is the landmark it
    pushed out; with True it went out and ``moved`` is the one that took its place.
    Returns furniture bool (size,), eligible bool (texts,), changes as rows (index, source).
    """
    furniture = np.zeros(size, np.bool_)
    eligible = np.zeros(texts.size, np.bool_)
    change_index = np.empty(2 * size, np.int32)
    change_source = np.empty(2 * size, np.uint64)
    changes = 0
    group = np.empty(64, np.int64)
    group_source = np.empty(64, np.uint64)
    group_day = np.empty(64, np.int32)
    p = 0
    while p < lists.size:
        index, e, m, moved = lists[p], lists[p + 1], lists[p + 2], lists[p + 3]
        p += 4
        first = p if m == 0 else p + e
        length = e if m == 0 else m
        if length + 2 > group.size:
            group = np.empty(2 * length + 2, np.int64)
            group_source = np.empty(2 * length + 2, np.uint64)
            group_day = np.empty(2 * length + 2, np.int32)
        count, own_inside = 0, m == 0
        for q in range(first, first + length):
            if lists[q] == own:
                own_inside = True
                continue
            at = np.searchsorted(texts, lists[q])
            if at < texts.size and texts[at] == lists[q]:
                group[count], group_source[count], group_day[count] = lists[q], sources[at], days[at]
                count += 1
        moved_at = np.searchsorted(texts, moved) if moved != 0 else texts.size
        if moved_at < texts.size and texts[moved_at] != moved:
            moved_at = texts.size
        others = count  # without the own text
        if own_inside and own != 0 and not leaving:
            group[count], group_source[count], group_day[count] = own, own_source, own_day
            count += 1
        mine = _repeats(group_source, group_day, count, own_source)
        furniture[index] = mine
        if own != 0 and (own_inside or leaving) and count >= 2:
            if leaving:
                group_source[count], group_day[count] = own_source, own_day
                was = _repeats(group_source, group_day, count + 1, own_source)
            else:
                was = _repeats(group_source, group_day, others, own_source)
                if moved_at < texts.size:
                    group_source[others], group_day[others] = sources[moved_at], days[moved_at]
                    was = _repeats(group_source, group_day, count, own_source)
                    before = _repeats(group_source, group_day, count, sources[moved_at])
                    group_source[others], group_day[others] = own_source, own_day
                    after = _repeats(group_source, group_day, count, sources[moved_at])
                    if before != after and sources[moved_at] != own_source:
                        change_index[changes], change_source[changes] = index, sources[moved_at]
                        changes += 1
            if was != mine:
                change_index[changes], change_source[changes] = index, own_source
                changes += 1
            if leaving and moved_at < texts.size and sources[moved_at] != own_source:
                change_index[changes], change_source[changes] = index, sources[moved_at]
                changes += 1
        for q in range(p, p + e):
            at = np.searchsorted(texts, lists[q])
            if at < texts.size and texts[at] == lists[q] and not eligible[at] and not mine:
                if count < 3 or not _repeats(group_source, group_day, count, sources[at]):
                    eligible[at] = True
        p += e + m
    return furniture, eligible, change_index[:changes].copy(), change_source[:changes].copy()


@nb.njit(cache=True, nogil=True)
def members(lists):
    """All texts named in posting lists, in order, with repetition."""
    out = np.empty(lists.size, np.uint32)
    n, p = 0, 0
    while p < lists.size:
        e, m, moved = lists[p + 1], lists[p + 2], lists[p + 3]
        p += 4
        if moved != 0:
            out[n] = moved
            n += 1
        for q in range(p, p + e + m):
            out[n] = lists[q]
            n += 1
        p += e + m
    return out[:n].copy()
