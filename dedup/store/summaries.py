"""Clusters and stories as stored: versioned msgpack arrays of :mod:`dedup.core.cluster_summary`'s records.

:class:`Summaries` reads them, and writes what a settler found while it holds the lease.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from dedup.core.cluster_summary import ClusterRecord, StoryRecord
from dedup.model import TextNumber

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dedup.store.connection import Argument, Store

_cluster_decoder: Final = msgspec.msgpack.Decoder(ClusterRecord)
_story_decoder: Final = msgspec.msgpack.Decoder(StoryRecord)
_encoder: Final = msgspec.msgpack.Encoder()


def _encode(record: ClusterRecord | StoryRecord) -> bytes:
    """A record as stored."""
    return _encoder.encode(record)


def _decode_cluster(raw: bytes) -> ClusterRecord:
    """A cluster as stored."""
    return _cluster_decoder.decode(raw)


def _decode_story(raw: bytes) -> StoryRecord:
    """A story as stored."""
    return _story_decoder.decode(raw)


@dataclass(slots=True)
class Settled:
    """What a settler writes: records by number, what was merged away and what ended, and where texts stand."""

    #: Clusters that are new or changed.
    clusters: list[tuple[TextNumber, ClusterRecord]] = field(default_factory=list)
    #: Stories that are new or changed.
    stories: list[tuple[int, StoryRecord]] = field(default_factory=list)
    #: Clusters that were merged away, with where they went.
    merged_clusters: list[tuple[TextNumber, ClusterRecord]] = field(default_factory=list)
    #: Stories that were merged away, with where they went.
    merged_stories: list[tuple[int, StoryRecord]] = field(default_factory=list)
    #: Clusters without a text.
    ended_clusters: list[TextNumber] = field(default_factory=list)
    #: Stories without a cluster.
    ended_stories: list[int] = field(default_factory=list)
    #: Texts that stand in another cluster than before, and in which.
    texts: list[tuple[TextNumber, TextNumber]] = field(default_factory=list)


class Summaries:
    """The clusters and stories of one collection."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._lease = f"{prefix}lease"

    # -- reading -------------------------------------------------------------------------------------

    async def cluster(self, number: TextNumber) -> ClusterRecord | None:
        """A cluster, or what is left of one that was merged away."""
        raw = await self._store.call("GET", f"{self._prefix}c{number}")
        return None if raw is None else _decode_cluster(raw)

    async def story(self, number: int) -> StoryRecord | None:
        """A story, or what is left of one that was merged away."""
        raw = await self._store.call("GET", f"{self._prefix}s{number}")
        return None if raw is None else _decode_story(raw)

    async def clusters(self, numbers: Iterable[TextNumber]) -> dict[TextNumber, ClusterRecord]:
        """Clusters by number, those that were merged away left out."""
        read = {TextNumber(n): _decode_cluster(raw) for n, raw in await self._many("c", numbers)}
        return {n: record for n, record in read.items() if not record.merged_into}

    async def stories(self, numbers: Iterable[int]) -> dict[int, StoryRecord]:
        """Stories by number, those that were merged away left out."""
        read = {n: _decode_story(raw) for n, raw in await self._many("s", numbers)}
        return {n: record for n, record in read.items() if not record.merged_into}

    async def _many(self, letter: str, numbers: Iterable[int]) -> list[tuple[int, bytes]]:
        wanted = sorted(numbers)
        if not wanted:
            return []
        raw = await self._store.call("MGET", *(f"{self._prefix}{letter}{n}" for n in wanted))
        return [(n, value) for n, value in zip(wanted, raw, strict=True) if value]

    async def cluster_numbers(self, after: int, limit: int) -> list[TextNumber]:
        """The next numbers of clusters that have a record, ascending."""
        return [TextNumber(n) for n in await self._numbers("clusters", after, limit)]

    async def story_numbers(self, after: int, limit: int) -> list[int]:
        """The next numbers of stories, ascending."""
        return await self._numbers("stories", after, limit)

    async def _numbers(self, kind: str, after: int, limit: int) -> list[int]:
        raw = await self._store.call(
            "ZRANGEBYSCORE", f"{self._prefix}{kind}", f"({after}", "+inf", "LIMIT", 0, limit
        )
        return [int(number) for number in raw]

    # -- settling ------------------------------------------------------------------------------------

    async def take_lease(self, holder: str, milliseconds: int) -> bool:
        """Take the lease of the collection's settler, or find that it is held already."""
        _, found = await self._store.pipeline(
            [("SET", self._lease, holder, "NX", "PX", milliseconds), ("GET", self._lease)]
        )
        return bool(found == holder.encode())

    async def return_lease(self, holder: str) -> None:
        """Give the lease back where it is held."""
        if await self._store.call("GET", self._lease) == holder.encode():
            await self._store.call("DEL", self._lease)

    async def new_clusters(self, count: int) -> list[TextNumber]:
        """So many numbers of texts and clusters that nothing has had."""
        return [TextNumber(n) for n in await self._new("t", count)]

    async def new_stories(self, count: int) -> range:
        """So many numbers that no story has had."""
        return await self._new("s", count)

    async def _new(self, counter: str, count: int) -> range:
        last = int(await self._store.call("HINCRBY", f"{self._prefix}#", counter, count))
        return range(last - count + 1, last + 1)

    async def write(self, holder: str, settled: Settled, dirty: Sequence[tuple[TextNumber, str]]) -> bool:
        """Write what a pass found, take ``dirty`` off the queue, give the lease back; False where it was lost."""
        changed = _suffixed(settled.clusters, settled.stories)
        merged = _suffixed(settled.merged_clusters, settled.merged_stories)
        ended = [f"c{n}" for n in settled.ended_clusters] + [f"s{n}" for n in settled.ended_stories]
        arguments: list[Argument] = [holder]
        for pairs in (changed, merged):
            arguments += (len(pairs), *(value for pair in pairs for value in pair))
        arguments += (len(ended), *ended)
        for numbered in (settled.texts, dirty):
            arguments += (len(numbered), *(value for pair in numbered for value in pair))
        return bool(await self._store.run("settle", [self._prefix, self._lease], *arguments))


def _suffixed(
    clusters: Sequence[tuple[TextNumber, ClusterRecord]], stories: Sequence[tuple[int, StoryRecord]]
) -> list[tuple[str, bytes]]:
    """Records under the ends of their keys."""
    return [(f"c{n}", _encode(record)) for n, record in clusters] + [
        (f"s{n}", _encode(record)) for n, record in stories
    ]
