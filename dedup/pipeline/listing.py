"""Pages of articles, matches, clusters and stories. Page tokens are positions, so that a page costs what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dedup.errors import InvalidArgument, Reason
from dedup.model import Cluster, Match, MatchKind, Page, StoredArticle, Story
from dedup.pipeline.clusters import ClusterRecord
from dedup.pipeline.matching import Verified, ready_text
from dedup.pipeline.prepare import prepare
from dedup.verify import verify

if TYPE_CHECKING:
    from dedup.index.records import ArticleRecord
    from dedup.pipeline.room import Room

_SCAN = 500
#: An article's matches are listed up to here.
_MOST_MATCHES = 100_000


def _position(token: str) -> int:
    if token and not (token.isascii() and token.isdigit() and len(token) < 16):
        message = "page_token is not one that this service gave"
        raise InvalidArgument(message, Reason.INVALID_PAGE_TOKEN, field="page_token")
    return int(token or 0)


class Listing:
    """Lists what one collection holds."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._index = room.index

    async def articles(self, page_size: int, page_token: str) -> Page[StoredArticle]:
        """Articles by arrival number."""
        after, last = _position(page_token), await self._index.highest_number()
        found: list[ArticleRecord] = []
        while after < last and len(found) < page_size:
            step = min(_SCAN, last - after, max(64, page_size))
            records = await self._index.records(range(after + 1, after + step + 1))
            for number in sorted(records):
                if not records[number].tombstone:
                    found.append(records[number])
                    if len(found) == page_size:
                        break
            after = found[-1].number if len(found) == page_size else after + step
        token = str(after) if after < last else ""
        return Page(tuple(await self._room.articles(found)), token)

    async def cluster_articles(self, cluster_id: str, page_size: int, page_token: str) -> Page[StoredArticle]:
        """Articles of a cluster by arrival number."""
        number, record = await self._room.find_cluster(cluster_id)
        texts = record.texts if record is not None else [number]
        states = await self._index.texts(texts, carriers=True)
        numbers = sorted(c.number for s in states.values() if not s.dead for c in s.node.carriers)
        after = _position(page_token)
        wanted = [n for n in numbers if n > after][:page_size]
        records = await self._index.records(wanted)
        shown = await self._room.articles([records[n] for n in wanted if n in records])
        more = bool(wanted) and wanted[-1] < numbers[-1]
        return Page(tuple(shown), str(wanted[-1]) if more else "", len(numbers))

    async def clusters(self, min_size: int, page_size: int, page_token: str) -> Page[Cluster]:
        """Clusters by number."""
        after = _position(page_token)
        found: list[tuple[int, ClusterRecord]] = []
        while len(found) < page_size:
            numbers = await self._numbers("clusters", after, _SCAN)
            records = await self._room.settler.read_clusters(numbers)
            for number in numbers:
                after = number
                record = records.get(number)
                if record is not None and record.size >= min_size:
                    found.append((number, record))
                    if len(found) == page_size:
                        break
            if len(numbers) < _SCAN and len(found) < page_size:
                return Page(tuple(await self._room.clusters(found)), "")
        more = await self._numbers("clusters", after, 1)
        return Page(tuple(await self._room.clusters(found)), str(after) if more else "")

    async def stories(self, page_size: int, page_token: str) -> Page[Story]:
        """Stories by number."""
        numbers = await self._numbers("stories", _position(page_token), page_size + 1)
        records = await self._room.settler.read_stories(numbers[:page_size])
        shown = await self._room.stories([(n, records[n]) for n in numbers[:page_size] if n in records])
        return Page(tuple(shown), str(numbers[page_size - 1]) if len(numbers) > page_size else "")

    async def _numbers(self, kind: str, after: int, limit: int) -> list[int]:
        raw = await self._index.store.call(
            "ZRANGEBYSCORE", f"{self._index.prefix}{kind}", f"({after}", "+inf", "LIMIT", 0, limit
        )
        return [int(number) for number in raw]

    async def matches_of(self, article_id: str, page_size: int, page_token: str) -> Page[Match]:
        """Matches of one article, best first."""
        record = await self._room.record(article_id)
        start = _position(page_token)
        if record.article is None or not record.text:
            return Page(())
        state = (await self._index.texts([record.text])).get(record.text)
        ready = prepare(record.article, self._room.parameters)
        furniture = state.furniture if state is not None else b""
        own = ready_text(ready.tokens, ready.digest, furniture, ready.sketch, self._room.parameters)
        limit = min(start + page_size, _MOST_MATCHES)
        matches, total = await self._room.matches(own, record.text, (record.number, article_id), limit)
        token = str(start + page_size) if total > start + page_size else ""
        return Page(tuple(matches[start:]), token, total)

    async def matches(self, page_size: int, page_token: str) -> Page[Match]:
        """Matches between texts, by the numbers of the texts; a page ends with a text."""
        after, last = _position(page_token), int(await self._index.highest_text())
        found: list[Match] = []
        while after < last and len(found) < page_size:
            step = min(64, last - after)
            texts = list(range(after + 1, after + step + 1))
            edges = await self._index.edges(texts)
            for text in texts:
                after = text
                pairs = sorted(e.b for e in edges.get(text, []) if e.a == text)
                found += await verified_pairs(self._room, [(text, other) for other in pairs])
                if len(found) >= page_size:
                    break
        return Page(tuple(found), str(after) if after < last else "")


async def verified_pairs(room: Room, pairs: list[tuple[int, int]]) -> list[Match]:
    """Matches of pairs of texts, measured anew, the article with the smaller id first."""
    if not pairs:
        return []
    states = await room.index.texts(sorted({t for pair in pairs for t in pair}))
    texts = await room.matcher.texts([s for s in states.values() if not s.dead])
    out = []
    for x, y in pairs:
        if x not in texts or y not in texts:
            continue
        a, b = sorted((x, y), key=lambda t: states[t].id.encode())
        evidence = verify(texts[a], texts[b])
        if evidence.kind is not None and evidence.kind != MatchKind.EXACT:
            seen = Verified(states[b], texts[b], evidence, first=True)
            out += await room.to_matches(texts[a], states[a].id, [seen])
    return out
