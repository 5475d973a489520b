"""Blocks of a power of two words in an array, those given back kept by size for the next that needs one.

``free`` int64 (kinds, 40) holds the first free block of each size, the next one stands in its first words.
"""

from __future__ import annotations

import numpy as np

from dedup.state.kernels.base import jit

GROUPS, MEMBERS, TEXT_LISTS = 0, 1, 2
KINDS, SIZES = 3, 40


@jit
def size_class(words):
    """The exponent of the least power of two that is as large."""
    exponent = 0
    while (1 << exponent) < words:
        exponent += 1
    return exponent


@jit
def take(array, free, kind, meta, used, exponent):
    """A block of ``1 << exponent`` words; ``meta[used]`` counts the words in use. The array must be large enough.

    Blocks of one word are not given back, so none is smaller than two.
    """
    at = free[kind, exponent]
    if at > 0:
        free[kind, exponent] = np.int64(array[at])
        return at
    at = meta[used]
    meta[used] += np.int64(1) << exponent
    return at


@jit
def give_back(array, free, kind, at, exponent):
    """A block is free again."""
    array[at] = free[kind, exponent]
    free[kind, exponent] = at


@jit
def sort(numbers, count):
    """Sort the first ``count`` numbers (Shell 1959): few are sorted by insertion."""
    gap = 1
    while gap < count // 9:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, count):
            value = numbers[i]
            j = i
            while j >= gap and numbers[j - gap] > value:
                numbers[j] = numbers[j - gap]
                j -= gap
            numbers[j] = value
        gap //= 3
