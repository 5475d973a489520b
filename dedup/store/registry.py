"""The collections of one store: which there are, and what each was made with."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Final

import orjson

from dedup.core.sketch import SketchParameters
from dedup.errors import ParametersMismatch, StoreUnavailable
from dedup.model import CollectionParameters, Rules
from dedup.store import keys
from dedup.store.codec import TRAININGS
from dedup.store.failures import CollectionGone
from dedup.store.log import first_line

if TYPE_CHECKING:
    from dedup.store.connection import Store

#: Keys removed with one command each, in one round trip.
_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Registered:
    """What a collection was made with.

    ``fingerprint`` is that of the release that made it, ``epoch`` its own 16 hexadecimal digits, ``created`` in Unix
    seconds.
    """

    parameters: CollectionParameters
    fingerprint: str
    epoch: str
    created: float


def fingerprint(parameters: CollectionParameters) -> str:
    """What a collection made with these parameters by this release is known by."""
    return f"{SketchParameters.of(parameters).fingerprint()}-{keys.LAYOUT_VERSION}"


def _decode(raw: bytes) -> Registered:
    """As stored: a parameter that an older release did not know has its default, an unknown one is left out."""
    line, _, described = raw.partition(b"\n")
    epoch, _, known = line.decode().partition(":")
    stored = orjson.loads(described)
    names = {f.name for f in fields(CollectionParameters)}
    values = {name: value for name, value in stored["parameters"].items() if name in names}
    of_rules = {f.name for f in fields(Rules)}
    rules = {name: value for name, value in values.pop("rules", {}).items() if name in of_rules}
    return Registered(
        parameters=CollectionParameters(**values, rules=Rules(**rules)),
        fingerprint=known,
        epoch=epoch,
        created=float(stored["created"]),
    )


class Registry:
    """Creates, reads and deletes collections."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def names(self) -> list[str]:
        """All collections, sorted."""
        return sorted(name.decode() for name in await self._store.call("SMEMBERS", keys.COLLECTIONS))

    async def create(self, name: str, parameters: CollectionParameters, now: float) -> Registered | None:
        """Make a collection; None where there is one of this name."""
        epoch = secrets.token_hex(8)
        made = first_line(epoch, fingerprint(parameters)).encode() + orjson.dumps(
            {"parameters": asdict(parameters), "created": now}
        )
        first = await self._store.call("HSETNX", keys.own(name), "d", made)
        if not first and await self._store.call("HGET", keys.own(name), "d") != made:
            return None  # where it is ours the command was sent twice, as its first answer was lost
        await self._store.call("SADD", keys.COLLECTIONS, name)
        return _decode(made)

    async def read(self, name: str) -> Registered | None:
        """What a collection was made with; None where there is none.

        Raises:
            ParametersMismatch: there is one of a layout that this release does not have.
        """
        raw, listed = await self._store.pipeline(
            [("HGET", keys.own(name), "d"), ("SISMEMBER", keys.COLLECTIONS, name)]
        )
        if raw is not None:
            if not listed:  # its maker may have died before he listed it
                with contextlib.suppress(StoreUnavailable):  # the store may be full, or a replica
                    await self._store.call("SADD", keys.COLLECTIONS, name)
            return _decode(raw)
        if await self._store.call("EXISTS", keys.OLD_PARAMETERS.format(name=name)):
            message = (
                f"collection {name!r} was made by dedup before its log: this release cannot read it; "
                "export it with the release that made it, delete it, and ingest it anew"
            )
            raise ParametersMismatch(message, collection=name)
        return None

    async def delete(self, name: str, epoch: str) -> None:
        """Remove a collection of this epoch with everything in it; nothing happens where it is gone.

        What breaks off is finished by :meth:`purge_gone`.
        """
        registered = await self.read(name)
        if registered is not None and registered.epoch == epoch:
            line = first_line(epoch, registered.fingerprint)
            names = [keys.own(name), keys.gone(name, epoch), keys.all_gone(keys.tag(name))]
            with contextlib.suppress(CollectionGone):  # somebody else was first
                await self._store.run("append+oom", names, line, "0", "delete", f"{name}:{epoch}")
        await self._purge(name, epoch)

    async def purge_gone(self) -> None:
        """Go on with deletions that broke off."""
        found = await self._store.pipeline([("SMEMBERS", keys.all_gone(tag)) for tag in keys.tags()])
        for member in {each for members in found for each in members}:
            name, _, epoch = member.decode().rpartition(":")
            await self._purge(name, epoch)

    async def _purge(self, name: str, epoch: str) -> None:
        """Remove what is left of a deleted collection: its log, dictionaries and pages, then what names them."""
        await self._store.call("SREM", keys.COLLECTIONS, name)
        await self.read(name)  # made again: it is listed again
        own = keys.gone(name, epoch)
        last = int(await self._store.call("HGET", own, "g") or 0)
        wanted = [keys.log(name, epoch)]
        wanted += [keys.dictionary(name, epoch, n) for n in range(1, len(TRAININGS) + 1)]
        await self._store.pipeline([("UNLINK", key) for key in wanted])
        for start in range(1, last + 1, _CHUNK):
            pages = range(start, min(start + _CHUNK, last + 1))
            await self._store.pipeline([("UNLINK", keys.page(name, epoch, page)) for page in pages])
        await self._store.call("UNLINK", own)
        await self._store.call("SREM", keys.all_gone(keys.tag(name)), f"{name}:{epoch}")
