"""The way of a batch of articles: prepare, record, match, commit, settle, answer.

An article becomes normalized text, shingles, a sketch (:mod:`prepare`), is recorded and meets its candidates in one
script, is verified against them (:mod:`matching`), its edges and its decision are committed in one script, and its
cluster is settled (:mod:`settling`). Between the two scripts it stands in the queue ``pending``.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from dedup.core.decision import (
    EarlierArticle,
    WordCounts,
    against_equal,
    count_words,
    decide,
    earlier_matches,
    earliest,
    first_of_each,
)
from dedup.core.identity import source_hash
from dedup.core.verify_pair import rank
from dedup.live.arrivals import of_record, prepare_batch
from dedup.live.batch import Batch, Item, commit_of, item_of
from dedup.live.matching import Query, ready_text
from dedup.model import (
    COPY_KINDS,
    Article,
    ClusterChange,
    Decision,
    IngestResult,
    Outcome,
    TextNumber,
)
from dedup.observability import ARTICLES, stage
from dedup.store.packing import Stored, TextCommit, posting_bytes
from dedup.store.records import (
    decode_decision,
    encode_decision,
    state_of_one,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray

    from dedup.live.reading import CollectionReader
    from dedup.live.sequence_slot import SequenceSlot
    from dedup.live.settling import Settler
    from dedup.model import ArticleNumber, Cluster, Match

_OUTCOMES = {
    "created": Outcome.CREATED,
    "unchanged": Outcome.UNCHANGED,
    "replaced": Outcome.REPLACED,
    "stale": Outcome.STALE_VERSION,
    "canceled": Outcome.CANCELED,
}


class Ingest:
    """Takes batches of articles into one collection."""

    def __init__(
        self,
        reader: CollectionReader,
        settler: Settler,
        queued: asyncio.Event,
        pool: Executor,
        *,
        max_matches: int,
        settle_seconds: float,
    ) -> None:
        self._reader = reader
        self._settler = settler
        self._queued = queued  # wakes the sweeper
        self._index = reader.index
        self._matcher = reader.matcher
        self._parameters = reader.parameters
        self._pool = pool
        self._max_matches = max_matches
        self._settle_seconds = settle_seconds
        self._on_the_way: Counter[ArticleNumber] = Counter()
        self.running = 0  # batches under way

    async def ingest(
        self, articles: Sequence[Article], slot: SequenceSlot | None = None
    ) -> list[IngestResult]:
        """Ingest articles in order; one answer each. With ``slot``, they are recorded when it is theirs."""
        self.running += 1
        try:
            return await self._ingest(articles, slot)
        finally:
            self.running -= 1

    async def _ingest(self, articles: Sequence[Article], slot: SequenceSlot | None) -> list[IngestResult]:
        now = time.time()
        loop = asyncio.get_running_loop()
        ready = await loop.run_in_executor(
            self._pool, prepare_batch, articles, self._parameters, self._index.codec, now
        )
        if slot is not None:
            await slot.wait()
        with stage("record"):
            stored = await self._index.ingest([a for _, a in ready], now)
        if slot is not None:
            slot.release()
        self._reader.remember({s.number: a.id for a, s in zip(articles, stored, strict=True)})
        batch = Batch([item_of(p, s, a.carrier) for (p, a), s in zip(ready, stored, strict=True)])
        numbers = Counter(s.number for s in stored)
        self._on_the_way += numbers
        try:
            await self._match(batch)
            await self._commit(batch)
        finally:
            self._on_the_way -= numbers
        changes = await self._settle(batch)
        answers = await self._answers(batch, changes)
        for outcome, count in Counter(answer.outcome for answer in answers).items():
            ARTICLES.labels(outcome.name.lower()).inc(count)
        return answers

    async def finish(self, recorded: list[ArticleNumber]) -> bool:
        """Decide and commit articles whose writer died between the two steps; whether there were any.

        Those that are still on their way here, as in a hot story on a busy machine, have not been given up.
        """
        numbers = [n for n in recorded if n not in self._on_the_way]
        if not numbers:
            return False
        records = await self._index.records(numbers)
        alive = [r for r in records.values() if r.article is not None and r.text]
        await self._index.dequeue("pending", *(n for n in numbers if n not in {r.number for r in alive}))
        for record in alive:
            if record.article is None:
                continue
            ready = of_record(record, record.article, self._parameters)
            if ready.sketch is None:
                continue
            sequence, lists = await self._index.lookup(
                record.text, ready.digest, posting_bytes(ready.sketch.postings)
            )
            state = (await self._index.texts([record.text])).get(record.text)
            if state is None or state.dead:
                continue
            stored = Stored(
                outcome="created",
                number=record.number,
                text=record.text,
                head=b"",
                new_text=True,
                revision=state.revision,
                previous=TextNumber(0),
                lists=lists,
                edges=[],
                sequence=sequence,
            )
            item = Item(
                prepared=ready,
                stored=stored,
                carrier=b"",
                decided=record.decided,
                decision=None,
                raw_decision=record.decision,
                arrival=record.arrival,
                late=True,
            )
            batch = Batch([item])
            await self._match(batch)
            await self._commit(batch)
        return True

    # -- matching ------------------------------------------------------------------------------------

    async def _match(self, batch: Batch) -> None:
        queries = [self._query(i, i.stored.lists) for i in batch.items if i.stored.new_text]
        if queries:
            for matched in await self._matcher.match(queries):
                batch.matched[matched.query.text] = matched
        await self._read_states(batch)
        alone = [i for i in batch.items if self._undecided(i) and not self._is_known(batch, i)]
        for item in alone:  # recorded before, but its writer never came to decide
            await self._match_again(batch, item)
        if alone:
            await self._read_states(batch)

    def _is_known(self, batch: Batch, item: Item) -> bool:
        """Whether what decides about the article is at hand: its text's matches, or an earlier carrier."""
        if item.stored.text in batch.matched:
            return True
        state = batch.states.get(item.stored.text)
        return state is not None and earliest(state.node.carriers, item.stored.number) is not None

    def _undecided(self, item: Item) -> bool:
        return item.stored.text > 0 and not item.decided and item.stored.outcome != "canceled"

    async def _match_again(self, batch: Batch, item: Item) -> None:
        if item.prepared.sketch is None or item.stored.text in batch.matched:
            return
        item.late = True
        _, lists = await self._index.lookup(
            item.stored.text, item.prepared.digest, posting_bytes(item.prepared.sketch.postings)
        )
        matched = (await self._matcher.match([self._query(item, lists)]))[0]
        batch.matched[item.stored.text] = matched

    def _query(self, item: Item, lists: NDArray[np.uint32]) -> Query:
        p = item.prepared
        if p.sketch is None:
            message = "an article that is not comparable has no text"
            raise ValueError(message)
        published = p.article.published if p.article.published is not None else item.arrival
        return Query(
            text=item.stored.text,
            source=source_hash(p.article),
            published=published,
            tokens=p.tokens,
            digest=p.digest,
            sketch=p.sketch,
            lists=lists,
        )

    async def _read_states(self, batch: Batch) -> None:
        """All carriers of the texts that decisions and answers speak of."""
        met = {v.other.node.text: v.other for m in batch.matched.values() for v in m.found}
        batch.states = {t: state for t, state in met.items() if state.whole} | batch.states
        wanted = {i.stored.text for i in batch.items if i.stored.text and not i.stored.new_text}
        wanted |= met.keys()
        missing = sorted(wanted - batch.states.keys())
        if missing:
            batch.states.update(await self._index.texts(missing, carriers=True))

    # -- commit --------------------------------------------------------------------------------------

    async def _commit(self, batch: Batch) -> None:
        commits, invalidated = [], set()
        for item in batch.items:
            matched = batch.matched.get(item.stored.text)
            if item.late and matched is not None:
                invalidated |= {item.stored.text} | self._matcher.surrounded_by(matched)
            if not item.stored.new_text or matched is None:
                continue
            item.matched = matched
            commits.append(commit_of(item.stored, matched))
            if matched.changed:
                invalidated |= await self._matcher.invalidated_by(matched)
        decisions = await self._decide_all(batch)
        if not (commits or invalidated or decisions):
            return
        with stage("commit"):
            refused, decided = await self._index.commit(commits, invalidated, decisions)
        for item in batch.items:
            if item.decision is not None and item.stored.number not in decided and not item.decided:
                await self._read_decision(item)
        self._keep(batch, commits, refused)
        if refused or invalidated:
            self._queued.set()

    def _keep(self, batch: Batch, commits: Sequence[TextCommit], refused: set[TextNumber]) -> None:
        """Keep the texts that came, as the store has them now: storing boilerplate moved the revision on."""
        for c in commits:
            if c.text not in refused:
                moved = 1 if c.boilerplate else 0
                self._matcher.keep(c.text, c.revision + moved, batch.matched[c.text].text)

    async def _decide_all(self, batch: Batch) -> list[tuple[ArticleNumber, bytes]]:
        """The decisions to store, by article number; empty for articles that only cease to be pending."""
        decisions = []
        first: dict[ArticleNumber, Item] = {}
        with stage("decide"):
            for item in batch.items:
                if self._undecided(item) and item.stored.number in first:
                    item.decision = first[item.stored.number].decision  # the same article twice in one batch
                elif self._undecided(item):
                    first[item.stored.number] = item
                    raw = await self._decide(batch, item)
                    decisions.append((item.stored.number, raw))
                elif item.stored.text:
                    decisions.append((item.stored.number, b""))
        return decisions

    async def _read_decision(self, item: Item) -> None:
        """Somebody else decided about the article first: theirs stands."""
        record = (await self._index.records([item.stored.number])).get(item.stored.number)
        if record is not None and record.decided:
            item.raw_decision = record.decision
            item.decision = await self._reader.decision(record)

    async def _decide(self, batch: Batch, item: Item) -> bytes:
        number, text = item.stored.number, item.stored.text
        source = source_hash(item.article)
        state = batch.states.get(text)
        matched = batch.matched.get(text)
        exact = [] if state is None else first_of_each(state.node.carriers, number, source)
        earlier: list[EarlierArticle] = []
        if exact and state is not None:
            p = item.prepared
            query_text = ready_text(p.tokens, p.digest, state.boilerplate, p.sketch, self._parameters)
            earlier, counts = against_equal(query_text, exact)
        elif matched is not None:
            met = earlier_matches(matched.found, batch.states, number, source)
            earlier, counts = count_words(matched.text, source, met)
        else:
            counts = WordCounts(new=item.prepared.words)
        decision, copied = decide(source, earlier, counts)
        names = await self._reader.names([copied])
        item.decision = Decision(
            kind=decision.kind,
            copies=names.get(copied, ""),
            covered=decision.covered,
            words_copied=decision.words_copied,
            words_quoted=decision.words_quoted,
            words_boilerplate=decision.words_boilerplate,
            words_new=decision.words_new,
        )
        return encode_decision(decision, copied)

    # -- answers -------------------------------------------------------------------------------------

    async def _settle(self, batch: Batch) -> list[ClusterChange] | None:
        moving = set()
        for item in batch.items:
            stored = item.stored
            if stored.outcome in ("canceled", "replaced"):
                moving |= {stored.text, stored.previous} - {0}
                self._queued.set()
            elif stored.outcome == "created" and stored.text:
                matched = batch.matched.get(stored.text)
                if not stored.new_text or (matched is not None and matched.found):
                    moving.add(stored.text)
        if not moving:
            return []
        with stage("settle_wait"):
            return await self._settler.settled(moving, self._settle_seconds)

    async def _answers(self, batch: Batch, changes: list[ClusterChange] | None) -> list[IngestResult]:
        texts = Counter(
            i.stored.text for i in batch.items if i.stored.text and i.stored.outcome != "canceled"
        )
        alone = {
            i.stored.text: state_of_one(i.stored.text, i.prepared.digest, i.article.id, i.carrier)
            for i in batch.items
            if i.stored.new_text
            and texts[i.stored.text] == 1
            and i.matched is not None
            and not i.matched.found
        }
        placement = await self._reader.placement(texts.keys() - alone.keys())
        placement.states.update(alone)
        alive = [t for t in sorted(texts) if t in placement.states and not placement.states[t].dead]
        views = await self._reader.clusters(
            [placement.cluster(t) for t in alive], placement.states, settled=changes is not None
        )
        by_text = dict(zip(alive, views, strict=True))
        return [await self._answer(batch, item, by_text, changes or []) for item in batch.items]

    async def _answer(
        self, batch: Batch, item: Item, views: dict[TextNumber, Cluster], changes: list[ClusterChange]
    ) -> IngestResult:
        stored, article = item.stored, item.article
        outcome = _OUTCOMES[stored.outcome]
        comparable = stored.text > 0
        if outcome in (Outcome.CREATED, Outcome.REPLACED) and not comparable:
            outcome = Outcome.NOT_COMPARABLE
        cluster = views.get(stored.text) if outcome != Outcome.CANCELED else None
        if item.decision is None and item.decided:
            names = await self._reader.names([item.raw_decision[1]])
            item.decision = decode_decision(item.raw_decision, names.get(item.raw_decision[1], ""))
        matches, total = await self._matches(batch, item, outcome)
        carriers: tuple[str, ...] = ()
        if outcome == Outcome.CANCELED:
            carriers = await self._remaining(stored)
        fresh = f"c{stored.text}" if stored.new_text else ""
        mine = cluster.id if cluster is not None else ""
        return IngestResult(
            id=article.id,
            outcome=outcome,
            comparable=comparable,
            decision=item.decision,
            number=stored.number,
            arrival_time=item.arrival,
            cluster=cluster,
            affected_clusters=tuple(c for c in changes if c.old != fresh and mine in (c.old, c.new)),
            story=cluster.story if cluster is not None else None,
            matches=tuple(matches[: self._max_matches]),
            total_matches=total,
            matches_truncated=total > min(len(matches), self._max_matches),
            credits=item.prepared.credits,
            carriers=carriers,
            candidates=item.matched.candidates if item.matched is not None else None,
        )

    async def _matches(self, batch: Batch, item: Item, outcome: Outcome) -> tuple[list[Match], int]:
        stored = item.stored
        if not stored.text or outcome in (Outcome.CANCELED, Outcome.STALE_VERSION):
            return [], 0
        if item.matched is not None:
            found = [
                msgspec.structs.replace(v, other=batch.states.get(v.other.node.text, v.other))
                for v in item.matched.found
            ]
            best = sorted(found, key=rank)[: self._max_matches]
            made = await self._reader.to_matches(item.matched.text, item.article.id, best)
            return list(made), len(found)
        state = batch.states.get(stored.text)
        p = item.prepared
        query_text = ready_text(
            p.tokens, p.digest, state.boilerplate if state else b"", p.sketch, self._parameters
        )
        matches, total = await self._reader.matches(
            query_text, stored.text, (stored.number, item.article.id), self._max_matches
        )
        return list(matches), total

    async def _remaining(self, stored: Stored) -> tuple[str, ...]:
        """Articles that still carry the text of a removed one, or copied part of it, closest first."""
        if not stored.text:
            return ()
        copies = [e for e in stored.edges if e.kind in COPY_KINDS]
        order = [stored.text, *await self._reader.in_order(stored.text, copies)]
        states = await self._index.texts(order, carriers=True)
        numbers = [
            c.number for t in order if t in states and not states[t].dead for c in states[t].node.carriers
        ]
        names = await self._reader.names(numbers)
        return tuple(names[n] for n in numbers if n in names and n != stored.number)
