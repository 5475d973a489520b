"""Shingles, MinHash signatures, window minima and band keys, see :mod:`dedup.core.sketch`."""

from __future__ import annotations

import numba as nb
import numpy as np

from dedup.core.kernels.hashing import POLY, mix

# XXH32 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md)
_P1, _P2, _P3 = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D)
_P4, _P5 = np.uint32(0x27D4EB2F), np.uint32(0x165667B1)
_1, _2, _3, _4 = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
_8, _12, _16 = np.uint64(8), np.uint64(12), np.uint64(16)
_TOP = np.uint64(1) << np.uint64(63)


@nb.njit(cache=True, nogil=True)
def shingles(tokens, k):
    """64-bit hashes of the word k-grams, shape (n - k + 1,), in order of position."""
    n = tokens.size - k + 1
    if n <= 0:
        return np.empty(0, np.uint64)
    out = np.empty(n, np.uint64)
    top, s = np.uint64(1), np.uint64(0)
    for i in range(k - 1):
        top *= POLY
        s = s * POLY + tokens[i]
    width = np.uint64(k) * top * POLY
    for i in range(n):
        s = s * POLY + tokens[i + k - 1]
        out[i] = mix(width + s)
        s -= tokens[i] * top
    return out


@nb.njit(cache=True, nogil=True, inline="always")
def _rotl(x, r):
    return np.uint32((x << np.uint32(r)) | (x >> np.uint32(32 - r)))


# Positions are unsigned in these two: with signed ones Numba looks at each whether it counts from the end.
@nb.njit(cache=True, nogil=True, inline="always")
def _u32(data, p):
    return np.uint32(
        np.uint32(data[p])
        | (np.uint32(data[p + _1]) << np.uint32(8))
        | (np.uint32(data[p + _2]) << np.uint32(16))
        | (np.uint32(data[p + _3]) << np.uint32(24))
    )


@nb.njit(cache=True, nogil=True, inline="always")
def xxh32(data, start, end):
    """XXH32, seed 0, of ``data[start:end]``."""
    p, stop = np.uint64(start), np.uint64(end)
    if p + _16 <= stop:
        v1, v2, v3, v4 = np.uint32(_P1 + _P2), _P2, np.uint32(0), np.uint32(np.uint32(0) - _P1)
        while p + _16 <= stop:
            v1 = np.uint32(_rotl(np.uint32(v1 + np.uint32(_u32(data, p) * _P2)), 13) * _P1)
            v2 = np.uint32(_rotl(np.uint32(v2 + np.uint32(_u32(data, p + _4) * _P2)), 13) * _P1)
            v3 = np.uint32(_rotl(np.uint32(v3 + np.uint32(_u32(data, p + _8) * _P2)), 13) * _P1)
            v4 = np.uint32(_rotl(np.uint32(v4 + np.uint32(_u32(data, p + _12) * _P2)), 13) * _P1)
            p += _16
        h = np.uint32(_rotl(v1, 1) + _rotl(v2, 7) + _rotl(v3, 12) + _rotl(v4, 18))
    else:
        h = _P5
    h = np.uint32(h + np.uint32(end - start))
    while p + _4 <= stop:
        h = np.uint32(_rotl(np.uint32(h + np.uint32(_u32(data, p) * _P3)), 17) * _P4)
        p += _4
    while p < stop:
        h = np.uint32(_rotl(np.uint32(h + np.uint32(np.uint32(data[p]) * _P5)), 11) * _P1)
        p += _1
    h = np.uint32((h ^ (h >> np.uint32(15))) * _P2)
    h = np.uint32((h ^ (h >> np.uint32(13))) * _P3)
    return np.uint32(h ^ (h >> np.uint32(16)))


@nb.njit(cache=True, nogil=True)
def signature(utf8, byte_starts, byte_ends, k, a, b):
    """MinHash signature, shape (permutations,), of the word k-grams."""
    n = max(0, byte_starts.size - k + 1) if a.size > 0 else 0
    hashes = np.empty(n, np.uint32)
    for i in range(n):
        x = xxh32(utf8, byte_starts[i], byte_ends[i + k - 1])
        x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
        x = np.uint32((x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
        hashes[i] = np.uint32(x ^ (x >> np.uint32(16)))
    out = np.empty(a.size, np.uint32)
    for j in range(a.size):
        least, factor, increment = np.uint32(0xFFFFFFFF), a[j], b[j]
        for i in range(n):  # compiled to vector instructions: one running minimum, no branch, no store
            least = min(least, np.uint32(factor * hashes[i] + increment))
        out[j] = least
    return out


@nb.njit(cache=True, nogil=True)
def prefer_open(shingle_hashes, tokens, k):
    """Shingle hashes in the order in which windows choose, in place: 63 bits of the hash below one bit of class.

    Of the first class, which windows choose first, are the shingles whose smallest token stands in their middle.
    """
    middle = k // 2
    ranks = np.empty(tokens.size, np.uint64)
    for i in range(tokens.size):
        ranks[i] = mix(tokens[i] ^ POLY)
    for i in range(shingle_hashes.size):
        least, j = ranks[i + middle], i
        while j < i + k and ranks[j] >= least:
            j += 1
        shingle_hashes[i] = (shingle_hashes[i] >> _1) | (np.uint64(0) if j == i + k else _TOP)


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
        s = np.uint64(band + 1) * POLY
        for row in range(rows):
            s = s * POLY + np.uint64(signature[band * rows + row])
        out[band] = mix(s)
    return out


@nb.njit(cache=True, nogil=True)
def sketch(hashes, utf8, byte_starts, byte_ends, k, a, b, window, bands, rows, dropped):
    """Everything the index keeps of a text, in one call.

    Returns the signature, (permutations,); the postings, distinct and ascending, which are the band keys and,
    with a ``context`` over 0, the window minima, without their lowest ``dropped`` bits; the minima themselves, so
    cut, by position; and their positions. Without permutations there is no signature, and there are no bands.
    """
    values = signature(utf8, byte_starts, byte_ends, k, a, b)
    every = shingles(hashes, k)
    prefer_open(every, hashes, k)
    positions = window_minima(every, window) if window > 0 else np.empty(0, np.int32)
    minima = np.empty(positions.size, np.uint64)
    for i in range(positions.size):
        minima[i] = every[positions[i]] << _1 >> dropped  # without the class, which the shingle decides
    found = np.empty(minima.size + (bands if every.size > 0 else 0), np.uint64)
    found[: minima.size] = minima
    if every.size > 0:
        found[minima.size :] = band_keys(values, bands, rows) >> dropped
    found.sort()
    count = 0
    for i in range(found.size):
        if count == 0 or found[i] != found[count - 1]:
            found[count] = found[i]
            count += 1
    return values, found[:count].copy(), minima, positions
