"""Verifying pairs of texts in threads, whose kernels need no interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

import msgspec

from dedup.bulk.texts import Texts
from dedup.core.clustering import TextNode
from dedup.core.verify import ComparableText
from dedup.core.verify_pair import VerifiedMatch, verify_each
from dedup.model import Rules, TextNumber

#: Texts verified, or articles prepared, by one call of a thread.
CHUNK: Final = 50

T = TypeVar("T")
U = TypeVar("U")
P = ParamSpec("P")


class Workers:
    """Threads that share work."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="dedup")

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin one piece of work."""
        return self._pool.submit(work, *args, **kwargs)

    def spread(self, work: Callable[[Sequence[T]], list[U]], items: Sequence[T]) -> list[U]:
        """Do work on all items; the results in their order."""
        if len(items) <= CHUNK // 4:
            return work(items)
        size = max(1, min(CHUNK, len(items) // (2 * self._threads) + 1))
        parts = [items[i : i + size] for i in range(0, len(items), size)]
        return [each for part in self._pool.map(work, parts) for each in part]


class MatchedText(msgspec.Struct, frozen=True, gc=False):
    """A text that another one is compared with."""

    node: TextNode
    id: str = ""
    cluster: TextNumber | None = None


class Job(msgspec.Struct, gc=False, kw_only=True):
    """A text to be verified with partners; of these ``eligible`` are eligible now, the others were as it came.

    ``whole``: it is due for all its partners. ``found`` gets what it shares with those that it shares something with.
    """

    text: int
    whole: bool
    partners: list[int]
    eligible: set[int]
    found: dict[int, VerifiedMatch[MatchedText]] = msgspec.field(default_factory=dict)


class Comparer:
    """Makes texts ready and compares them."""

    def __init__(self, texts: Texts, workers: Workers, rules: Rules) -> None:
        self._texts = texts
        self._workers = workers
        self._rules = rules

    def compare(self, jobs: Sequence[Job]) -> None:
        """Fill in what was found."""
        busy = [job for job in jobs if job.partners]
        self._make({job.text for job in busy}.union(*(job.partners for job in busy)))
        asked = [
            (self._texts.get(job.text), [(_text(o), self._texts.get(o)) for o in job.partners])
            for job in busy
        ]
        results = self._workers.spread(
            lambda part: [verify_each(query, others, self._rules) for query, others in part], asked
        )
        for job, matches in zip(busy, results, strict=True):
            job.found = {match.other.node.text: match for match in matches}

    def ready(self, text: int) -> ComparableText:
        """A text as it is compared now."""
        self._make({text})
        return self._texts.get(text)

    def _make(self, texts: set[int]) -> None:
        missing = self._texts.plan(sorted(texts))
        made = self._workers.spread(lambda part: [self._texts.make(*each) for each in part], missing)
        for (text, form, _), ready in zip(missing, made, strict=True):
            self._texts.keep(text, form, ready)


def _text(number: int) -> MatchedText:
    return MatchedText(TextNode(TextNumber(number), b"", ()))
