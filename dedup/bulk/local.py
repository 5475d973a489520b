"""A collection in one process: articles in, the fold of their log in memory, articles and matches out.

The way of a batch, see ``docs/architecture.md``: prepare; *arrive*; look up whom each text met; verify; *verified*.
The log is the order of what is folded. What takes time, preparing and verifying, runs in threads whose kernels need no
interpreter, the next batch being prepared while this one is verified.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from dedup.bulk.archive import Archive
from dedup.bulk.deciding import Decider
from dedup.bulk.output import Output
from dedup.bulk.texts import Texts
from dedup.bulk.verifying import CHUNK, Comparer, Job, MatchedText, Workers
from dedup.core.identity import content_hash, source_hash
from dedup.core.prepare import Prepared, prepare_each
from dedup.core.provenance import AGENCIES, agencies_of, agency_of_source, credit_bits
from dedup.core.verify_pair import VerifiedMatch
from dedup.model import Article, CollectionParameters, Decision, ExportedArticle, Match, PubStatus
from dedup.state import entries
from dedup.state.collection import Arrival, Collection
from dedup.state.kernels.arriving import CANCELED, CREATED, REPLACED, STALE, UNCHANGED
from dedup.state.reading import CollectionReader

#: Articles that go through the flow together.
BATCH: Final = 400
#: Pairs of one entry.
_PAIRS: Final = 4000

OUTCOMES: Final = {
    CREATED: "created",
    UNCHANGED: "unchanged",
    REPLACED: "replaced",
    STALE: "stale_version",
    CANCELED: "canceled",
}


class LocalCollection:
    """One collection, driven without a store."""

    def __init__(self, parameters: CollectionParameters | None = None, *, threads: int | None = None) -> None:
        self.parameters = parameters or CollectionParameters()
        self.collection = Collection(self.parameters)
        self.reader = CollectionReader(self.collection)
        self.archive = Archive()
        self._texts = Texts(self.collection, self.archive)
        self._position = 0
        threads = threads or len(os.sched_getaffinity(0))
        self._workers = Workers(threads)
        self._preparing = Workers(threads)  # of the next batch: what is verified does not wait behind it
        self._comparer = Comparer(self._texts, self._workers, self.parameters.rules)
        self._decider = Decider(self.collection, self._comparer)

    def close(self) -> None:
        """End the threads."""
        self._preparing.close()
        self._workers.close()

    # -- articles in -----------------------------------------------------------------------------------

    def ingest(
        self, articles: Iterable[tuple[Article, float]]
    ) -> Iterator[tuple[Article, str, Decision | None]]:
        """Take articles with their times of arrival in; what became of each, in order, and its decision.

        The words of an outcome are those of :class:`~dedup.model.Outcome`, in lower case.
        """
        source = iter(articles)
        ahead = self._prepare(list(islice(source, BATCH)))
        while ahead is not None:
            batch, parts = ahead
            ahead = self._prepare(list(islice(source, BATCH)))
            prepared = [each for part in parts for each in part.result()]
            yield from self._take(batch, prepared)

    def _prepare(
        self, batch: list[tuple[Article, float]]
    ) -> tuple[list[tuple[Article, float]], list[Future[list[tuple[Prepared, bytes]]]]] | None:
        if not batch:
            return None
        starts = range(0, len(batch), CHUNK)
        return batch, [self._preparing.submit(self._prepare_some, batch[i : i + CHUNK]) for i in starts]

    def _prepare_some(self, batch: list[tuple[Article, float]]) -> list[tuple[Prepared, bytes]]:
        prepared = prepare_each([article for article, _ in batch], self.parameters)
        return [(p, self.archive.pack(p.article, p.digest, agencies_of([p.credits]))) for p in prepared]

    def _take(
        self, batch: list[tuple[Article, float]], prepared: list[tuple[Prepared, bytes]]
    ) -> Iterator[tuple[Article, str, Decision | None]]:
        ready = [p for p, _ in prepared]
        arrivals = []
        for (p, record), (_, arrived) in zip(prepared, batch, strict=True):
            number = self.archive.add(record)
            arrivals.append(self._arrival(p, arrived, number))
            if p.sketch is not None:
                self._texts.offer(number, p.tokens, p.sketch)
        outcomes = self._append(entries.arrive(arrivals), collect=True)
        met = {o.text: o.met for o in outcomes if o.is_new_text and o.met is not None}
        decided = self._verify_due(met, list(zip(ready, outcomes, strict=True)))
        for (article, _), p, o in zip(batch, ready, outcomes, strict=True):
            word = OUTCOMES[o.outcome]
            if o.outcome in (CREATED, REPLACED) and not p.comparable:
                word = "not_comparable"
            stands = o.outcome != CANCELED and (o.outcome != STALE or self.reader.article(o.article))
            decision = (decided.get(o.article) or self.reader.decision(o.article)) if stands else None
            yield article, word, decision
        self._texts.prune()

    def _append(self, raw: bytes, *, collect: bool = False) -> list[Arrival]:
        self._position += 1
        return self.collection.apply(self._position, raw, collect=collect)

    def _arrival(self, p: Prepared, arrived: float, record: int) -> entries.Arrival:
        article = p.article
        agency = agency_of_source(article.source)
        return entries.Arrival(
            id=article.id,
            content=int.from_bytes(content_hash(article), "little"),
            digest=p.digest,
            source=source_hash(article),
            published=arrived if article.published is None else article.published,
            dated=article.published is not None,
            arrival=arrived,
            words=p.words,
            credits=credit_bits(p.credits),
            record=record,
            reading=xxhash.xxh3_64_intdigest(p.tokens.flags.tobytes()),
            postings=p.sketch.postings if p.sketch is not None else _NO_POSTINGS,
            version=article.version,
            version_time=article.version_time,
            canceled=article.pubstatus is PubStatus.CANCELED,
            agency=AGENCIES.index(agency) + 1 if agency in AGENCIES else 0,
        )

    # -- verifying -------------------------------------------------------------------------------------

    def _verify_due(
        self,
        met: dict[int, NDArray[np.int64]],
        arrived: list[tuple[Prepared, Arrival]],
    ) -> dict[int, Decision]:
        """Verify what is due, decide about what has arrived."""
        position = self._position
        texts, whole = self.collection.take_due(1 << 30)
        looked_up = self.collection.look_up(texts, below=[not each for each in whole])
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
                Job(text=text, whole=all_partners, partners=[*sorted(eligible), *late], eligible=eligible)
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

    def export(self) -> Iterator[ExportedArticle | Match]:
        """All articles, then all matches, as ``dedup export`` has them."""
        out = Output(self.collection, self.archive, self._workers)
        yield from out.articles()
        yield from out.matches()


def _pair(other: int, match: VerifiedMatch[MatchedText] | None) -> entries.Pair:
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


_NO_POSTINGS: Final = np.empty(0, np.uint64)
