"""The decision about each article, made once, against what had arrived before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dedup.bulk.verifying import Comparer, Job
from dedup.core.decision import (
    EarlierMatch,
    WordCounts,
    against_equal,
    count_words,
    decide,
    first_of_each,
)
from dedup.core.identity import source_hash
from dedup.core.prepare import Prepared
from dedup.model import ArticleNumber, Decision, TextNumber
from dedup.state.collection import Arrival, Collection
from dedup.state.entries import Decided
from dedup.state.kernels.arriving import CREATED, REPLACED
from dedup.state.reading import CollectionReader


class Decider:
    """Decides about the articles of a batch that has arrived and was verified."""

    def __init__(self, collection: Collection, comparer: Comparer) -> None:
        self._collection = collection
        self._reader = CollectionReader(collection)
        self._comparer = comparer

    def decide_all(
        self, arrived: Sequence[tuple[Prepared, Arrival]], jobs: dict[int, Job]
    ) -> tuple[list[Decided], dict[int, Decision]]:
        """Decisions for the log, and as callers see them, by article; ``jobs`` are what was verified, by text."""
        raw: list[Decided] = []
        decisions: dict[int, Decision] = {}
        for prepared, arrival in arrived:
            number = arrival.article
            if arrival.outcome not in (CREATED, REPLACED) or not arrival.text or number in decisions:
                continue
            if self._reader.is_decided(number):
                continue
            decision, copied = self._decide(prepared, arrival, jobs)
            raw.append(
                Decided(
                    article=number,
                    kind=int(decision.kind),
                    copied=copied,
                    covered=decision.covered,
                    words=(
                        decision.words_copied,
                        decision.words_quoted,
                        decision.words_boilerplate,
                        decision.words_new,
                    ),
                )
            )
            decisions[number] = replace(decision, copies=self._reader.id_of(copied) if copied else "")
        return raw, decisions

    def _decide(self, prepared: Prepared, arrival: Arrival, jobs: dict[int, Job]) -> tuple[Decision, int]:
        source, before = source_hash(prepared.article), ArticleNumber(arrival.article)
        exact = []
        if not arrival.is_new_text:
            exact = first_of_each(self._reader.carriers(arrival.text, before=before), before, source)
        if exact:
            earlier, counts = against_equal(self._comparer.ready(arrival.text), exact)
            return decide(source, earlier, counts)
        job = jobs.get(arrival.text)
        if job is None or not arrival.is_new_text:  # its owner never came to decide
            met = self._collection.look_up_late(arrival.article, arrival.text).tolist()
            job = Job(text=arrival.text, whole=False, partners=met, eligible=set())
            self._comparer.compare([job])
        matches = self._earlier(job, before, source)
        if not matches and not self._reader.has_boilerplate(arrival.text):
            return decide(source, [], WordCounts(new=prepared.words))
        earlier, counts = count_words(self._comparer.ready(arrival.text), source, matches)
        return decide(source, earlier, counts)

    def _earlier(self, job: Job, before: ArticleNumber, source: int) -> list[EarlierMatch]:
        """The matches with texts that some article carried when this one came."""
        matches = []
        for other, match in job.found.items():
            if other >= job.text:
                continue
            carriers = first_of_each(self._reader.carriers(other, before=before), before, source)
            if carriers:
                cluster = TextNumber(self._reader.cluster_of([other])[0])
                matches.append(EarlierMatch(match=match, cluster=cluster, carriers=carriers))
        return matches
