"""The way of a batch of articles: prepare, record, append, fold, look up, verify, append, fold, answer.

Records are written before the entry that names them. The entry says what arrived; the fold says what became of it,
the same in every server. What its texts share with those before them is verified then, the articles are decided about,
and a second entry says so. Between the two a text is *due* and an article *undecided*; whoever dies there is followed
by another server (:mod:`dedup.live.unfinished`).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from dedup.core.identity import source_hash
from dedup.core.prepare import Prepared, prepare_each
from dedup.errors import Reason, StoreUnavailable
from dedup.live.judging import Due, Judged, Undecided
from dedup.model import IngestResult, Outcome, PubStatus
from dedup.observability import ARTICLES, stage
from dedup.state import entries
from dedup.state.arrivals import arrival_of, content_of
from dedup.state.kernels.arriving import CANCELED, CREATED, REPLACED, STALE, UNCHANGED
from dedup.store import payload
from dedup.store.log import ENTRY_BYTES, CollectionGone, MayYetCome, Retired

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from dedup.live.comparing import Comparer
    from dedup.live.follower import Follower
    from dedup.live.judging import Judge
    from dedup.live.reading import Reading
    from dedup.live.recording import Recorder
    from dedup.live.sequence_slot import SequenceSlot
    from dedup.live.unfinished import Unfinished
    from dedup.live.writer import Writer
    from dedup.model import Article, CollectionParameters, Decision, Match
    from dedup.state.collection import Arrival
    from dedup.store.codec import Codec

#: Times that a batch is recorded anew, as this server was retired in between.
_TRIES: Final = 3
_NO_POSTINGS: Final = entries.NO_POSTINGS

_OUTCOMES: Final = {
    CREATED: Outcome.CREATED,
    UNCHANGED: Outcome.UNCHANGED,
    REPLACED: Outcome.REPLACED,
    STALE: Outcome.STALE_VERSION,
    CANCELED: Outcome.CANCELED,
}


class Item(msgspec.Struct, gc=False, kw_only=True):
    """One article on its way; ``payload`` is what is recorded of it, empty where nothing is.

    ``heals``: the record of the version that it repeats is lost.
    """

    prepared: Prepared
    payload: bytes
    arrival: Arrival | None = None
    record: int = 0
    heals: bool = False

    @property
    def article(self) -> Article:
        """The article as received."""
        return self.prepared.article


class Ingest:
    """Takes batches of articles into one collection."""

    def __init__(
        self,
        *,
        follower: Follower,
        writer: Writer,
        recorder: Recorder,
        comparer: Comparer,
        judge: Judge,
        unfinished: Unfinished,
        reading: Reading,
        codec: Codec,
        parameters: CollectionParameters,
        pool: Executor,
        max_matches: int,
        settle_seconds: float,
    ) -> None:
        self._follower = follower
        self._writer = writer
        self._recorder = recorder
        self._comparer = comparer
        self._judge = judge
        self._unfinished = unfinished
        self._reading = reading
        self._codec = codec
        self._parameters = parameters
        self._pool = pool
        self._max_matches = max_matches
        self._settle_seconds = settle_seconds
        self.running = 0  # batches under way

    async def ingest(
        self, articles: Sequence[Article], slot: SequenceSlot | None = None
    ) -> list[IngestResult]:
        """Ingest articles in order; one answer each. With ``slot``, they are recorded when it is theirs.

        Raises:
            StoreUnavailable: the store does not answer, is full, or its log went back. What was taken in before that
                is returned as it is when the same articles are sent again.
        """
        self.running += 1
        try:
            return await self._ingest(articles, slot)
        finally:
            self.running -= 1

    async def _ingest(self, articles: Sequence[Article], slot: SequenceSlot | None) -> list[IngestResult]:
        now = time.time()
        loop = asyncio.get_running_loop()
        items = await loop.run_in_executor(self._pool, self._prepare, articles)
        if slot is not None:
            await slot.wait()
        before = self._follower.position
        related = await self._related(items)
        generation = self._follower.generation
        await self._arrive(items, now)
        if slot is not None:
            slot.release()
        try:
            judged = await self._judge_batch(items)
            await self._unfinished.told(
                [i.arrival.text for i in items if i.arrival is not None], self._settle_seconds
            )
            answers = await self._answers(items, judged, before, related)
        except LookupError:  # numbers of a state that was dropped meanwhile mean nothing in the next
            if generation == self._follower.generation:
                raise
        if generation != self._follower.generation:
            raise self._follower.divergence()
        for outcome, count in Counter(answer.outcome for answer in answers).items():
            ARTICLES.labels(outcome.name.lower()).inc(count)
        return answers

    async def delete(self, article_id: str) -> tuple[str, ...]:
        """Remove an article; the articles that still carry its text or copied part of it.

        Raises:
            NotFound: there is no such article.
        """
        await self._follower.caught_up()
        number = self._follower.reader.number_of(article_id)
        article = self._follower.reader.article(number) if number else None
        if article is None:
            raise self._reading.no_article(article_id)
        related = self._reading.related(article.text)
        await self._writer.append(entries.remove([entries.Removal(id=article_id)]))
        self._unfinished.wake()
        await self._follower.steady()
        return self._reading.carriers_of(related, number)

    async def _related(self, items: Sequence[Item]) -> dict[str, list[int]]:
        """Of articles to be removed, the texts that carry copied passages of them, by id."""
        removed = [i.article.id for i in items if i.article.pubstatus is PubStatus.CANCELED]
        if not removed:
            return {}
        await self._follower.caught_up()
        reader = self._follower.reader
        texts = {article_id: reader.text_of_article(reader.number_of(article_id)) for article_id in removed}
        return {article_id: self._reading.related(text) for article_id, text in texts.items() if text}

    def _prepare(self, articles: Sequence[Article]) -> list[Item]:
        """Called in a worker thread."""
        prepared = prepare_each(articles, self._parameters, stage)
        with stage("pack"):
            return [
                Item(
                    prepared=p,
                    payload=b""
                    if p.article.pubstatus is PubStatus.CANCELED
                    else payload.encode(
                        p.article,
                        words=p.words,
                        credits=p.credits,
                        tokens=p.tokens,
                        digest=b"" if p.comparable else p.digest,
                        codec=self._codec,
                    ),
                )
                for p in prepared
            ]

    # -- arriving ----------------------------------------------------------------------------------------

    async def _arrive(self, items: Sequence[Item], now: float) -> None:
        """Have every article in the log, but for those that the log knows as they are."""
        await self._follower.steady()
        if any(
            self._known(item) for item in items
        ):  # whether they are known is said by all that the log holds
            await self._follower.caught_up()
        ids = Counter(item.article.id for item in items)
        for item in items:
            known = self._known(item)
            if known is None or ids[item.article.id] > 1:
                continue
            item.heals = known.outcome == UNCHANGED and self._reading.is_lost(known.article)
            if not item.heals:
                item.arrival = known
        left = [item for item in items if item.arrival is None]
        for attempt in range(1, _TRIES + 1):
            if not left:
                return
            try:
                await self._append(left, now)
            except Retired:
                if attempt == _TRIES:
                    raise
                left = [item for item in left if item.arrival is None]
            else:
                return

    def _known(self, item: Item) -> Arrival | None:
        """What becomes of an article that changes nothing."""
        return self._follower.reader.unchanged(
            item.article.id,
            content=content_of(item.prepared),
            version=item.article.version,
            version_time=item.article.version_time,
            canceled=item.article.pubstatus is PubStatus.CANCELED,
        )

    async def _append(self, items: Sequence[Item], now: float) -> None:
        recorded = await self._recorder.write([i.payload for i in items if i.payload])
        numbers = iter(recorded.numbers)
        for item in items:
            item.record = next(numbers) if item.payload else 0
            if item.record and item.prepared.sketch is not None:
                self._comparer.offer(item.record, item.prepared.tokens, item.prepared.sketch)
        parts = self._in_entries(items, now)
        own = [part for part, _ in parts]
        tasks = [
            asyncio.ensure_future(
                self._writer.append(raw, is_arrival=bool(part[0].payload), incarnation=recorded.incarnation)
            )
            for part, raw in parts
        ]
        with stage("append"):
            done = await asyncio.gather(*tasks, return_exceptions=True)
        failures = []
        for part, outcome in zip(own, done, strict=True):
            if isinstance(outcome, BaseException):
                failures.append(outcome)
                continue
            for item, arrival in zip(part, outcome, strict=True):
                item.arrival = arrival
        if failures:
            if len(failures) == len(parts) and all(_is_refused(failure) for failure in failures):
                await self._recorder.discard(recorded)
            raise failures[0]

    def _in_entries(self, items: Sequence[Item], now: float) -> list[tuple[list[Item], bytes]]:
        """Articles in entries of at most so many bytes; kills in entries of their own, which no full store refuses."""
        parts: list[tuple[list[Item], list[entries.Arrival]]] = []
        size = 0
        for item in items:
            arrival = arrival_of(
                item.prepared,
                arrived=now,
                record=item.record,
                parameters=self._parameters,
                heals=item.heals,
            )
            if parts and parts[-1][1][0].canceled != arrival.canceled:
                size = ENTRY_BYTES
            cost = (
                120
                + 3 * len(arrival.id)
                + entries.POSTING_BYTES * (len(arrival.postings) + len(arrival.pairs))
            )
            if not parts or size + cost > ENTRY_BYTES:
                parts.append(([], []))
                size = 0
            parts[-1][0].append(item)
            parts[-1][1].append(arrival)
            size += cost
        return [(held, entries.arrive(arrivals)) for held, arrivals in parts]

    # -- judging -----------------------------------------------------------------------------------------

    async def _judge_batch(self, items: Sequence[Item]) -> Judged:
        """Verify the new texts and decide about what is undecided."""
        due, undecided = [], []
        reader = self._follower.reader
        await self._follower.steady()
        for item in items:
            arrival = item.arrival
            if arrival is None or not arrival.text or arrival.outcome in (CANCELED, STALE):
                continue
            if arrival.is_new_text:
                due.append(Due(text=arrival.text, whole=False, met=arrival.met))
            if not reader.is_decided(arrival.article):
                undecided.append(
                    Undecided(
                        article=arrival.article,
                        text=arrival.text,
                        source=source_hash(item.article),
                        words=item.prepared.words,
                        is_first=arrival.is_new_text,
                    )
                )
        try:
            return await self._judge.judge(due, undecided)
        except StoreUnavailable:
            self._unfinished.retry(each.text for each in due)
            raise

    # -- answers -----------------------------------------------------------------------------------------

    async def _answers(
        self, items: Sequence[Item], judged: Judged, before: int, related: dict[str, list[int]]
    ) -> list[IngestResult]:
        await self._follower.steady()
        placed = {}
        reader = self._follower.reader
        for item in items:
            arrival = item.arrival
            if arrival is not None and arrival.text and arrival.outcome != CANCELED:
                placed[arrival.text] = reader.cluster_of([arrival.text])[0]
        clusters = await self._reading.clusters(sorted(set(placed.values())))
        changes = self._reading.changes(before, set(placed.values()))
        out = []
        for item in items:
            arrival = item.arrival
            if arrival is None:
                message = "an article was neither appended nor refused"
                raise AssertionError(message)
            outcome = _OUTCOMES[arrival.outcome]
            comparable = arrival.text > 0
            if outcome in (Outcome.CREATED, Outcome.REPLACED) and not comparable:
                outcome = Outcome.NOT_COMPARABLE
            cluster = clusters.get(placed.get(arrival.text, 0))
            matches: list[Match] = []
            total = 0
            if comparable and outcome not in (Outcome.CANCELED, Outcome.STALE_VERSION):
                matches, total = await self._reading.matches_of_ingested(
                    item.prepared, arrival, judged, self._max_matches
                )
            carriers: tuple[str, ...] = ()
            if outcome is Outcome.CANCELED:
                await self._follower.steady()
                carriers = self._reading.carriers_of(related.get(item.article.id, []), arrival.article)
            mine = cluster.id if cluster is not None else ""
            fresh = f"c{arrival.text}" if arrival.is_new_text else ""
            out.append(
                IngestResult(
                    id=item.article.id,
                    outcome=outcome,
                    comparable=comparable,
                    decision=self._decision(arrival),
                    number=arrival.article,
                    arrival_time=self._follower.reader.arrival_of(arrival.article),
                    cluster=cluster,
                    affected_clusters=tuple(c for c in changes if c.old != fresh and mine in (c.old, c.new)),
                    story=cluster.story if cluster is not None else None,
                    matches=tuple(matches),
                    total_matches=total,
                    matches_truncated=total > len(matches),
                    credits=item.prepared.credits,
                    carriers=carriers,
                    candidates=judged.candidates.get(arrival.text) if arrival.is_new_text else None,
                )
            )
        return out

    def _decision(self, arrival: Arrival) -> Decision | None:
        if not arrival.article or arrival.outcome == CANCELED:
            return None
        return self._follower.reader.decision(arrival.article)


def _is_refused(failure: BaseException) -> bool:
    """Whether an entry is known not to be in the log."""
    if isinstance(failure, MayYetCome):
        return False
    return isinstance(failure, Retired | CollectionGone) or (
        isinstance(failure, StoreUnavailable) and failure.reason is Reason.STORE_OUT_OF_MEMORY
    )
