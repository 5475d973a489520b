"""The collections of one store: which there are, and what each was made with."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import orjson

from dedup.core.sketch import SketchParameters
from dedup.errors import ParametersMismatch
from dedup.model import CollectionParameters, Rules
from dedup.store import keys

if TYPE_CHECKING:
    from dedup.store.connection import Store


@dataclass(frozen=True, slots=True)
class Registered:
    """What a collection was made with, the fingerprint of the release that made it, and when: Unix seconds."""

    parameters: CollectionParameters
    fingerprint: str
    created: float


def fingerprint(parameters: CollectionParameters) -> str:
    """What an index built with these parameters by this release is known by."""
    return f"{SketchParameters.of(parameters).fingerprint()}-{keys.LAYOUT_VERSION}"


def _decode(raw: bytes) -> CollectionParameters:
    """Parameters as stored: what an older release did not know has its default, what this one does not is left out."""
    known = {f.name for f in fields(CollectionParameters)}
    values = {name: value for name, value in orjson.loads(raw).items() if name in known}
    of_rules = {f.name for f in fields(Rules)}
    rules = {name: value for name, value in values.pop("rules", {}).items() if name in of_rules}
    return CollectionParameters(**values, rules=Rules(**rules))


class Registry:
    """Reads and writes the list of collections."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def names(self) -> list[str]:
        """All collections, sorted."""
        return sorted(name.decode() for name in await self._store.call("SMEMBERS", keys.COLLECTIONS))

    async def has(self, name: str) -> bool:
        """Whether there is such a collection."""
        return bool(await self._store.call("SISMEMBER", keys.COLLECTIONS, name))

    async def create(self, name: str, parameters: CollectionParameters, now: float) -> bool:
        """Note a collection; False where there is one of this name."""
        meta = f"{keys.prefix(name)}m"
        described = orjson.dumps(asdict(parameters))
        first = await self._store.call("HSETNX", meta, "parameters", described)
        if not first and await self.has(name):
            return False
        await self._store.call("HSET", meta, "fingerprint", fingerprint(parameters), "created", repr(now))
        await self._store.call("SADD", keys.COLLECTIONS, name)
        return True

    async def read(self, name: str) -> Registered:
        """What a collection was made with.

        Raises:
            ParametersMismatch: nothing is noted about it.
        """
        raw, stored, created = await self._store.call(
            "HMGET", f"{keys.prefix(name)}m", "parameters", "fingerprint", "created"
        )
        if raw is None or stored is None or created is None:
            message = f"collection {name!r} has no parameters in the store"
            raise ParametersMismatch(message, collection=name)
        return Registered(parameters=_decode(raw), fingerprint=stored.decode(), created=float(created))

    async def remove(self, name: str) -> None:
        """Take a collection off the list."""
        await self._store.call("SREM", keys.COLLECTIONS, name)

    async def purge(self, name: str) -> None:
        """Remove all keys of a collection that is off the list."""
        cursor: int | bytes = 0
        while True:
            cursor, found = await self._store.call(
                "SCAN", cursor, "MATCH", f"{keys.prefix(name)}*", "COUNT", 1000
            )
            if found:
                await self._store.call("UNLINK", *found)
            if int(cursor) == 0:
                return
