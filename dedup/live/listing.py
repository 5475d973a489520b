"""Pages of articles, matches, clusters and stories. Page tokens are positions, so that a page costs what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dedup.core.cluster_summary import ClusterRecord
from dedup.core.prepare import prepare
from dedup.core.verify_pair import verify_pair
from dedup.errors import InvalidArgument, Reason
from dedup.live.matching import ready_text
from dedup.model import ArticleNumber, Cluster, Match, MatchKind, Page, StoredArticle, Story, TextNumber

if TYPE_CHECKING:
    from dedup.live.reading import CollectionReader
    from dedup.store.records import ArticleRecord

_SCAN = 500


def bad_token() -> InvalidArgument:
    """The error for a page token that no page gave."""
    message = "page_token is not one that this service gave"
    return InvalidArgument(message, Reason.INVALID_PAGE_TOKEN, field="page_token")


def _position(token: str) -> int:
    if token and not (token.isascii() and token.isdigit() and len(token) < 16):
        raise bad_token()
    return int(token or 0)


def _pair(token: str) -> tuple[int, int]:
    first, colon, second = token.partition(":")
    if token and not (first and colon and second):
        raise bad_token()
    return _position(first), _position(second)


class Listing:
    """Lists what one collection holds."""

    def __init__(self, reader: CollectionReader) -> None:
        self._reader = reader
        self._index = reader.index

    async def articles(self, page_size: int, page_token: str) -> Page[StoredArticle]:
        """Articles by arrival number."""
        after, last = _position(page_token), await self._index.highest_number()
        found: list[ArticleRecord] = []
        while after < last and len(found) < page_size:
            step = min(_SCAN, last - after, max(64, page_size))
            records = await self._index.records(map(ArticleNumber, range(after + 1, after + step + 1)))
            for number in sorted(records):
                if not records[number].tombstone:
                    found.append(records[number])
                    if len(found) == page_size:
                        break
            after = found[-1].number if len(found) == page_size else after + step
        token = str(after) if after < last else ""
        return Page(tuple(await self._reader.articles(found)), token)

    async def cluster_articles(self, cluster_id: str, page_size: int, page_token: str) -> Page[StoredArticle]:
        """Articles of a cluster by arrival number."""
        after = _position(page_token)
        number, record = await self._reader.find_cluster(cluster_id)
        texts = record.texts if record is not None else [number]
        states = await self._index.texts(texts, carriers=True)
        numbers = sorted(c.number for s in states.values() if not s.dead for c in s.node.carriers)
        wanted = [n for n in numbers if n > after][:page_size]
        records = await self._index.records(wanted)
        shown = await self._reader.articles([records[n] for n in wanted if n in records])
        more = bool(wanted) and wanted[-1] < numbers[-1]
        return Page(tuple(shown), str(wanted[-1]) if more else "", len(numbers))

    async def clusters(self, min_size: int, page_size: int, page_token: str) -> Page[Cluster]:
        """Clusters by number."""
        after = _position(page_token)
        found: list[tuple[TextNumber, ClusterRecord]] = []
        while len(found) < page_size:
            numbers = await self._index.summaries.cluster_numbers(after, _SCAN)
            records = await self._index.summaries.clusters(numbers)
            for number in numbers:
                after = number
                record = records.get(number)
                if record is not None and record.size >= min_size:
                    found.append((number, record))
                    if len(found) == page_size:
                        break
            if len(numbers) < _SCAN and len(found) < page_size:
                return Page(tuple(await self._reader.clusters(found)), "")
        more = await self._index.summaries.cluster_numbers(after, 1)
        return Page(tuple(await self._reader.clusters(found)), str(after) if more else "")

    async def stories(self, page_size: int, page_token: str) -> Page[Story]:
        """Stories by number."""
        numbers = await self._index.summaries.story_numbers(_position(page_token), page_size + 1)
        records = await self._index.summaries.stories(numbers[:page_size])
        shown = await self._reader.stories([(n, records[n]) for n in numbers[:page_size] if n in records])
        return Page(tuple(shown), str(numbers[page_size - 1]) if len(numbers) > page_size else "")

    async def matches_of(self, article_id: str, page_size: int, page_token: str) -> Page[Match]:
        """Matches of one article: the articles with its text as one, then others, best first by their stored measures.

        Only what a page shows is measured; on the article's own words, so that offsets point into it.
        """
        start = _position(page_token)
        record = await self._reader.record(article_id)
        state = (await self._index.texts([record.text], carriers=True)).get(record.text)
        if record.article is None or state is None:
            return Page(())
        ready = prepare(record.article, self._reader.parameters)
        query_text = ready_text(
            ready.tokens, ready.digest, state.boilerplate, ready.sketch, self._reader.parameters
        )
        equal = int(any(c.number != record.number for c in state.node.carriers))
        others = await self._reader.others(record.text)
        total = equal + len(others)
        found: list[Match] = []
        if equal and start == 0:
            exact, _ = await self._reader.matches(query_text, record.text, (record.number, article_id), 1)
            found, start = list(exact), 1
        while start < total and len(found) < page_size:
            wanted = others[start - equal : start - equal + page_size - len(found)]
            found += await self._reader.measured(query_text, article_id, wanted, as_given=True)
            start += len(wanted)
        return Page(tuple(found), str(start) if start < total else "", total)

    async def matches(self, page_size: int, page_token: str) -> Page[Match]:
        """Matches between texts, by the numbers of both; a token is the last pair of its page, ``TEXT:TEXT``."""
        after = _pair(page_token)
        found: list[Match] = []
        while True:
            wanted = page_size - len(found)
            pairs = await self._pairs(after, wanted + 1)
            found += await verified_pairs(self._reader, pairs[:wanted])
            if len(pairs) <= wanted:
                return Page(tuple(found), "")
            after = pairs[wanted - 1]
            if len(found) == page_size:
                return Page(tuple(found), f"{after[0]}:{after[1]}")

    async def _pairs(self, after: tuple[int, int], limit: int) -> list[tuple[TextNumber, TextNumber]]:
        """The next pairs of texts that share an edge, the smaller number first."""
        found: list[tuple[TextNumber, TextNumber]] = []
        last = await self._index.highest_text()
        start, step = max(1, after[0]), 32
        while start <= last and len(found) < limit:
            texts = map(TextNumber, range(start, min(start + step, last + 1)))
            edges = await self._index.edges(texts)
            found += sorted(
                (t, e.b) for t, ends in edges.items() for e in ends if e.a == t and (t, e.b) > after
            )
            start, step = start + step, min(2 * step, _SCAN)
        return found[:limit]


async def verified_pairs(reader: CollectionReader, pairs: list[tuple[TextNumber, TextNumber]]) -> list[Match]:
    """Matches of pairs of texts, measured anew, the article with the smaller id first."""
    if not pairs:
        return []
    states = await reader.index.texts(sorted({t for pair in pairs for t in pair}))
    texts = await reader.matcher.texts([s for s in states.values() if not s.dead])
    out = []
    for x, y in pairs:
        if x not in texts or y not in texts:
            continue
        a, b = sorted((x, y), key=lambda t: states[t].id.encode())
        found = verify_pair(texts[a], states[b], texts[b], reader.parameters.rules)
        if found.evidence.kind is not None and found.evidence.kind != MatchKind.EXACT:
            out += await reader.to_matches(texts[a], states[a].id, [found])
    return out
