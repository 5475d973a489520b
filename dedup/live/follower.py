"""The state of one collection in this process: its log, folded as it comes.

Entries come from two sides: from the store, as others append them, and from the server's own writer, with the answer
to an append. They are folded in order of position, each once. An entry names the one before it. Where that is not what
was folded last, the store has lost a tail of its log or was put back to an older one: the state is dropped, callers
are told so (``LOG_DIVERGED``), and the log is read from its beginning.

The fold runs on the event loop in slices. Between two slices of one entry the state is not to be read, so whoever
reads it awaits :meth:`Follower.steady` first and then reads without awaiting anything.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import structlog

from dedup.errors import DedupError, Reason, StoreUnavailable
from dedup.state.collection import Collection
from dedup.state.entries import InvalidEntry
from dedup.state.reading import CollectionReader
from dedup.store.log import End, LogEntry, Nonce

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dedup.model import CollectionParameters
    from dedup.state.collection import Arrival
    from dedup.store.log import Log

#: Seconds after which the fold lets others run.
SLICE_SECONDS: Final = 0.003
#: Seconds between lines of the log that say how far a collection is read.
_PROGRESS_SECONDS: Final = 2.0
#: Nonces of the last entries that are kept, to tell a log that was put back.
_RECENT: Final = 4096
_NOWHERE: Final = Nonce(0, 0)
log = structlog.get_logger()


def diverged(name: str) -> StoreUnavailable:
    """The error for a log that does not go on from what was folded."""
    message = f"the log of collection {name!r} went back or was replaced; it is read again, try again"
    return StoreUnavailable(message, Reason.LOG_DIVERGED, collection=name)


class Follower:
    """Folds one collection's log; see the module."""

    def __init__(self, log: Log, name: str, parameters: CollectionParameters) -> None:
        self._log = log
        self._name = name
        self._parameters = parameters
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._expected: dict[Nonce, asyncio.Future[list[Arrival]]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._folding: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[End] | None = None
        self._asking_next: asyncio.Task[End] | None = None
        self._listeners: list[Callable[[], None]] = []
        self._failure: DedupError | None = None
        self._closed = False
        self._loading = False
        #: Moves on whenever the state was dropped.
        self.generation = 0
        #: Position up to which the log was known to reach when it was opened, for progress.
        self.target = 0
        self._forget()

    def _forget(self) -> None:
        self.collection = Collection(self._parameters)
        self.reader = CollectionReader(self.collection)
        self._last = _NOWHERE
        self._recent: OrderedDict[int, Nonce] = OrderedDict()
        self._ahead: dict[int, LogEntry] = {}

    @property
    def position(self) -> int:
        """Where the last entry folded stands."""
        return self.collection.position

    @property
    def last_nonce(self) -> Nonce:
        """The nonce of the last entry folded."""
        return self._last

    def listen(self, listener: Callable[[], None]) -> None:
        """Call a function after entries have been folded, and after the state was dropped."""
        self._listeners.append(listener)

    # -- what others wait for --------------------------------------------------------------------------

    async def steady(self) -> None:
        """Until no entry is half folded; what follows may read the state until it awaits something else."""
        while not self._idle.is_set():
            await self._idle.wait()
        if self._failure is not None:
            raise self._failure

    async def reached(self, position: int) -> None:
        """Until the entry at a position is folded.

        Raises:
            StoreUnavailable: the log diverged meanwhile.
        """
        if self._failure is not None:
            raise self._failure
        if position > self.position:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (position, next(self._order), future))
            await future
        await self.steady()

    def expect(self, nonce: Nonce, future: asyncio.Future[list[Arrival]]) -> None:
        """Have a future told what the fold of an own entry, about to be appended, says of its articles."""
        self._expected[nonce] = future

    def dismiss(self, nonce: Nonce) -> None:
        """An expected entry does not come."""
        self._expected.pop(nonce, None)

    async def caught_up(self) -> None:
        """Until everything is folded that the log held when this was called."""
        before, generation = self.position, self.generation
        end = await self._end()
        if generation == self.generation:
            self._compare(end, before)
        await self.reached(end.position)

    async def check(self) -> None:
        """Compare with the log's end: after a connection to the store was lost."""
        await self.caught_up()

    def _compare(self, end: End, before: int) -> None:
        """Drop the state where the log ends before what had been folded, or with another entry."""
        known = self._recent.get(end.position, end.nonce)
        if end.position < before or known != end.nonce:
            self.diverge()
            raise diverged(self._name)

    async def _end(self) -> End:
        """The end of the log as of a moment after this was called; callers share what is asked."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._log.end())
            return await asyncio.shield(self._asking)
        if self._asking_next is None or self._asking_next.done():
            self._asking_next = asyncio.create_task(self._end_after(self._asking))
        return await asyncio.shield(self._asking_next)

    async def _end_after(self, other: asyncio.Task[End]) -> End:
        await asyncio.wait([other])
        self._asking = asyncio.current_task()
        self._asking_next = None
        return await self._log.end()

    # -- folding -----------------------------------------------------------------------------------------

    def feed(self, entries: Sequence[LogEntry]) -> None:
        """Entries of the log, in any order and as often as they come."""
        if self._closed or self._failure is not None:
            return
        for entry in entries:
            if entry.position > self.position:
                self._ahead.setdefault(entry.position, entry)
            elif self._recent.get(entry.position, entry.nonce) != entry.nonce:
                self.diverge()
                return
        self._go_on()

    def _go_on(self) -> None:
        if self._folding is None and not self._loading and self.position + 1 in self._ahead:
            self._folding = asyncio.create_task(self._fold())

    async def _fold(self) -> None:
        began = time.perf_counter()
        try:
            while (entry := self._ahead.pop(self.position + 1, None)) is not None:
                if entry.before != self._last:
                    self.diverge()
                    return
                future = self._expected.pop(entry.nonce, None)
                steps = self.collection.slices(
                    entry.position, entry.raw, owner=entry.nonce.incarnation, collect=future is not None
                )
                self._idle.clear()
                generation = self.generation
                while True:
                    try:
                        next(steps)
                    except StopIteration as end:
                        arrivals = end.value
                        break
                    if time.perf_counter() - began > SLICE_SECONDS:
                        await asyncio.sleep(0)
                        began = time.perf_counter()
                        if generation != self.generation:
                            return
                self._idle.set()
                self._note(entry)
                if future is not None and not future.done():
                    future.set_result(arrivals)
                self._wake()
        except InvalidEntry as error:
            self._fail(error)
        finally:
            self._folding = None
            self._idle.set()
            for listener in self._listeners:
                listener()
            if not self._closed and self._failure is None:
                self._go_on()

    def _note(self, entry: LogEntry) -> None:
        self._last = entry.nonce
        self._recent[entry.position] = entry.nonce
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)

    def _wake(self) -> None:
        while self._waiting and self._waiting[0][0] <= self.position:
            future = heapq.heappop(self._waiting)[2]
            if not future.done():
                future.set_result(None)

    # -- from the beginning --------------------------------------------------------------------------------

    async def read_all(self) -> None:
        """Fold the log from where the fold stands to its end, in a thread: before the collection is served.

        Raises:
            InvalidEntry: an entry cannot be folded, perhaps as a newer release wrote it.
            StoreUnavailable: the store does not answer.
        """
        loop = asyncio.get_running_loop()
        self._loading = True
        try:
            self.target = (await self._log.end()).position
            ahead = asyncio.create_task(self._log.read(self.position))
            told = loop.time()
            try:
                while entries := await ahead:
                    ahead = asyncio.create_task(self._log.read(entries[-1].position))
                    await loop.run_in_executor(None, self._fold_read, entries)
                    if loop.time() - told > _PROGRESS_SECONDS:
                        told = loop.time()
                        log.info(
                            "collection_opening",
                            collection=self._name,
                            entries=self.position,
                            of=self.target,
                            articles=self.collection.articles,
                        )
            except StoreUnavailable as error:
                if error.reason is Reason.LOG_DIVERGED:  # it went back while it was read
                    self._forget()
                raise
            finally:
                ahead.cancel()
        finally:
            self._loading = False
        self._ahead = {p: entry for p, entry in self._ahead.items() if p > self.position}
        self._wake()
        self._go_on()

    @property
    def is_loading(self) -> bool:
        """Whether the log is being read from its beginning."""
        return self._loading

    def _fold_read(self, entries: Sequence[LogEntry]) -> None:
        for entry in entries:
            if entry.before != self._last or entry.position != self.position + 1:
                raise diverged(self._name)
            self.collection.apply(entry.position, entry.raw, owner=entry.nonce.incarnation)
            self._note(entry)

    def diverge(self) -> None:
        """Drop the state; whoever waits is told, and the log is read from its beginning."""
        if self._closed:
            return
        log.warning("log_diverged", collection=self._name, position=self.position)
        self._forget()
        self.generation += 1
        self._idle.set()
        self._tell(diverged(self._name))
        for listener in self._listeners:
            listener()

    def divergence(self) -> StoreUnavailable:
        """The error for whoever read a state that was dropped."""
        return diverged(self._name)

    def _fail(self, error: DedupError) -> None:
        """The log holds what this release cannot fold: the collection is not served."""
        log.error("log_cannot_be_folded", collection=self._name, error=error.message)
        self._failure = error
        self._tell(error)

    def _tell(self, error: DedupError) -> None:
        waiting, self._waiting = self._waiting, []
        expected, self._expected = self._expected, {}
        for _, _, future in waiting:
            if not future.done():
                future.set_exception(error)
        for own in expected.values():
            if not own.done():
                own.set_exception(error)
                own.exception()  # whoever waited may have gone

    async def close(self, error: DedupError) -> None:
        """Fold no more; whoever waits gets the error."""
        self._closed = True
        self._failure = error
        self._tell(error)
        for task in (self._folding, self._asking, self._asking_next):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task])
