"""Zstandard frames (RFC 8878) as a stream of bytes, in bounded memory.

Frames follow each other, skippable ones among them, as ``zstd``, ``pzstd`` and ``cat`` write them. Memory is bounded
twice. A frame may ask for a window of :data:`MAX_WINDOW_BYTES`. Four bytes of input give at most one block of
128 KiB, so a piece of :data:`_PIECE` gives at most 32 MiB.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO, Final

import zstandard

from dedup.errors import InvalidArticle

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: The first bytes of a frame, and of a skippable one.
MAGIC: Final = (b"\x28\xb5\x2f\xfd", *(bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60)))
#: Largest window of a frame: what ``zstd -d`` takes without being asked for more.
MAX_WINDOW_BYTES: Final = 128 * 1024 * 1024

_PIECE: Final = 1024
#: How the library says that a window is too large.
_TOO_MUCH: Final = "too much memory"


class ZstdReader(io.RawIOBase):
    """What frames hold; reading raises InvalidArticle where they are damaged or end too early."""

    def __init__(self, source: io.BufferedIOBase | BinaryIO) -> None:
        self._source = source
        self._frames = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._packed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """What is there now, so that lines come through a pipe as they are written; 0 at the end."""
        while not self._ready:
            if not self._packed and not self._fill():
                return 0
            self._unpack()
        view = memoryview(buffer)
        taken = self._ready[: len(view)]
        view[: len(taken)] = taken
        self._ready = self._ready[len(taken) :]
        return len(taken)

    def _fill(self) -> bool:
        source = self._source
        self._packed = source.read1(_PIECE) if isinstance(source, io.BufferedIOBase) else source.read(_PIECE)
        if not self._packed and self._frame is not None:
            raise _damaged("it ends within a frame")
        return bool(self._packed)

    def _unpack(self) -> None:
        frame = self._frame = self._frame or self._frames.decompressobj()
        try:
            self._ready = memoryview(frame.decompress(self._packed))
        except zstandard.ZstdError as error:
            reason = str(error).removeprefix("zstd decompressor error: ")
            if _TOO_MUCH in reason:
                raise InvalidArticle(
                    f"zstd data asks for a window of more than {MAX_WINDOW_BYTES} bytes, reading stops here"
                ) from error
            raise _damaged(reason[:1].lower() + reason[1:]) from error
        self._packed = frame.unused_data if frame.eof else b""
        if frame.eof:
            self._frame = None


def _damaged(reason: str) -> InvalidArticle:
    return InvalidArticle(f"damaged zstd data, reading stops here: {reason}")
