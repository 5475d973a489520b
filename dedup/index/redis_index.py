"""One collection's index: what the pipeline asks of the store, one method a verb.

A batch is one round trip of a few script calls; nothing here loops over round trips. See :mod:`dedup.index.keys`
for the layout.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dedup.errors import StoreUnavailable
from dedup.index import codec, keys
from dedup.index.codec import Codec, UnknownDictionary
from dedup.index.records import (
    decode_edges,
    decode_record,
    decode_text,
    encode_edge,
    name_hash,
    payload_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from dedup.cluster import Edge
    from dedup.index.records import ArticleRecord, TextState
    from dedup.index.store import Argument, Store

#: Keys asked for in one command.
_CHUNK: Final = 500
#: Bytes of postings stored in one call, about eight articles of 500 words: some 5 ms of the store.
_PART_BYTES: Final = 6000
# Many values go to a script in one argument, in the layouts that ingest.lua and commit.lua spell out: commands of
# many arguments cost redis-py more than the store needs to read one.
_ARRIVAL: Final = struct.Struct("<12s1s8sddB16s29sIII")
_COMMIT: Final = struct.Struct("<IIdBIII")
_EDGE_TO: Final = struct.Struct("<II")


def _packed(numbers: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def _in_parts(arrivals: Sequence[Arrival]) -> Iterable[Sequence[Arrival]]:
    """Cut a batch so that no call holds the store for more than a few milliseconds."""
    start, held = 0, 0
    for stop, arrival in enumerate(arrivals):
        if held and held + len(arrival.postings) > _PART_BYTES:
            yield arrivals[start:stop]
            start, held = stop, 0
        held += len(arrival.postings)
    yield arrivals[start:]


def _pack_arrival(a: Arrival) -> bytes:
    name = a.id.encode()
    head = _ARRIVAL.pack(
        a.name_hash,
        b"c" if a.canceled else b"u",
        a.content,
        -1.0 if a.version is None else a.version,
        -1.0 if a.version_time is None else a.version_time,
        keys.FLAG_COMPARABLE if a.comparable else 0,
        a.digest,
        a.carrier,
        len(name),
        len(a.postings),
        len(a.payload),
    )
    return b"".join((head, name, a.postings, a.payload))


def _pack_commit(c: TextCommit) -> list[bytes]:
    recheck, furniture = c.recheck.encode(), c.furniture or b""
    known = (1 if c.replace else 0) | (2 if c.furniture is not None else 0)
    sequence = -1.0 if c.sequence is None else c.sequence
    sizes = (len(recheck), len(furniture), len(c.placement))
    parts = [_COMMIT.pack(c.text, c.revision, sequence, known, *sizes), recheck, furniture, c.placement]
    parts.append(_packed([len(c.edges)]))
    parts += [_EDGE_TO.pack(other, revision) + encode_edge(edge) for other, revision, edge in c.edges]
    return parts


@dataclass(frozen=True, slots=True)
class Arrival:
    """An article on its way into the index; byte layouts as in ``ingest.lua``."""

    name_hash: bytes
    id: str
    canceled: bool
    content: bytes
    version: int | None
    version_time: float | None
    comparable: bool
    digest: bytes
    carrier: bytes
    postings: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """What ``ingest.lua`` answers for one article.

    ``text`` is 0 where the article is not comparable; ``new_text`` tells that its postings were stored now and
    ``lists`` holds what they met; ``previous`` is the text it carried before, 0 if none; ``edges`` are given for
    a canceled article. ``sequence`` marks the moment.
    """

    outcome: str
    number: int
    text: int
    head: bytes
    new_text: bool
    revision: int
    previous: int
    lists: NDArray[np.uint32]
    edges: list[Edge]
    sequence: int


@dataclass(frozen=True, slots=True)
class TextCommit:
    """What verification found for one text: furniture (None: as it was) and edges (other, its revision, edge)."""

    text: int
    revision: int
    sequence: int | None
    replace: bool
    recheck: str
    furniture: bytes | None
    placement: bytes
    edges: list[tuple[int, int, Edge]]


def posting_bytes(postings: NDArray[np.uint64]) -> bytes:
    """Postings as the scripts take them: 42 bits in 6 bytes each, most significant first."""
    wide = postings.astype(">u8").view(np.uint8).reshape(-1, 8)
    return wide[:, 2:].tobytes()


class RedisIndex:
    """The index of one collection, in one partition."""

    def __init__(self, store: Store, collection: str, landmarks: int) -> None:
        self.store = store
        self.collection = collection
        self.prefix = keys.prefix(collection)
        self.codec = Codec()
        self._landmarks = landmarks

    async def _run(self, script: str, *arguments: Argument) -> Any:
        return await self.store.run(script, [self.prefix], *arguments)

    # -- writing -------------------------------------------------------------------------------------

    async def ingest(self, arrivals: Sequence[Arrival], now: float) -> list[Stored]:
        """Store articles in order; what happened to each."""
        moment = int(now * 1000)
        calls = [
            (moment, self._landmarks, b"".join(map(_pack_arrival, part))) for part in _in_parts(arrivals)
        ]
        answers = await self.store.run_each("ingest", [self.prefix], calls)
        return [self._stored(answer) for part in answers for answer in part]

    @staticmethod
    def _stored(answer: list[Any]) -> Stored:
        outcome, number, text, head, new, revision, previous, lists, flat, sequence = answer
        edges = decode_edges(text, b"".join(flat))
        found = np.frombuffer(lists, np.uint32)
        return Stored(
            outcome.decode(), number, text, head, bool(new), revision, previous, found, edges, sequence
        )

    async def commit(
        self,
        texts: Sequence[TextCommit],
        touched: Iterable[int] = (),
        decisions: Sequence[tuple[int, bytes]] = (),
    ) -> tuple[set[int], set[int]]:
        """Write edges, furniture and decisions; the texts refused (queued again) and the articles decided now."""
        moved = list(touched)
        parts = [_packed([len(texts), len(moved), len(decisions)])]
        for c in texts:
            parts += _pack_commit(c)
        parts.append(_packed(moved))
        parts += [struct.pack(f"<II{len(raw)}s", number, len(raw), raw) for number, raw in decisions]
        refused, decided = await self._run("commit", b"".join(parts))
        return set(refused), set(decided)

    async def cut(self, text: int, entry: str, sequence: int, others: Iterable[int]) -> None:
        """Remove edges of a text that lost its place as a landmark."""
        await self._run("cut", text, entry, sequence, *others)

    async def forget(self, text: int, postings: bytes) -> NDArray[np.uint32]:
        """Take a dead text out of its lists; what is left in them."""
        return np.frombuffer(await self._run("forget", text, self._landmarks, postings), np.uint32)

    async def touch(self, texts: Iterable[int]) -> None:
        """Have everything verified with these texts verified again."""
        wanted = list(texts)
        if wanted:
            await self._run("touch", *wanted)

    # -- reading -------------------------------------------------------------------------------------

    async def lookup(self, text: int, digest: bytes, postings: bytes) -> tuple[int, NDArray[np.uint32]]:
        """The sequence number of this moment and the posting lists of a text, itself left out."""
        sequence, lists = await self._run("lookup", text, digest, self._landmarks, postings)
        return sequence, np.frombuffer(lists, np.uint32)

    async def members(self, posting: bytes) -> NDArray[np.uint32]:
        """All texts of one posting."""
        return np.frombuffer(await self._run("members", posting), np.uint32)

    async def texts(self, wanted: Iterable[int], *, carriers: bool = False) -> dict[int, TextState]:
        """States of texts; with all carriers, or only the first. Unknown ones are left out."""
        numbers = list(wanted)
        found = {}
        for start in range(0, len(numbers), _CHUNK):
            chunk = numbers[start : start + _CHUNK]
            answer = await self._run("texts", "all" if carriers else "first", _packed(chunk))
            for number, fields in zip(chunk, answer, strict=True):
                state = decode_text(number, fields)
                if state is not None:
                    found[number] = state
        return found

    async def records(self, numbers: Iterable[int]) -> dict[int, ArticleRecord]:
        """Article records, tombstones included. Unknown ones are left out."""
        wanted = list(numbers)
        found = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            raw = await self.store.call("MGET", *(f"{self.prefix}a{n}" for n in chunk))
            for number, value in zip(chunk, raw, strict=True):
                if value is not None:
                    found[number] = await self._decoded(number, value)
        return found

    async def dead_record(self, text: int) -> ArticleRecord | None:
        """The record that a dead text's postings are taken from."""
        raw = await self.store.call("GET", f"{self.prefix}x{text}")
        return None if raw is None else await self._decoded(0, raw)

    async def _decoded(self, number: int, raw: bytes) -> ArticleRecord:
        try:
            return decode_record(number, raw, self.codec)
        except UnknownDictionary as missing:
            await self._read_dictionary(missing.number)
            return decode_record(number, raw, self.codec)

    async def edges(self, texts: Iterable[int]) -> dict[int, list[Edge]]:
        """Edges by text; texts without any are left out."""
        wanted = list(texts)
        found = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            for text, raw in zip(chunk, await self._run("edges", _packed(chunk)), strict=True):
                if raw:
                    found[text] = decode_edges(text, raw)
        return found

    async def numbers(self, ids: Sequence[str]) -> list[int]:
        """Article numbers by id; 0 where unknown."""
        return list(await self._run("find", *(name_hash(i) for i in ids))) if ids else []

    async def text_of_digest(self, digest: bytes) -> int:
        """The text with this digest, 0 if none."""
        return int((await self._run("digest", digest))[0])

    async def ids(self, numbers: Iterable[int]) -> dict[int, str]:
        """Ids by number, of deleted articles too."""
        wanted = list(numbers)
        found = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            for number, name in zip(chunk, await self._run("ids", _packed(chunk)), strict=True):
                if name:
                    found[number] = name.decode()
        return found

    async def highest_number(self) -> int:
        """The last article number given."""
        return int(await self.store.call("HGET", f"{self.prefix}#", "a") or 0)

    async def highest_text(self) -> int:
        """The last text number given."""
        return int(await self.store.call("HGET", f"{self.prefix}#", "t") or 0)

    # -- dictionaries -------------------------------------------------------------------------------

    async def _read_dictionary(self, number: int) -> None:
        raw = await self.store.call("GET", f"{self.prefix}z{number}")
        if raw is None:
            message = f"dictionary {number} of collection {self.collection!r} is gone from the store"
            raise StoreUnavailable(message)
        self.codec.add(number, raw)

    async def learn_dictionary(self) -> bool:
        """Read the collection's latest dictionary, or train the one that is due; whether there is no other to come."""
        trained, texts, last = await self.store.call("HMGET", f"{self.prefix}#", "z", "texts", "a")
        number = int(trained or 0)
        if number > self.codec.current:
            await self._read_dictionary(number)
        if (wanted := codec.due(int(texts or 0))) > number:
            lesson = codec.LESSONS[wanted - 1]
            step = max(1, int(last) // lesson.samples)
            names = [f"{self.prefix}a{n}" for n in range(1, int(last) + 1, step)]
            stored = [payload_of(raw) for raw in await self._many(names) if raw is not None]
            made = await asyncio.to_thread(self.codec.train, filter(None, stored), lesson.size)
            if made is None:
                return False
            await self.store.call(
                "SET", f"{self.prefix}z{wanted}", made, "NX"
            )  # of several servers one is first
            await self.store.call("HSET", f"{self.prefix}#", "z", wanted)
            await self._read_dictionary(wanted)
        return self.codec.current == len(codec.LESSONS)

    async def _many(self, names: Sequence[str]) -> list[bytes | None]:
        """Values of keys, a few hundred a command."""
        found: list[bytes | None] = []
        for start in range(0, len(names), _CHUNK):
            found += await self.store.call("MGET", *names[start : start + _CHUNK])
        return found

    # -- queues --------------------------------------------------------------------------------------

    async def waiting(self, queue: str, limit: int) -> list[tuple[int, str]]:
        """Entries of a queue, oldest first, with the sequence that marks each one done."""
        raw = await self.store.call("ZRANGE", f"{self.prefix}{queue}", 0, limit - 1, "WITHSCORES")
        return [(int(member), _sequence(score)) for member, score in _pairs(raw)]

    async def is_queued(self, queue: str, member: int) -> bool:
        """Whether a queue holds an entry."""
        return await self.store.call("ZSCORE", f"{self.prefix}{queue}", member) is not None

    async def stale(self, before: float, limit: int) -> list[int]:
        """Articles recorded before a time and not yet decided."""
        raw = await self.store.call(
            "ZRANGEBYSCORE", f"{self.prefix}pending", "-inf", int(before * 1000), "LIMIT", 0, limit
        )
        return [int(member) for member in raw]

    async def finished(self, queue: str, *members: int) -> None:
        """Take entries off a queue unconditionally."""
        if members:
            await self.store.call("ZREM", f"{self.prefix}{queue}", *members)

    async def counts(self) -> dict[str, int]:
        """Sizes: articles, texts, clusters, stories, and the queues."""
        queues = ("pending", "recheck", "shrink", "dead", "dirty", "clusters", "stories")
        answers = await self.store.pipeline(
            [("ZCARD", f"{self.prefix}{queue}") for queue in queues]
            + [("HMGET", f"{self.prefix}#", "articles", "texts")]
        )
        found = dict(zip(queues, map(int, answers[:-1]), strict=True))
        found["articles"], found["texts"] = (int(value or 0) for value in answers[-1])
        return found


def _pairs(raw: list[Any]) -> Iterable[tuple[Any, Any]]:
    if raw and isinstance(raw[0], list | tuple):
        return ((member, score) for member, score in raw)
    return zip(raw[::2], raw[1::2], strict=True)


def _sequence(score: object) -> str:
    value = float(score)  # type: ignore[arg-type]
    return str(int(value))
