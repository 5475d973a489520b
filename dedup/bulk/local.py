"""A collection in one process and its workers: articles in, the fold of their log in memory, articles and matches out.

The way of a batch, see ``docs/architecture.md``: prepare; *arrive*; look up whom each text met; verify; *verified*.
The log is the order of what is folded. This process folds and decides. What takes time, preparing and verifying, is
done by workers (:mod:`dedup.bulk.pool`); they prepare the next batches while this process folds one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from dedup.bulk.archive import WORD_SLOT_BYTES, Archive, LineSlots
from dedup.bulk.deciding import Decider
from dedup.bulk.output import Output
from dedup.bulk.pool import Call, Pool, default_workers
from dedup.bulk.storage import Memory, SharedFile
from dedup.bulk.tasks import Delivery, Part, PartnerMatch, Space, Tasks, record_bytes
from dedup.bulk.texts import Texts
from dedup.bulk.verifying import Comparer, Job
from dedup.bulk.warmup import load_state
from dedup.core.article_rules import DEFAULT_ARTICLE_RULES, ArticleRules
from dedup.errors import DedupError
from dedup.model import CollectionParameters, Decision, ExportedArticle
from dedup.state import entries
from dedup.state.collection import Arrival, Collection
from dedup.state.kernels.arriving import CANCELED, CREATED, REPLACED, STALE, UNCHANGED
from dedup.state.reading import CollectionReader

#: Articles that go through the flow together.
BATCH: Final = 400
#: Articles that are prepared by one call, and their bytes.
CHUNK, CHUNK_BYTES = 50, 1 << 22
#: Calls to prepare that are made ahead.
AHEAD: Final = 2 * BATCH // CHUNK
#: Articles from which on workers are worth their start.
MANY: Final = 2 * BATCH
#: Pairs of one entry.
_PAIRS: Final = 4000

OUTCOMES: Final = {
    CREATED: "created",
    UNCHANGED: "unchanged",
    REPLACED: "replaced",
    STALE: "stale_version",
    CANCELED: "canceled",
}


class DeliveryResult(msgspec.Struct, frozen=True, gc=False):
    """What became of one line or article: its outcome and decision, or the error that says why it is none.

    The words of an outcome are those of :class:`~dedup.model.Outcome`, in lower case.
    """

    id: str
    outcome: str
    decision: Decision | None
    error: DedupError | None = None


class _Preparing(NamedTuple):
    """A call that prepares articles, and the slots of their words and lines."""

    call: Call
    words: int
    lines: int


class LocalCollection:
    """One collection, driven without a store.

    ``workers`` are processes beside this one, None for one each processor. They are started once there are many
    articles, and start before anything else has been done.
    """

    def __init__(
        self,
        parameters: CollectionParameters | None = None,
        *,
        workers: int | None = None,
        rules: ArticleRules = DEFAULT_ARTICLE_RULES,
    ) -> None:
        self.parameters = parameters or CollectionParameters()
        self.collection = Collection(self.parameters)
        self.reader = CollectionReader(self.collection)
        self._rules = rules
        self._wanted = default_workers() if workers is None else workers
        self._position = 0
        self._files: list[SharedFile] = []
        self._begin()

    def _begin(self, *files: SharedFile) -> None:
        """Set up what does the work, with files for lines, texts and words or without; before the first article."""
        lines, texts, words = files or (Memory(), Memory(), Memory())
        tasks = Tasks(parameters=self.parameters, rules=self._rules, lines=lines, texts=texts, words=words)
        self._pool = Pool(tasks, files)
        self._archive = Archive(texts, words)
        self._slots = LineSlots(lines, AHEAD if files else 0)
        self._texts = Texts(self.collection, self._archive)
        self._comparer = Comparer(self._texts, self._pool, tasks)
        self._decider = Decider(self.collection, self._comparer)

    def close(self) -> None:
        """End the workers."""
        self._pool.close()
        while self._files:
            self._files.pop().close()

    # -- articles in -----------------------------------------------------------------------------------

    def ingest(self, deliveries: Iterable[Delivery]) -> Iterator[DeliveryResult]:
        """Take lines or articles in; what became of each, in order."""
        source = iter(deliveries)
        first = list(islice(source, MANY + 1))
        if len(first) > MANY and self._wanted and not len(self._archive):
            self._start_workers()
        chunks = _chunks(chain(first, source))
        del first
        ahead: deque[_Preparing] = deque()
        waiting = _Waiting()
        while True:
            for chunk in islice(chunks, AHEAD - len(ahead)):
                ahead.append(self._prepare(chunk))
            while ahead and waiting.articles < BATCH:
                waiting.add(*self._prepared(ahead.popleft()))
            if not waiting.lines:
                return
            yield from self._take(waiting.batch(last=not ahead))
            self._texts.prune()

    def _start_workers(self) -> None:
        for _ in range(3):
            self._files.append(SharedFile.make())
        self._begin(*self._files)
        self._pool.start(self._wanted)
        load_state(self.parameters)  # meanwhile

    def _prepare(self, chunk: list[Delivery]) -> _Preparing:
        size, words = record_bytes(chunk), self._archive.slot()
        place = Space(at=self._archive.reserve(size), size=size, words_at=words, words_size=WORD_SLOT_BYTES)
        deliveries, lines = self._slots.put(chunk)
        call = self._pool.submit("prepare", deliveries, lines, place, weight=2 * len(chunk))
        return _Preparing(call, words, lines)

    def _prepared(self, preparing: _Preparing) -> tuple[Part, range]:
        part: Part = self._pool.result(preparing.call)
        self._slots.give_back(preparing.lines)
        return part, self._archive.add(part, preparing.words)

    def _take(self, batch: _Batch) -> Iterator[DeliveryResult]:
        """Fold a batch, verify and decide."""
        packed = batch.packed
        outcomes = self._append(entries.arrive_packed(packed), collect=True) if len(packed) else []
        met = {o.text: o.met for o in outcomes if o.is_new_text and o.met is not None}
        sources, words = packed.rows["source"].tolist(), packed.rows["words"].tolist()
        decided = self._verify_due(met, list(zip(outcomes, sources, words, strict=True))) if outcomes else {}
        ids = packed.ids()
        comparable = batch.comparable.tolist()
        at = 0
        for error in batch.errors:
            if error is not None:
                yield DeliveryResult(id="", outcome="", decision=None, error=error)
                continue
            o = outcomes[at]
            word = OUTCOMES[o.outcome]
            if o.outcome in (CREATED, REPLACED) and not comparable[at]:
                word = "not_comparable"
            decision = None
            if self._stands(o):
                decision = decided.get(o.article) or self.reader.decision(o.article)
            yield DeliveryResult(id=ids[at], outcome=word, decision=decision)
            at += 1

    def _stands(self, o: Arrival) -> bool:
        return o.outcome != CANCELED and (o.outcome != STALE or self.reader.article(o.article) is not None)

    def _has_words(self, text: int) -> bool:
        """Whether there is such a text: one may come and be replaced within a batch."""
        return text > 0 and self.reader.is_kept(text)

    def _append(self, raw: bytes, *, collect: bool = False) -> list[Arrival]:
        self._position += 1
        return self.collection.apply(self._position, raw, collect=collect)

    # -- verifying -------------------------------------------------------------------------------------

    def _verify_due(
        self,
        met: dict[int, NDArray[np.int64]],
        arrived: list[tuple[Arrival, int, int]],
    ) -> dict[int, Decision]:
        """Verify what is due, decide about what has arrived."""
        position = self._position
        texts, whole = self.collection.take_due(1 << 30)
        looked_up = self.collection.look_up(texts, below=[not each for each in whole])
        new = {o.text for o, _, _ in arrived if o.is_new_text}
        told: set[tuple[int, int]] = set()
        jobs = []
        for text, all_partners, now in zip(texts, whole, looked_up, strict=True):
            eligible = {o for o in now.tolist() if (min(text, o), max(text, o)) not in told}
            told.update((min(text, o), max(text, o)) for o in eligible)
            then = met.get(text)
            late = (
                [o for o in then.tolist() if o not in eligible and self.reader.is_kept(o)]
                if then is not None
                else ()
            )
            jobs.append(
                Job(
                    text=text,
                    whole=all_partners,
                    decides=text in new and self._has_words(text),
                    partners=[*sorted(eligible), *late],
                    eligible=eligible,
                )
            )
        self._comparer.begin(
            {o.text for o, _, _ in arrived if o.outcome in (CREATED, REPLACED) and self._has_words(o.text)}
        )
        self._comparer.compare(jobs)
        by_text = {job.text: job for job in jobs}
        decided, decisions = self._decider.decide_all(arrived, by_text)
        self._write(jobs, position, decided)
        return decisions

    def _write(self, jobs: Sequence[Job], position: int, decided: Sequence[entries.Decided]) -> None:
        """Entries of what was verified, and of all decisions with the first."""
        looked_up: list[entries.LookedUp] = []
        pairs = 0
        waiting = list(decided)
        for job in jobs:
            found = [_pair(other, job.found.get(other)) for other in job.partners if other in job.eligible]
            parts = [found[i : i + _PAIRS] for i in range(0, len(found), _PAIRS)] or [[]]
            for number, part in enumerate(parts, 1):
                looked_up.append(
                    entries.LookedUp(
                        text=job.text,
                        position=position,
                        pairs=part,
                        all_partners=job.whole,
                        complete=number == len(parts),
                    )
                )
                pairs += len(part)
                if pairs >= _PAIRS:
                    self._append(entries.verified(looked_up, waiting))
                    looked_up, waiting, pairs = [], [], 0
        if looked_up or waiting:
            self._append(entries.verified(looked_up, waiting))

    # -- settling --------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Work off what is due and waiting, until nothing is."""
        while not self.collection.is_settled:
            before = (self.collection.due, self.collection.waiting)
            self._verify_due({}, [])
            self._append(entries.settle())
            self._texts.prune()
            if self.collection.undecided and (self.collection.due, self.collection.waiting) == before:
                break

    def remove(self, article_id: str) -> None:
        """Delete an article."""
        self._append(entries.remove([entries.Removal(id=article_id)]))

    # -- articles and matches out ------------------------------------------------------------------------

    def articles(self) -> Iterator[ExportedArticle]:
        """All articles, by the bytes of their ids, as ``dedup export`` has them."""
        return self._output().articles()

    def match_lines(self) -> Iterator[tuple[int, str]]:
        """All matches between texts as lines of ``matches.jsonl``, some thousand at a time: how many, and the lines."""
        return self._output().match_lines()

    def _output(self) -> Output:
        return Output(self.collection, self._archive, self._texts, self._pool)


