"""Verifying pairs of texts: which are compared by whom, and what they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from dedup.bulk.pool import Call, Pool
from dedup.bulk.tasks import PartnerMatch, Ref, Tasks, TextMatches
from dedup.bulk.texts import Texts
from dedup.core.clustering import TextNode
from dedup.core.verify import ComparableText
from dedup.core.verify_pair import VerifiedMatch
from dedup.model import TextNumber

#: Work of one call at most: texts to be read and pairs to be compared.
CHUNK: Final = 400
#: Calls that the work of one batch makes for each worker, so that all end at about the same time.
_SHARES: Final = 3


class MatchedText(msgspec.Struct, frozen=True, gc=False):
    """A text that another one is compared with."""

    node: TextNode
    id: str = ""
    cluster: TextNumber | None = None


class Job(msgspec.Struct, gc=False, kw_only=True):
    """A text to be verified with partners; of these ``eligible`` are eligible now, the others were as it came.

    ``whole``: it is due for all its partners. ``decides``: a decision rests on what it shares with earlier texts.
    ``found`` gets what it shares with those that it shares something with; ``measured`` whatever came of it, None where
    it has no partner and no boilerplate.
    """

    text: int
    whole: bool
    decides: bool
    partners: list[int]
    eligible: set[int]
    measured: TextMatches | None = None
    found: dict[int, PartnerMatch] = msgspec.field(default_factory=dict)


class Comparer:
    """Has texts compared."""

    def __init__(self, texts: Texts, pool: Pool, tasks: Tasks) -> None:
        self._texts = texts
        self._pool = pool
        self._tasks = tasks
        self._now: dict[int, Ref] = {}

    def begin(self, texts: Iterable[int]) -> None:
        """An entry was folded: from here on texts are compared as they are now; these will be."""
        self._now.clear()
        self._refs(set(texts))

    def compare(self, jobs: Sequence[Job]) -> None:
        """Fill in what was found."""
        for job in jobs:
            if job.decides:  # its earlier partners come first
                job.partners.sort()
        jobs = [job for job in jobs if job.partners or job.decides]
        refs = self._refs({text for job in jobs for text in (job.text, *job.partners)})
        jobs = [job for job in jobs if job.partners or refs[job.text].mask]
        work = sum(2 + len(job.partners) for job in jobs)
        share = min(CHUNK, work // (_SHARES * self._pool.size) + 1)
        calls = [(part, self._submit(part, refs)) for part in _parts(jobs, share)]
        for part, call in calls:
            measured: list[TextMatches] = self._pool.result(call)
            for job, each in zip(part, measured, strict=True):
                job.measured = each
                job.found = {job.partners[found.partner]: found for found in each.found}

    def _submit(self, jobs: Sequence[Job], refs: dict[int, Ref]) -> Call:
        places: dict[int, int] = {}
        asked = []
        for job in jobs:
            query = places.setdefault(job.text, len(places))
            partners = [places.setdefault(other, len(places)) for other in job.partners]
            earlier = sum(other < job.text for other in job.partners) if job.decides else 0
            asked.append((query, partners, earlier))
        weight = len(places) + sum(len(partners) for _, partners, _ in asked)
        return self._pool.submit("verify", [refs[text] for text in places], asked, weight=weight)

    def _refs(self, texts: set[int]) -> dict[int, Ref]:
        missing = list(texts.difference(self._now))
        if missing:
            self._now.update(zip(missing, self._texts.refs(missing), strict=True))
        return self._now

    def ready(self, texts: Sequence[int]) -> list[ComparableText]:
        """Texts as they are compared now, in this process."""
        refs = self._refs(set(texts))
        return [self._tasks.ready(refs[text]) for text in texts]

    def matches(self, job: Job, others: Sequence[int]) -> list[VerifiedMatch[MatchedText]]:
        """Matches of a job with some of those that it was found to share something with."""
        return [
            VerifiedMatch(other=_text(other), text=text, evidence=found.evidence, first=found.first)
            for other, text, found in zip(
                others, self.ready(others), (job.found[other] for other in others), strict=True
            )
        ]


def _parts(jobs: Sequence[Job], work: int) -> list[list[Job]]:
    """Jobs in parts of about as much work."""
    parts: list[list[Job]] = []
    left = 0
    for job in jobs:
        if left <= 0:
            parts.append([])
            left = work
        parts[-1].append(job)
        left -= 2 + len(job.partners)
    return parts


def _text(number: int) -> MatchedText:
    return MatchedText(TextNode(TextNumber(number), b"", ()))
