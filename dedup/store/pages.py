"""Records of articles, several on a page: written once, before the entry that names them, and read one by one.

A key for every record would cost a quarter of its size again. A page holds what a batch brings, up to a size that
allocators give without waste. The number of a record says where it lies, see :mod:`dedup.store.keys`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from dedup.errors import LimitExceeded
from dedup.store import keys
from dedup.store.failures import UnknownFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dedup.store.connection import Store
    from dedup.store.nodes import Argument

#: Bytes of a page at most: below a size class of jemalloc (40,960), with room for what the store adds. Of records of
#: 1,265 bytes, in batches of 100, one takes 1,316 bytes so; on pages of half the size 1,351.
PAGE_BYTES: Final = 40_944
#: What a record begins with: its format in the upper byte, and its length.
_HEAD: Final = struct.Struct("<I")
_FORMAT: Final = 1
_FORMAT_SHIFT: Final = 24
_UNIT: Final = keys.UNIT
#: Longest record that shares a page, with its head, and longest at all: bytes.
_LONGEST_SHARED: Final = keys.PLACE_MASK * _UNIT
LONGEST: Final = (1 << _FORMAT_SHIFT) - 1
#: Records and pages asked for in one round trip. A record alone on its page is large.
_CHUNK: Final = 200
_LARGE_CHUNK: Final = 8


def place_of(number: int) -> tuple[int, int, int]:
    """Page, first byte and bytes of a record; no bytes where it is all of its page."""
    place = number >> keys.PLACE_SHIFT & keys.PLACE_MASK
    return number >> keys.PAGE_SHIFT, place * _UNIT, (number & keys.PLACE_MASK) * _UNIT


class Records:
    """The records of one collection in one epoch."""

    def __init__(self, store: Store, name: str, epoch: str) -> None:
        self._store = store
        self._name = name
        self._epoch = epoch

    def _key(self, page: int) -> str:
        return keys.page(self._name, self._epoch, page)

    # -- writing -----------------------------------------------------------------------------------------

    @staticmethod
    def pages_of(payloads: Sequence[bytes]) -> list[tuple[list[int], bytes]]:
        """Payloads on pages: of each page which payloads stand on it, in order, and its bytes.

        Raises:
            LimitExceeded: a payload is longer than any record may be.
        """
        pages: list[tuple[list[int], list[bytes]]] = []
        size = PAGE_BYTES
        for index, payload in enumerate(payloads):
            if len(payload) > LONGEST:
                raise LimitExceeded(f"a record of {len(payload)} bytes is over the limit of {LONGEST}")
            record = _HEAD.pack(_FORMAT << _FORMAT_SHIFT | len(payload)) + payload
            record += bytes(-len(record) % _UNIT)
            if size + len(record) > PAGE_BYTES:
                pages.append(([], []))
                size = 0
            pages[-1][0].append(index)
            pages[-1][1].append(record)
            size += len(record)
        return [(indexes, b"".join(records)) for indexes, records in pages]

    @staticmethod
    def numbers(page: int, content: bytes) -> list[int]:
        """The numbers of the records on a page, in order."""
        found, at = [], 0
        while at < len(content):
            size = _HEAD.size + (_HEAD.unpack_from(content, at)[0] & LONGEST)
            size += -size % _UNIT
            if size > _LONGEST_SHARED:
                return [page << keys.PAGE_SHIFT]
            found.append(page << keys.PAGE_SHIFT | at // _UNIT << keys.PLACE_SHIFT | size // _UNIT)
            at += size
        return found

    async def write(self, pages: Sequence[tuple[int, bytes]]) -> list[bool]:
        """Write new pages; of each whether it was. A page that stands with the same bytes counts as written.

        In a cluster replicas have them then; elsewhere whoever waits for the entry waits for these.

        Raises:
            StoreUnavailable: the store does not answer or is full; some pages may have been written.
        """
        commands: list[tuple[Argument, ...]] = [
            ("SET", self._key(page), content, "NX", "GET") for page, content in pages
        ]
        answers = await self._store.pipeline(commands, acknowledged=self._store.is_cluster)
        return [found is None or found == content for found, (_, content) in zip(answers, pages, strict=True)]

    async def unlink(self, pages: Iterable[int]) -> None:
        """Remove pages that no entry names."""
        wanted = list(pages)
        for start in range(0, len(wanted), _CHUNK):
            await self._store.pipeline(
                [("UNLINK", self._key(page)) for page in wanted[start : start + _CHUNK]]
            )

    async def erase(self, numbers: Iterable[int]) -> None:
        """Overwrite records with zeros; a page without any other is removed. A store that is full does it, too.

        To be called on a state that is caught up with the log: a state that went astray may name what is not its own.
        """
        places: dict[int, list[int]] = {}
        alone = []
        for page, at, size in map(place_of, sorted(set(numbers))):
            if size:
                places.setdefault(page, []).extend((at, size))
            else:
                alone.append(page)
        calls: list[tuple[str, list[str], tuple[Argument, ...]]] = [
            ("append+oom", [self._key(page)], ("", "", "erase", *parts)) for page, parts in places.items()
        ]
        for start in range(0, len(calls), _CHUNK):
            for answer in await self._store.run_each(calls[start : start + _CHUNK], ordered=False):
                if isinstance(answer, Exception):
                    raise answer
        await self.unlink(alone)

    # -- reading -----------------------------------------------------------------------------------------

    async def read(self, numbers: Iterable[int]) -> dict[int, bytes | None]:
        """Payloads by number; None where a record is gone or lost.

        Raises:
            StoreUnavailable: the store does not answer.
            UnknownFormat: a record is of another release.
        """
        wanted = sorted(set(numbers))
        large = [number for number in wanted if not place_of(number)[2]]
        shared = [number for number in wanted if place_of(number)[2]]
        found: dict[int, bytes | None] = {}
        for part, chunk in ((shared, _CHUNK), (large, _LARGE_CHUNK)):
            for start in range(0, len(part), chunk):
                found |= await self._read(part[start : start + chunk])
        return {number: found[number] for number in wanted}

    async def _read(self, numbers: Sequence[int]) -> dict[int, bytes | None]:
        commands: list[tuple[Argument, ...]] = []
        for number in numbers:
            page, at, size = place_of(number)
            key = self._key(page)
            commands.append(("GETRANGE", key, at, at + size - 1) if size else ("GET", key))
        answers = await self._store.pipeline(commands)
        return {number: _payload(number, raw) for number, raw in zip(numbers, answers, strict=True)}


def _payload(number: int, raw: bytes | None) -> bytes | None:
    """The payload of a record; its zeros were checked by nobody: all of it is erased, or nothing."""
    if not raw or not any(raw[: _HEAD.size]):
        return None
    head = _HEAD.unpack_from(raw)[0] if len(raw) >= _HEAD.size else 0
    length = head & LONGEST
    if head >> _FORMAT_SHIFT != _FORMAT or not 0 <= len(raw) - _HEAD.size - length < _UNIT:
        raise UnknownFormat(f"record {number} has a format that this release does not read")
    return raw[_HEAD.size : _HEAD.size + length]
