"""One collection's index: what the pipeline asks of the store, one method a verb.

A batch is one round trip of a few script calls; nothing here loops over round trips. See :mod:`dedup.store.keys`
for the layout.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from dedup.errors import StoreUnavailable
from dedup.model import ArticleNumber, TextNumber
from dedup.store import codec, keys
from dedup.store.codec import Codec, UnknownDictionary
from dedup.store.packing import (
    MAX_EDGES,
    Arrival,
    EdgeDeletion,
    PostingQuery,
    Stored,
    TextCommit,
    commits_in_parts,
    deletions_in_parts,
    in_parts,
    pack_arrival,
    pack_commits,
    packed,
)
from dedup.store.records import (
    decode_edges,
    decode_placements,
    decode_record,
    decode_text,
    edges_once,
    name_hash,
    payload_of,
)
from dedup.store.summaries import Summaries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from dedup.core.clustering import Edge, Edges
    from dedup.store.connection import Argument, Store
    from dedup.store.records import ArticleRecord, Placements, TextState

#: Keys asked for in one command.
_CHUNK: Final = 500
#: Texts whose edges are asked for in one script.
_EDGES_CHUNK: Final = 100


class RedisIndex:
    """The index of one collection, in one partition."""

    def __init__(self, store: Store, collection: str, landmarks: int) -> None:
        self._store = store
        self.collection = collection
        self._prefix = keys.prefix(collection)
        self.summaries = Summaries(store, self._prefix)
        self.codec = Codec()
        self._landmarks = landmarks

    async def _run(self, script: str, *arguments: Argument) -> Any:
        return await self._store.run(script, [self._prefix], *arguments)

    # -- writing -------------------------------------------------------------------------------------

    async def ingest(self, arrivals: Sequence[Arrival], now: float) -> list[Stored]:
        """Store articles in order; what happened to each."""
        moment = int(now * 1000)
        calls = [(moment, self._landmarks, b"".join(map(pack_arrival, part))) for part in in_parts(arrivals)]
        answers = await self._store.run_each("ingest", [self._prefix], calls)
        return [self._stored(answer) for part in answers for answer in part]

    @staticmethod
    def _stored(answer: list[Any]) -> Stored:
        outcome, number, text, head, new, revision, previous, lists, flat, sequence = answer
        edges = decode_edges(text, b"".join(flat))
        found = np.frombuffer(lists, np.uint32)
        return Stored(
            outcome=outcome.decode(),
            number=number,
            text=text,
            head=head,
            new_text=bool(new),
            revision=revision,
            previous=previous,
            lists=found,
            edges=edges,
            sequence=sequence,
        )

    async def commit(
        self,
        texts: Sequence[TextCommit],
        invalidated: Iterable[TextNumber] = (),
        decisions: Sequence[tuple[ArticleNumber, bytes]] = (),
    ) -> tuple[set[TextNumber], set[ArticleNumber]]:
        """Write edges, boilerplate and decisions; the texts refused (queued again) and the articles decided now.

        In one call, or, where the edges are very many, in several: boilerplate, edges, and at last the decisions, so
        that what breaks off in between is not taken for done.
        """
        moved = list(invalidated)
        if sum(len(c.edges) for c in texts) + len(moved) <= MAX_EDGES:
            refused, decided, _ = await self._run("commit", pack_commits(texts, moved, decisions))
            return set(refused), set(decided)
        texts, failed = await self._commit_boilerplate(texts)
        for part in commits_in_parts(texts):
            refused, _, _ = await self._run("commit", pack_commits(part))
            failed |= set(refused)
        for start in range(0, len(moved), MAX_EDGES):
            await self._run("commit", pack_commits([], moved[start : start + MAX_EDGES]))
        _, decided, _ = await self._run("commit", pack_commits([], [], decisions))
        return failed, set(decided)

    async def _commit_boilerplate(
        self, texts: Sequence[TextCommit]
    ) -> tuple[list[TextCommit], set[TextNumber]]:
        """Write the boilerplate of texts alone; what is left to write at their new revisions, and the texts refused."""
        first = [
            msgspec.structs.replace(c, replace=False, recheck="", edges=[])
            for c in texts
            if c.boilerplate is not None
        ]
        refused, _, changed = await self._run("commit", pack_commits(first)) if first else ([], [], [])
        failed, moved = set(refused), set(changed)
        left = [
            msgspec.structs.replace(
                c,
                revision=c.revision + (c.text in moved),
                boilerplate=None,
                placement=b"",
                edges=[(other, revision + (other in moved), edge) for other, revision, edge in c.edges],
            )
            for c in texts
            if c.text not in failed
        ]
        return left, failed

    async def delete_edges(self, deletions: Sequence[EdgeDeletion]) -> None:
        """Remove edges of texts that lost their places as landmarks, and take these off the queue."""
        await self._store.run_each(
            "delete_edges", [self._prefix], [(part,) for part in deletions_in_parts(deletions)]
        )

    async def unindex(self, text: TextNumber, postings: bytes) -> NDArray[np.uint32]:
        """Take a dead text out of its lists; what is left in them."""
        return np.frombuffer(await self._run("unindex", text, self._landmarks, postings), np.uint32)

    async def invalidate(self, texts: Iterable[TextNumber]) -> None:
        """Have everything verified with these texts verified again."""
        wanted = list(texts)
        for start in range(0, len(wanted), MAX_EDGES):
            await self._run("invalidate", *wanted[start : start + MAX_EDGES])

    # -- reading -------------------------------------------------------------------------------------

    async def lookup(
        self, text: TextNumber, digest: bytes, postings: bytes
    ) -> tuple[int, NDArray[np.uint32]]:
        """The sequence number of this moment and the posting lists of a text, itself left out."""
        return (await self.lookup_each([PostingQuery(text, digest, postings)]))[0]

    async def lookup_each(self, queries: Sequence[PostingQuery]) -> list[tuple[int, NDArray[np.uint32]]]:
        """The same for many texts."""
        calls = [
            (self._landmarks, *(value for q in part for value in (q.text, q.digest, q.postings)))
            for part in in_parts(queries)
            if part
        ]
        answers = await self._store.run_each("lookup", [self._prefix], calls)
        return [
            (sequence, np.frombuffer(lists, np.uint32)) for sequence, *found in answers for lists in found
        ]

    async def same_event_candidates(self, postings: bytes, least: int, most: int) -> list[TextNumber]:
        """Texts that share at least so many postings of word pairs, those that share most first."""
        raw = await self._run("same_event_candidates", least, most, postings)
        return [TextNumber(int(text)) for text in np.frombuffer(raw, np.uint32)]

    async def members(self, posting: bytes) -> NDArray[np.uint32]:
        """All texts of one posting."""
        return np.frombuffer(await self._run("members", posting), np.uint32)

    async def texts(
        self, wanted: Iterable[TextNumber], *, carriers: bool = False
    ) -> dict[TextNumber, TextState]:
        """States of texts; with all carriers, or only the first. Unknown ones are left out."""
        numbers = list(wanted)
        found = {}
        for start in range(0, len(numbers), _CHUNK):
            chunk = numbers[start : start + _CHUNK]
            answer = await self._run("texts", "all" if carriers else "first", packed(chunk))
            for number, fields in zip(chunk, answer, strict=True):
                state = decode_text(number, fields)
                if state is not None:
                    found[number] = state
        return found

    async def placements(self, texts: NDArray[np.uint32]) -> Placements:
        """Where texts, given ascending, are placed; far cheaper than their states. Unknown ones are left out."""
        chunks = [(texts[start : start + _CHUNK].tobytes(),) for start in range(0, len(texts), _CHUNK)]
        answers = await self._store.run_each("placements", [self._prefix], chunks) if chunks else []
        return decode_placements(texts, b"".join(answers))

    async def records(self, numbers: Iterable[ArticleNumber]) -> dict[ArticleNumber, ArticleRecord]:
        """Article records, tombstones included. Unknown ones are left out."""
        wanted = list(numbers)
        found = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            raw = await self._store.call("MGET", *(f"{self._prefix}a{n}" for n in chunk))
            for number, value in zip(chunk, raw, strict=True):
                if value is not None:
                    found[number] = await self._decoded(number, value)
        return found

    async def dead_record(self, text: TextNumber) -> ArticleRecord | None:
        """The record that a dead text's postings are taken from."""
        raw = await self._store.call("GET", f"{self._prefix}x{text}")
        return None if raw is None else await self._decoded(ArticleNumber(0), raw)

    async def _decoded(self, number: ArticleNumber, raw: bytes) -> ArticleRecord:
        try:
            return decode_record(number, raw, self.codec)
        except UnknownDictionary as missing:
            await self._read_dictionary(missing.number)
            return decode_record(number, raw, self.codec)

    async def edges(self, texts: Iterable[TextNumber]) -> dict[TextNumber, list[Edge]]:
        """Edges by text; texts without any are left out."""
        return {text: decode_edges(text, raw) for text, raw in (await self._raw_edges(texts)).items()}

    async def edges_once(self, texts: Sequence[TextNumber]) -> Edges:
        """Edges of texts, given ascending, as one array, :data:`dedup.core.clustering.EDGES`; none of them twice."""
        return edges_once(texts, await self._raw_edges(texts))

    async def _raw_edges(self, texts: Iterable[TextNumber]) -> dict[TextNumber, bytes]:
        wanted = list(texts)
        found: dict[TextNumber, bytes] = {}
        for start in range(0, len(wanted), _EDGES_CHUNK):
            chunk = wanted[start : start + _EDGES_CHUNK]
            answers = dict(zip(chunk, await self._run("edges", packed(chunk)), strict=True))
            many = [text for text, raw in answers.items() if isinstance(raw, int)]
            alone = await self._store.pipeline([("HGETALL", f"{self._prefix}e{text}") for text in many])
            answers |= {text: _joined(raw) for text, raw in zip(many, alone, strict=True)}
            found.update((text, raw) for text, raw in answers.items() if raw)
        return found

    async def numbers(self, ids: Sequence[str]) -> list[ArticleNumber]:
        """Article numbers by id; 0 where unknown."""
        return list(await self._run("find", *(name_hash(i) for i in ids))) if ids else []

    async def text_of_digest(self, digest: bytes) -> TextNumber:
        """The text with this digest, 0 if none."""
        return TextNumber(int((await self._run("digest", digest))[0]))

    async def ids(self, numbers: Iterable[ArticleNumber]) -> dict[ArticleNumber, str]:
        """Ids by number, of deleted articles too."""
        wanted = list(numbers)
        found = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            for number, name in zip(chunk, await self._run("ids", packed(chunk)), strict=True):
                if name:
                    found[number] = name.decode()
        return found

    async def highest_number(self) -> ArticleNumber:
        """The last article number given."""
        return ArticleNumber(int(await self._store.call("HGET", f"{self._prefix}#", "a") or 0))

    async def highest_text(self) -> TextNumber:
        """The last text number given."""
        return TextNumber(int(await self._store.call("HGET", f"{self._prefix}#", "t") or 0))

    # -- dictionaries -------------------------------------------------------------------------------

    async def _read_dictionary(self, number: int) -> None:
        raw = await self._store.call("GET", f"{self._prefix}z{number}")
        if raw is None:
            message = f"dictionary {number} of collection {self.collection!r} is gone from the store"
            raise StoreUnavailable(message)
        self.codec.add(number, raw)

    async def train_dictionary(self) -> bool:
        """Read the collection's latest dictionary, or train the one that is due; whether there is no other to come."""
        trained, texts, last = await self._store.call("HMGET", f"{self._prefix}#", "z", "texts", "a")
        number = int(trained or 0)
        if number > self.codec.current:
            await self._read_dictionary(number)
        if (wanted := codec.due(int(texts or 0))) > number:
            training = codec.TRAININGS[wanted - 1]
            step = max(1, int(last) // training.samples)
            names = [f"{self._prefix}a{n}" for n in range(1, int(last) + 1, step)]
            stored = [payload_of(raw) for raw in await self._many(names) if raw is not None]
            made = await asyncio.to_thread(self.codec.train, filter(None, stored), training.size)
            if made is None:
                return False
            await self._store.call(
                "SET", f"{self._prefix}z{wanted}", made, "NX"
            )  # of several servers one is first
            await self._store.call("HSET", f"{self._prefix}#", "z", wanted)
            await self._read_dictionary(wanted)
        return self.codec.current == len(codec.TRAININGS)

    async def _many(self, names: Sequence[str]) -> list[bytes | None]:
        """Values of keys, a few hundred a command."""
        found: list[bytes | None] = []
        for start in range(0, len(names), _CHUNK):
            found += await self._store.call("MGET", *names[start : start + _CHUNK])
        return found

    # -- queues --------------------------------------------------------------------------------------

    async def peek(self, queue: str, limit: int) -> list[tuple[TextNumber, str]]:
        """Entries of a queue, oldest first, with the sequence that marks each one done."""
        raw = await self._store.call("ZRANGE", f"{self._prefix}{queue}", 0, limit - 1, "WITHSCORES")
        return [(TextNumber(int(member)), _sequence(score)) for member, score in _pairs(raw)]

    async def is_queued(self, queue: str, member: int) -> bool:
        """Whether a queue holds an entry."""
        return await self._store.call("ZSCORE", f"{self._prefix}{queue}", member) is not None

    async def overdue(self, before: float, limit: int) -> list[ArticleNumber]:
        """Articles recorded before a time and not yet decided."""
        raw = await self._store.call(
            "ZRANGEBYSCORE", f"{self._prefix}pending", "-inf", int(before * 1000), "LIMIT", 0, limit
        )
        return [ArticleNumber(int(member)) for member in raw]

    async def dequeue(self, queue: str, *members: int) -> None:
        """Take entries off a queue unconditionally."""
        if members:
            await self._store.call("ZREM", f"{self._prefix}{queue}", *members)

    async def counts(self) -> dict[str, int]:
        """Sizes: articles, texts, clusters, stories, and the queues."""
        queues = ("pending", "recheck", "prune", "dead", "dirty", "clusters", "stories")
        answers = await self._store.pipeline(
            [("ZCARD", f"{self._prefix}{queue}") for queue in queues]
            + [("HMGET", f"{self._prefix}#", "articles", "texts")]
        )
        found = dict(zip(queues, map(int, answers[:-1]), strict=True))
        found["articles"], found["texts"] = (int(value or 0) for value in answers[-1])
        return found


def _joined(raw: Any) -> bytes:
    """All fields and values of a hash, one after another."""
    flat = itertools.chain.from_iterable(raw.items()) if isinstance(raw, dict) else raw
    return b"".join(flat)


def _pairs(raw: list[Any]) -> Iterable[tuple[Any, Any]]:
    if raw and isinstance(raw[0], list | tuple):
        return ((member, score) for member, score in raw)
    return zip(raw[::2], raw[1::2], strict=True)


def _sequence(score: object) -> str:
    value = float(score)  # type: ignore[arg-type]
    return str(int(value))
