"""Finishing what others began: rechecks, lost landmarks, dead texts, and writers that died on the way.

Ingest commits in two steps, the record and then the edges. Everything in between stands in a queue of the
store, so that whoever comes next can finish it:

``recheck``
    what a text's verification rests on changed (its first carrier, boilerplate, a landmark moved up): look all its
    candidates up again and write its edges anew.
``prune``
    the text ceased to be a landmark somewhere: delete the edges it may no longer have.
``dead``
    its last carrier left: take it out of the posting lists.
``pending``
    an article recorded some time ago whose edges or decision were never written.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dedup.core.candidates import QueryPlace, scan_postings, texts_in
from dedup.core.sketch import Sketch, SketchParameters, sketch
from dedup.core.text import Tokens
from dedup.errors import DedupError
from dedup.live.matching import Query, neighbors
from dedup.live.worker import Worker
from dedup.observability import stage
from dedup.store.packing import EdgeDeletion, PostingQuery, TextCommit, posting_bytes
from dedup.store.records import placed_source, placement_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import numpy as np
    from numpy.typing import NDArray

    from dedup.core.candidates import Neighbors
    from dedup.live.matching import Matcher
    from dedup.model import ArticleNumber, CollectionParameters, TextNumber
    from dedup.store.records import ArticleRecord, TextState
    from dedup.store.redis_index import RedisIndex

#: Texts taken up in one pass over a queue.
BATCH: Final = 64
#: Seconds that lost landmarks wait at most while articles come in.
PRUNE_SECONDS: Final = 5.0
#: Seconds between two looks whether a collection has articles enough for a dictionary.
TRAINING_SECONDS: Final = 2.0
_DAY: Final = 86400.0


@dataclass(frozen=True, slots=True)
class _Queued:
    """A text of a queue, looked up: its entry, the sequence of the look-up."""

    state: TextState
    entry: str
    sequence: int
    query: Query


class Sweeper:
    """Works off one collection's queues in the background."""

    def __init__(
        self,
        *,
        index: RedisIndex,
        parameters: CollectionParameters,
        matcher: Matcher,
        recovery_seconds: float,
        finish: Callable[[list[ArticleNumber]], Awaitable[bool]],
        wake_settler: Callable[[], None],
        busy: Callable[[], bool],
        queued: asyncio.Event,
    ) -> None:
        self._index = index
        self._parameters = parameters
        self._matcher = matcher
        self._recovery = recovery_seconds
        self._finish = finish
        self._wake_settler = wake_settler
        self._ingesting = busy
        self._next_prune = 0.0
        self._next_training = 0.0
        self._loop = Worker("sweeping", index.collection, self._work, queued)

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
        if time.monotonic() >= self._next_training:
            self._next_training = time.monotonic() + TRAINING_SECONDS
            if await self._index.train_dictionary():
                self._next_training = float("inf")
        return None

    async def sweep(self) -> bool:
        """One pass over all queues; whether anything was done."""
        with stage("sweep"):
            done = False
            rechecks = await self._index.peek("recheck", BATCH)
            if rechecks:
                done = await self._recheck(rechecks)
            if not self._can_wait():
                done = await self._prune() or done
            for text, _ in await self._index.peek("dead", BATCH):
                done = await self._purge(text) or done
            overdue = await self._index.overdue(time.time() - self._recovery, BATCH)
            if overdue:
                done = await self._finish(overdue) or done
            return done

    # -- rechecks --------------------------------------------------------------------------------------

    async def _recheck(self, entries: list[tuple[TextNumber, str]]) -> bool:
        """Verify texts again; whether any entry left the queue or could be taken up."""
        states = await self._index.texts([t for t, _ in entries])
        gone = [t for t, _ in entries if t not in states or states[t].dead]
        await self._index.dequeue("recheck", *gone)
        alive = [(states[t], entry) for t, entry in entries if t not in gone]
        asked = await self._ask(alive)
        matched = await self._matcher.match([a.query for a in asked])
        commits, invalidated = [], set()
        for m, a in zip(matched, asked, strict=True):
            state = a.state
            placement = placement_of(state.node.carriers[0])
            commits.append(
                TextCommit(
                    text=state.node.text,
                    revision=state.revision,
                    sequence=a.sequence,
                    replace=True,
                    recheck=a.entry,
                    boilerplate=m.boilerplate,
                    placement=placement,
                    edges=m.edges(),
                )
            )
            invalidated |= self._moved(state, m.query.lists, m.near)
        await self._index.commit(commits, invalidated)
        return bool(gone or asked)

    @staticmethod
    def _moved(state: TextState, lists: NDArray[np.uint32], near: Neighbors) -> set[TextNumber]:
        """Texts whose boilerplate may have changed because this one now counts for another outlet or day."""
        current = placement_of(state.node.carriers[0])
        if state.placement == current:
            return set()
        outlets = {state.node.carriers[0].source, placed_source(state.placement)}
        return near.of_sources(lists, outlets) - {state.node.text}

    async def _ask(self, entries: list[tuple[TextState, str]]) -> list[_Queued]:
        """Look texts up; those that are being replaced right now are left out, their entries stay."""
        records = await self._index.records([state.node.carriers[0].number for state, _ in entries])
        about = []
        for state, entry in entries:
            record = records.get(state.node.carriers[0].number)
            if record is not None and record.article is not None and record.text == state.node.text:
                about.append((state, entry, record.digest, *self._sketch(record)))
        found = await self._index.lookup_each(
            [
                PostingQuery(state.node.text, digest, posting_bytes(made.postings))
                for state, _, digest, _, made in about
            ]
        )
        asked = []
        for (state, entry, digest, tokens, made), (sequence, lists) in zip(about, found, strict=True):
            text, first = state.node.text, state.node.carriers[0]
            query = Query(
                text=text,
                source=first.source,
                published=first.published,
                tokens=tokens,
                digest=digest,
                sketch=made,
                lists=lists,
            )
            asked.append(_Queued(state=state, entry=entry, sequence=sequence, query=query))
        return asked

    def _sketch(self, record: ArticleRecord) -> tuple[Tokens, Sketch]:
        if record.article is None:
            message = "the record of a removed article has no text"
            raise DedupError(message)
        tokens = record.tokens()
        return tokens, sketch(tokens, SketchParameters.of(self._parameters))

    def _can_wait(self) -> bool:
        """Whether lost landmarks can: while a hot story comes in, texts lose their places again and again."""
        return self._ingesting() and time.monotonic() < self._next_prune

    # -- lost landmarks ----------------------------------------------------------------------------------

    async def _prune(self) -> bool:
        """Delete edges that texts may have no longer since they lost a landmark; whether any entry left the queue."""
        lost = await self._index.peek("prune", BATCH)
        if len(lost) < BATCH:
            self._next_prune = time.monotonic() + PRUNE_SECONDS
        if not lost:
            return False
        texts = [t for t, _ in lost]
        states = await self._index.texts(texts)
        gone = [t for t in texts if t not in states or states[t].dead]
        await self._index.dequeue("prune", *gone)
        # an edge written from here on comes from a look-up that knows of the lost place, or queues the text again
        edges = await self._index.edges(texts)
        alive = [(states[t], entry) for t, entry in lost if t not in gone]
        deletions = [
            EdgeDeletion(text=s.node.text, entry=entry, sequence=0, others=())
            for s, entry in alive
            if s.node.text not in edges
        ]
        asked = await self._ask([(s, entry) for s, entry in alive if s.node.text in edges])
        others = [{e.other_than(a.query.text) for e in edges[a.query.text]} for a in asked]
        eligible = await self._matcher.eligible([a.query for a in asked], others)
        for a, met, still in zip(asked, others, eligible, strict=True):
            deletions.append(
                EdgeDeletion(
                    text=a.query.text, entry=a.entry, sequence=a.sequence, others=sorted(met - still)
                )
            )
        await self._index.delete_edges(deletions)
        return bool(gone or deletions)

    # -- the dead ------------------------------------------------------------------------------------------

    async def _purge(self, text: TextNumber) -> bool:
        """Take a dead text out of its lists, once its cluster has been settled without it."""
        if await self._index.is_queued("dirty", text):
            self._wake_settler()
            return False
        record = await self._index.dead_record(text)
        state = (await self._index.texts([text])).get(text)
        if record is None or state is None:
            await self._index.dequeue("dead", text)
            return True
        _, made = self._sketch(record)
        lists = await self._index.unindex(text, posting_bytes(made.postings))
        around = neighbors(await self._index.placements(texts_in(lists)))
        carrier = state.node.carriers[0]
        place = QueryPlace(text, carrier.source, int(carrier.published // _DAY))
        seen = scan_postings(lists, around, place, len(made.postings), leaving=True)
        invalidated = await self._matcher.members_of_sources(made, seen.changed, text)
        await self._index.invalidate(invalidated | self._moved(state, lists, around))
        return True
