"""Questions that store nothing: what would an article match, and how do two articles compare."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from dedup.core.decision import (
    EarlierArticle,
    WordCounts,
    against_equal,
    count_words,
    decide,
    earlier_matches,
    first_of_each,
)
from dedup.core.identity import source_hash
from dedup.core.prepare import prepare
from dedup.core.same_event import (
    MAX_CANDIDATES,
    MIN_COSINE,
    MIN_SHARED,
    fields,
    similarity,
    span_of,
    word_pairs,
)
from dedup.core.verify import ComparableText, to_passages
from dedup.core.verify_pair import VerifiedMatch, to_match, verify_pair
from dedup.errors import DedupError, InvalidArgument
from dedup.live.arrivals import of_record
from dedup.live.matching import Query, ready_text
from dedup.model import (
    Article,
    ArticleNumber,
    CollectionParameters,
    Comparison,
    Decision,
    FindResult,
    MatchKind,
    TextNumber,
)
from dedup.store.packing import posting_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from dedup.core.prepare import Prepared
    from dedup.live.matching import QueryResult
    from dedup.live.reading import CollectionReader
    from dedup.model import Match, Rules
    from dedup.store.records import TextState

#: Number of the article that is asked about: above all that are stored, and one more article of its outlet.
_UNSTORED: Final = ArticleNumber(2**32 - 1)
#: Number of its text.
_UNSTORED_TEXT: Final = TextNumber(2**32 - 1)
_DAY: Final = 86400.0


class Search:
    """Answers queries about one collection."""

    def __init__(self, reader: CollectionReader, pool: Executor) -> None:
        self._reader = reader
        self._pool = pool

    async def find(self, article: Article, limit: int, *, same_story: bool = False) -> FindResult:
        """The matches an article would have, best first, and the decision it would get.

        With ``same_story`` the articles that tell of the same event follow, most similar first.

        Raises:
            InvalidArgument: the collection was not made for ``same_story``.
        """
        if same_story and not self._reader.parameters.same_story:
            message = "same_story needs a collection that was made with same_story"
            raise InvalidArgument(message, field="same_story")
        loop = asyncio.get_running_loop()
        ready = await loop.run_in_executor(self._pool, prepare, article, self._reader.parameters)
        if ready.sketch is None:
            return FindResult(
                comparable=False,
                matches=(),
                total_matches=0,
                matches_truncated=False,
                credits=ready.credits,
                decision=None,
            )
        found = await self._find(ready, limit)
        if not same_story:
            return found
        same_event = await self._same_event(ready)
        total = found.total_matches + len(same_event)
        matches = (*found.matches, *same_event)[:limit]
        return replace(found, matches=matches, total_matches=total, matches_truncated=total > len(matches))

    async def _find(self, ready: Prepared, limit: int) -> FindResult:
        article, sketch = ready.article, ready.sketch
        if sketch is None:
            message = "an article that is not comparable has no postings"
            raise ValueError(message)
        text = await self._reader.index.text_of_digest(ready.digest)
        if text:
            return await self._find_equal(ready, text, limit)
        _, lists = await self._reader.index.lookup(
            _UNSTORED_TEXT, ready.digest, posting_bytes(sketch.postings)
        )
        query = Query(
            text=_UNSTORED_TEXT,
            source=source_hash(article),
            published=article.published if article.published is not None else time.time(),
            tokens=ready.tokens,
            digest=ready.digest,
            sketch=sketch,
            lists=lists,
        )
        matched = (await self._reader.matcher.match([query]))[0]
        return await self._answer(ready, matched, limit)

    async def _same_event(self, ready: Prepared) -> list[Match]:
        """Articles of the same event that share nothing that counts as a match, most similar first."""
        article, days = ready.article, self._reader.parameters.story_span_days
        published = article.published if article.published is not None else time.time()
        span = span_of(published, days)
        postings = fields(ready.pairs, span - 1, span, span + 1)
        texts = await self._reader.index.same_event_candidates(postings, MIN_SHARED, MAX_CANDIDATES)
        states = await self._reader.index.texts(texts, carriers=True)
        near = [
            state
            for state in states.values()
            if not state.dead
            and state.id != article.id
            and abs(state.node.carriers[0].published - published) <= max(1, days) * _DAY
        ]
        others = await self._reader.matcher.texts(near)
        loop = asyncio.get_running_loop()
        same_event, similarities = await loop.run_in_executor(
            self._pool, _verify_same_event, ready, near, others, self._reader.parameters
        )
        query_text = _query_text(ready, self._reader.parameters)
        matches = await self._reader.to_matches(query_text, article.id, same_event)
        alike = [msgspec.structs.replace(match, similarity=similarities[match.other]) for match in matches]
        return sorted(alike, key=lambda match: (-match.similarity, match.other.encode()))

    async def _find_equal(self, ready: Prepared, text: TextNumber, limit: int) -> FindResult:
        state = (await self._reader.index.texts([text], carriers=True)).get(text)
        boilerplate = state.boilerplate if state is not None else b""
        query_text = ready_text(
            ready.tokens, ready.digest, boilerplate, ready.sketch, self._reader.parameters
        )
        number = (
            (await self._reader.index.numbers([ready.article.id]))[0]
            if ready.article.id
            else ArticleNumber(0)
        )
        matches, total = await self._reader.matches(query_text, text, (number, ready.article.id), limit)
        earlier: list[EarlierArticle] = []
        counts = WordCounts(new=ready.words)
        if state is not None:
            carriers = first_of_each(state.node.carriers, _UNSTORED, source_hash(ready.article))
            earlier, counts = against_equal(query_text, carriers)
        decision, copied = decide(source_hash(ready.article), earlier, counts)
        names = await self._reader.names([copied])
        return FindResult(
            comparable=True,
            matches=tuple(matches),
            total_matches=total,
            matches_truncated=total > len(matches),
            credits=ready.credits,
            decision=_named(decision, names.get(copied, "")),
        )

    async def _answer(self, ready: Prepared, matched: QueryResult, limit: int) -> FindResult:
        states = await self._reader.index.texts([v.other.node.text for v in matched.found], carriers=True)
        source = source_hash(ready.article)
        earlier, counts = count_words(
            matched.text, source, earlier_matches(matched.found, states, _UNSTORED, source)
        )
        decision, copied = decide(source, earlier, counts)
        names = await self._reader.names([copied])
        matches = await self._reader.to_matches(
            matched.text,
            ready.article.id,
            [
                msgspec.structs.replace(v, other=state)
                for v in matched.found
                if not _is_alone(state := states.get(v.other.node.text, v.other), ready.article.id)
            ],
        )
        return FindResult(
            comparable=True,
            matches=tuple(matches[:limit]),
            total_matches=len(matches),
            matches_truncated=len(matches) > limit,
            credits=ready.credits,
            decision=_named(decision, names.get(copied, "")),
            candidates=matched.candidates,
        )

    async def compare(self, a: Article | str, b: Article | str) -> Comparison:
        """Two articles, stored ones by id, with the boilerplate that is known of stored ones left out.

        One that is not comparable matches nothing, here as elsewhere; the passages are told all the same.
        """
        return _comparison(await self._load(a), await self._load(b), self._reader.parameters.rules)

    async def _load(self, article: Article | str) -> _Side:
        if isinstance(article, Article):
            return _side(article, self._reader.parameters)
        record = await self._reader.record(article)
        if record.article is None:
            message = f"article {article!r} was removed meanwhile"
            raise DedupError(message)
        state = (await self._reader.index.texts([record.text])).get(record.text) if record.text else None
        ready = of_record(record, record.article, self._reader.parameters)
        boilerplate = state.boilerplate if state is not None else b""
        text = ready_text(ready.tokens, ready.digest, boilerplate, ready.sketch, self._reader.parameters)
        return _Side(article=record.article, text=text, comparable=ready.comparable)

    @staticmethod
    def compare_articles(a: Article, b: Article, parameters: CollectionParameters) -> Comparison:
        """Two articles that need not be stored anywhere."""
        return _comparison(_side(a, parameters), _side(b, parameters), parameters.rules)


class _Side(msgspec.Struct, frozen=True, gc=False):
    """One of two articles that are compared."""

    article: Article
    text: ComparableText
    comparable: bool


def _is_alone(state: TextState, article_id: str) -> bool:
    """Whether a text is that of one stored article only, the one asked about."""
    return state.id == article_id and len(state.node.carriers) == 1


def _query_text(ready: Prepared, parameters: CollectionParameters) -> ComparableText:
    return ready_text(ready.tokens, ready.digest, b"", ready.sketch, parameters)


def _verify_same_event(
    ready: Prepared,
    states: Sequence[TextState],
    texts: dict[TextNumber, ComparableText],
    parameters: CollectionParameters,
) -> tuple[list[VerifiedMatch[TextState]], dict[str, float]]:
    """Texts that tell of the same event as an article, and how similar they are, by id; called in a worker thread."""
    query_text = _query_text(ready, parameters)
    found, similarities = [], {}
    for state in states:
        text = texts.get(state.node.text)
        if text is None:
            continue
        verified = verify_pair(query_text, state, text, parameters.rules)
        alike = _alike(query_text, verified)
        if verified.evidence.kind is None and alike >= MIN_COSINE:
            evidence = msgspec.structs.replace(verified.evidence, kind=MatchKind.SAME_STORY)
            found.append(msgspec.structs.replace(verified, evidence=evidence))
            similarities[state.id] = alike
    return found, similarities


def _alike(query_text: ComparableText, found: VerifiedMatch[TextState]) -> float:
    """The similarity of two texts beside the passages that they share: those are stock phrases and boilerplate."""
    sets = []
    for text, column in ((query_text, 0 if found.first else 1), (found.text, 1 if found.first else 0)):
        shared = np.zeros(len(text.units), np.bool_)
        for row in found.evidence.rows:
            shared[row[column] : row[column] + row[2]] = True
        sets.append(word_pairs(text.units, shared))
    return similarity(*sets)


def _side(article: Article, parameters: CollectionParameters) -> _Side:
    ready = prepare(article, parameters)
    return _Side(article=article, text=_query_text(ready, parameters), comparable=ready.comparable)


def _comparison(a: _Side, b: _Side, rules: Rules) -> Comparison:
    found = verify_pair(a.text, b.article, b.text, rules)
    is_match = found.evidence.kind is not None and a.comparable and b.comparable
    return Comparison(
        article=a.article,
        other=b.article,
        match=to_match(a.article.id, a.text, found) if is_match else None,
        passages=to_passages(found.evidence, a.text.tokens, b.text.tokens, query_first=found.first),
    )


def _named(decision: Decision, copies: str) -> Decision:
    return replace(decision, copies=copies)
