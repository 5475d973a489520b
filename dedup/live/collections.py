"""Collections: creating, opening, describing and deleting them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from typing import TYPE_CHECKING, Final

from dedup.core.parameters import check_parameters
from dedup.errors import AlreadyExists, InvalidArgument, NotFound, ParametersMismatch, Reason
from dedup.live.listing import bad_token
from dedup.live.matching import TextCache
from dedup.live.open_collection import OpenCollection
from dedup.model import CollectionParameters, CollectionStatus, Page
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
        self._opened: dict[str, OpenCollection] = {}
        self._opening = asyncio.Lock()

    async def open_all(self) -> None:
        """Open every collection of the store: check its parameters, take up unfinished work.

        Raises:
            ParametersMismatch: one was built by a release that computes other postings.
        """
        for name in await self._registry.names():
            await self.get(name)

    async def find(self, name: str) -> OpenCollection | None:
        """An open collection, or None where it does not exist."""
        opened = self._opened.get(name)
        if opened is not None:
            return opened
        async with self._opening:
            if name in self._opened:
                return self._opened[name]
            if not await self._registry.has(name):
                return None
            return await self._open(name)

    async def get(self, name: str) -> OpenCollection:
        """An open collection; raises NotFound where it does not exist."""
        opened = await self.find(name)
        if opened is None:
            message = f"there is no collection {name!r}"
            raise NotFound(message, Reason.COLLECTION_NOT_FOUND, collection=name)
        return opened

    async def for_writing(self, name: str) -> OpenCollection:
        """An open collection, created with default parameters where it does not exist."""
        opened = self._opened.get(name) or await self.find(name)
        if opened is None:
            with contextlib.suppress(AlreadyExists):  # another writer was first
                await self.create(name, CollectionParameters())
            opened = await self.get(name)
        return opened

    async def create(self, name: str, parameters: CollectionParameters) -> None:
        """Create a collection; raises AlreadyExists or InvalidArgument."""
        if not _NAME.fullmatch(name):
            message = f"collection {name!r}: a name is 1 to 63 of a-z, 0-9, '-', '_', and begins with a letter or digit"
            raise InvalidArgument(message, field="collection", limit=63)
        check_parameters(parameters)
        if not await self._registry.create(name, parameters, time.time()):
            message = f"collection {name!r} exists"
            raise AlreadyExists(message, Reason.COLLECTION_EXISTS, collection=name)

    async def _open(self, name: str) -> OpenCollection:
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
        opened = OpenCollection.open(
            name,
            parameters,
            store=self._store,
            settings=self._settings,
            cache=self._cache,
            pool=self._pool,
        )
        self._opened[name] = opened
        return opened

    async def status(self, name: str) -> CollectionStatus:
        """A collection with its counters; raises NotFound."""
        opened = await self.get(name)
        registered = await self._registry.read(name)
        counts = await opened.index.counts()
        return CollectionStatus(
            name=name,
            parameters=opened.parameters,
            fingerprint=registered.fingerprint,
            articles=counts["articles"],
            texts=counts["texts"],
            clusters=counts["clusters"],
            stories=counts["stories"],
            pending=counts["pending"] + counts["recheck"] + counts["prune"] + counts["dead"],
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

    async def leave(self, opened: OpenCollection) -> None:
        """Close a collection that is no longer in the store, so that it is looked for anew."""
        if self._opened.get(opened.name) is opened:
            del self._opened[opened.name]
        await opened.stop()

    async def delete(self, name: str) -> None:
        """Remove a collection and all its keys; raises NotFound."""
        opened = await self.get(name)
        await self._registry.remove(name)
        await self.leave(opened)
        await self._registry.purge(name)

    async def close(self) -> None:
        """Stop all background work."""
        for opened in self._opened.values():
            await opened.stop()
