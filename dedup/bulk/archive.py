"""Articles kept in memory, compressed, under the numbers of their records."""

from __future__ import annotations

import threading
from typing import Final

import msgspec
import zstandard

from dedup.model import Article

_LEVEL: Final = 1


class _Kept(msgspec.Struct, array_like=True):
    headline: str
    body: str
    digest: bytes
    agencies: tuple[str, ...]


class Archive:
    """What is needed of each article once it has been prepared: its text, the digest of its body, who is credited."""

    def __init__(self) -> None:
        self._records: list[bytes] = [b""]
        self._own = threading.local()
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(_Kept).decode

    def __len__(self) -> int:
        return len(self._records) - 1

    def pack(self, article: Article, digest: bytes, agencies: tuple[str, ...]) -> bytes:
        """An article as it is kept."""
        kept = _Kept(headline=article.headline, body=article.body, digest=digest, agencies=agencies)
        packer: zstandard.ZstdCompressor | None = getattr(self._own, "packer", None)
        if packer is None:  # one may not be used by two threads
            packer = self._own.packer = zstandard.ZstdCompressor(level=_LEVEL)
        return packer.compress(self._encode(kept))

    def add(self, record: bytes) -> int:
        """Keep what :meth:`pack` made; the number of the record."""
        self._records.append(record)
        return len(self._records) - 1

    def _read(self, number: int) -> _Kept:
        unpacker: zstandard.ZstdDecompressor | None = getattr(self._own, "unpacker", None)
        if unpacker is None:
            unpacker = self._own.unpacker = zstandard.ZstdDecompressor()
        return self._decode(unpacker.decompress(self._records[number]))

    def text(self, number: int) -> tuple[str, str]:
        """Headline and body."""
        kept = self._read(number)
        return kept.headline, kept.body

    def digest(self, number: int) -> bytes:
        """The digest of the body."""
        return self._read(number).digest

    def described(self, number: int) -> tuple[bytes, tuple[str, ...]]:
        """The digest of the body, and the agencies credited."""
        kept = self._read(number)
        return kept.digest, kept.agencies
