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
        self, arrived: Sequence[tuple[Arrival, int, int]], jobs: dict[int, Job]
    ) -> tuple[list[Decided], dict[int, Decision]]:
        """Decisions for the log, and as callers see them, by article.

        ``arrived`` are articles, each with its outlet and its words; ``jobs`` are what was verified, by text.
        """
        raw: list[Decided] = []
        decisions: dict[int, Decision] = {}
        for arrival, source, words in arrived:
            number = arrival.article
            if arrival.outcome not in (CREATED, REPLACED) or not arrival.text or number in decisions:
                continue
            if self._reader.is_decided(number):
                continue
            decision, copied = self._decide(source, words, arrival, jobs)
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
            decisions[number] = replace(decision, copies=self._reader.id_of(copied)) if copied else decision
        return raw, decisions

    def _decide(
        self, source: int, words: int, arrival: Arrival, jobs: dict[int, Job]
    ) -> tuple[Decision, int]:
        before, text = ArticleNumber(arrival.article), arrival.text
        exact = []
        if not arrival.is_new_text:
            exact = first_of_each(self._reader.carriers(text, before=before), before, source)
        if exact:
            earlier, counts = against_equal(self._comparer.ready([text])[0], exact)
            return decide(source, earlier, counts)
        job = jobs.get(text)
        if job is None or not arrival.is_new_text:  # its owner never came to decide
            met = self._collection.look_up_late(arrival.article, text).tolist()
            job = Job(text=text, whole=False, decides=True, partners=met, eligible=set())
            self._comparer.compare([job])
        matches = self._earlier(job, before, source) if job.found else []
        if not matches:
            fixed = job.measured.boilerplate_half_words // 2 if job.measured is not None else 0
            return decide(source, [], WordCounts(boilerplate=fixed, new=words - fixed))
        earlier, counts = count_words(self._comparer.ready([text])[0], source, matches)
        return decide(source, earlier, counts)

    def _earlier(self, job: Job, before: ArticleNumber, source: int) -> list[EarlierMatch]:
        """The matches with texts that some article carried when this one came."""
        carried = []
        for other in job.found:
            if other < job.text:
                carriers = first_of_each(self._reader.carriers(other, before=before), before, source)
                if carriers:
                    carried.append((other, carriers))
        others = [other for other, _ in carried]
        clusters = self._reader.cluster_of(others)
        matches = self._comparer.matches(job, others)
        return [
            EarlierMatch(match=match, cluster=TextNumber(cluster), carriers=carriers)
            for match, cluster, (_, carriers) in zip(matches, clusters, carried, strict=True)
        ]
