"""Bytes by place: in the memory of this process, or in a file that worker processes read and write too."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from typing import Protocol, Self


class Storage(Protocol):
    """Pieces of bytes, each at its place; whoever writes was given room there."""

    def write(self, at: int, pieces: Sequence[bytes]) -> None:
        """Put pieces one behind the other, the first at ``at``."""

    def read(self, at: int, size: int) -> bytes:
        """The piece of ``size`` bytes that was put at ``at``."""

    def forget(self, places: Iterable[int]) -> None:
        """Pieces that nobody will read again."""

    def close(self) -> None:
        """Let go of all."""


class Memory:
    """Pieces in this process."""

    def __init__(self) -> None:
        self._pieces: dict[int, bytes] = {}

    def write(self, at: int, pieces: Sequence[bytes]) -> None:
        """See :class:`Storage`."""
        for piece in pieces:
            self._pieces[at] = piece
            at += len(piece)

    def read(self, at: int, size: int) -> bytes:
        """See :class:`Storage`."""
        return self._pieces[at] if size else b""

    def forget(self, places: Iterable[int]) -> None:
        """See :class:`Storage`."""
        for at in places:
            self._pieces.pop(at, None)

    def close(self) -> None:
        """See :class:`Storage`."""
        self._pieces.clear()


class SharedFile:
    """Pieces in a file without a name, which ends with the last process that has it open.

    It lies in memory where the system has such files (Linux), else in the directory of temporary files. Space that was
    never written to takes no space.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def make(cls) -> Self:
        """A new, empty one."""
        if hasattr(os, "memfd_create"):
            return cls(os.memfd_create("dedup"))
        with tempfile.TemporaryFile(prefix="dedup-") as file:
            return cls(os.dup(file.fileno()))

    def write(self, at: int, pieces: Sequence[bytes]) -> None:
        """See :class:`Storage`. Raises OSError where there is no space left."""
        data = memoryview(b"".join(pieces))
        while data:
            try:
                written = os.pwrite(self.descriptor, data, at)
            except OSError as error:
                raise OSError(error.errno, error.strerror, "what workers share") from error
            data, at = data[written:], at + written

    def read(self, at: int, size: int) -> bytes:
        """See :class:`Storage`."""
        return os.pread(self.descriptor, size, at)

    def forget(self, places: Iterable[int]) -> None:
        """See :class:`Storage`: what stands there is written over."""

    def close(self) -> None:
        """See :class:`Storage`."""
        os.close(self.descriptor)
