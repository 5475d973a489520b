"""Code points to tokens, see :mod:`dedup.core.text`."""

from __future__ import annotations

import numba as nb
import numpy as np

from dedup.core.kernels.hashing import mix
from dedup.core.kernels.quotation import (
    K_CHARACTER,
    K_IGNORED,
    K_MARK,
    K_NEWLINE,
    K_OPENING,
    K_SPACE,
    Q_APOSTROPHE,
    Q_NONE,
    double_mark,
    is_word,
    next_kind,
    quote,
    single_mark,
)

_HALF = np.uint8(1)
_SPACE = 0x20
_1, _8 = np.uint64(1), np.uint64(8)


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
def beyond_ascii(points, fold_length, doubtful):
    """Code points beyond ASCII, an upper bound for the bytes they fold to, and whether one of them is doubtful."""
    count, size, doubt = 0, np.int64(0), False
    for i in range(points.size):
        c = points[i]
        if c >= 0x80:
            count += 1
            size += np.int64(4) * np.int64(fold_length[c])
            doubt |= doubtful[c]
    return count, size, doubt


# Functions called for every token are inlined: a call counts the references to each of its arrays, up and down again.
@nb.njit(cache=True, nogil=True, inline="always")
def _ascii_run(points, i, letters, utf8, size):
    """Read ASCII letters and digits from i on, each of which folds to one: most of most texts.

    Returns the position of the last one and the bytes written so far.
    """
    at, stop, n = np.uint64(i), np.uint64(points.size), np.uint64(size)
    while at < stop and points[at] < 0x80 and letters[points[at]] != 0:
        utf8[n] = letters[points[at]]
        n += _1
        at += _1
    return np.int64(at) - 1, np.int64(n)


@nb.njit(cache=True, nogil=True, inline="always")
def _hash(utf8, start, end):
    """64-bit hash of ``utf8[start:end]``, read eight bytes at a time: seven beyond the end must be there."""
    at, stop, h = np.uint64(start), np.uint64(end), np.uint64(0)
    while at < stop:
        eight = np.uint64(0)
        for j in range(8):
            eight |= np.uint64(utf8[at + np.uint64(j)]) << np.uint64(8 * j)
        if stop - at < _8:
            eight &= (_1 << (_8 * (stop - at))) - _1
        h = mix(h ^ eight)
        at += _8
    return h


@nb.njit(cache=True, nogil=True)
def tokenize(points, others, size, kinds, quotes, letters, fold_start, fold_length, folded):
    """Tokens of a text given as code points; see :class:`dedup.core.text.Tokens` for what is returned.

    ``others`` and ``size`` are what :func:`beyond_ascii` says of it, ``letters`` what ASCII letters and digits fold to
    (0: neither). Starts, ends, byte starts and byte ends are the rows of one array.
    """
    most = (points.size - others) // 2 + 1 + others
    spans = np.empty((4, most), np.int32)
    starts, ends, byte_starts, byte_ends = spans[0], spans[1], spans[2], spans[3]
    flags = np.zeros(most + 1, np.uint8)
    utf8 = np.empty(size + points.size - others + most + 7, np.uint8)
    double = np.zeros(2, np.int64)
    single = np.zeros(2, np.int64)
    n, size = 0, 0
    inside, alone = False, False
    before = K_NEWLINE
    i = -1
    while i + 1 < points.size:
        i += 1
        c = points[i]
        k = kinds[c]
        if k == K_IGNORED:
            continue
        if is_word(k):
            if inside and k != K_MARK and (alone or k == K_CHARACTER):
                inside = False
            if not inside:
                if n > 0:
                    utf8[size] = _SPACE
                    size += 1
                starts[n] = i
                byte_starts[n] = size
                flags[n] = _HALF if k == K_CHARACTER else np.uint8(0)
                n += 1
                inside, alone = True, k == K_CHARACTER
            if c < 0x80:
                i, size = _ascii_run(points, i, letters, utf8, size)
            else:
                first = fold_start[c]
                for j in range(first, first + fold_length[c]):
                    size = _put_utf8(utf8, size, folded[j])
            ends[n - 1] = i + 1
            byte_ends[n - 1] = size
            if (
                i + 1 < points.size and points[i + 1] == _SPACE
            ):  # as after most words: all there is to do at once
                inside = False
                i += 1
                k = K_SPACE
        else:
            inside = False
            q = quotes[c]
            if k == K_NEWLINE:
                if double[0] != Q_NONE:
                    quote(flags, double[1], n)
                double[0], single[0] = Q_NONE, Q_NONE
            elif q != Q_NONE:
                after = next_kind(points, i, kinds)
                if q >= Q_APOSTROPHE:
                    single_mark(q, before, after, single, n, flags)
                else:
                    blank = before == K_SPACE or before == K_NEWLINE
                    opening = (blank or before == K_OPENING) and after != K_SPACE and after != K_NEWLINE
                    closing = not blank and before != K_OPENING and not is_word(after)
                    double_mark(q, opening, closing, double, n, flags)
        before = k
    if double[0] != Q_NONE:
        quote(flags, double[1], n)
    hashes = np.empty(n, np.uint64)
    for i in range(n):
        hashes[i] = _hash(utf8, byte_starts[i], byte_ends[i])
    return hashes, spans[:, :n].copy(), flags[:n].copy(), utf8[:size].copy()


@nb.njit(cache=True, nogil=True)
def spell(letters, letter_hashes):
    """Tokens of one letter each, uint8 (n,), written with a space between any two.

    Returns their hashes uint64 (n,), the bytes uint8 (2 n - 1,), and where each begins and ends, int32 (n,).
    """
    n = letters.size
    hashes = np.empty(n, np.uint64)
    utf8 = np.empty(max(0, 2 * n - 1), np.uint8)
    begins = np.empty(n, np.int32)
    ends = np.empty(n, np.int32)
    for i in range(n):
        hashes[i] = letter_hashes[letters[i]]
        utf8[2 * i] = letters[i]
        if i + 1 < n:
            utf8[2 * i + 1] = _SPACE
        begins[i] = 2 * i
        ends[i] = 2 * i + 1
    return hashes, utf8, begins, ends


@nb.njit(cache=True, nogil=True)
def runs(flags):
    """Flags of tokens, uint8 (n,), as runs: int64 rows of the flags and how many tokens in a row have them."""
    out = np.empty((flags.size, 2), np.int64)
    n = 0
    for i in range(flags.size):
        if n > 0 and out[n - 1, 0] == flags[i]:
            out[n - 1, 1] += 1
        else:
            out[n, 0], out[n, 1] = flags[i], 1
            n += 1
    return out[:n].copy()
