"""One collection as it is open in a server: what folds its log, reads it, writes to it, and does what is left."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from dedup.errors import DedupError, Reason, StoreUnavailable
from dedup.live.archive import Archive
from dedup.live.comparing import Comparer
from dedup.live.follower import Follower
from dedup.live.ingest import Ingest
from dedup.live.judging import Judge
from dedup.live.reading import Reading
from dedup.live.recording import Recorder
from dedup.live.training import Training
from dedup.live.unfinished import Unfinished
from dedup.live.writer import Writer
from dedup.store.codec import Codec
from dedup.store.dictionaries import Dictionaries
from dedup.store.log import CollectionGone, Log
from dedup.store.pages import Records

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from dedup.config import Settings
    from dedup.live.comparing import TextCache
    from dedup.live.incarnation import Incarnations
    from dedup.store.connection import Store
    from dedup.store.log import LogEntry
    from dedup.store.registry import Registered
    from dedup.store.servers import Servers
    from dedup.store.tail import Tail

#: Seconds before reading a log that diverged is tried again.
_AGAIN_SECONDS: Final = 0.5
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all collections of a server have in common."""

    store: Store
    tail: Tail
    servers: Servers
    incarnations: Incarnations
    settings: Settings
    cache: TextCache
    pool: Executor


class OpenCollection:
    """Everything that a collection needs at run time."""

    def __init__(self, name: str, registered: Registered, shared: Shared) -> None:
        parameters, store, pool = registered.parameters, shared.store, shared.pool
        self.name = name
        self.registered = registered
        self.parameters = parameters
        self.log = Log(store, name, registered.epoch, registered.fingerprint)
        self._tail = shared.tail
        self.follower = Follower(self.log, name, parameters)
        self.writer = Writer(self.log, self.follower, name, shared.incarnations)
        records, codec = Records(store, name, registered.epoch), Codec()
        dictionaries = Dictionaries(store, name, registered.epoch)
        self.archive = Archive(records, dictionaries, codec, pool)
        comparer = Comparer(self.follower, self.archive, parameters, shared.cache, pool)
        self.judge = Judge(self.follower, self.writer, comparer)
        self.reading = Reading(
            name=name,
            follower=self.follower,
            archive=self.archive,
            comparer=comparer,
            parameters=parameters,
        )
        self.unfinished = Unfinished(
            name=name,
            follower=self.follower,
            writer=self.writer,
            judge=self.judge,
            log=self.log,
            records=records,
            servers=shared.servers,
            incarnations=shared.incarnations,
            sole=shared.settings.only_server,
        )
        self.ingest = Ingest(
            follower=self.follower,
            writer=self.writer,
            recorder=Recorder(self.log, records, self.writer),
            comparer=comparer,
            judge=self.judge,
            unfinished=self.unfinished,
            reading=self.reading,
            codec=codec,
            parameters=parameters,
            pool=pool,
            max_matches=shared.settings.max_matches,
            settle_seconds=shared.settings.settle_wait_milliseconds / 1000,
        )
        self._training = Training(
            follower=self.follower, archive=self.archive, dictionaries=dictionaries, codec=codec
        )
        self._reopening: asyncio.Task[None] | None = None
        self._following = False
        self._gone: DedupError | None = None

    async def open(self) -> None:
        """Fold the log, then follow it and take up what is left to do.

        Raises:
            InvalidEntry: this release cannot fold an entry.
            StoreUnavailable: the store does not answer.
        """
        await self._training.read()
        await self.follower.read_all()
        self._follow()
        self.follower.listen(self._after_fold)
        self.unfinished.start()
        self._training.start()

    def _follow(self) -> None:
        self._following = True
        self._tail.follow(self.log, self.follower.position, self._told)

    def _told(self, entries: list[LogEntry] | None) -> None:
        """Entries that came, or None: the connection was lost and is back, or the collection is gone."""
        if entries is None:
            self._start(self._check())
        else:
            self.follower.feed(entries)

    def _after_fold(self) -> None:
        """Where the state was dropped, read the log again."""
        if self.follower.position == 0 and self._following and self.follower.generation:
            self._following = False
            self._tail.unfollow(self.log)
            self._start(self._read_again())

    def _start(self, work: object) -> None:
        if self._gone is not None or (self._reopening is not None and not self._reopening.done()):
            with contextlib.suppress(AttributeError):
                work.close()  # type: ignore[attr-defined]
            return
        self._reopening = asyncio.create_task(work)  # type: ignore[arg-type]

    async def _check(self) -> None:
        """Compare with the log's end."""
        while True:
            try:
                await self.follower.check()
            except CollectionGone as error:
                await self._leave(error)
            except StoreUnavailable as error:
                if error.reason is not Reason.LOG_DIVERGED:
                    await asyncio.sleep(_AGAIN_SECONDS)
                    continue
            if not self._following and self._gone is None:
                await self._read_again()
            return

    async def _read_again(self) -> None:
        while True:
            try:
                await self.follower.read_all()
            except CollectionGone as error:
                await self._leave(error)
                return
            except StoreUnavailable:
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            except DedupError as error:
                log.error("collection_cannot_be_read", collection=self.name, error=error.message)  # noqa: TRY400
                await self._leave(error)
                return
            self._follow()
            self.unfinished.wake()
            return

    async def _leave(self, error: DedupError) -> None:
        self._gone = error
        await self.follower.close(error)

    @property
    def is_gone(self) -> bool:
        """Whether the collection was deleted, or cannot be folded."""
        return self._gone is not None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to do and nobody is at it."""
        return self.follower.collection.is_settled and self.ingest.running == 0

    async def ready(self) -> None:
        """Until the state holds what the log held when this was called."""
        await self.follower.caught_up()

    async def stop(self, error: DedupError | None = None) -> None:
        """Stop what works beside the calls; what is unfinished stays in the log."""
        await self.unfinished.stop()
        await self._training.stop()
        if self._following:
            self._tail.unfollow(self.log)
        if self._reopening is not None:
            self._reopening.cancel()
            await asyncio.wait([self._reopening])
        reason = error or StoreUnavailable("the service is stopping")
        await self.writer.close(
            reason if isinstance(reason, StoreUnavailable) else StoreUnavailable(str(reason))
        )
        await self.follower.close(reason)
