"""The client for asyncio. One client may be shared by the tasks of one event loop; one connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dedup.client import calls
from dedup.client.calls import Batch, Call, Listing
from dedup.client.channel import (
    DEFAULT_TARGET,
    RECONNECT_WAITS,
    SERVICE,
    channel_options,
    error_of,
    is_unavailable,
)
from dedup.convert.names import DEFAULT_COLLECTION
from dedup.errors import DedupError, StoreUnavailable
from dedup.model import (
    Article,
    Cluster,
    CollectionParameters,
    CollectionStatus,
    Comparison,
    ExportedArticle,
    FindResult,
    IngestResult,
    Match,
    StoredArticle,
    Story,
)
from dedup.v1 import dedup_service_pb2 as pb
from dedup.v1.dedup_service_pb2_grpc import DedupServiceStub

if TYPE_CHECKING:
    from dedup.v1.dedup_service_pb2_grpc import DedupServiceAsyncStub  # stands in the types alone

V = TypeVar("V")


class AsyncDedupClient:
    """Calls a server at ``target`` as :class:`dedup.client.DedupClient` does, from asyncio."""

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        timeout: float = 30.0,
        credentials: grpc.ChannelCredentials | None = None,
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        self.target = target
        self.timeout = timeout
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(target, options=channel_options(options))
        else:
            self._channel = grpc.aio.secure_channel(target, credentials, options=channel_options(options))
        self._stub = DedupServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls under way are canceled."""
        await self._channel.close()

    async def wait_ready(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109 - as in the other client
        """Return once the server says that it serves; raises StoreUnavailable after ``timeout`` seconds."""
        stub: Any = health_pb2_grpc.HealthStub(self._channel)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        while True:
            left = deadline - loop.time()
            try:
                answer = await stub.Check(request, timeout=max(left, 0.05), wait_for_ready=True)
            except grpc.RpcError:
                answer = None
            if answer is not None and answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
            if left <= 0:
                raise StoreUnavailable(f"{self.target} is not ready after {timeout:g} s", target=self.target)
            await asyncio.sleep(min(0.05, max(left, 0)))

    async def _run(self, call: Call[V], *, patience: int = 1) -> V:
        try:
            answer = await getattr(self._stub, call.method)(call.request, timeout=patience * self.timeout)
        except grpc.RpcError as error:
            raise error_of(error, self.target) from error
        return call.read(answer)

    async def _list(self, listing: Listing[V]) -> AsyncIterator[V]:
        more = True
        while more:
            page = await self._run(Call(listing.method, listing.request, lambda answer: answer))
            for item in listing.read(page):
                yield item
            more = listing.next_page(page)

    # -- articles -----------------------------------------------------------------------------------

    async def ingest(
        self, article: Article, *, collection: str = DEFAULT_COLLECTION, max_matches: int | None = None
    ) -> IngestResult:
        """Store one article and say what it is; raises DedupError where it is refused."""
        return await self._run(calls.ingest(article, collection, max_matches))

    async def ingest_batch(
        self,
        articles: Iterable[Article],
        *,
        collection: str = DEFAULT_COLLECTION,
        max_matches: int | None = None,
    ) -> list[IngestResult | DedupError]:
        """Store articles, in order, with an outcome for each; long batches are sent in several calls."""
        outcomes: list[IngestResult | DedupError] = []
        for part in calls.split(articles, calls.BATCH_ARTICLES):
            call = calls.ingest_batch(Batch.of(part), collection, max_matches)
            answers = await self._run(call, patience=4)
            outcomes += answers
        return outcomes

    def ingest_stream(
        self,
        articles: Iterable[Article] | AsyncIterable[Article],
        *,
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = 100,
        window: int = calls.WINDOW,
        max_matches: int | None = None,
    ) -> AsyncIterator[tuple[Article, IngestResult | DedupError]]:
        """Store articles as they come; see :meth:`dedup.client.DedupClient.ingest_stream`."""
        calls.check_stream(batch_size, window)
        return self._stream(_split(articles, batch_size), collection, window, max_matches)

    async def _stream(
        self, source: AsyncIterator[list[Article]], collection: str, window: int, max_matches: int | None
    ) -> AsyncIterator[tuple[Article, IngestResult | DedupError]]:
        under_way: deque[tuple[Batch, pb.StreamIngestArticlesRequest]] = deque()
        sequence = failures = 0
        exchange = _Exchange(self._stub)
        try:
            while True:
                while len(under_way) < window and (part := await anext(source, None)) is not None:
                    sequence += 1
                    batch = Batch.of(part)
                    request = calls.stream_request(sequence, batch, collection, max_matches)
                    under_way.append((batch, request))
                    exchange.send(request)
                if not under_way:
                    await exchange.finish()
                    return
                try:
                    answer = await exchange.receive()
                except grpc.RpcError as error:
                    if not is_unavailable(error) or failures == len(RECONNECT_WAITS):
                        raise error_of(error, self.target) from error
                    await asyncio.sleep(RECONNECT_WAITS[failures])
                    failures += 1
                    exchange = _Exchange(self._stub)
                    for _, request in under_way:
                        exchange.send(request)
                    continue
                failures = 0
                batch, _ = under_way.popleft()
                for pair in zip(batch.articles, batch.acknowledged(answer), strict=True):
                    yield pair
        finally:
            exchange.cancel()

    async def find(
        self,
        article: Article,
        *,
        max_matches: int = 50,
        same_story: bool = False,
        collection: str = DEFAULT_COLLECTION,
    ) -> FindResult:
        """What an article would match, with ``same_story`` also what tells of the same event; nothing is stored."""
        return await self._run(calls.find(article, collection, max_matches, same_story=same_story))

    async def compare(
        self, a: Article | str, b: Article | str, *, collection: str = DEFAULT_COLLECTION
    ) -> Comparison:
        """Compare two articles, given or by the id of a stored one."""
        return await self._run(calls.compare(a, b, collection))

    async def get_article(self, article_id: str, *, collection: str = DEFAULT_COLLECTION) -> StoredArticle:
        """A stored article; raises NotFound."""
        return await self._run(calls.get_article(article_id, collection))

    async def delete_article(
        self, article_id: str, *, collection: str = DEFAULT_COLLECTION
    ) -> tuple[str, ...]:
        """Remove an article; the ids of those that still carry its text."""
        return await self._run(calls.delete_article(article_id, collection))

    def list_articles(
        self, *, collection: str = DEFAULT_COLLECTION, with_body: bool = False
    ) -> AsyncIterator[StoredArticle]:
        """Articles in the order of their arrival; their bodies are empty unless asked for."""
        return self._list(calls.list_articles(collection, with_body=with_body))

    def list_matches(
        self, article_id: str | None = None, *, collection: str = DEFAULT_COLLECTION
    ) -> AsyncIterator[Match]:
        """Verified matches of the collection, or of one article."""
        return self._list(calls.list_matches(article_id, collection))

    # -- clusters and stories -----------------------------------------------------------------------

    async def get_cluster(self, cluster_id: str, *, collection: str = DEFAULT_COLLECTION) -> Cluster:
        """A cluster; the id of one merged away gives the one it went into."""
        return await self._run(calls.get_cluster(cluster_id, collection))

    def list_clusters(
        self, min_size: int = 2, *, collection: str = DEFAULT_COLLECTION
    ) -> AsyncIterator[Cluster]:
        """Clusters of at least ``min_size`` articles."""
        return self._list(calls.list_clusters(min_size, collection))

    def list_cluster_articles(
        self, cluster_id: str, *, collection: str = DEFAULT_COLLECTION, with_body: bool = False
    ) -> AsyncIterator[StoredArticle]:
        """Articles of a cluster; their bodies are empty unless asked for."""
        return self._list(calls.list_cluster_articles(cluster_id, collection, with_body=with_body))

    async def get_story(self, story_id: str, *, collection: str = DEFAULT_COLLECTION) -> Story:
        """A story; raises NotFound."""
        return await self._run(calls.get_story(story_id, collection))

    def list_stories(self, *, collection: str = DEFAULT_COLLECTION) -> AsyncIterator[Story]:
        """Stories of a collection."""
        return self._list(calls.list_stories(collection))

    # -- collections --------------------------------------------------------------------------------

    async def export(self, *, collection: str = DEFAULT_COLLECTION) -> AsyncIterator[ExportedArticle | Match]:
        """Everything known: all articles sorted by id, then all matches sorted."""
        parts: Any = self._stub.ExportCollection(calls.export(collection))
        try:
            async for part in parts:
                for record in calls.exported(part):
                    yield record
        except grpc.RpcError as error:
            raise error_of(error, self.target) from error
        finally:
            parts.cancel()

    async def create_collection(
        self, name: str, parameters: CollectionParameters | None = None
    ) -> CollectionStatus:
        """Create a collection; raises AlreadyExists."""
        return await self._run(calls.create_collection(name, parameters or CollectionParameters()))

    async def get_collection(self, name: str = DEFAULT_COLLECTION) -> CollectionStatus:
        """A collection with its counters; raises NotFound."""
        return await self._run(calls.get_collection(name))

    def list_collections(self) -> AsyncIterator[CollectionStatus]:
        """Collections by name."""
        return self._list(calls.list_collections())

    async def delete_collection(self, name: str) -> None:
        """Delete a collection with everything in it."""
        await self._run(calls.delete_collection(name))


async def _split(
    articles: Iterable[Article] | AsyncIterable[Article], size: int
) -> AsyncIterator[list[Article]]:
    """As :func:`dedup.client.calls.split`, also for an asynchronous source."""
    if isinstance(articles, Iterable):
        for part in calls.split(articles, size):
            yield part
        return
    batch: list[Article] = []
    characters = 0
    async for article in articles:
        batch.append(article)
        characters += calls.text_size(article)
        if calls.close_batch(batch, characters, size):
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


class _Exchange:
    """One stream: gRPC takes requests from the queue in a task of its own, so that sending never blocks."""

    def __init__(self, stub: DedupServiceAsyncStub) -> None:
        self._requests: asyncio.Queue[pb.StreamIngestArticlesRequest | None] = asyncio.Queue()
        self._call = stub.StreamIngestArticles(self._taken())

    async def _taken(self) -> AsyncIterator[pb.StreamIngestArticlesRequest]:
        while (request := await self._requests.get()) is not None:
            yield request

    def send(self, request: pb.StreamIngestArticlesRequest) -> None:
        self._requests.put_nowait(request)

    async def receive(self) -> pb.StreamIngestArticlesResponse:
        """The next answer; raises RpcError."""
        answer = await self._call.read()
        if not isinstance(answer, pb.StreamIngestArticlesResponse):
            raise StoreUnavailable("the server ended the stream before it had answered")
        return answer

    async def finish(self) -> None:
        """End the stream and wait for the server to do so."""
        self._requests.put_nowait(None)
        while isinstance(await self._call.read(), pb.StreamIngestArticlesResponse):
            pass

    def cancel(self) -> None:
        """Give the stream up; nothing happens if it is finished."""
        self._requests.put_nowait(None)
        self._call.cancel()
