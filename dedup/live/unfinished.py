"""Work that a collection's fold leaves to do, beside the calls.

- Texts that are *due*: verified again, by the server whose entry made them due.
- Articles that are *undecided*, as whoever took them in could not go on.
- Servers that are silent: retired, so that their work is this server's.
- Work that waits in the fold for entries, while none come: a *settle* entry does some.
- Records of versions that are gone: erased.

A text that has just come is verified by the call that brought it, and an article is decided by it. What is still due,
or undecided, some seconds later is done here. Twice the same work does no harm.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import structlog

from dedup.errors import DedupError, StoreUnavailable
from dedup.live.judging import Due, Undecided
from dedup.state import entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dedup.live.follower import Follower
    from dedup.live.incarnation import Incarnations
    from dedup.live.judging import Judge
    from dedup.live.writer import Writer
    from dedup.store.log import Log
    from dedup.store.pages import Records
    from dedup.store.servers import Servers

log = structlog.get_logger()

#: Texts verified together.
_BATCH: Final = 200
#: Seconds between looks at what no entry tells of: silent servers, calls that could not go on.
LOOK_SECONDS: Final = 2.0
#: Seconds without an entry after which waiting work is done by a settle entry.
_QUIET_SECONDS: Final = 0.02
#: Seconds before work that failed is tried again.
_RETRY_SECONDS: Final = 0.5


class Unfinished:
    """Does what is left to do in one collection; one a collection and server."""

    def __init__(
        self,
        *,
        name: str,
        follower: Follower,
        writer: Writer,
        judge: Judge,
        log: Log,
        records: Records,
        servers: Servers,
        incarnations: Incarnations,
        sole: bool,
    ) -> None:
        self._name = name
        self._follower = follower
        self._writer = writer
        self._judge = judge
        self._log = log
        self._records = records
        self._servers = servers
        self._incarnations = incarnations
        self._sole = sole  # nobody else can be on this store: whoever is known from before is gone
        self._again: set[int] = set()  # texts to be verified whatever the queue says
        self._young: set[int] = set()  # texts whose call has had no time yet
        self._seen: set[int] = set()  # articles that were undecided at the last look
        self._erased = 0
        self._next_look = 0.0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._generation = -1
        follower.listen(self._wake.set)

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop; what is unfinished stays so."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def wake(self) -> None:
        """Look for all there is, now."""
        self._next_look = 0.0
        self._wake.set()

    def retry(self, texts: Iterable[int]) -> None:
        """A call could not verify these texts."""
        self._again.update(texts)
        self._wake.set()

    async def told(self, texts: Sequence[int], seconds: float) -> bool:
        """Wait until the clusters of texts are told by events; whether they are in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            await self._follower.steady()
            if not self._follower.collection.late:
                return True
            if not any(text and self._follower.reader.is_waiting(text) for text in texts):
                return True
            if loop.time() >= deadline:
                return False
            position = self._follower.position
            await asyncio.sleep(_QUIET_SECONDS)
            if self._follower.position == position:  # nobody else writes: an entry of ours tells them
                with contextlib.suppress(StoreUnavailable):
                    await self._writer.append(entries.settle())

    # -- the loop ------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if self._is_done() else LOOK_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._work()
            except StoreUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
                self._wake.set()
            except DedupError as error:
                log.error("unfinished_work_failed", collection=self._name, error=error.message)  # noqa: TRY400
                await asyncio.sleep(LOOK_SECONDS)
            except Exception:
                log.exception("unfinished_work_failed", collection=self._name)
                await asyncio.sleep(LOOK_SECONDS)

    def _is_done(self) -> bool:
        """Whether there is nothing to look for until an entry comes."""
        state = self._follower.collection
        erased = self._erased >= state.erased_count
        return (
            self._generation == self._follower.generation and state.is_settled and not self._again and erased
        )

    async def _work(self) -> None:
        if self._follower.is_loading:
            return
        await self._follower.steady()
        if self._generation != self._follower.generation:
            self._erased = await self._log.erased()
            await self._follower.steady()
            self._generation = self._follower.generation
            self._again.clear()
            self._young.clear()
            self._seen.clear()
            self._look_for_all()
        now = asyncio.get_running_loop().time()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            await self._look()
        while due := await self._next_due():
            await self._verify(due)
        await self._settle()
        await self._erase()

    async def _look(self) -> None:
        """What no entry tells of."""
        if self._erased < self._follower.collection.erased_count:
            self._erased = max(self._erased, await self._log.erased())
        await self._retire_silent()
        await self._follower.steady()
        self._again |= self._young
        self._young.clear()
        old, self._seen = self._seen, set()
        left = []
        for article, text, incarnation, _ in self._follower.collection.undecided_articles():
            if article in old or not self._incarnations.is_ours(incarnation):
                left.append((article, text, incarnation))
            else:
                self._seen.add(article)
        await self._decide([(a, t) for a, t, who in left if self._incarnations.is_ours(who)])

    # -- verifying -----------------------------------------------------------------------------------------

    async def _verify(self, due: list[Due]) -> None:
        try:
            await self._judge.judge(due, [])
        except BaseException:
            self._again.update(each.text for each in due)
            raise

    async def _next_due(self) -> list[Due]:
        """The next texts that are this server's to verify."""
        await self._follower.steady()
        state = self._follower.collection
        again, self._again = self._again, set()
        found = dict(state.due_now(sorted(again)))
        while len(found) < _BATCH:
            texts, wholes = state.take_due(_BATCH)
            if not texts:
                break
            for text, whole in zip(texts, wholes, strict=True):
                if not self._incarnations.is_ours(state.owner_of(text)):
                    continue
                if state.has_just_come(text):
                    self._young.add(text)
                else:
                    found[text] = whole
        return [Due(text=text, whole=whole) for text, whole in found.items()]

    def _look_for_all(self) -> None:
        """Everything that is due and ours, whatever was taken of the queue before."""
        for incarnation in self._incarnations.all:
            self._again.update(text for text, _ in self._follower.collection.due_of(incarnation))

    async def _decide(self, undecided: list[tuple[int, int]]) -> None:
        """Decide about articles that nobody else is about to decide about."""
        for start in range(0, len(undecided), _BATCH):
            await self._follower.steady()
            reader = self._follower.reader
            part = [
                Undecided(
                    article=article,
                    text=text,
                    source=reader.source_of(article),
                    words=reader.words_of(article),
                    is_first=False,
                )
                for article, text in undecided[start : start + _BATCH]
                if not reader.is_decided(article)
            ]
            if part:
                await self._judge.judge([], part)

    # -- silent servers ------------------------------------------------------------------------------------

    async def _retire_silent(self) -> None:
        """Take over from servers that have work here and give no sign of life."""
        state = self._follower.collection
        owners = state.owners_with_work()
        if (
            state.waiting or self._erased < state.erased_count
        ):  # the server that wrote last goes on with these
            owners.add(self._follower.last_nonce.incarnation)
        owners = {o for o in owners if not self._incarnations.is_ours(o)}
        if not owners:
            return
        silent = owners if self._sole else owners - await self._servers.alive(owners)
        for incarnation in sorted(silent):
            log.info("server_retired", collection=self._name, incarnation=incarnation)
            await self._writer.append(entries.retired(incarnation), retires=incarnation)
        if silent:
            await self._follower.steady()
            self._look_for_all()
            left = self._follower.collection.undecided_articles()
            await self._decide([(a, t) for a, t, who, _ in left if self._incarnations.is_ours(who)])

    # -- waiting work and records ----------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Have the fold go on with what waits, where no entries come by themselves and ours was the last."""
        while True:
            await self._follower.steady()
            state, position = self._follower.collection, self._follower.position
            if not state.waiting or not self._incarnations.is_ours(self._follower.last_nonce.incarnation):
                return
            before = state.waiting
            await asyncio.sleep(_QUIET_SECONDS)
            await self._follower.steady()
            if self._follower.position != position or self._follower.collection is not state:
                return
            await self._writer.append(entries.settle())
            await self._follower.steady()
            if state.due or (state.waiting >= before and state.undecided):
                return

    async def _erase(self) -> None:
        """Erase the records of versions that are gone: whoever wrote the last entry does."""
        state = self._follower.collection
        numbers = state.erased_after(self._erased)
        if not len(numbers) or not self._incarnations.is_ours(self._follower.last_nonce.incarnation):
            return
        await self._follower.caught_up()  # after a lost tail a page may be somebody else's
        if self._follower.collection is not state:
            return
        await self._records.erase([int(n) for n in numbers if n])
        self._erased += len(numbers)
        await self._log.note_erased(self._writer.incarnation, self._erased)
