"""The dictionaries that a collection's records are compressed with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dedup.errors import StoreUnavailable
from dedup.store import keys

if TYPE_CHECKING:
    from dedup.store.codec import Codec
    from dedup.store.connection import Store


class Dictionaries:
    """Those of one collection."""

    def __init__(self, store: Store, name: str, epoch: str) -> None:
        self._store = store
        self._name = name
        self._epoch = epoch

    async def read(self, codec: Codec, number: int, *, missing: bool = False) -> bool:
        """Make a codec know a dictionary; whether there is one.

        Raises:
            StoreUnavailable: it is gone, where it may not be ``missing``.
        """
        raw = await self._store.call("GET", keys.dictionary(self._name, self._epoch, number))
        if raw is not None:
            codec.add(number, raw)
        elif not missing:
            message = f"dictionary {number} of collection {self._name!r} is gone from the store"
            raise StoreUnavailable(message)
        return raw is not None

    async def put(self, number: int, raw: bytes) -> None:
        """Store a dictionary; of several servers one is first. None is left of a collection that was deleted."""
        key = keys.dictionary(self._name, self._epoch, number)
        await self._store.call("SET", key, raw, "NX", "GET")
        made = await self._store.call("HGET", keys.own(self._name), "d")
        if made is None or not made.startswith(self._epoch.encode()):
            await self._store.call("UNLINK", key)
