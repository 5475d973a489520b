"""The articles themselves: what is kept of them in the store, packed and read back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from dedup.store import payload
from dedup.store.codec import Codec, dictionary_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor

    from dedup.store.dictionaries import Dictionaries
    from dedup.store.pages import Records
    from dedup.store.payload import Kept


#: Records that were found lost and are remembered.
_LOST_KEPT: Final = 10_000


class Archive:
    """Reads the records of one collection."""

    def __init__(self, records: Records, dictionaries: Dictionaries, codec: Codec, pool: Executor) -> None:
        self.records = records
        self.codec = codec
        self._dictionaries = dictionaries
        self._pool = pool
        self._lost: dict[int, None] = {}

    def is_lost(self, number: int) -> bool:
        """Whether a record was looked for and not found; whoever delivers its article again heals it."""
        return number in self._lost

    async def packed(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """Records as stored, with the dictionaries at hand to open them; those that are gone are left out."""
        read = await self.records.read(sorted(set(numbers)))
        found = {n: raw for n, raw in read.items() if raw}
        for number, raw in read.items():
            if raw:
                self._lost.pop(number, None)
            else:
                self._lost[number] = None
        while len(self._lost) > _LOST_KEPT:
            self._lost.pop(next(iter(self._lost)))
        for dictionary in sorted({dictionary_of(raw) for raw in found.values()}):
            if not self.codec.has(dictionary):
                await self._dictionaries.read(self.codec, dictionary)
        return found

    async def kept(self, numbers: Iterable[int]) -> dict[int, Kept]:
        """Records read; those that are gone are left out."""
        packed = await self.packed(numbers)
        if len(packed) <= 8:
            return self._decode(packed)
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._decode, packed)

    def _decode(self, packed: dict[int, bytes]) -> dict[int, Kept]:
        return {number: payload.decode(raw, self.codec) for number, raw in packed.items()}
