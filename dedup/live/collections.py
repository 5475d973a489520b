"""Collections: creating, opening, describing and deleting them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from typing import TYPE_CHECKING, Final

import structlog

from dedup.core.parameters import check_parameters
from dedup.errors import (
    AlreadyExists,
    DedupError,
    InvalidArgument,
    NotFound,
    ParametersMismatch,
    Reason,
    StoreUnavailable,
)
from dedup.live.listing import bad_token
from dedup.live.open_collection import OpenCollection
from dedup.model import CollectionParameters, CollectionStatus, Page
from dedup.store.log import CollectionGone
from dedup.store.registry import Registry, fingerprint

if TYPE_CHECKING:
    from dedup.live.open_collection import Shared
    from dedup.store.registry import Registered

#: Seconds between looks at collections that nobody uses, and deletions that broke off.
_LOOK_SECONDS: Final = 30.0
#: Seconds that a call waits for a collection that is being opened.
_OPENING_SECONDS: Final = 20.0
#: Open collections beyond which those are closed that nobody used for so long, if they are read again in a second.
_OPEN: Final = 200
_IDLE_SECONDS: Final = 120.0
_SMALL_ARTICLES: Final = 10_000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
log = structlog.get_logger()


class Collections:
    """The collections of one store; each is opened when it is asked for, and kept."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._store = shared.store
        self._servers = shared.servers
        self._registry = Registry(shared.store)
        self._opened: dict[str, OpenCollection] = {}
        self._opening: dict[str, asyncio.Task[OpenCollection | None]] = {}
        self._under_way: dict[str, OpenCollection] = {}
        self._used: dict[str, float] = {}
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look after what nobody asks for."""
        self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(DedupError):
                await self._registry.purge_gone()
            await asyncio.sleep(_LOOK_SECONDS)
            await self._close_idle()

    async def _close_idle(self) -> None:
        """Close small collections that nobody used for long, where many are open."""
        before = time.monotonic() - _IDLE_SECONDS
        for name in sorted(self._opened, key=lambda name: self._used.get(name, 0.0)):
            opened = self._opened[name]
            if len(self._opened) <= _OPEN or self._used.get(name, 0.0) > before:
                return
            if opened.is_idle and opened.follower.collection.articles <= _SMALL_ARTICLES:
                await self.leave(opened)

    async def find(self, name: str) -> OpenCollection | None:
        """An open collection, or None where it does not exist."""
        self._used[name] = time.monotonic()
        opened = self._opened.get(name)
        if opened is not None and not opened.is_gone:
            return opened
        task = self._opening.get(name)
        if task is None:
            task = self._opening[name] = asyncio.create_task(self._open(name))
            task.add_done_callback(lambda _: self._opening.pop(name, None))
        try:
            async with asyncio.timeout(_OPENING_SECONDS):
                return await asyncio.shield(task)
        except TimeoutError:
            raise self._still_opening(name) from None

    def _still_opening(self, name: str) -> StoreUnavailable:
        """The error for a collection whose log is still being read, with how far that has come."""
        opening = self._under_way.get(name)
        done, of = (opening.follower.position, opening.follower.target) if opening is not None else (0, 0)
        share = f"{100 * done // of} %, " if of else ""
        message = (
            f"collection {name!r} is being opened: {share}{done:,} of {of:,} entries are read; try again"
        )
        return StoreUnavailable(message, collection=name)

    async def get(self, name: str) -> OpenCollection:
        """An open collection whose state holds what its log held when this was called; raises NotFound."""
        for _ in range(3):
            opened = await self.find(name)
            if opened is None:
                break
            try:
                await opened.ready()
            except CollectionGone as gone:  # deleted by another server, perhaps made again
                await self.leave(opened, gone)
            else:
                return opened
        message = f"there is no collection {name!r}"
        raise NotFound(message, Reason.COLLECTION_NOT_FOUND, collection=name)

    async def for_writing(self, name: str) -> OpenCollection:
        """An open collection, created with default parameters where it does not exist."""
        while True:
            opened = await self.find(name)
            if opened is not None:
                return opened
            with contextlib.suppress(AlreadyExists):  # another writer was first
                await self.create(name, CollectionParameters())

    async def create(self, name: str, parameters: CollectionParameters) -> None:
        """Create a collection; raises AlreadyExists or InvalidArgument."""
        if not _NAME.fullmatch(name):
            message = f"collection {name!r}: a name is 1 to 63 of a-z, 0-9, '-', '_', and begins with a letter or digit"
            raise InvalidArgument(message, field="collection", limit=63)
        check_parameters(parameters)
        if await self._registry.create(name, parameters, time.time()) is None:
            message = f"collection {name!r} exists"
            raise AlreadyExists(message, Reason.COLLECTION_EXISTS, collection=name)

    async def _open(self, name: str) -> OpenCollection | None:
        gone = self._opened.get(name)
        if gone is not None:
            await self.leave(gone)
        registered = await self._registry.read(name)
        if registered is None:
            return None
        self._check(name, registered)
        opened = OpenCollection(name, registered, self._shared)
        began = time.perf_counter()
        self._under_way[name] = opened
        try:
            await opened.open()
        except CollectionGone:
            await opened.stop()
            return None
        except BaseException:
            await opened.stop()
            raise
        finally:
            del self._under_way[name]
        self._opened[name] = opened
        log.info(
            "collection_opened",
            collection=name,
            entries=opened.follower.position,
            seconds=round(time.perf_counter() - began, 3),
        )
        return opened

    def _check(self, name: str, registered: Registered) -> None:
        computed = fingerprint(registered.parameters)
        if registered.fingerprint == computed:
            return
        message = (
            f"collection {name!r} was built with parameters {registered.fingerprint}, this server has {computed}: "
            "use the release that built it, or export and ingest it anew"
        )
        raise ParametersMismatch(message, collection=name, stored=registered.fingerprint, computed=computed)

    async def status(self, name: str) -> CollectionStatus:
        """A collection with its counters; raises NotFound."""
        known = self._opened.get(name)
        before = known.follower.position if known is not None else 0
        opened = await self.get(name)
        await opened.follower.steady()
        state, reader = opened.follower.collection, opened.follower.reader
        wrote = await opened.log.incarnations()
        alive = await self._servers.alive(i for i, last in wrote.items() if last is not None)
        await opened.follower.steady()
        clusters, stories = reader.counts()
        return CollectionStatus(
            name=name,
            parameters=opened.parameters,
            fingerprint=opened.registered.fingerprint,
            articles=state.articles,
            texts=state.texts,
            clusters=clusters,
            stories=stories,
            pending=state.undecided,
            dirty=state.due + state.waiting,
            store_memory_bytes=await self._store.memory_bytes(),
            created=opened.registered.created,
            position=state.position,
            lag=state.position - before if known is opened else 0,
            log_digest=state.log_digest(),
            content_digest=reader.content_digest(),
            servers=len(alive),
            acks=await self._store.acks(),
            fsync=await self._store.fsync(),
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

    async def leave(self, opened: OpenCollection, error: CollectionGone | None = None) -> None:
        """Close a collection that is no longer in the store, so that it is looked for anew."""
        if self._opened.get(opened.name) is opened:
            del self._opened[opened.name]
        await opened.stop(error)

    async def delete(self, name: str) -> None:
        """Remove a collection and all its keys; raises NotFound."""
        opened = await self.get(name)
        gone = CollectionGone("the collection was deleted meanwhile")
        await self._registry.delete(name, opened.registered.epoch)
        await self.leave(opened, gone)

    async def close(self) -> None:
        """Stop all background work."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        for task in list(self._opening.values()):
            task.cancel()
        for opened in list(self._opened.values()):
            await opened.stop()
