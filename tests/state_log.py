"""Logs of a collection for tests: articles made of postings alone, what was appended, and the same log folded again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import msgspec
import numpy as np
import xxhash

from bench.oracle.families import Operation, Remove
from dedup.bulk.local import LocalCollection
from dedup.model import CollectionParameters
from dedup.state import entries
from dedup.state.collection import Arrival, Collection
from dedup.state.reading import CollectionReader

DAY = 86400.0
#: What can become of an article.
CREATED, UNCHANGED, REPLACED, STALE, CANCELED = 1, 2, 3, 4, 5
NEW, COPY = 1, 2
NEAR_DUPLICATE, EXCERPT = 2, 3


class Recorded(LocalCollection):
    """A collection that keeps its log: position and bytes of every entry."""

    def __init__(self, parameters: CollectionParameters | None = None) -> None:
        self.log: list[tuple[int, bytes]] = []
        super().__init__(parameters, workers=0)

    def _append(self, raw: bytes, *, collect: bool = False) -> list[Arrival]:
        found = super()._append(raw, collect=collect)
        self.log.append((self.collection.position, raw))
        return found


@contextmanager
def folded(history: Iterable[Operation], parameters: CollectionParameters) -> Iterator[Recorded]:
    """The collection after a history, settled."""
    made = Recorded(parameters)
    try:
        for operation in history:
            if isinstance(operation, Remove):
                made.remove(operation.id)
            else:
                list(made.ingest((article, operation.now) for article in operation.articles))
        made.settle()
        yield made
    finally:
        made.close()


def article(
    id: str,
    postings: Iterable[int],
    *,
    day: float = 0,
    source: int = 1,
    version: int | None = None,
    version_time: float | None = None,
    canceled: bool = False,
    reading: int = 0,
    record: int = 1,
    digest: int | None = None,
    pairs: Iterable[int] = (),
) -> entries.Arrival:
    """An article whose body is its postings; with none it is not comparable. ``pairs`` are its word pairs."""
    kept = np.array(sorted(set(postings)), np.uint64)
    content = xxhash.xxh3_64_intdigest(repr((day, source, reading, digest)).encode() + kept.tobytes())
    name = xxhash.xxh3_128_digest(kept.tobytes()) if digest is None else digest.to_bytes(16, "big")
    return entries.Arrival(
        id=id,
        content=content,
        digest=name,
        source=source,
        published=day * DAY,
        dated=True,
        arrival=1e9,
        words=50,
        credits=0,
        record=record,
        reading=reading,
        postings=kept,
        version=version,
        version_time=version_time,
        canceled=canceled,
        pairs=np.array(sorted(set(pairs)), np.uint64),
    )


class Log:
    """A log written by hand, and the collection that is its fold."""

    def __init__(self, *, landmarks: int = 10, match_window_days: int = 0, same_story: bool = False) -> None:
        self.parameters = CollectionParameters(
            landmarks=landmarks, match_window_days=match_window_days, same_story=same_story
        )
        self.collection = Collection(self.parameters)
        self.reader = CollectionReader(self.collection)
        self.written: list[tuple[int, bytes, int]] = []

    @property
    def position(self) -> int:
        """Where the last entry stands."""
        return self.collection.position

    def append(self, raw: bytes, *, owner: int = 0, collect: bool = False) -> list[Arrival]:
        """Fold an entry after the last; positions have gaps."""
        position = self.position + 1 + len(self.written) % 3
        found = self.collection.apply(position, raw, owner=owner, collect=collect)
        self.written.append((position, raw, owner))
        return found

    def arrive(self, *articles: entries.Arrival, owner: int = 0, collect: bool = False) -> list[Arrival]:
        """Articles arrive together."""
        return self.append(entries.arrive(articles), owner=owner, collect=collect)

    def remove(self, *ids: str, version: int | None = None, version_time: float | None = None) -> None:
        """Articles are removed together."""
        gone = [entries.Removal(id=id, version=version, version_time=version_time) for id in ids]
        self.append(entries.remove(gone))

    def verify(self, *texts: entries.LookedUp, decisions: Sequence[entries.Decided] = ()) -> None:
        """Results and decisions."""
        self.append(entries.verified(texts, decisions))

    def decide(self, *articles: int, kind: int = NEW, copied: int = 0) -> None:
        """The same decision about some articles."""
        self.verify(decisions=[decided(number, kind=kind, copied=copied) for number in articles])

    def decide_all(self) -> None:
        """Every article there is is new, where it is not decided yet."""
        self.decide(*range(1, self.collection.highest_article + 1))

    def settle(self, entries_at_most: int = 100) -> None:
        """Settle entries until no work waits."""
        for _ in range(entries_at_most):
            self.append(entries.settle())
            if not self.collection.waiting:
                break

    def again(self, *, upto: int | None = None, sliced: bool = False) -> Collection:
        """The same entries folded by another process, which draws a salt of its own."""
        made = Collection(self.parameters)
        for position, raw, owner in self.written[:upto]:
            steps = made.slices(position, raw, owner=owner)
            if sliced:
                for _ in steps:
                    pass
            else:
                made.apply(position, raw, owner=owner)
        return made


def decided(number: int, *, kind: int = NEW, copied: int = 0) -> entries.Decided:
    """A decision about an article."""
    return entries.Decided(article=number, kind=kind, copied=copied, covered=0.5, words=(1, 2, 3, 4))


def pair(partner: int, kind: int = NEAR_DUPLICATE, words: int = 80) -> entries.Pair:
    """What a partner turned out to be; nothing with kind 0."""
    if not kind:
        return entries.Pair(partner=partner)
    return entries.Pair(
        partner=partner,
        kind=kind,
        unquoted=words,
        quoted=0,
        a_containment=0.9,
        b_containment=0.9,
        min_coverage=0.9,
    )


def result(
    text: int,
    position: int,
    *pairs: entries.Pair,
    everybody: bool = False,
    complete: bool = True,
) -> entries.LookedUp:
    """What came of a text's look-up."""
    return entries.LookedUp(
        text=text, position=position, pairs=pairs, all_partners=everybody, complete=complete
    )


def events_of(collection: Collection) -> list[tuple[int, str, int, int]]:
    """All events."""
    return CollectionReader(collection).events()


def replaced(made: entries.Arrival, **changes: object) -> entries.Arrival:
    """An article with other fields."""
    return msgspec.structs.replace(made, **changes)
