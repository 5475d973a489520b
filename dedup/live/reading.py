"""What a collection holds, as callers see it: articles, clusters, stories and matches, with their ids.

Everything but the words and fields of articles is read from the state, in memory. Whoever calls has caught up with the
log first where the answer must hold what others have written.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import msgspec

from dedup.core.probability import EXACT
from dedup.core.verify_pair import VerifiedMatch, best_first, rank, to_match, verify_each, verify_pair
from dedup.errors import NotFound, Reason
from dedup.live.comparing import MatchedText, with_places_of
from dedup.model import (
    COPY_KINDS,
    Article,
    Cluster,
    ClusterChange,
    Match,
    MatchKind,
    Origin,
    StoredArticle,
    Story,
    TextNumber,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dedup.core.clustering import Edge
    from dedup.core.prepare import Prepared
    from dedup.core.verify import ComparableText
    from dedup.live.archive import Archive
    from dedup.live.comparing import Comparer
    from dedup.live.follower import Follower
    from dedup.live.judging import Judged
    from dedup.model import CollectionParameters
    from dedup.state.collection import Arrival
    from dedup.store.payload import Kept

#: Other carriers of a matched text that are named in an answer.
MAX_CARRIERS: Final = 100
_OUTLETS_KEPT: Final = 10_000


class Reading:
    """Reads one collection."""

    def __init__(
        self,
        *,
        name: str,
        follower: Follower,
        archive: Archive,
        comparer: Comparer,
        parameters: CollectionParameters,
    ) -> None:
        self.name = name
        self.follower = follower
        self.comparer = comparer
        self.parameters = parameters
        self._archive = archive
        self._outlets: OrderedDict[int, str] = OrderedDict()

    # -- articles ----------------------------------------------------------------------------------------

    async def number(self, article_id: str) -> int:
        """The number of an article that stands.

        Raises:
            NotFound: there is none, or it was removed.
        """
        await self.follower.steady()
        reader = self.follower.reader
        number = reader.number_of(article_id)
        if not number or reader.article(number) is None:
            raise self.no_article(article_id)
        return number

    def is_lost(self, number: int) -> bool:
        """Whether the record of an article that stands was looked for and not found; the state is read at once."""
        article = self.follower.reader.article(number)
        return article is not None and self._archive.is_lost(article.record)

    def no_article(self, article_id: str) -> NotFound:
        """The error for an article that is not there."""
        message = f"collection {self.name!r} has no article {article_id!r}"
        return NotFound(message, Reason.ARTICLE_NOT_FOUND, collection=self.name, article=article_id)

    async def kept(self, numbers: Sequence[int]) -> dict[int, Kept]:
        """What is kept of articles that stand, by number; those whose record is lost are left out."""
        await self.follower.steady()
        records = {}
        for number in numbers:
            article = self.follower.reader.article(number)
            if article is not None and article.record:
                records[number] = article.record
        found = await self._archive.kept(records.values())
        return {number: found[record] for number, record in records.items() if record in found}

    async def articles(self, numbers: Sequence[int]) -> list[StoredArticle]:
        """Stored articles as callers see them, in this order; those that are gone are left out."""
        kept = await self.kept(numbers)
        await self.follower.steady()
        reader = self.follower.reader
        out = []
        for number in numbers:
            article = reader.article(number)
            if article is None or number not in kept:
                continue
            own, text = kept[number], article.text
            cluster = reader.cluster_of([text])[0] if text else 0
            view = reader.cluster(cluster) if cluster else None
            siblings = reader.carrier_numbers(text, MAX_CARRIERS) if text else ()
            out.append(
                StoredArticle(
                    article=article_of(article.id, own, article.version, article.version_time),
                    number=number,
                    arrival_time=article.arrival,
                    comparable=text > 0,
                    text_digest=(reader.digest_of(text) if text else own.digest).hex(),
                    words=own.words,
                    decision=article.decision,
                    cluster=f"c{cluster}" if view is not None else None,
                    story=f"s{view.story}" if view is not None and view.story else None,
                    representative=view is not None and view.representative == number,
                    credits=own.credits,
                    copies_of_text=tuple(reader.id_of(n) for n in siblings if n != number),
                )
            )
        return out

    # -- clusters and stories ------------------------------------------------------------------------------

    async def clusters(self, numbers: Iterable[int]) -> dict[int, Cluster]:
        """Clusters as callers see them, by number; those that are gone are left out."""
        await self.follower.steady()
        reader = self.follower.reader
        views = {n: view for n in numbers if (view := reader.cluster(n)) is not None}
        unnamed = {int(view.origin[0][1:]) for view in views.values() if view.origin[0].startswith("#")}
        sources = await self._sources(unnamed)
        await self.follower.steady()
        reader = self.follower.reader
        out = {}
        for number, view in views.items():
            name, confidence, reason = view.origin
            if name.startswith("#"):
                name = sources.get(int(name[1:]), "")
            out[number] = Cluster(
                id=f"c{number}",
                revision=view.revision,
                size=view.size,
                representative=reader.id_of(view.representative),
                representative_reason=view.reason,
                earliest=reader.id_of(view.earliest),
                first_published=view.first_published,
                settled=not reader.is_waiting(int(view.texts[0])),
                story=f"s{view.story}" if view.story else None,
                linked=tuple(f"c{n}" for n in view.linked),
                origin=Origin(name, confidence, reason),
                agencies=tuple(view.agencies),
            )
        return out

    async def _sources(self, articles: Iterable[int]) -> dict[int, str]:
        """The outlets of articles by name: what their publishers call themselves, else the article's id."""
        reader = self.follower.reader
        of_article = {number: reader.source_of(number) for number in articles}
        missing = [n for n, source in of_article.items() if source not in self._outlets]
        if missing:
            for number, own in (await self.kept(missing)).items():
                self._outlets[of_article[number]] = own.source or self.follower.reader.id_of(number)
            while len(self._outlets) > _OUTLETS_KEPT:
                self._outlets.popitem(last=False)
        return {n: self._outlets.get(source, "") for n, source in of_article.items()}

    def changes(self, after: int, clusters: set[int]) -> list[ClusterChange]:
        """Clusters that were merged into these, or split to them, since a position; the state is read at once."""
        found = []
        for _, kind, old, new in self.follower.reader.events(after):
            if kind in _CHANGES and (old in clusters or new in clusters):
                change = ClusterChange(change=_CHANGES[kind], old=f"c{old}", new=f"c{new}")
                if change not in found:
                    found.append(change)
        return found

    async def find_cluster(self, cluster_id: str) -> int:
        """The number of a cluster by id; an id that was merged away resolves to where it went.

        Raises:
            NotFound: there never was such a cluster, or all its articles were removed.
        """
        await self.follower.steady()
        number = _number(cluster_id, "c")
        found = self.follower.reader.resolve(number) if number else 0
        if not found:
            message = f"collection {self.name!r} has no cluster {cluster_id!r}"
            raise NotFound(message, Reason.CLUSTER_NOT_FOUND, collection=self.name, cluster=cluster_id)
        return found

    async def find_story(self, story_id: str) -> int:
        """The number of a story by id; an id whose story joined another resolves to that one.

        Raises:
            NotFound: there is no such story now.
        """
        await self.follower.steady()
        number = _number(story_id, "s")
        found = self.follower.reader.resolve_story(number) if number else 0
        if not found:
            message = f"collection {self.name!r} has no story {story_id!r}"
            raise NotFound(message, Reason.STORY_NOT_FOUND, collection=self.name, story=story_id)
        return found

    async def stories(self, numbers: Sequence[int]) -> list[Story]:
        """Stories as callers see them; those that are gone are left out."""
        await self.follower.steady()
        views = {n: view for n in numbers if (view := self.follower.reader.story(n)) is not None}
        leads = await self.kept([view.representative for view in views.values()])
        return [
            Story(
                id=f"s{number}",
                revision=view.revision,
                clusters=tuple(f"c{n}" for n in view.clusters),
                size=view.size,
                first_published=view.first_published,
                last_published=view.last_published,
                agencies=tuple(view.agencies),
                headline=leads[view.representative].headline if view.representative in leads else "",
            )
            for number, view in views.items()
        ]

    # -- matches -----------------------------------------------------------------------------------------

    def related(self, text: int) -> list[int]:
        """A text, and those with copied passages of it, closest first; the state is read at once."""
        if not text:
            return []
        edges = [e for e in self.follower.reader.edges_of(text) if e.kind in COPY_KINDS]
        return [text, *self._in_order(text, edges)]

    def carriers_of(self, texts: Sequence[int], but: int) -> tuple[str, ...]:
        """The articles that carry texts, but one; the state is read at once."""
        reader = self.follower.reader
        return tuple(
            reader.id_of(n)
            for text in texts
            if reader.is_living(text)
            for n in reader.carrier_numbers(text, MAX_CARRIERS)
            if n != but
        )

    def others(self, text: int) -> list[int]:
        """The texts that a text matches, best first by what is kept of the matches; the state is read at once."""
        return self._in_order(text, self.follower.reader.edges_of(text))

    def _in_order(self, text: int, edges: Sequence[Edge]) -> list[int]:
        reader = self.follower.reader
        ranked: dict[tuple[int, float, int, bytes], list[int]] = {}
        for e in edges:
            key = best_first(e.kind, (e.a_containment, e.b_containment), e.unquoted + e.quoted, e.quoted, "")
            ranked.setdefault(key, []).append(e.other_than(TextNumber(text)))
        out: list[int] = []
        for key in sorted(ranked):
            equal = ranked[key]
            if len(equal) > 1:
                equal.sort(key=lambda t: reader.id_of(reader.smallest_id(t)).encode())
            out += equal
        return out

    async def matches_of_ingested(
        self, prepared: Prepared, arrival: Arrival, judged: Judged, limit: int
    ) -> tuple[list[Match], int]:
        """Matches of an article that has just come, best first, at most ``limit``, and how many there are."""
        text = arrival.text
        query = judged.ready.get(text)
        if query is None:
            query = (await self.comparer.ready([text])).get(text)
        if query is None:
            return [], 0
        query = with_places_of(query, prepared.tokens)
        if not arrival.is_new_text or text not in judged.found:
            return await self.matches(query, text, (arrival.article, prepared.article.id), limit)
        found = [v for v in judged.found[text].values() if self.follower.reader.is_living(v.other.text)]
        matches = await self.to_matches(query, prepared.article.id, found, limit)
        total = len(found)
        await self.follower.steady()
        siblings = [n for n in self._carriers(text) if n != arrival.article]
        if siblings:  # others brought the same text in the meantime, or in the same batch
            exact = await self._exact(query, text, siblings, prepared.article.id)
            return [exact, *matches][:limit], total + 1
        return matches, total

    def _carriers(self, text: int) -> list[int]:
        """Articles that carry a text, by their ids; as many as an answer names, and one or two more."""
        reader = self.follower.reader
        return reader.carrier_numbers(text, MAX_CARRIERS + 2) if text and reader.is_living(text) else []

    async def matches(
        self, query: ComparableText, text: int, article: tuple[int, str], limit: int
    ) -> tuple[list[Match], int]:
        """Matches of an article with text ``text`` (0: none), best first, at most ``limit``, and how many there are.

        Measured anew on the article's own words, so that offsets point into it and not into an equal text.
        """
        if not text:
            return [], 0
        number, name = article
        await self.follower.steady()
        others = self.others(text)
        siblings = [n for n in self._carriers(text) if n != number]
        out: list[Match] = []
        total = len(others)
        if siblings:
            total += 1
            out.append(await self._exact(query, text, siblings, name))
        out += await self.measured(query, name, others[: max(0, limit - len(out))])
        return out[:limit], total

    async def measured(
        self, query: ComparableText, name: str, others: Sequence[int], *, as_given: bool = False
    ) -> list[Match]:
        """Matches of an article with texts, best first, or ``as_given``; what no longer matches is left out."""
        await self.follower.steady()
        shown = {t: self.follower.reader.smallest_id(t) for t in others if self.follower.reader.is_living(t)}
        ready = await self.comparer.shown(shown.items())
        found = verify_each(
            query,
            [(MatchedText(TextNumber(t)), ready[t]) for t in shown if t in ready],
            self.parameters.rules,
        )
        copies = [v for v in found if v.evidence.kind != MatchKind.EXACT]
        matches = await self.to_matches(query, name, copies, len(copies), shown=True)
        if as_given:
            place = {self.follower.reader.id_of(shown[t]): i for i, t in enumerate(others) if t in shown}
            matches.sort(key=lambda match: place.get(match.other, len(place)))
        return matches

    async def to_matches(
        self,
        query: ComparableText,
        name: str,
        found: Sequence[VerifiedMatch[MatchedText]],
        limit: int,
        *,
        shown: bool = False,
    ) -> list[Match]:
        """Verified matches as callers see them, best first, at most ``limit``.

        ``shown``: the texts have the places of words in the articles that they are shown under.
        """
        await self.follower.steady()
        reader = self.follower.reader
        named = []
        numbers: dict[int, int] = {}
        for v in found:
            if reader.is_living(v.other.text):
                numbers[v.other.text] = number = reader.smallest_id(v.other.text)
                other = MatchedText(v.other.text, reader.id_of(number))
                named.append(msgspec.structs.replace(v, other=other))
        named.sort(key=rank)
        best = named[:limit]
        elsewhere = [
            (v.other.text, numbers[v.other.text])
            for v in best
            if not shown and reader.reading_of(v.other.text)[0] != numbers[v.other.text]
        ]
        ready = await self.comparer.shown(elsewhere) if elsewhere else {}
        await self.follower.steady()
        out = []
        for v in best:
            rest = [n for n in self._carriers(v.other.text) if n != numbers[v.other.text]][:MAX_CARRIERS]
            text = ready.get(v.other.text)
            match = (
                v if text is None else msgspec.structs.replace(v, text=with_places_of(v.text, text.tokens))
            )
            out.append(to_match(name, query, match, tuple(self.follower.reader.id_of(n) for n in rest)))
        return out

    async def _exact(self, query: ComparableText, text: int, siblings: Sequence[int], name: str) -> Match:
        """The match with the articles that carry the same text."""
        reader = self.follower.reader
        other = MatchedText(TextNumber(text), reader.id_of(siblings[0]))
        rest = tuple(reader.id_of(n) for n in siblings[1 : MAX_CARRIERS + 1])
        article = reader.article(siblings[0])
        packed = await self._archive.packed([article.record]) if article is not None else {}
        if article is None or article.record not in packed:
            return Match(
                article=name,
                other=other.id,
                kind=MatchKind.EXACT,
                jaccard=1.0,
                containment=1.0,
                other_containment=1.0,
                shared_words=query.half_words // 2,
                quoted_words=0,
                longest_unquoted_run=0,
                passages=(),
                other_carriers=rest,
                probability=EXACT,
            )
        theirs = self.comparer.plain(packed[article.record], query.digest)
        found = verify_pair(query, other, theirs, self.parameters.rules)
        return to_match(name, query, found, rest)


_CHANGES: Final = {"cluster_merged": "merged", "cluster_split": "split"}


def article_of(article_id: str, kept: Kept, version: int | None, version_time: float | None) -> Article:
    """An article as it was received, as far as it is kept."""
    return Article(
        id=article_id,
        headline=kept.headline,
        body=kept.body,
        source=kept.source,
        byline=kept.byline,
        located=kept.located,
        url=kept.url,
        language=kept.language,
        published=kept.published,
        published_is_date=kept.published_is_date,
        version=version,
        version_time=version_time,
    )


def _number(name: str, letter: str) -> int:
    digits = name[1:]
    known = name[:1] == letter and digits.isascii() and digits.isdigit() and len(digits) < 16
    return int(digits) if known else 0
