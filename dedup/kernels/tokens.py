"""Code points to tokens, see :mod:`dedup.text`."""

from __future__ import annotations

import numba as nb
import numpy as np

from dedup.kernels.hashing import mix
from dedup.kernels.marks import (
    K_CHARACTER,
    K_IGNORED,
    K_MARK,
    K_NEWLINE,
    K_OPENING,
    K_SPACE,
    K_WORD,
    Q_APOSTROPHE,
    Q_NONE,
    double_mark,
    is_word,
    next_kind,
    quote,
    single_mark,
)

_HALF = np.uint8(1)
_FNV_OFFSET, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


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
        if is_word(k):
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
def _ascii_run(points, i, kinds, fold_start, folded, utf8, size, h):
    """Read ASCII letters and digits from i on, each of which folds to one: most of most texts.

    Returns the position of the last one, the bytes written so far, and the hash.
    """
    c = points[i]
    while True:
        letter = folded[fold_start[c]]
        h = (h ^ np.uint64(letter)) * _FNV_PRIME
        utf8[size] = letter
        size += 1
        if i + 1 == points.size:
            return i, size, h
        c = points[i + 1]
        if c >= 0x80 or kinds[c] != K_WORD:
            return i, size, h
        i += 1


@nb.njit(cache=True, nogil=True)
def tokenize(points, ascii_only, kinds, quotes, fold_start, fold_length, folded):
    """Tokens of a text given as code points; see :class:`dedup.text.Tokens` for what is returned."""
    most, size = points.size // 2 + 1, points.size + points.size // 2 + 2
    if not ascii_only:
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
    i = -1
    while i + 1 < points.size:
        i += 1
        c = points[i]
        k = kinds[c]
        if k == K_IGNORED:
            continue
        if is_word(k):
            if inside and k != K_MARK and (alone or k == K_CHARACTER):
                hashes[n - 1] = mix(h)
                byte_ends[n - 1] = size
                inside = False
            if not inside:
                if n > 0:
                    utf8[size] = 32
                    size += 1
                starts[n] = i
                byte_starts[n] = size
                flags[n] = _HALF if k == K_CHARACTER else np.uint8(0)
                n += 1
                h = _FNV_OFFSET
                inside, alone = True, k == K_CHARACTER
            if c < 0x80:
                i, size, h = _ascii_run(points, i, kinds, fold_start, folded, utf8, size, h)
            else:
                first = fold_start[c]
                for j in range(first, first + fold_length[c]):
                    h = (h ^ np.uint64(folded[j])) * _FNV_PRIME
                    size = _put_utf8(utf8, size, folded[j])
            ends[n - 1] = i + 1
        else:
            if inside:
                hashes[n - 1] = mix(h)
                byte_ends[n - 1] = size
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
    if inside:
        hashes[n - 1] = mix(h)
        byte_ends[n - 1] = size
    if double[0] != Q_NONE:
        quote(flags, double[1], n)
    return (
        hashes[:n].copy(),
        starts[:n].copy(),
        ends[:n].copy(),
        flags[:n].copy(),
        utf8[:size].copy(),
        byte_starts[:n].copy(),
        byte_ends[:n].copy(),
    )
