"""Ingest, find, compare: the straight line from an article to its place in a cluster of a story.

An article becomes normalized text, shingles, a sketch, candidates, verified matches, and a place in a cluster of a
story. :class:`Pipeline` is what the service calls; it opens collections and keeps one
:class:`~dedup.live.open_collection.OpenCollection` of each.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import structlog

from dedup.live.batching import Batcher
from dedup.live.collections import Collections
from dedup.live.comparing import TextCache
from dedup.live.export import export
from dedup.live.incarnation import Incarnations
from dedup.live.limit import Limit
from dedup.live.listing import Listing
from dedup.live.open_collection import Shared
from dedup.live.search import Search
from dedup.live.warmup import warm_up
from dedup.model import Article, CollectionParameters, Comparison, FindResult
from dedup.store.connection import Store
from dedup.store.log import CollectionGone
from dedup.store.servers import Servers
from dedup.store.tail import Tail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from dedup.config import Settings
    from dedup.errors import DedupError
    from dedup.live.reading import Reading
    from dedup.live.sequence_slot import SequenceSlot
    from dedup.model import (
        Cluster,
        CollectionStatus,
        ExportedArticle,
        IngestResult,
        Match,
        Page,
        StoredArticle,
        Story,
    )

log = structlog.get_logger()

#: Articles of a request that go through the flow together.
BATCH: Final = 200


class Pipeline:
    """Everything the service does, with plain values in and out; errors are :class:`~dedup.errors.DedupError`."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="dedup")
        servers = Servers(store)
        self._incarnations = Incarnations(servers, settings.recovery_seconds)
        self._tail = Tail(store, self._incarnations.current)
        shared = Shared(
            store=store,
            tail=self._tail,
            servers=servers,
            incarnations=self._incarnations,
            settings=settings,
            cache=TextCache(settings.text_cache_articles),
            pool=self._pool,
        )
        self._collections = Collections(shared)
        self._limit = Limit()
        self._batchers: dict[str, Batcher] = {}

    @classmethod
    async def open(cls, settings: Settings) -> Self:
        """Connect to ``settings.store``, check it, compile the kernels. A collection is opened when it is asked for.

        Raises:
            StoreUnavailable: the store does not answer, or cannot do what is needed.
        """
        store = Store(settings.store, acks=settings.acks, answer_seconds=settings.store_answer_seconds)
        pipeline = cls(settings, store)
        try:
            await store.check()
            policy = await store.eviction_risk()
            if policy:
                log.warning("eviction_policy_can_drop_the_index", policy=policy, wanted="noeviction")
            await asyncio.get_running_loop().run_in_executor(pipeline._pool, warm_up)
            await pipeline._incarnations.start()
            pipeline._collections.start()
        except BaseException:
            await pipeline.close()
            raise
        return pipeline

    async def close(self) -> None:
        """Finish what is in flight and close; unfinished work stays in the logs."""
        for batcher in self._batchers.values():
            await batcher.close()
        await self._collections.close()
        await self._tail.close()
        await self._incarnations.stop()
        self._pool.shutdown(wait=True)
        await self._store.close()

    async def ready(self) -> bool:
        """Whether the store answers, and takes signs of life: a replica that only reads, or a full disk, does not."""
        return await self._incarnations.is_heard()

    # -- articles in -----------------------------------------------------------------------------------

    async def ingest(
        self, collection: str, articles: Sequence[Article], slot: SequenceSlot | None = None
    ) -> list[IngestResult | DedupError]:
        """Ingest a batch in order; one outcome for each article. With ``slot``, after the batches before it."""
        if len(articles) <= BATCH:
            return list(await self._take(collection, articles, slot))
        if slot is not None:
            await slot.wait()
        out: list[IngestResult | DedupError] = []
        for start in range(0, len(articles), BATCH):
            out += await self._take(collection, articles[start : start + BATCH])
        if slot is not None:
            slot.release()
        return out

    async def _take(
        self, collection: str, articles: Sequence[Article], slot: SequenceSlot | None = None
    ) -> list[IngestResult]:
        async with self._limit.hold(len(articles)):
            opened = await self._collections.for_writing(collection)
            try:
                return await opened.ingest.ingest(articles, slot)
            except CollectionGone:  # deleted by another server, perhaps made again
                await self._collections.leave(opened)
                opened = await self._collections.for_writing(collection)
                return await opened.ingest.ingest(articles, slot)

    async def ingest_one(self, collection: str, article: Article) -> IngestResult:
        """Ingest one article, together with others that arrive within a few milliseconds."""
        batcher = self._batchers.get(collection)
        if batcher is None:
            await self._collections.for_writing(collection)
            batcher = self._batchers.setdefault(
                collection,
                Batcher(
                    partial(self._take, collection),
                    self._settings.batching_articles,
                    self._settings.batching_milliseconds / 1000,
                ),
            )
        return await batcher.add(article)

    async def delete_article(self, collection: str, article_id: str) -> tuple[str, ...]:
        """Remove an article; the articles that still carry its text or copied part of it.

        Raises:
            NotFound: there is no such article.
        """
        opened = await self._collections.get(collection)
        return await opened.ingest.delete(article_id)

    async def _reading(self, collection: str) -> Reading:
        return (await self._collections.get(collection)).reading

    # -- queries -------------------------------------------------------------------------------------

    async def find(
        self, collection: str, article: Article, max_matches: int = 50, *, same_story: bool = False
    ) -> FindResult:
        """What an article would match, with ``same_story`` also what tells of the same event; nothing is stored."""
        search = Search(await self._reading(collection), self._pool)
        return await search.find(article, max_matches, same_story=same_story)

    async def compare(self, collection: str, a: Article | str, b: Article | str) -> Comparison:
        """Two articles side by side; a string is the id of a stored one."""
        if isinstance(a, Article) and isinstance(b, Article):
            opened = await self._collections.find(collection)
            parameters = opened.parameters if opened is not None else CollectionParameters()
            return Search.compare_articles(a, b, parameters)
        return await Search(await self._reading(collection), self._pool).compare(a, b)

    async def get_article(self, collection: str, article_id: str) -> StoredArticle:
        """A stored article with its decision and place."""
        reading = await self._reading(collection)
        found = await reading.articles([await reading.number(article_id)])
        if not found:
            raise reading.no_article(article_id)
        return found[0]

    async def list_articles(self, collection: str, *, page_size: int, page_token: str) -> Page[StoredArticle]:
        """Articles by arrival."""
        return await Listing(await self._reading(collection)).articles(page_size, page_token)

    async def list_matches(
        self, collection: str, *, article_id: str | None, page_size: int, page_token: str
    ) -> Page[Match]:
        """Verified matches of one article, best first, or of the whole collection."""
        listing = Listing(await self._reading(collection))
        if article_id is not None:
            return await listing.matches_of(article_id, page_size, page_token)
        return await listing.matches(page_size, page_token)

    async def get_cluster(self, collection: str, cluster_id: str) -> Cluster:
        """A cluster; an id merged away resolves to the one it went into."""
        reading = await self._reading(collection)
        number = await reading.find_cluster(cluster_id)
        return (await reading.clusters([number]))[number]

    async def list_clusters(
        self, collection: str, *, min_size: int, page_size: int, page_token: str
    ) -> Page[Cluster]:
        """Clusters of at least ``min_size`` articles, oldest first; of one article only where they are linked."""
        return await Listing(await self._reading(collection)).clusters(min_size, page_size, page_token)

    async def list_cluster_articles(
        self, collection: str, cluster_id: str, *, page_size: int, page_token: str
    ) -> Page[StoredArticle]:
        """The articles of a cluster by arrival."""
        listing = Listing(await self._reading(collection))
        return await listing.cluster_articles(cluster_id, page_size, page_token)

    async def get_story(self, collection: str, story_id: str) -> Story:
        """A story; an id merged away resolves to the one it went into."""
        reading = await self._reading(collection)
        return (await reading.stories([await reading.find_story(story_id)]))[0]

    async def list_stories(self, collection: str, *, page_size: int, page_token: str) -> Page[Story]:
        """Stories, oldest first."""
        return await Listing(await self._reading(collection)).stories(page_size, page_token)

    async def export(self, collection: str) -> AsyncIterator[ExportedArticle | Match]:
        """All articles sorted by id, then all verified matches sorted by their two ids."""
        async for line in export(await self._reading(collection)):
            yield line

    # -- collections -----------------------------------------------------------------------------------

    async def create_collection(self, name: str, parameters: CollectionParameters) -> CollectionStatus:
        """Create a collection.

        Raises:
            AlreadyExists: it exists.
            InvalidArgument: a parameter is out of range.
        """
        await self._collections.create(name, parameters)
        return await self._collections.status(name)

    async def get_collection(self, name: str) -> CollectionStatus:
        """A collection with its counters."""
        return await self._collections.status(name)

    async def list_collections(self, *, page_size: int, page_token: str) -> Page[CollectionStatus]:
        """Collections by name."""
        return await self._collections.list(page_size, page_token)

    async def delete_collection(self, name: str) -> None:
        """Remove a collection and everything in it."""
        batcher = self._batchers.pop(name, None)
        if batcher is not None:
            await batcher.close()
        await self._collections.delete(name)
