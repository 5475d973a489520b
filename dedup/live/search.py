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
    EarlierMatch,
    WordCounts,
    against_equal,
    count_words,
    decide,
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
from dedup.core.verify import ComparableText, comparable, to_passages
from dedup.core.verify_pair import VerifiedMatch, to_match, verify_pair
from dedup.errors import InvalidArgument
from dedup.live.comparing import MatchedText, Pairing, masked
from dedup.model import (
    Article,
    CollectionParameters,
    Comparison,
    Decision,
    FindResult,
    MatchKind,
    TextNumber,
)

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from dedup.core.prepare import Prepared
    from dedup.live.reading import Reading
    from dedup.model import Match, Rules

_DAY: Final = 86400.0
_NO_POSTINGS: Final = np.empty(0, np.uint64)


class Search:
    """Answers queries about one collection."""

    def __init__(self, reading: Reading, pool: Executor) -> None:
        self._reading = reading
        self._follower = reading.follower
        self._comparer = reading.comparer
        self._parameters = reading.parameters
        self._pool = pool

    async def find(self, article: Article, limit: int, *, same_story: bool = False) -> FindResult:
        """The matches an article would have, best first, and the decision it would get.

        With ``same_story`` the articles that tell of the same event follow, most similar first.

        Raises:
            InvalidArgument: the collection was not made for ``same_story``.
        """
        if same_story and not self._parameters.same_story:
            message = "same_story needs a collection that was made with same_story"
            raise InvalidArgument(message, field="same_story")
        loop = asyncio.get_running_loop()
        ready = await loop.run_in_executor(self._pool, prepare, article, self._parameters)
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
        await self._follower.steady()
        text = self._follower.reader.text_of_digest(ready.digest)
        if text and self._follower.reader.is_living(text):
            return await self._find_equal(ready, text, limit)
        return await self._find_like(ready, limit)

    async def _find_like(self, ready: Prepared, limit: int) -> FindResult:
        """The matches of an article whose text is not stored."""
        article, source = ready.article, source_hash(ready.article)
        met, mask = self._follower.collection.look_up_unstored(
            digest=ready.digest,
            source=source,
            published=article.published if article.published is not None else time.time(),
            postings=ready.sketch.postings if ready.sketch is not None else _NO_POSTINGS,
        )
        plan = self._comparer.plan(met.tolist())
        texts = dict(await self._comparer.make(plan))
        query = masked(ready.tokens, ready.digest, mask, ready.sketch, self._parameters)
        query = msgspec.structs.replace(query, tokens=ready.tokens)
        texts[0] = query
        pairing = Pairing(text=0, others=[t for t in met.tolist() if t in texts])
        await self._comparer.compare([pairing], texts)
        await self._follower.steady()
        reader = self._follower.reader
        earlier_matches = []
        found = []
        for match in pairing.found.values():
            other = match.other.text
            if not reader.is_living(other):
                continue
            carriers = reader.first_carriers(other, before=0, source=source)
            cluster = TextNumber(reader.cluster_of([other])[0])
            earlier_matches.append(EarlierMatch(match=match, cluster=cluster, carriers=carriers))
            alone = reader.carrier_count(other) == 1 and reader.id_of(reader.smallest_id(other)) == article.id
            if not alone:
                found.append(match)
        earlier, counts = count_words(query, source, earlier_matches)
        decision, copied = decide(source, earlier, counts)
        named = _named(decision, reader.id_of(copied) if copied else "")
        matches = await self._reading.to_matches(query, article.id, found, limit)
        return FindResult(
            comparable=True,
            matches=tuple(matches),
            total_matches=len(found),
            matches_truncated=len(found) > limit,
            credits=ready.credits,
            decision=named,
            candidates=len(pairing.others),
        )

    async def _find_equal(self, ready: Prepared, text: int, limit: int) -> FindResult:
        """The matches of an article whose text is stored."""
        source = source_hash(ready.article)
        query = await self._query(ready, text)
        await self._follower.steady()
        reader = self._follower.reader
        number = reader.number_of(ready.article.id) if ready.article.id else 0
        earlier: list[EarlierArticle] = []
        counts = WordCounts(new=ready.words)
        if reader.is_living(text):
            carriers = reader.first_carriers(text, before=0, source=source)
            earlier, counts = against_equal(query, carriers)
        decision, copied = decide(source, earlier, counts)
        named = _named(decision, reader.id_of(copied) if copied else "")
        matches, total = await self._reading.matches(query, text, (number, ready.article.id), limit)
        return FindResult(
            comparable=True,
            matches=tuple(matches),
            total_matches=total,
            matches_truncated=total > len(matches),
            credits=ready.credits,
            decision=named,
        )

    async def _query(self, ready: Prepared, text: int) -> ComparableText:
        """An article's own words, with what is boilerplate in its text, which is stored."""
        await self._follower.steady()
        mask = self._follower.collection.mask(text) if text else _NO_POSTINGS
        query = masked(ready.tokens, ready.digest, mask, ready.sketch, self._parameters)
        return msgspec.structs.replace(query, tokens=ready.tokens)

    # -- the same event --------------------------------------------------------------------------------------

    async def _same_event(self, ready: Prepared) -> list[Match]:
        """Articles of the same event that share nothing that counts as a match, most similar first."""
        article, days = ready.article, self._parameters.story_span_days
        published = article.published if article.published is not None else time.time()
        span = span_of(published, days)
        postings = fields(ready.pairs, span - 1, span, span + 1)
        await self._follower.steady()
        reader = self._follower.reader
        near = {}
        for text in self._follower.collection.same_event_candidates(postings, MIN_SHARED, MAX_CANDIDATES):
            number = reader.smallest_id(text)
            name, first = reader.id_of(number), reader.article(number)
            if first is None or name == article.id:
                continue
            if abs(first.published - published) <= max(1, days) * _DAY:
                near[text] = name
        texts = await self._comparer.ready(near)
        loop = asyncio.get_running_loop()
        same_event, similarities = await loop.run_in_executor(
            self._pool, _verify_same_event, ready, near, texts, self._parameters
        )
        query = _query_text(ready, self._parameters)
        matches = await self._reading.to_matches(query, article.id, same_event, len(same_event))
        alike = [msgspec.structs.replace(match, similarity=similarities[match.other]) for match in matches]
        return sorted(alike, key=lambda match: (-match.similarity, match.other.encode()))

    # -- two articles ------------------------------------------------------------------------------------------

    async def compare(self, a: Article | str, b: Article | str) -> Comparison:
        """Two articles, stored ones by id, with the boilerplate that is known of stored ones left out.

        One that is not comparable matches nothing, here as elsewhere; the passages are told all the same.
        """
        return _comparison(await self._load(a), await self._load(b), self._parameters.rules)

    async def _load(self, article: Article | str) -> _Side:
        if isinstance(article, Article):
            return _side(article, self._parameters)
        number = await self._reading.number(article)
        stored = await self._reading.articles([number])
        kept = (await self._reading.kept([number])).get(number)
        if not stored or kept is None:
            raise self._reading.no_article(article)
        own = stored[0].article
        await self._follower.steady()
        text = self._follower.reader.text_of_article(number)
        mask = self._follower.collection.mask(text) if text else _NO_POSTINGS
        if kept.reduced is not None:
            tokens, digest = kept.reduced, bytes.fromhex(stored[0].text_digest)
            return _Side(
                article=own, text=masked(tokens, digest, mask, None, self._parameters), comparable=text > 0
            )
        ready = prepare(own, self._parameters)
        query = masked(ready.tokens, ready.digest, mask, ready.sketch, self._parameters)
        return _Side(article=own, text=query, comparable=text > 0)

    @staticmethod
    def compare_articles(a: Article, b: Article, parameters: CollectionParameters) -> Comparison:
        """Two articles that need not be stored anywhere."""
        return _comparison(_side(a, parameters), _side(b, parameters), parameters.rules)


