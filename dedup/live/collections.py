"""Collections: creating, opening, describing and deleting them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from typing import TYPE_CHECKING, Final

from dedup.core.clustering import SettlingRules
from dedup.core.parameters import check_parameters
from dedup.errors import AlreadyExists, InvalidArgument, NotFound, ParametersMismatch, Reason
from dedup.live.ingest import Ingest
from dedup.live.listing import bad_token
from dedup.live.matching import Matcher, TextCache
from dedup.live.room import Room
from dedup.live.settling import Settler
from dedup.live.sweeping import Sweeper
from dedup.model import CollectionParameters, CollectionStatus, Page
from dedup.store.redis_index import RedisIndex
from dedup.store.registry import Registry, fingerprint

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from dedup.config import Settings
    from dedup.store.connection import Store

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Collections:
    """The collections of one store; each is opened once and kept."""

    def __init__(self, store: Store, settings: Settings, pool: Executor, cache: TextCache) -> None:
        self._store = store
        self._registry = Registry(store)
        self._settings = settings
        self._pool = pool
        self._cache = cache
        self._rooms: dict[str, Room] = {}
        self._opening = asyncio.Lock()

    async def open_all(self) -> None:
        """Open every collection of the store: check its parameters, take up unfinished work.

        Raises:
            ParametersMismatch: one was built by a release that computes other postings.
        """
        for name in await self._registry.names():
            await self.get(name)

    async def find(self, name: str) -> Room | None:
        """An open collection, or None where it does not exist."""
        room = self._rooms.get(name)
        if room is not None:
            return room
        async with self._opening:
            if name in self._rooms:
                return self._rooms[name]
            if not await self._registry.has(name):
                return None
            return await self._open(name)

    async def get(self, name: str) -> Room:
        """An open collection; raises NotFound where it does not exist."""
        room = await self.find(name)
        if room is None:
            message = f"there is no collection {name!r}"
            raise NotFound(message, Reason.COLLECTION_NOT_FOUND, collection=name)
        return room

    async def for_writing(self, name: str) -> Room:
        """An open collection, created with default parameters where it does not exist."""
        room = self._rooms.get(name) or await self.find(name)
        if room is None:
            with contextlib.suppress(AlreadyExists):  # another writer was first
                await self.create(name, CollectionParameters())
            room = await self.get(name)
        return room

    async def create(self, name: str, parameters: CollectionParameters) -> None:
        """Create a collection; raises AlreadyExists or InvalidArgument."""
        if not _NAME.fullmatch(name):
            message = f"collection {name!r}: a name is 1 to 63 of a-z, 0-9, '-', '_', and begins with a letter or digit"
            raise InvalidArgument(message, field="collection", limit=63)
        check_parameters(parameters)
        if not await self._registry.create(name, parameters, time.time()):
            message = f"collection {name!r} exists"
            raise AlreadyExists(message, Reason.COLLECTION_EXISTS, collection=name)

    async def _open(self, name: str) -> Room:
        registered = await self._registry.read(name)
        parameters, stored = registered.parameters, registered.fingerprint
        if stored != fingerprint(parameters):
            message = (
                f"collection {name!r} was built with parameters {stored}, this server has {fingerprint(parameters)}: "
                "use the release that built it, or export and ingest it anew"
            )
            raise ParametersMismatch(
                message, collection=name, stored=stored, computed=fingerprint(parameters)
            )
        index = RedisIndex(self._store, name, parameters.landmarks)
        matcher = Matcher(index, parameters, self._cache, self._pool)
        room = Room(name, parameters, index, matcher)
        room.settler = Settler(index, SettlingRules(story_span=parameters.story_span_days * 86400.0))
        room.ingest = Ingest(
            room,
            self._pool,
            max_matches=self._settings.max_matches,
            settle_seconds=self._settings.settle_wait_milliseconds / 1000,
        )
        room.sweeper = Sweeper(
            index,
            parameters,
            matcher,
            self._settings.recovery_seconds,
            room.ingest.finish,
            room.settler.wake,
            lambda: room.ingest.running > 0,
        )
        room.settler.start()
        room.sweeper.start()
        room.settler.wake()
        room.sweeper.wake()
        self._rooms[name] = room
        return room

    async def status(self, name: str) -> CollectionStatus:
        """A collection with its counters; raises NotFound."""
        room = await self.get(name)
        registered = await self._registry.read(name)
        counts = await room.index.counts()
        return CollectionStatus(
            name=name,
            parameters=room.parameters,
            fingerprint=registered.fingerprint,
            articles=counts["articles"],
            texts=counts["texts"],
            clusters=counts["clusters"],
            stories=counts["stories"],
            pending=counts["pending"] + counts["recheck"] + counts["shrink"] + counts["dead"],
            dirty=counts["dirty"],
            store_memory_bytes=await self._store.memory_bytes(),
            created=registered.created,
        )

    async def list(self, page_size: int, page_token: str) -> Page[CollectionStatus]:
        """Collections by name; a token is the last name of its page."""
        if page_token and not _NAME.fullmatch(page_token):
            raise bad_token()
        names = [name for name in await self._registry.names() if name > page_token]
        items = []
        for name in names[:page_size]:
            with contextlib.suppress(NotFound):  # deleted in between
                items.append(await self.status(name))
        return Page(tuple(items), names[page_size - 1] if len(names) > page_size else "")

    async def leave(self, room: Room) -> None:
        """Close a collection that is no longer in the store, so that it is looked for anew."""
        if self._rooms.get(room.name) is room:
            del self._rooms[room.name]
        await room.settler.stop()
        await room.sweeper.stop()

    async def delete(self, name: str) -> None:
        """Remove a collection and all its keys; raises NotFound."""
        room = await self.get(name)
        await self._registry.remove(name)
        await self.leave(room)
        await self._registry.purge(name)

    async def close(self) -> None:
        """Stop all background work."""
        for room in self._rooms.values():
            await room.settler.stop()
            await room.sweeper.stop()
