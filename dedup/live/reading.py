"""What a collection holds, as callers see it: articles, clusters, stories and matches, with their ids."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Final

import msgspec

from dedup.core.cluster_summary import (
    ClusterRecord,
    StoryRecord,
    describe,
    describe_one,
    representative,
)
from dedup.core.clustering import Carrier, TextNode
from dedup.core.probability import EXACT
from dedup.core.verify_pair import best_first, rank, to_match, verify_each, verify_pair
from dedup.errors import NotFound, Reason
from dedup.model import ArticleNumber, Cluster, Match, MatchKind, Origin, StoredArticle, Story, TextNumber
from dedup.store.records import decode_decision

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dedup.core.clustering import Edge
    from dedup.core.verify import ComparableText
    from dedup.core.verify_pair import VerifiedMatch
    from dedup.live.matching import Matcher
    from dedup.model import CollectionParameters, Decision
    from dedup.store.records import ArticleRecord, TextState
    from dedup.store.redis_index import RedisIndex

_NAMES_KEPT: Final = 200_000
#: Other carriers of a matched text that are named in an answer.
MAX_CARRIERS: Final = 100


class Placement(msgspec.Struct, frozen=True, gc=False):
    """Where texts stand now: cluster number and record by text; a missing record means a cluster of its own."""

    states: dict[TextNumber, TextState]
    records: dict[TextNumber, ClusterRecord]
    moved: dict[TextNumber, TextNumber]

    def cluster(self, text: TextNumber) -> tuple[TextNumber, ClusterRecord | None]:
        """Number and record of the cluster of a text."""
        state = self.states.get(text)
        number = state.cluster if state is not None and state.cluster else text
        number = self.moved.get(number, number)
        return number, self.records.get(number)


class CollectionReader:
    """Reads one collection."""

    def __init__(
        self, *, name: str, parameters: CollectionParameters, index: RedisIndex, matcher: Matcher
    ) -> None:
        self.name = name
        self.parameters = parameters
        self.index = index
        self.matcher = matcher
        self._names: OrderedDict[ArticleNumber, str] = OrderedDict()

    # -- names -----------------------------------------------------------------------------------------

    def remember(self, names: Mapping[ArticleNumber, str]) -> None:
        """Remember ids by article number; a number keeps its id for life."""
        self._names.update(names)
        while len(self._names) > _NAMES_KEPT:
            self._names.popitem(last=False)

    async def names(self, numbers: Iterable[ArticleNumber]) -> dict[ArticleNumber, str]:
        """Ids by article number, of deleted articles too; a number keeps its id for life."""
        wanted = set(numbers) - {0}
        known = {n: self._names[n] for n in wanted if n in self._names}
        missing = sorted(wanted - known.keys())
        if missing:
            found = await self.index.ids(missing)
            known.update(found)
            self.remember(found)
        return known

    async def record(self, article_id: str) -> ArticleRecord:
        """The record of an article by id.

        Raises:
            NotFound: there is none, or it was removed.
        """
        number = (await self.index.numbers([article_id]))[0]
        record = (await self.index.records([number])).get(number) if number else None
        if record is None or record.tombstone:
            message = f"collection {self.name!r} has no article {article_id!r}"
            raise NotFound(message, Reason.ARTICLE_NOT_FOUND, collection=self.name, article=article_id)
        return record

    # -- clusters --------------------------------------------------------------------------------------

    async def placement(self, texts: Iterable[TextNumber]) -> Placement:
        """Where texts stand now."""
        states = await self.index.texts(sorted(set(texts) - {0}), carriers=True)
        numbers = {s.cluster for s in states.values() if s.cluster}
        records = await self.index.summaries.clusters(numbers)
        moved = {}
        for number in sorted(numbers - records.keys()):  # merged away between the two reads
            try:
                moved[number], record = await self.find_cluster(f"c{number}")
            except NotFound:
                continue
            if record is not None:
                records[moved[number]] = record
        return Placement(states, records, moved)

    async def clusters(
        self,
        wanted: Sequence[tuple[TextNumber, ClusterRecord | None]],
        known: Mapping[TextNumber, TextState] | None = None,
        *,
        settled: bool = True,
    ) -> list[Cluster]:
        """Clusters as callers see them; those without a record are built from their one text, read if not ``known``."""
        built = []
        for number, record in wanted:
            built.append((number, record or await self._alone(number, (known or {}).get(number))))
        numbers: set[ArticleNumber] = set()
        outlets: set[ArticleNumber] = set()
        for _, record in built:
            numbers |= {record.representative, record.earliest}
            if record.origin[0].startswith("#"):
                outlets.add(ArticleNumber(int(record.origin[0][1:])))
        names = await self.names(numbers)
        sources = await self._sources(outlets)
        dirty = set() if settled else {number for number, _ in built}
        return [
            self._cluster(number, record, names, sources, number not in dirty) for number, record in built
        ]

    @staticmethod
    def _cluster(
        number: TextNumber,
        record: ClusterRecord,
        names: dict[ArticleNumber, str],
        sources: dict[ArticleNumber, str],
        settled: bool,
    ) -> Cluster:
        name, confidence, reason = record.origin
        return Cluster(
            id=f"c{number}",
            revision=record.revision,
            size=record.size,
            representative=names.get(record.representative, ""),
            representative_reason=record.reason,
            earliest=names.get(record.earliest, ""),
            first_published=record.first_published,
            settled=settled,
            story=f"s{record.story}" if record.story else None,
            linked=tuple(f"c{n}" for n in record.linked),
            origin=Origin(
                sources.get(ArticleNumber(int(name[1:])), "") if name.startswith("#") else name,
                confidence,
                reason,
            ),
            agencies=tuple(record.agencies),
        )

    async def _alone(self, text: TextNumber, state: TextState | None) -> ClusterRecord:
        state = state or (await self.index.texts([text], carriers=True)).get(text)
        if state is None or state.dead:
            raise self.no_cluster(f"c{text}")
        if len(state.node.carriers) == 1:
            return describe_one(state.node)
        tied = representative([state.node]).candidates
        names = await self.names(c.number for c in tied) if len(tied) > 1 else {}
        return describe([state.node], 1, 0, (), names)

    async def _sources(self, numbers: Iterable[ArticleNumber]) -> dict[ArticleNumber, str]:
        found = await self.index.records(sorted(numbers)) if numbers else {}
        return {n: r.article.source or r.id for n, r in found.items() if r.article is not None}

    def no_cluster(self, cluster_id: str) -> NotFound:
        """The error for a cluster that is not there."""
        message = f"collection {self.name!r} has no cluster {cluster_id!r}"
        return NotFound(message, Reason.CLUSTER_NOT_FOUND, collection=self.name, cluster=cluster_id)

    async def find_cluster(self, cluster_id: str) -> tuple[TextNumber, ClusterRecord | None]:
        """A cluster by id; an id that was merged away resolves to where it went.

        Raises:
            NotFound: there never was such a cluster, or all its articles were removed.
        """
        digits = _number(cluster_id, "c")
        number = None if digits is None else TextNumber(digits)
        for _ in range(64):
            if number is None:
                break
            record = await self.index.summaries.cluster(number)
            if record is None:
                state = (await self.index.texts([number])).get(number)
                if state is None or state.dead:
                    break
                if state.cluster is None or state.cluster == number:
                    return number, None
                number = state.cluster
                continue
            if not record.merged_into:
                return number, record
            number = record.merged_into
        raise self.no_cluster(cluster_id)

    async def find_story(self, story_id: str) -> tuple[int, StoryRecord]:
        """A story by id; an id that was merged away resolves to where it went.

        Raises:
            NotFound: there is no such story now.
        """
        number = _number(story_id, "s")
        for _ in range(64):
            record = await self.index.summaries.story(number) if number else None
            if record is None:
                break
            if not record.merged_into:
                return int(number or 0), record
            number = record.merged_into
        message = f"collection {self.name!r} has no story {story_id!r}"
        raise NotFound(message, Reason.STORY_NOT_FOUND, collection=self.name, story=story_id)

    async def stories(self, wanted: Sequence[tuple[int, StoryRecord]]) -> list[Story]:
        """Stories as callers see them."""
        records = await self.index.records({record.representative for _, record in wanted})
        out = []
        for number, record in wanted:
            lead = records.get(record.representative)
            out.append(
                Story(
                    id=f"s{number}",
                    revision=record.revision,
                    clusters=tuple(f"c{n}" for n in record.clusters),
                    size=record.size,
                    first_published=record.first_published,
                    last_published=record.last_published,
                    agencies=tuple(record.agencies),
                    headline=lead.article.headline if lead is not None and lead.article is not None else "",
                )
            )
        return out

    # -- articles --------------------------------------------------------------------------------------

    async def decision(self, record: ArticleRecord) -> Decision | None:
        """The stored decision of an article, with the copied article by id."""
        if not record.decided:
            return None
        names = await self.names([record.decision[1]])
        return decode_decision(record.decision, names.get(record.decision[1], ""))

    async def articles(self, records: Sequence[ArticleRecord]) -> list[StoredArticle]:
        """Stored articles as callers see them."""
        placement = await self.placement(r.text for r in records if r.text)
        carriers = placement.states
        numbers = {c.number for s in carriers.values() for c in s.node.carriers[:MAX_CARRIERS]}
        names = await self.names(numbers | {r.decision[1] for r in records})
        out = []
        for record in records:
            if record.article is None:
                continue
            number, cluster = placement.cluster(record.text) if record.text else (0, None)
            state = carriers.get(record.text)
            siblings = state.node.carriers[:MAX_CARRIERS] if state is not None else ()
            representative = bool(number) and (
                cluster.representative == record.number
                if cluster is not None
                else _stands_alone(state, record.number)
            )
            out.append(
                StoredArticle(
                    article=record.article,
                    number=record.number,
                    arrival_time=record.arrival,
                    comparable=record.comparable,
                    text_digest=record.digest.hex(),
                    words=record.words,
                    decision=decode_decision(record.decision, names.get(record.decision[1], ""))
                    if record.decided
                    else None,
                    cluster=f"c{number}" if number else None,
                    story=f"s{cluster.story}" if cluster is not None and cluster.story else None,
                    representative=representative,
                    credits=record.credits,
                    copies_of_text=tuple(names[c.number] for c in siblings if c.number != record.number),
                )
            )
        return out

    # -- matches ---------------------------------------------------------------------------------------

    async def others(self, text: TextNumber) -> list[TextNumber]:
        """The texts that a text matches, best first by what is stored of the matches."""
        edges = (await self.index.edges([text])).get(text, [])
        return await self.in_order(text, edges)

    async def in_order(self, text: TextNumber, edges: Sequence[Edge]) -> list[TextNumber]:
        """The other ends of edges of a text, best first; ids are read where they decide."""
        met = {e.other_than(text): _edge_rank(e) for e in edges}
        count = Counter(met.values())
        states = await self.index.texts(sorted(t for t, key in met.items() if count[key] > 1))
        return sorted(met, key=lambda t: (met[t], states[t].id.encode() if t in states else b"", t))

    async def matches(
        self, query_text: ComparableText, text: TextNumber, article: tuple[ArticleNumber, str], limit: int
    ) -> tuple[list[Match], int]:
        """Matches of an article with text ``text`` (0: none), best first, at most ``limit``, and how many there are.

        Measured anew on the article's own words, so that offsets point into it and not into an equal text.
        """
        if not text:
            return [], 0
        number, name = article
        state = (await self.index.texts([text], carriers=True)).get(text)
        others = await self.others(text)
        out: list[Match] = []
        total = len(others)
        if state is not None:
            siblings = tuple(c for c in state.node.carriers if c.number != number)
            if siblings:
                total += 1
                out.append(await self._exact(query_text, state, siblings, name))
        out += await self.measured(query_text, name, others[: max(0, limit - len(out))])
        return out[:limit], total

    async def measured(
        self, query_text: ComparableText, name: str, others: Sequence[TextNumber], *, as_given: bool = False
    ) -> list[Match]:
        """Matches of an article with texts, best first, or ``as_given``; what no longer matches is left out."""
        states = await self.index.texts(others, carriers=True)
        texts = await self.matcher.texts([s for s in states.values() if not s.dead])
        found = verify_each(
            query_text, [(states[t], text) for t, text in texts.items()], self.parameters.rules
        )
        matches = await self.to_matches(
            query_text, name, [v for v in found if v.evidence.kind != MatchKind.EXACT]
        )
        if as_given:
            place = {states[other].id: index for index, other in enumerate(others) if other in states}
            matches.sort(key=lambda match: place[match.other])
        return matches

    async def to_matches(
        self, query_text: ComparableText, name: str, found: Sequence[VerifiedMatch[TextState]]
    ) -> list[Match]:
        """Verified matches as callers see them, best first."""
        numbers = {c.number for v in found for c in v.other.node.carriers[: MAX_CARRIERS + 1]}
        names = await self.names(numbers)
        return [
            to_match(
                name,
                query_text,
                v,
                tuple(names[c.number] for c in v.other.node.carriers[1 : MAX_CARRIERS + 1]),
            )
            for v in sorted(found, key=rank)
        ]

    async def _exact(
        self, query_text: ComparableText, state: TextState, siblings: tuple[Carrier, ...], name: str
    ) -> Match:
        names = await self.names(c.number for c in siblings[: MAX_CARRIERS + 1])
        node = TextNode(state.node.text, state.node.digest, siblings)
        other = msgspec.structs.replace(state, node=node, id=names[siblings[0].number])
        text = await self.matcher.text_of(node)
        if text is None:
            rest = tuple(names[c.number] for c in siblings[1 : MAX_CARRIERS + 1])
            words = query_text.half_words // 2
            return Match(
                article=name,
                other=other.id,
                kind=MatchKind.EXACT,
                jaccard=1.0,
                containment=1.0,
                other_containment=1.0,
                shared_words=words,
                quoted_words=0,
                longest_unquoted_run=0,
                passages=(),
                other_carriers=rest,
                probability=EXACT,
            )
        found = verify_pair(query_text, other, text, self.parameters.rules)
        return (await self.to_matches(query_text, name, [found]))[0]


def _edge_rank(edge: Edge) -> tuple[int, float, int, bytes]:
    shared = edge.unquoted + edge.quoted
    return best_first(edge.kind, (edge.a_containment, edge.b_containment), shared, edge.quoted, "")


def _stands_alone(state: TextState | None, number: ArticleNumber) -> bool:
    return state is not None and len(state.node.carriers) == 1 and state.node.carriers[0].number == number


def _number(name: str, letter: str) -> int | None:
    digits = name[1:]
    return (
        int(digits)
        if name[:1] == letter and digits.isascii() and digits.isdigit() and len(digits) < 16
        else None
    )
