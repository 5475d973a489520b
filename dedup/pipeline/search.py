"""Questions that store nothing: what would an article match, and how do two articles compare."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dedup.errors import DedupError
from dedup.index.packing import posting_bytes
from dedup.index.records import source_hash
from dedup.model import Article, CollectionParameters, Comparison, Decision, FindResult, MatchKind
from dedup.pipeline.decide import Earlier, against_equal, count_words, decide, first_of_each
from dedup.pipeline.matching import Asking, ready_text
from dedup.pipeline.prepare import of_record, prepare
from dedup.verify import ComparableText, to_match, to_passages, verify

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from dedup.index.records import TextState
    from dedup.model import Rules
    from dedup.pipeline.matching import Matched
    from dedup.pipeline.prepare import Prepared
    from dedup.pipeline.room import Room

#: Number of the article that is asked about: above all that are stored, and one more article of its outlet.
_UNSTORED: Final = 2**32 - 1


class Search:
    """Answers questions about one collection."""

    def __init__(self, room: Room, pool: Executor) -> None:
        self._room = room
        self._pool = pool

    async def find(self, article: Article, limit: int) -> FindResult:
        """The matches an article would have, best first, and the decision it would get."""
        loop = asyncio.get_running_loop()
        ready = await loop.run_in_executor(self._pool, prepare, article, self._room.parameters)
        if ready.sketch is None:
            return FindResult(False, (), 0, False, ready.credits, None)
        text = await self._room.index.text_of_digest(ready.digest)
        if text:
            return await self._find_equal(ready, text, limit)
        _, lists = await self._room.index.lookup(
            _UNSTORED, ready.digest, posting_bytes(ready.sketch.postings)
        )
        asking = Asking(
            _UNSTORED,
            article.id,
            source_hash(article),
            article.published if article.published is not None else time.time(),
            ready.tokens,
            ready.digest,
            ready.sketch,
            lists,
        )
        matched = (await self._room.matcher.match([asking]))[0]
        return await self._answer(ready, matched, limit)

    async def _find_equal(self, ready: Prepared, text: int, limit: int) -> FindResult:
        state = (await self._room.index.texts([text], carriers=True)).get(text)
        furniture = state.furniture if state is not None else b""
        own = ready_text(ready.tokens, ready.digest, furniture, ready.sketch, self._room.parameters)
        matches, total = await self._room.matches(own, text, (0, ready.article.id), limit)
        earlier: list[Earlier] = []
        share, counts = 0.0, (0, 0, 0, ready.words)
        if state is not None:
            share, counts = against_equal(own, (await self._room.matcher.texts([state])).get(text))
            earlier = self._earlier(ready, state, MatchKind.EXACT, share, share)
        decision, copied = decide(source_hash(ready.article), earlier, counts)
        names = await self._room.names([copied])
        return FindResult(
            True,
            tuple(matches),
            total,
            total > len(matches),
            ready.credits,
            _named(decision, names.get(copied, "")),
        )

    async def _answer(self, ready: Prepared, matched: Matched, limit: int) -> FindResult:
        states = await self._room.index.texts([v.other.node.text for v in matched.found], carriers=True)
        earlier: list[Earlier] = []
        for v in matched.found:
            state = states.get(v.other.node.text)
            if state is not None and v.evidence.kind is not None:
                earlier += self._earlier(ready, state, v.evidence.kind, v.containment, v.other_containment)
        counts = count_words(matched.own, matched.found)
        decision, copied = decide(source_hash(ready.article), earlier, counts)
        names = await self._room.names([copied])
        matches = await self._room.to_matches(
            matched.own,
            ready.article.id,
            [replace(v, other=states.get(v.other.node.text, v.other)) for v in matched.found],
        )
        return FindResult(
            True,
            tuple(matches[:limit]),
            len(matches),
            len(matches) > limit,
            ready.credits,
            _named(decision, names.get(copied, "")),
            candidates=matched.candidates,
        )

    @staticmethod
    def _earlier(
        ready: Prepared, state: TextState, kind: MatchKind, containment: float, other_containment: float
    ) -> list[Earlier]:
        carriers = first_of_each(state.node.carriers, _UNSTORED, source_hash(ready.article))
        return [Earlier(c, kind, containment, other_containment) for c in carriers]

    async def compare(self, a: Article | str, b: Article | str) -> Comparison:
        """Two articles, stored ones by id, with the furniture that is known of stored ones left out."""
        first, own = await self._load(a)
        second, other = await self._load(b)
        return _comparison(first, own, second, other, self._room.parameters.rules)

    async def _load(self, given: Article | str) -> tuple[Article, ComparableText]:
        if isinstance(given, Article):
            return given, _given(given, self._room.parameters)
        record = await self._room.record(given)
        if record.article is None:
            message = f"article {given!r} was removed meanwhile"
            raise DedupError(message)
        state = (await self._room.index.texts([record.text])).get(record.text) if record.text else None
        ready = of_record(record, record.article, self._room.parameters)
        furniture = state.furniture if state is not None else b""
        return record.article, ready_text(
            ready.tokens, ready.digest, furniture, ready.sketch, self._room.parameters
        )

    @staticmethod
    def compare_given(a: Article, b: Article, parameters: CollectionParameters) -> Comparison:
        """Two articles that need not be stored anywhere."""
        return _comparison(a, _given(a, parameters), b, _given(b, parameters), parameters.rules)


def _given(article: Article, parameters: CollectionParameters) -> ComparableText:
    ready = prepare(article, parameters)
    return ready_text(ready.tokens, ready.digest, b"", ready.sketch, parameters)


def _comparison(
    a: Article, own: ComparableText, b: Article, other: ComparableText, rules: Rules
) -> Comparison:
    ahead = a.id.encode() <= b.id.encode()
    evidence = verify(own, other, rules) if ahead else verify(other, own, rules)
    passages = to_passages(evidence, own.tokens, other.tokens, own_first=ahead)
    match = None
    if evidence.kind is not None:
        match = to_match(evidence, own, other, (a.id, b.id), own_first=ahead)
    return Comparison(a, b, match, passages)


def _named(decision: Decision, copies: str) -> Decision:
    return replace(decision, copies=copies)
