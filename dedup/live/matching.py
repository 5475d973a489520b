"""Candidates to verified matches: read who may be compared, load their texts, align, measure."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from dedup.core.candidates import Neighbors, PostingScan, QueryPlace, scan_postings, texts_in, usable_tokens
from dedup.core.clustering import Edge
from dedup.core.sketch import Sketch, SketchParameters, sketch
from dedup.core.text import Tokens
from dedup.core.verify import ComparableText, comparable
from dedup.core.verify_pair import VerifiedMatch, verify_each
from dedup.model import ArticleNumber, TextNumber
from dedup.observability import CANDIDATES, MATCHES, stage
from dedup.store.packing import posting_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from dedup.core.clustering import TextNode
    from dedup.model import CollectionParameters
    from dedup.store.records import ArticleRecord, Placements, TextState
    from dedup.store.redis_index import RedisIndex

_DAY: Final = 86400.0
EVERY_SOURCE: Final = 0
_opened: Final = itertools.count()


class Query(msgspec.Struct, frozen=True, gc=False):
    """A text that looks for matches: stored under ``text``, or 0."""

    text: TextNumber
    source: int
    published: float
    tokens: Tokens
    digest: bytes
    sketch: Sketch
    lists: NDArray[np.uint32]


class QueryResult(msgspec.Struct, frozen=True, gc=False):
    """What one text met: ``boilerplate`` packed as stored, ``changed`` (posting, source), ``near`` as scanned."""

    query: Query
    text: ComparableText
    boilerplate: bytes
    candidates: int
    found: list[VerifiedMatch[TextState]]
    changed: list[tuple[int, int]]
    near: Neighbors

    def edges(self) -> list[tuple[TextNumber, int, Edge]]:
        """The edges to store: other text, its revision, edge."""
        out = []
        for v in self.found:
            e, t, o = v.evidence, self.query.text, v.other.node.text
            if e.kind is None:
                continue
            mine, theirs = (v.containment, v.other_containment)
            a, b = (mine, theirs) if t < o else (theirs, mine)
            edge = Edge(
                a=min(t, o),
                b=max(t, o),
                kind=e.kind,
                unquoted=e.shared - e.quoted,
                quoted=e.quoted,
                a_containment=a,
                b_containment=b,
                min_coverage=e.min_coverage,
            )
            out.append((o, v.other.revision, edge))
        return out


class TextCache:
    """Texts ready to be verified, by number and revision; the least recently used go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[tuple[str, int, int], ComparableText] = OrderedDict()

    def get(self, collection: str, text: TextNumber, revision: int) -> ComparableText | None:
        """The text, or None."""
        key = (collection, text, revision)
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def put(self, collection: str, text: TextNumber, revision: int, ready: ComparableText) -> None:
        """Keep a text, dropping the least recently used beyond the limit."""
        self._held[collection, text, revision] = ready
        while len(self._held) > self._limit:
            self._held.popitem(last=False)


def pack_boilerplate(flags: NDArray[np.bool_]) -> bytes:
    """Indexes of the boilerplate postings, two bytes each (four beyond 65,535 postings)."""
    return np.flatnonzero(flags).astype(np.uint32).tobytes()


def unpack_boilerplate(raw: bytes, postings: int) -> NDArray[np.bool_]:
    """The flags behind :func:`pack_boilerplate`."""
    flags = np.zeros(postings, np.bool_)
    flags[np.frombuffer(raw, np.uint32)] = True
    return flags


def ready_text(
    tokens: Tokens, digest: bytes, boilerplate: bytes, made: Sketch | None, parameters: CollectionParameters
) -> ComparableText:
    """A text with its boilerplate masked."""
    usable = None
    if boilerplate:
        made = made or sketch(tokens, SketchParameters.of(parameters))
        flags = unpack_boilerplate(boilerplate, len(made.postings))
        usable = usable_tokens(made, flags, len(tokens), parameters.shingle_size)
    return comparable(tokens, digest, parameters.shingle_size, usable)


def as_stored(text: ComparableText) -> ComparableText:
    """The text as it will be read: without offsets where it is not kept."""
    if not text.tokens.is_reduced:
        return text
    nowhere = np.zeros(len(text.tokens), np.int32)
    tokens = msgspec.structs.replace(text.tokens, starts=nowhere, ends=nowhere)
    return msgspec.structs.replace(text, tokens=tokens)


