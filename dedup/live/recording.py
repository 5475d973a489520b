"""Records written before the entries that name them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import msgspec

from dedup.errors import StoreUnavailable
from dedup.observability import stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dedup.live.writer import Writer
    from dedup.store.log import Log
    from dedup.store.pages import Records

#: Pages reserved at a time.
_BLOCK: Final = 256


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """Where payloads were written: the number of each, the pages, and the incarnation that they were written under."""

    numbers: list[int]
    pages: list[int]
    incarnation: int


class Recorder:
    """Writes records of one collection."""

    def __init__(self, log: Log, records: Records, writer: Writer) -> None:
        self._log = log
        self._records = records
        self._writer = writer
        self._incarnation = 0
        self._next = self._stop = 0
        self._blocks: list[int] = []
        self._reserving = asyncio.Lock()

    async def write(self, payloads: Sequence[bytes]) -> Recorded:
        """Write payloads as new records.

        Raises:
            StoreUnavailable: the store does not answer or is full.
        """
        numbers = [0] * len(payloads)
        pages: list[int] = []
        incarnation = self._writer.incarnation
        with stage("record"):
            left = self._records.pages_of(payloads)
            while left:
                taken = await self._take(len(left), incarnation)
                written = await self._records.write(
                    [(page, content) for page, (_, content) in zip(taken, left, strict=True)]
                )
                rest = []
                for page, done, (places, content) in zip(taken, written, left, strict=True):
                    if not done:  # the page is somebody else's, of a tail that the store lost
                        rest.append((places, content))
                        continue
                    pages.append(page)
                    for index, number in zip(places, self._records.numbers(page, content), strict=True):
                        numbers[index] = number
                left = rest
        return Recorded(numbers, pages, incarnation)

    async def _take(self, count: int, incarnation: int) -> list[int]:
        """Page numbers that nobody else has."""
        async with self._reserving:
            if incarnation != self._incarnation:
                self._incarnation, self._next, self._stop = incarnation, 0, 0
                self._blocks.clear()
            if self._next + count > self._stop:
                size = max(_BLOCK, count)
                release = self._blocks[:-1]  # what was written into the last one may yet have to be named
                first = await self._log.reserve(incarnation, size, release)
                self._blocks = [*self._blocks[-1:], first]
                self._next, self._stop = first, first + size
            taken = list(range(self._next, self._next + count))
            self._next += count
            return taken

    async def discard(self, recorded: Recorded) -> None:
        """Remove records that no entry names."""
        with contextlib.suppress(StoreUnavailable):
            await self._records.unlink(recorded.pages)