class _Batch(msgspec.Struct, gc=False):
    """Articles that are folded together, and the lines among them that hold none.

    ``errors`` has an entry for each line, None where it holds an article.
    """

    packed: entries.PackedArrivals
    comparable: NDArray[np.bool_]
    errors: list[DedupError | None]


class _Waiting:
    """Parts that were prepared and wait until they make a batch."""

    def __init__(self) -> None:
        self._packed: list[entries.PackedArrivals] = []
        self._comparable: list[NDArray[np.bool_]] = []
        self._errors: list[DedupError | None] = []
        self.articles = 0

    @property
    def lines(self) -> int:
        """Lines that wait, with an article or without."""
        return len(self._errors)

    def add(self, part: Part, records: range) -> None:
        """Add a part, whose articles have these records."""
        part.packed.rows["record"] = np.arange(records.start, records.stop, dtype=np.uint64)
        self._packed.append(part.packed)
        self._comparable.append(part.comparable)
        self._errors += [part.errors.get(place) for place in range(part.lines)]
        self.articles += len(records)

    def batch(self, *, last: bool) -> _Batch:
        """The articles that come next, with the lines up to the last of them; with ``last`` all lines there are."""
        packed = entries.join_arrivals(self._packed)
        comparable = np.concatenate(self._comparable)
        now, later = packed.split(BATCH)
        lines = len(self._errors)
        if len(later) or not last:
            places = [i for i, error in enumerate(self._errors) if error is None]
            lines = places[len(now) - 1] + 1
        found = _Batch(now, comparable[: len(now)], self._errors[:lines])
        self._packed, self._comparable = [later], [comparable[len(now) :]]
        self._errors = self._errors[lines:]
        self.articles = len(later)
        return found


def _chunks(deliveries: Iterable[Delivery]) -> Iterator[list[Delivery]]:
    """Lines in parts that are prepared together."""
    chunk: list[Delivery] = []
    size = 0
    for each in deliveries:
        chunk.append(each)
        size += len(each[0]) if isinstance(each[0], bytes) else 0
        if len(chunk) == CHUNK or size > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _pair(other: int, match: PartnerMatch | None) -> entries.Pair:
    kind = None if match is None else match.evidence.kind
    if match is None or kind is None:
        return entries.Pair(partner=other)
    evidence = match.evidence
    return entries.Pair(
        partner=other,
        kind=int(kind),
        unquoted=evidence.shared - evidence.quoted,
        quoted=evidence.quoted,
        a_containment=evidence.a_containment,
        b_containment=evidence.b_containment,
        min_coverage=evidence.min_coverage,
    )