class Matcher:
    """Finds the verified matches of texts in one collection's index."""

    def __init__(
        self, index: RedisIndex, parameters: CollectionParameters, cache: TextCache, pool: Executor
    ) -> None:
        self.index = index
        self.parameters = parameters
        self._cache = cache
        # a later collection of this name has other texts
        self._cached_as = f"{index.collection} {next(_opened)}"
        self._pool = pool

    async def match(self, queries: Sequence[Query]) -> list[QueryResult]:
        """Scan the posting lists of every text, verify all candidates."""
        if not queries:
            return []
        named = texts_in(np.concatenate([a.lists for a in queries]))
        with stage("read_texts"):
            placements = await self.index.placements(named)
        # a dead text counts as boilerplate does until it is taken out of its lists, which reckons it anew
        with stage("scan_postings"):
            near = neighbors(placements)
            scans = [
                scan_postings(a.lists, near, _place(a), len(a.sketch.postings))
                if len(a.lists)
                else PostingScan(np.zeros(len(a.sketch.postings), np.bool_), _NO_TEXTS, [])
                for a in queries
            ]
        with stage("read_texts"):
            states = await self.index.texts(sorted({t for s in scans for t in s.candidates.tolist()}))
        chosen = [
            [
                states[t]
                for t in s.candidates.tolist()
                if t != a.text and t in states and self._may_meet(a, states[t])
            ]
            for a, s in zip(queries, scans, strict=True)
        ]
        together = {a.text for a in queries if a.text}
        wanted_texts = {s.node.text: s for states_ in chosen for s in states_ if s.node.text not in together}
        texts_by_number = await self._load(wanted_texts.values())
        loop = asyncio.get_running_loop()
        matched = await loop.run_in_executor(
            self._pool, self._verify_all, queries, scans, chosen, near, texts_by_number
        )
        CANDIDATES.inc(sum(m.candidates for m in matched))
        MATCHES.inc(sum(len(m.found) for m in matched))
        return matched

    async def eligible(
        self, queries: Sequence[Query], others: Sequence[set[TextNumber]]
    ) -> list[set[TextNumber]]:
        """Which of some ``others`` each text may be compared with, without comparing them."""
        if not queries:
            return []
        named = texts_in(np.concatenate([a.lists for a in queries]), placed_only=True)
        wanted = np.fromiter(set().union(*others), np.uint32)
        near = neighbors(await self.index.placements(np.union1d(named, wanted)))
        found = []
        for a, met in zip(queries, others, strict=True):
            candidates = scan_postings(a.lists, near, _place(a), len(a.sketch.postings)).candidates
            found.append(met.intersection(candidates.tolist()))
        states = await self.index.texts(sorted(set().union(*found)))
        return [
            {t for t in met if t in states and self._may_meet(a, states[t])}
            for a, met in zip(queries, found, strict=True)
        ]

    def _may_meet(self, query: Query, other: TextState) -> bool:
        if other.dead:
            return False
        days = self.parameters.match_window_days
        return not days or abs(query.published - other.node.carriers[0].published) <= days * _DAY

    def _verify_all(
        self,
        queries: Sequence[Query],
        scans: Sequence[PostingScan],
        chosen: Sequence[Sequence[TextState]],
        near: Neighbors,
        texts: dict[TextNumber, ComparableText],
    ) -> list[QueryResult]:
        packed = [pack_boilerplate(s.boilerplate) for s in scans]
        query_texts = [
            ready_text(a.tokens, a.digest, boilerplate, a.sketch, self.parameters)
            for a, boilerplate in zip(queries, packed, strict=True)
        ]
        # texts that ask together meet with the boilerplate that this very scan found
        texts = texts | {
            a.text: as_stored(query_text)
            for a, query_text in zip(queries, query_texts, strict=True)
            if a.text
        }
        with stage("verify"):
            return [
                QueryResult(
                    query=a,
                    text=query_text,
                    boilerplate=boilerplate,
                    candidates=len(states),
                    found=self._verified(query_text, states, texts),
                    changed=s.changed,
                    near=near,
                )
                for a, s, query_text, boilerplate, states in zip(
                    queries, scans, query_texts, packed, chosen, strict=True
                )
            ]

    def _verified(
        self, query_text: ComparableText, states: Sequence[TextState], texts: dict[TextNumber, ComparableText]
    ) -> list[VerifiedMatch[TextState]]:
        known = [(state, texts[state.node.text]) for state in states if state.node.text in texts]
        return verify_each(query_text, known, self.parameters.rules)

    async def _load(self, states: Iterable[TextState]) -> dict[TextNumber, ComparableText]:
        ready: dict[TextNumber, ComparableText] = {}
        missing: dict[ArticleNumber, TextState] = {}
        for state in states:
            held = self._cache.get(self._cached_as, state.node.text, state.revision)
            if held is not None:
                ready[state.node.text] = held
            else:
                missing[state.node.carriers[0].number] = state
        if missing:
            with stage("read_articles"):
                found = await self.index.records(missing)
            loop = asyncio.get_running_loop()
            made = await loop.run_in_executor(self._pool, self._tokenize, found, missing)
            for state, text in made:
                self._cache.put(self._cached_as, state.node.text, state.revision, text)
                ready[state.node.text] = text
        return ready

    def _tokenize(
        self, found: dict[ArticleNumber, ArticleRecord], missing: dict[ArticleNumber, TextState]
    ) -> list[tuple[TextState, ComparableText]]:
        out = []
        with stage("tokenize_stored"):
            for number, record in found.items():
                state = missing[number]
                if record.article is None or record.text != state.node.text:
                    continue  # replaced in between: whoever replaced it has this pair verified again
                tokens = record.tokens()
                out.append(
                    (state, ready_text(tokens, record.digest, state.boilerplate, None, self.parameters))
                )
        return out

    async def texts(self, states: Iterable[TextState]) -> dict[TextNumber, ComparableText]:
        """Texts ready to be verified, by number."""
        return await self._load(states)

    async def text_of(self, node: TextNode) -> ComparableText | None:
        """The text as its first carrier in ``node`` has it, with offsets into that article; not kept."""
        number = node.carriers[0].number
        record = (await self.index.records([number])).get(number)
        if record is None or record.article is None:
            return None
        tokens = record.tokens()
        return ready_text(tokens, record.digest, b"", None, self.parameters)

    def keep(self, text: TextNumber, revision: int, ready: ComparableText) -> None:
        """Remember a text that was just made ready."""
        self._cache.put(self._cached_as, text, revision, as_stored(ready))

    async def invalidated_by(self, matched: QueryResult) -> set[TextNumber]:
        """Texts whose boilerplate may have changed with the coming of this one."""
        return await self.members_of_sources(matched.query.sketch, matched.changed, matched.query.text)

    @staticmethod
    def surrounded_by(matched: QueryResult) -> set[TextNumber]:
        """Texts whose boilerplate may have changed with the coming of this one, whose writer died before it said so.

        What it changed then cannot be told now: others came in between, and the landmarks it pushed out are known no
        more. Where it could change anything for others, its lists name all their members.
        """
        return set(texts_in(matched.query.lists).tolist())

    async def members_of_sources(
        self, made: Sketch, changed: Sequence[tuple[int, int]], text: TextNumber
    ) -> set[TextNumber]:
        """All texts of the (posting, source, or 0 for every source) pairs given, without ``text``."""
        by_posting: dict[int, set[int]] = {}
        for index, source in changed:
            by_posting.setdefault(index, set()).add(source)
        members = {
            index: await self.index.members(posting_bytes(made.postings[index : index + 1]))
            for index in by_posting
        }
        invalidated: set[TextNumber] = set()
        some = [m for index, m in members.items() if EVERY_SOURCE not in by_posting[index]]
        placed = await self.index.placements(np.unique(np.concatenate(some))) if some else None
        for index, sources in by_posting.items():
            if EVERY_SOURCE in sources:
                invalidated.update(members[index].tolist())
            elif placed is not None:
                theirs = np.isin(placed.sources, np.array(list(sources), np.uint64)) & ~placed.dead
                invalidated.update(np.intersect1d(placed.texts[theirs], members[index]).tolist())
        invalidated.discard(text)
        return invalidated


_NO_TEXTS: Final = np.empty(0, np.uint32)


def _place(query: Query) -> QueryPlace:
    return QueryPlace(query.text, query.source, int(query.published // _DAY))


def neighbors(placements: Placements) -> Neighbors:
    """Stored texts as the boilerplate rule sees them."""
    days = (placements.published // _DAY).astype(np.int32)
    return Neighbors(placements.texts, placements.sources, days)
