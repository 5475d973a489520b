"""Pages of articles, matches, clusters and stories. Page tokens are positions, so that a page costs what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dedup.core.verify_pair import to_match, verify_each
from dedup.errors import InvalidArgument, Reason
from dedup.live.comparing import MatchedText
from dedup.live.reading import MAX_CARRIERS
from dedup.model import Cluster, Match, MatchKind, Page, StoredArticle, Story, TextNumber

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dedup.live.reading import Reading

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

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._follower = reading.follower

    async def articles(self, page_size: int, page_token: str) -> Page[StoredArticle]:
        """Articles by arrival number."""
        after = _position(page_token)
        await self._follower.steady()
        numbers = self._follower.reader.articles_after(after, page_size + 1)
        shown = await self._reading.articles(numbers[:page_size])
        more = len(numbers) > page_size
        return Page(tuple(shown), str(numbers[page_size - 1]) if more else "")

    async def cluster_articles(self, cluster_id: str, page_size: int, page_token: str) -> Page[StoredArticle]:
        """Articles of a cluster by arrival number."""
        after = _position(page_token)
        number = await self._reading.find_cluster(cluster_id)
        numbers = self._follower.reader.articles_of_cluster(number)
        left = [n for n in numbers if n > after]
        shown = await self._reading.articles(left[:page_size])
        more = len(left) > page_size
        return Page(tuple(shown), str(left[page_size - 1]) if more else "", len(numbers))

    async def clusters(self, min_size: int, page_size: int, page_token: str) -> Page[Cluster]:
        """Clusters by number; of one article only where they are linked or in a story."""
        after = _position(page_token)
        found: list[int] = []
        more = True
        while len(found) < page_size and more:
            await self._follower.steady()
            reader = self._follower.reader
            numbers = reader.clusters_after(after, _SCAN)
            for number in numbers:
                after = number
                view = reader.cluster(number)
                if view is not None and view.size >= min_size:
                    found.append(number)
                    if len(found) == page_size:
                        break
            more = len(numbers) == _SCAN or (len(found) == page_size and bool(numbers))
        await self._follower.steady()
        if more and not self._follower.reader.clusters_after(after, 1):
            more = False
        shown = await self._reading.clusters(found)
        return Page(tuple(shown[n] for n in found if n in shown), str(after) if more else "")

    async def stories(self, page_size: int, page_token: str) -> Page[Story]:
        """Stories by number."""
        after = _position(page_token)
        await self._follower.steady()
        numbers = self._follower.reader.stories_after(after, page_size + 1)
        shown = await self._reading.stories(numbers[:page_size])
        more = len(numbers) > page_size
        return Page(tuple(shown), str(numbers[page_size - 1]) if more else "")

    async def matches_of(self, article_id: str, page_size: int, page_token: str) -> Page[Match]:
        """Matches of one article: the articles with its text as one, then others, best first by their stored measures.

        Only what a page shows is measured; on the article's own words, so that offsets point into it.
        """
        start = _position(page_token)
        number = await self._reading.number(article_id)
        text = self._follower.reader.text_of_article(number)
        if not text:
            return Page(())
        query = (await self._reading.comparer.shown([(text, number)])).get(text)
        if query is None:
            return Page(())
        await self._follower.steady()
        equal = int(self._follower.reader.carrier_count(text) > 1)
        others = self._reading.others(text)
        total = equal + len(others)
        found: list[Match] = []
        if equal and start == 0:
            exact, _ = await self._reading.matches(query, text, (number, article_id), 1)
            found, start = list(exact), 1
        while start < total and len(found) < page_size:
            wanted = others[start - equal : start - equal + page_size - len(found)]
            found += await self._reading.measured(query, article_id, wanted, as_given=True)
            start += len(wanted)
        return Page(tuple(found), str(start) if start < total else "", total)

    async def matches(self, page_size: int, page_token: str) -> Page[Match]:
        """Matches between texts, by the numbers of both; a token is the last pair of its page, ``TEXT:TEXT``."""
        after = _pair(page_token)
        found: list[Match] = []
        while True:
            wanted = page_size - len(found)
            await self._follower.steady()
            pairs = self._follower.reader.pairs_after(after, wanted + 1)
            found += await measured_pairs(self._reading, pairs[:wanted])
            if len(pairs) <= wanted:
                return Page(tuple(found), "")
            after = pairs[wanted - 1]
            if len(found) == page_size:
                return Page(tuple(found), f"{after[0]}:{after[1]}")


async def measured_pairs(reading: Reading, pairs: Sequence[tuple[int, int]]) -> list[Match]:
    """Matches of pairs of texts, measured anew, the article with the smaller id first."""
    if not pairs:
        return []
    await reading.follower.steady()
    reader = reading.follower.reader
    texts = {t for pair in pairs for t in pair if reader.is_living(t)}
    shown = {t: reader.smallest_id(t) for t in texts}
    ready = await reading.comparer.shown(shown.items())
    await reading.follower.steady()
    reader = reading.follower.reader
    names = {t: reader.id_of(number) for t, number in shown.items()}
    out = []
    for x, y in pairs:
        if x not in ready or y not in ready:
            continue
        a, b = sorted((x, y), key=lambda t: names[t].encode())
        for found in verify_each(
            ready[a], [(MatchedText(TextNumber(b), names[b]), ready[b])], reading.parameters.rules
        ):
            if found.evidence.kind not in (None, MatchKind.EXACT):
                rest = [n for n in reader.carrier_numbers(b, MAX_CARRIERS + 1) if n != shown[b]]
                carriers = tuple(reader.id_of(n) for n in rest[:MAX_CARRIERS])
                out.append(to_match(names[a], ready[a], found, carriers))
    return out
