"""Mixing of 64-bit values; shared by the other kernels."""

from __future__ import annotations

import numba as nb
import numpy as np

#: Multiplier of polynomial hashes over tokens.
POLY = np.uint64(0x9E3779B97F4A7C15)
_MIX, _S32 = np.uint64(0xD6E8FEB86659FD93), np.uint64(32)


@nb.njit(cache=True, nogil=True, inline="always")
def mix(x):
    """A bijection of 64 bits that spreads every bit over all others."""
    x ^= x >> _S32
    x *= _MIX
    x ^= x >> _S32
    x *= _MIX
    return x ^ (x >> _S32)
