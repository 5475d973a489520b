"""A pipeline in memory for tests of the edges: every field of every answer is filled, nothing is compared.

It keeps articles by collection and answers from them; what it says about clusters, stories and matches is made
up, the same for the same article. Errors are those of the contract. ``fail_with`` is raised by the next call,
``gate`` holds ingest back until it is set.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from dedup.core.parameters import check_parameters
from dedup.errors import AlreadyExists, DedupError, InvalidArgument, NotFound, Reason
from dedup.live.sequence_slot import SequenceSlot
from dedup.model import (
    Article,
    Cluster,
    ClusterChange,
    CollectionParameters,
    CollectionStatus,
    Comparison,
    Credit,
    CreditPlace,
    Decision,
    DecisionKind,
    ExportedArticle,
    FindResult,
    IngestResult,
    Match,
    MatchKind,
    Origin,
    Outcome,
    Page,
    Passage,
    StoredArticle,
    Story,
)

ARRIVAL = 1_510_387_200.125
CREDITS = (
    Credit("AFP", CreditPlace.BYLINE, "AFP", 3, 6, in_byline_field=True),
    Credit("Reuters", CreditPlace.DATELINE, "(Reuters)", 10, 19),
)
PASSAGES = (Passage(0, 61, 10, 71, 9, 0), Passage(70, 140, 80, 150, 14, 13))
DECISION = Decision(DecisionKind.PARTIAL_COPY, "wire/1 é", 0.41, 120, 30, 20, 122)
STATUS_COUNTS = (7, 6, 5, 4, 3, 2, 1_048_576)


def made_match(article: str, other: str = "wire/1 é") -> Match:
    """A match with every field filled."""
    return Match(article, other, MatchKind.REWRITE, 0.043, 0.41, 0.52, 23, 13, 10, PASSAGES, (), 0.63, 0.2)


def made_cluster(cluster_id: str = "c 1") -> Cluster:
    """A cluster with every field filled."""
    return Cluster(
        cluster_id, 3, 2, "wire/1 é", "earliest complete version", "wire/1 é", ARRIVAL, settled=True,
        story="s/1", linked=("c2", "c 3"), origin=Origin("AFP", 0.9, "byline of the earliest"),
        agencies=("AFP", "Reuters"),
    )  # fmt: skip


def made_story(story_id: str = "s/1") -> Story:
    """A story with every field filled."""
    return Story(story_id, 2, ("c 1", "c2"), 5, ARRIVAL, ARRIVAL + 60, ("AFP",), "A headline")


class FakePipeline:
    """See the module."""

    def __init__(self) -> None:
        self.collections: dict[str, dict[str, Article]] = {}
        self.fail_with: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.is_ready = True
        self.closed = False
        self.matches_each = 1
        self.batches: list[list[str]] = []

    def _check(self, collection: str | None = None) -> None:
        error, self.fail_with = self.fail_with, None
        if error is not None:
            raise error
        if collection is not None and collection not in self.collections:
            raise NotFound(
                f"there is no collection {collection}", Reason.COLLECTION_NOT_FOUND, collection=collection
            )

    async def ready(self) -> bool:
        return self.is_ready

    async def close(self) -> None:
        self.closed = True

    async def ingest(
        self, collection: str, articles: Sequence[Article], slot: SequenceSlot | None = None
    ) -> list[IngestResult | DedupError]:
        if self.gate is not None:
            await self.gate.wait()
        if slot is not None:
            await slot.wait()
        self._check()
        if slot is not None:
            slot.release()
        self.batches.append([article.id for article in articles])
        return [self._ingest(collection, article) for article in articles]

    async def ingest_one(self, collection: str, article: Article) -> IngestResult:
        if self.gate is not None:
            await self.gate.wait()
        self._check()
        return self._ingest(collection, article)

    def _ingest(self, collection: str, article: Article) -> IngestResult:
        stored = self.collections.setdefault(collection, {})
        known = stored.get(article.id)
        stored[article.id] = article
        outcome = Outcome.CREATED if known is None else Outcome.UNCHANGED
        if known is not None and known != article:
            outcome = Outcome.REPLACED
        return IngestResult(
            article.id, outcome, comparable=True, decision=DECISION,
            number=list(stored).index(article.id) + 1, arrival_time=ARRIVAL, cluster=made_cluster(),
            affected_clusters=(ClusterChange("merged", "c9", "c 1"), ClusterChange("split", "c 1", "c10")),
            story="s/1", matches=tuple(made_match(article.id) for _ in range(self.matches_each)),
            total_matches=self.matches_each, matches_truncated=False, credits=CREDITS, carriers=("x/y",),
        )  # fmt: skip

    async def find(
        self, collection: str, article: Article, max_matches: int = 50, *, same_story: bool = False
    ) -> FindResult:
        self._check(collection)
        other = "told/1" if same_story else "wire/1 é"
        matches = (made_match(article.id, other),) * min(3, max_matches)
        return FindResult(
            comparable=True, matches=matches, total_matches=3, matches_truncated=len(matches) < 3,
            credits=CREDITS, decision=DECISION,
        )  # fmt: skip

    async def compare(self, collection: str, a: Article | str, b: Article | str) -> Comparison:
        self._check(collection)
        one, other = (self._article(collection, each) if isinstance(each, str) else each for each in (a, b))
        match = made_match(one.id, other.id) if one.body else None
        return Comparison(one, other, match, PASSAGES)

    def _article(self, collection: str, article_id: str) -> Article:
        self._check(collection)
        try:
            return self.collections[collection][article_id]
        except KeyError:
            raise NotFound(
                f"there is no article {article_id}", collection=collection, article=article_id
            ) from None

    def _stored(self, collection: str, article: Article) -> StoredArticle:
        number = list(self.collections[collection]).index(article.id) + 1
        return StoredArticle(
            article, number, ARRIVAL, comparable=True, text_digest="ab" * 16, words=292, decision=DECISION,
            cluster="c 1", story="s/1", representative=True, credits=CREDITS, copies_of_text=("x/y",),
        )  # fmt: skip

    async def get_article(self, collection: str, article_id: str) -> StoredArticle:
        return self._stored(collection, self._article(collection, article_id))

    async def list_articles(self, collection: str, *, page_size: int, page_token: str) -> Page[StoredArticle]:
        self._check(collection)
        items = [self._stored(collection, each) for each in self.collections[collection].values()]
        return page_of(items, page_size, page_token)

    async def delete_article(self, collection: str, article_id: str) -> tuple[str, ...]:
        self._article(collection, article_id)
        del self.collections[collection][article_id]
        return ("x/y",)

    async def list_matches(
        self, collection: str, *, article_id: str | None, page_size: int, page_token: str
    ) -> Page[Match]:
        self._check(collection)
        ids = [article_id] if article_id else list(self.collections[collection])
        for each in ids:
            self._article(collection, each)
        return page_of([made_match(each) for each in ids for _ in range(2)], page_size, page_token)

    async def get_cluster(self, collection: str, cluster_id: str) -> Cluster:
        self._check(collection)
        if cluster_id == "gone":
            raise NotFound("there is no cluster gone", Reason.CLUSTER_NOT_FOUND, cluster="gone")
        return made_cluster(cluster_id)

    async def list_clusters(
        self, collection: str, *, min_size: int, page_size: int, page_token: str
    ) -> Page[Cluster]:
        self._check(collection)
        return page_of(
            [made_cluster(f"c{n}") for n in range(3)] if min_size <= 2 else [], page_size, page_token
        )

    async def list_cluster_articles(
        self, collection: str, cluster_id: str, *, page_size: int, page_token: str
    ) -> Page[StoredArticle]:
        await self.get_cluster(collection, cluster_id)
        return await self.list_articles(collection, page_size=page_size, page_token=page_token)

    async def get_story(self, collection: str, story_id: str) -> Story:
        self._check(collection)
        if story_id == "gone":
            raise NotFound("there is no story gone", Reason.STORY_NOT_FOUND, story="gone")
        return made_story(story_id)

    async def list_stories(self, collection: str, *, page_size: int, page_token: str) -> Page[Story]:
        self._check(collection)
        return page_of([made_story(f"s{n}") for n in range(3)], page_size, page_token)

    async def export(self, collection: str) -> AsyncIterator[ExportedArticle | Match]:
        self._check(collection)
        ids = sorted(self.collections[collection], key=str.encode)
        for each in ids:
            yield ExportedArticle(each, "ab" * 16, "c 1", None, representative=True, agencies=("AFP",))
        for each in ids:
            yield made_match(each)

    async def create_collection(self, name: str, parameters: CollectionParameters) -> CollectionStatus:
        self._check()
        check_parameters(parameters)
        if name in self.collections:
            raise AlreadyExists(f"the collection {name} exists", collection=name)
        self.collections[name] = {}
        return CollectionStatus(name, parameters, "f00d", *STATUS_COUNTS, created=ARRIVAL)

    async def get_collection(self, name: str) -> CollectionStatus:
        self._check(name)
        return CollectionStatus(name, CollectionParameters(), "f00d", *STATUS_COUNTS, created=ARRIVAL)

    async def list_collections(self, *, page_size: int, page_token: str) -> Page[CollectionStatus]:
        self._check()
        items = [await self.get_collection(name) for name in sorted(self.collections)]
        return page_of(items, page_size, page_token)

    async def delete_collection(self, name: str) -> None:
        self._check(name)
        del self.collections[name]


def page_of(items: Sequence[object], page_size: int, page_token: str) -> Page:  # type: ignore[type-arg]
    """A page of a list that is all there; a token is the position."""
    if page_token and not page_token.isdecimal():
        raise InvalidArgument("page_token is not one of ours", Reason.INVALID_PAGE_TOKEN, field="page_token")
    start = int(page_token or 0)
    end = start + page_size
    return Page(tuple(items[start:end]), str(end) if end < len(items) else "", total=len(items))
