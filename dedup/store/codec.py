"""Payloads of article records, compressed: zstandard frames (RFC 8878), with a dictionary of the collection's own.

Dictionaries are trained from a collection's articles when it has some, and a larger one when it has more, and lie in
the store under their numbers; a payload names the number of the one it was written with, 0 for none, in two bytes
before its frame. News in one language compresses by a tenth to a third better with the first, and faster, and by
another tenth with the second.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import zstandard

from dedup.errors import StoreUnavailable

_HEAD: Final = struct.Struct("<BH")
_FORMAT: Final = 1
_NONE: Final = 0


@dataclass(frozen=True, slots=True)
class Training:
    """A dictionary: from how many texts on it is trained, on how many, its bytes, the level to write with it."""

    texts: int
    samples: int
    size: int
    level: int


#: By number less one. With the first dictionary level 3 is the fastest; with the second, level 5 saves 5 % for 15 us.
TRAININGS: Final = (
    Training(texts=2000, samples=1000, size=65_536, level=3),
    Training(texts=8000, samples=2000, size=262_144, level=5),
)
#: Parameters of the trainer (COVER: Liao, Petri, Moffat and Wirth, WWW 2016). Its own search for them takes five
#: times as long and finds nothing better for news.
_SEGMENT: Final = 200
_DMER: Final = 8
#: Without a dictionary level 1 takes a third of the time of level 3 for 1 % more bytes.
_LEVEL_WITHOUT: Final = 1


def due(texts: int) -> int:
    """The number of the dictionary that a collection of so many texts should have, 0 for none."""
    return sum(texts >= training.texts for training in TRAININGS)


class UnknownDictionary(StoreUnavailable):
    """A payload was written with a dictionary that has not been read yet."""

    def __init__(self, number: int) -> None:
        super().__init__(f"dictionary {number} of the collection has not been read")
        self.number = number


def dictionary_of(packed: bytes) -> int:
    """The number of the dictionary that a payload was written with, 0 for none."""
    return int(_HEAD.unpack_from(packed)[1]) if len(packed) >= _HEAD.size else _NONE


class Codec:
    """Compresses and decompresses the payloads of one collection; from any thread."""

    def __init__(self) -> None:
        self._dictionaries: dict[int, zstandard.ZstdCompressionDict | None] = {_NONE: None}
        self._local = threading.local()
        self.current = _NONE

    def add(self, number: int, raw: bytes) -> None:
        """Remember a dictionary; the one with the highest number is written with."""
        self._dictionaries[number] = zstandard.ZstdCompressionDict(raw)
        self.current = max(self.current, number)

    def has(self, number: int) -> bool:
        """Whether a dictionary is known."""
        return number in self._dictionaries

    def encode(self, raw: bytes) -> bytes:
        """A payload as stored."""
        number = self.current
        held: tuple[int, zstandard.ZstdCompressor] | None = getattr(self._local, "compressor", None)
        if held is None or held[0] != number:  # making one costs more than using it
            level = TRAININGS[number - 1].level if number else _LEVEL_WITHOUT
            held = (number, zstandard.ZstdCompressor(level, dict_data=self._dictionaries[number]))
            self._local.compressor = held
        return _HEAD.pack(_FORMAT, number) + held[1].compress(raw)

    def decode(self, stored: bytes) -> bytes:
        """The payload behind :meth:`encode`.

        Raises:
            UnknownDictionary: its dictionary is yet to be read.
            StoreUnavailable: the bytes are not of a format this release reads.
        """
        if len(stored) < _HEAD.size or stored[0] != _FORMAT:
            message = "an article record has a format this release does not read"
            raise StoreUnavailable(message)
        _, number = _HEAD.unpack_from(stored)
        if number not in self._dictionaries:
            raise UnknownDictionary(number)
        held: dict[int, zstandard.ZstdDecompressor] | None = getattr(self._local, "decompressors", None)
        if held is None:
            held = self._local.decompressors = {}
        if number not in held:
            held[number] = zstandard.ZstdDecompressor(dict_data=self._dictionaries[number])
        return held[number].decompress(stored[_HEAD.size :])

    def train(self, stored: Iterable[bytes], size: int) -> bytes | None:
        """A dictionary of so many bytes for payloads like these; None where they are too few or too unlike."""
        samples: list[bytes | bytearray | memoryview] = [self.decode(payload) for payload in stored]
        try:
            return zstandard.train_dictionary(size, samples, k=_SEGMENT, d=_DMER).as_bytes()
        except zstandard.ZstdError:
            return None