class _Side(msgspec.Struct, frozen=True, gc=False):
    """One of two articles that are compared."""

    article: Article
    text: ComparableText
    comparable: bool


def _query_text(ready: Prepared, parameters: CollectionParameters) -> ComparableText:
    return comparable(ready.tokens, ready.digest, parameters.shingle_size, None)


def _verify_same_event(
    ready: Prepared,
    near: dict[int, str],
    texts: dict[int, ComparableText],
    parameters: CollectionParameters,
) -> tuple[list[VerifiedMatch[MatchedText]], dict[str, float]]:
    """Texts that tell of the same event as an article, and how similar they are, by id; called in a worker thread."""
    query_text = _query_text(ready, parameters)
    found, similarities = [], {}
    for number, name in near.items():
        text = texts.get(number)
        if text is None:
            continue
        verified = verify_pair(query_text, MatchedText(TextNumber(number), name), text, parameters.rules)
        alike = _alike(query_text, verified)
        if verified.evidence.kind is None and alike >= MIN_COSINE:
            evidence = msgspec.structs.replace(verified.evidence, kind=MatchKind.SAME_STORY)
            found.append(msgspec.structs.replace(verified, evidence=evidence))
            similarities[name] = alike
    return found, similarities


def _alike(query_text: ComparableText, found: VerifiedMatch[MatchedText]) -> float:
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
