"""What this server appends to one log: in order, each entry once, whatever becomes of an answer.

Entries are numbered under the server's *incarnation*. They are sent in the order of their numbers, several in one
round trip while others wait. Where no answer comes, nobody knows whether they were appended: the same entries are sent
again under the same numbers until the store answers, and it appends none of them twice.

A server that was silent for long may have been *retired* by another one, which took over its work. Its next append is
refused then. It goes on under a new incarnation.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dedup.errors import Reason, StoreUnavailable
from dedup.live.follower import diverged
from dedup.store.log import CollectionGone, LogDiverged, LogEntry, Nonce, Outgoing, Retired

if TYPE_CHECKING:
    from dedup.live.follower import Follower
    from dedup.live.incarnation import Incarnations
    from dedup.state.collection import Arrival
    from dedup.store.log import Appended, Log

#: Entries and bytes of one round trip.
_MOST: Final = 32
_MOST_BYTES: Final = 2 << 20
#: Seconds before what got no answer is sent again, at first and at most.
_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


@dataclass(slots=True, eq=False)
class _Waiting:
    """An entry on its way."""

    raw: bytes
    is_arrival: bool
    retires: int
    incarnation: int
    folded: asyncio.Future[list[Arrival]]
    counter: int = 0


class Writer:
    """Appends to one log; one a collection and server."""

    def __init__(self, log: Log, follower: Follower, name: str, incarnations: Incarnations) -> None:
        self._log = log
        self._follower = follower
        self._name = name
        self._incarnations = incarnations
        self.incarnation = incarnations.current
        self._counter = 0
        self._queue: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._kick = asyncio.Event()
        self._closed: StoreUnavailable | None = None

    async def append(
        self, raw: bytes, *, is_arrival: bool = False, retires: int = 0, incarnation: int = 0
    ) -> list[Arrival]:
        """Append an entry; returns when it is folded, with what became of its articles.

        Args:
            raw: an entry of :mod:`dedup.state.entries`.
            is_arrival: whether a store that is out of memory may refuse it.
            retires: an incarnation that the entry retires; nothing is appended where that is retired already.
            incarnation: the one that it must be appended under, as its records were written under it; 0: any.

        Raises:
            Retired: that incarnation is retired; records have to be written again.
            CollectionGone: the collection was deleted.
            StoreUnavailable: the store does not answer, is full, or its log went back.
        """
        if self._closed is not None:
            raise self._closed
        if self._follower.is_loading:
            raise diverged(self._name)
        item = _Waiting(
            raw=raw,
            is_arrival=is_arrival,
            retires=retires,
            incarnation=incarnation,
            folded=asyncio.get_running_loop().create_future(),
        )
        self._queue.append(item)
        self._kick.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await item.folded

    async def close(self, error: StoreUnavailable) -> None:
        """Append no more; what waits gets the error. What is under way may yet be appended."""
        self._closed = error
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for item in self._queue:
            _fail(item, error)
        self._queue.clear()

    # -- sending -----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while self._queue:
                await self._send(self._take())
        finally:
            self._task = None

    def _take(self) -> list[_Waiting]:
        part: list[_Waiting] = []
        size = 0
        while (
            self._queue and len(part) < _MOST and (not part or size + len(self._queue[0].raw) <= _MOST_BYTES)
        ):
            item = self._queue.popleft()
            if item.folded.done():  # nobody waits for it any more, and it was never sent
                continue
            if item.incarnation not in (0, self.incarnation):
                _fail(item, Retired("the server that wrote the records is retired"))
                continue
            size += len(item.raw)
            part.append(item)
        return part

    async def _send(self, part: list[_Waiting]) -> None:
        """Send entries until each has its fate."""
        for item in part:
            self._counter += 1
            item.counter = self._counter
            self._follower.expect(Nonce(self.incarnation, item.counter), item.folded)
        pause = _PAUSE
        while part:
            outgoing = [
                Outgoing(counter=i.counter, raw=i.raw, is_arrival=i.is_arrival, retires=i.retires)
                for i in part
            ]
            try:
                answers = await self._log.append(self.incarnation, outgoing)
            except CollectionGone as error:
                self._refuse(part, error)
                return
            except StoreUnavailable as error:
                await self._unanswered(part, error, pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            part = self._settle(part, answers)
            if part:  # refused for now: the disk is full, replicas are missing, a script runs
                refused = next(answer for answer in answers if isinstance(answer, StoreUnavailable))
                await self._unanswered(part, refused, pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _unanswered(self, part: list[_Waiting], error: StoreUnavailable, seconds: float) -> None:
        """Entries may have been appended, or yet be: callers learn of it now, the entries are sent again later."""
        for item in part:
            _fail(item, error)
        while self._queue:  # these were not sent
            _fail(self._queue.popleft(), error)
        self._kick.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._kick.wait()

    def _settle(self, part: list[_Waiting], answers: list[Appended | StoreUnavailable]) -> list[_Waiting]:
        """What the store said of each; those that have to be sent again, under the numbers they have now."""
        for place, (item, answer) in enumerate(zip(part, answers, strict=True)):
            nonce = Nonce(self.incarnation, item.counter)
            if not isinstance(answer, StoreUnavailable):
                if answer.position and answer.before is not None:
                    self._follower.feed(
                        [LogEntry(position=answer.position, nonce=nonce, before=answer.before, raw=item.raw)]
                    )
                elif item.retires and not answer.seen:  # somebody else was first: nothing was appended
                    self._counter -= 1
                    return self._skip(part, place, None)
                continue  # seen before: it comes with what is read of the log
            if isinstance(answer, CollectionGone):
                self._refuse(part[place:], answer)
                return []
            if isinstance(answer, Retired):
                self._renew(part[place:], type(answer))
                return []
            if isinstance(answer, LogDiverged):
                self._follower.diverge()
                self._renew(part[place:])
                return []
            if (
                answer.reason is Reason.STORE_OUT_OF_MEMORY
            ):  # this one was refused, those after it for its sake
                return self._skip(part, place, answer)
            return part[place:]
        return []

    def _skip(self, part: list[_Waiting], place: int, error: StoreUnavailable | None) -> list[_Waiting]:
        """An entry was not appended: it gives its number to the next one."""
        self._forget(part[place:])
        skipped = part[place]
        if error is not None:
            _fail(skipped, error)
        elif not skipped.folded.done():
            skipped.folded.set_result([])
        self._counter = skipped.counter - 1
        self._queue.extendleft(reversed(part[place + 1 :]))
        return []

    def _renew(self, part: list[_Waiting], kind: type[Retired] = Retired) -> None:
        """Go on under a new incarnation; what is bound to the old one has to be made again."""
        self._forget(part)
        self.incarnation, self._counter = self._incarnations.after(self.incarnation), 0
        again = []
        for item in part:
            if item.is_arrival or item.incarnation:
                _fail(item, kind("the server was retired meanwhile"))
            else:
                again.append(item)
        self._queue.extendleft(reversed(again))

    def _refuse(self, part: list[_Waiting], error: StoreUnavailable) -> None:
        self._forget(part)
        for item in part:
            _fail(item, error)

    def _forget(self, part: list[_Waiting]) -> None:
        for item in part:
            self._follower.dismiss(Nonce(self.incarnation, item.counter))


def _fail(item: _Waiting, error: StoreUnavailable) -> None:
    if not item.folded.done():
        item.folded.set_exception(error)
        item.folded.exception()  # whoever waited may have gone
