"""Arrays that grow without being copied, so that no growth holds up whoever waits.

A column is a NumPy array of one dimension, all zero where nothing was written. A large one lies in anonymous memory of
its own: the system moves its pages to a larger range of addresses (``mremap``), which takes microseconds whatever its
size, and gives a page memory when it is first written to. So a capacity far beyond what is used costs nothing.
"""

from __future__ import annotations

import mmap
import sys
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

#: Bytes from which on a column lies in memory of its own.
_OWN: Final = 1 << 17
#: Anonymous memory that is not counted before it is written to (Linux: MAP_NORESERVE, which Python has no name for).
_PRIVATE: Final = (
    getattr(mmap, "MAP_PRIVATE", 0)
    | getattr(mmap, "MAP_ANONYMOUS", 0)
    | (0x4000 if sys.platform == "linux" else 0)
)


class Column:
    """A growing array of ``dtype``; ``array`` is valid until the next :meth:`reserve`."""

    __slots__ = ("_map", "array", "dtype")

    def __init__(self, dtype: Any, capacity: int = 0) -> None:
        self.dtype = np.dtype(dtype)
        self._map: mmap.mmap | None = None
        self.array: NDArray[Any] = np.zeros(capacity, self.dtype)

    def reserve(self, items: int) -> None:
        """Have room for at least so many items; what stands in the column stays."""
        have = len(self.array)
        if items <= have:
            return
        wanted = max(items, have + (have >> 1), 16)
        size = wanted * self.dtype.itemsize
        if size < _OWN or not _PRIVATE:
            grown = np.zeros(wanted, self.dtype)
            grown[:have] = self.array
            self.array = grown
            return
        size += -size % mmap.PAGESIZE
        if self._map is None:
            self._move(size)
        else:
            self.array = np.zeros(0, self.dtype)
            try:
                self._map.resize(size)
            except (
                BufferError,
                SystemError,
                OSError,
                ValueError,
            ):  # somebody holds the array, or no mremap here
                self.array = np.frombuffer(self._map, self.dtype)
                self._move(size)
                return
            self.array = np.frombuffer(self._map, self.dtype, size // self.dtype.itemsize)

    def _move(self, size: int) -> None:
        """Copy the column into new memory of so many bytes."""
        made = mmap.mmap(-1, size, flags=_PRIVATE)
        grown = np.frombuffer(made, self.dtype, size // self.dtype.itemsize)
        grown[: len(self.array)] = self.array
        self._map, self.array = made, grown

    def release(self, items: int) -> None:
        """Give the memory of the first items back; they are zero from then on."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            size = items * self.dtype.itemsize
            size -= size % mmap.PAGESIZE
            if size:
                self._map.madvise(mmap.MADV_DONTNEED, 0, size)

    def clear(self, capacity: int = 0) -> None:
        """Give all memory back."""
        self.array = np.zeros(capacity, self.dtype)
        self._map = None
