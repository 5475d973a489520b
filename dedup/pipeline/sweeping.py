"""Finishing what others began: rechecks, lost landmarks, dead texts, and writers that died on the way.

Ingest commits in two steps, the record and then the edges. Everything in between stands in a queue of the
store, so that whoever comes next can finish it:

``recheck``
    what a text's verification rests on changed (its first carrier, furniture, a landmark moved up): look all its
    candidates up again and write its edges anew.
``shrink``
    the text ceased to be a landmark somewhere: cut the edges it may no longer have.
``dead``
    its last carrier left: take it out of the posting lists.
``pending``
    an article recorded some time ago whose edges or decision were never written.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from dedup.candidates import Placed, survey, texts_in
from dedup.errors import DedupError
from dedup.index.packing import TextCommit, posting_bytes
from dedup.index.records import placed_source, placement_of
from dedup.observability import stage
from dedup.pipeline.background import Background
from dedup.pipeline.matching import Asking, neighbors
from dedup.sketch import Sketch, SketchParameters, sketch
from dedup.text import Tokens

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import numpy as np
    from numpy.typing import NDArray

    from dedup.candidates import Neighbors
    from dedup.index.records import ArticleRecord, TextState
    from dedup.index.redis_index import RedisIndex
    from dedup.model import CollectionParameters
    from dedup.pipeline.matching import Matcher

#: Texts taken up in one pass over a queue.
BATCH: Final = 64
#: Seconds that lost landmarks wait at most while articles come in.
SHRINK_SECONDS: Final = 5.0
#: Seconds between two looks whether a collection has articles enough for a dictionary.
LESSON_SECONDS: Final = 2.0
_DAY: Final = 86400.0


class Sweeper:
    """Works off one collection's queues in the background."""

    def __init__(
        self,
        index: RedisIndex,
        parameters: CollectionParameters,
        matcher: Matcher,
        recovery_seconds: float,
        finish: Callable[[list[int]], Awaitable[bool]],
        wake_settler: Callable[[], None],
        busy: Callable[[], bool],
    ) -> None:
        self._index = index
        self._parameters = parameters
        self._matcher = matcher
        self._recovery = recovery_seconds
        self._finish = finish
        self._wake_settler = wake_settler
        self._ingesting = busy
        self._next_shrink = 0.0
        self._next_lesson = 0.0
        self._loop = Background("sweeping", index.collection, self._work)

    def start(self) -> None:
        """Sweep in the background until :meth:`stop`."""
        self._loop.start()

    async def stop(self) -> None:
        """Stop; what is unfinished stays in the store."""
        await self._loop.stop()

    def wake(self) -> None:
        """Something was queued."""
        self._loop.wake()

    async def _work(self) -> float | None:
        while await self.sweep():
            self._wake_settler()
            await asyncio.sleep(0)
        if time.monotonic() >= self._next_lesson:
            self._next_lesson = time.monotonic() + LESSON_SECONDS
            if await self._index.learn_dictionary():
                self._next_lesson = float("inf")
        return None

    async def sweep(self) -> bool:
        """One pass over all queues; whether anything was done."""
        with stage("sweep"):
            done = False
            rechecks = await self._index.waiting("recheck", BATCH)
            if rechecks:
                done = await self._recheck(rechecks)
            lost = [] if self._busy() else await self._index.waiting("shrink", BATCH)
            if lost:
                await asyncio.gather(*(self._shrink(text, entry) for text, entry in lost))
                done = True
            for text, _ in await self._index.waiting("dead", BATCH):
                done = await self._bury(text) or done
            stale = await self._index.stale(time.time() - self._recovery, BATCH)
            if stale:
                done = await self._finish(stale) or done
            return done

    # -- rechecks --------------------------------------------------------------------------------------

    async def _recheck(self, entries: list[tuple[int, str]]) -> bool:
        """Verify texts again; whether any entry left the queue or could be taken up."""
        states = await self._index.texts([t for t, _ in entries])
        gone = [t for t, _ in entries if t not in states or states[t].dead]
        await self._index.finished("recheck", *gone)
        alive = [(states[t], entry) for t, entry in entries if t not in gone]
        records = await self._index.records([s.node.carriers[0].number for s, _ in alive])
        about = []
        for state, entry in alive:
            record = records.get(state.node.carriers[0].number)
            if record is None or record.article is None or record.text != state.node.text:
                continue  # being replaced right now; the entry stays
            about.append((state, entry, record))
        asked = await asyncio.gather(*(self._ask(state, record) for state, _, record in about))
        asking = [one for one, _ in asked]
        matched = await self._matcher.match(asking)
        commits, touched = [], set()
        for m, (state, entry, _), (_, sequence) in zip(matched, about, asked, strict=True):
            placement = placement_of(state.node.carriers[0])
            commits.append(
                TextCommit(
                    state.node.text, state.revision, sequence, True, entry, m.furniture, placement, m.edges()
                )
            )
            touched |= self._moved(state, m.asking.lists, m.near)
        await self._index.commit(commits, touched)
        return bool(gone or about)

    @staticmethod
    def _moved(state: TextState, lists: NDArray[np.uint32], near: Neighbors) -> set[int]:
        """Texts whose furniture may have changed because this one now counts for another outlet or day."""
        current = placement_of(state.node.carriers[0])
        if state.placement == current:
            return set()
        outlets = {state.node.carriers[0].source, placed_source(state.placement)}
        return near.of_sources(lists, outlets) - {state.node.text}

    async def _ask(self, state: TextState, record: ArticleRecord) -> tuple[Asking, int]:
        tokens, made = self._sketch(record)
        sequence, lists = await self._index.lookup(
            state.node.text, record.digest, posting_bytes(made.postings)
        )
        carrier = state.node.carriers[0]
        one = Asking(
            state.node.text, state.id, carrier.source, carrier.published, tokens, record.digest, made, lists
        )
        return one, sequence

    def _sketch(self, record: ArticleRecord) -> tuple[Tokens, Sketch]:
        if record.article is None:
            message = "the record of a removed article has no text"
            raise DedupError(message)
        tokens = record.tokens()
        return tokens, sketch(tokens, SketchParameters.of(self._parameters))

    def _busy(self) -> bool:
        """Whether lost landmarks can wait: while a hot story comes in, texts lose their places again and again."""
        if self._ingesting() and time.monotonic() < self._next_shrink:
            return True
        self._next_shrink = time.monotonic() + SHRINK_SECONDS
        return False

    # -- lost landmarks ----------------------------------------------------------------------------------

    async def _shrink(self, text: int, entry: str) -> None:
        state = (await self._index.texts([text])).get(text)
        record = None
        if state is not None and not state.dead:
            record = (await self._index.records([state.node.carriers[0].number])).get(
                state.node.carriers[0].number
            )
        if state is None or state.dead:
            await self._index.finished("shrink", text)
            return
        if record is None or record.article is None or record.text != text:
            return
        one, sequence = await self._ask(state, record)
        edges = (await self._index.edges([text])).get(text, [])
        others = {e.b if e.a == text else e.a for e in edges}
        eligible = await self._matcher.eligible(one, others)
        await self._index.cut(text, entry, sequence, sorted(others - eligible))

    # -- the dead ------------------------------------------------------------------------------------------

    async def _bury(self, text: int) -> bool:
        """Take a dead text out of its lists, once its cluster has been settled without it."""
        if await self._index.is_queued("dirty", text):
            self._wake_settler()
            return False
        record = await self._index.dead_record(text)
        state = (await self._index.texts([text])).get(text)
        if record is None or state is None:
            await self._index.finished("dead", text)
            return True
        _, made = self._sketch(record)
        lists = await self._index.forget(text, posting_bytes(made.postings))
        near = await self._index.texts(texts_in(lists).tolist())
        around = neighbors(near)
        carrier = state.node.carriers[0]
        own = Placed(text, carrier.source, int(carrier.published // _DAY))
        seen = survey(lists, around, own, len(made.postings), leaving=True)
        touched = await self._matcher.members_of_sources(made, seen.changed, text)
        await self._index.touch(touched | self._moved(state, lists, around))
        return True
