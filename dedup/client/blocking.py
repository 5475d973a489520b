"""The client for threads. One client may be shared by many; it holds one connection."""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

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

V = TypeVar("V")


class DedupClient:
    """Calls a server at ``target`` (``HOST:PORT`` or ``unix:PATH``); a context manager.

    ``timeout`` is in seconds, for one call; a call that carries a batch has four times as long, a stream and
    an export have no limit. With ``credentials`` the connection is TLS. Iterators fetch pages as they are
    read.
    """

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
            self._channel = grpc.insecure_channel(target, options=channel_options(options))
        else:
            self._channel = grpc.secure_channel(target, credentials, options=channel_options(options))
        self._stub = DedupServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls under way are canceled."""
        self._channel.close()

    def wait_ready(self, timeout: float = 30.0) -> None:
        """Return once the server says that it serves; raises StoreUnavailable after ``timeout`` seconds."""
        stub: Any = health_pb2_grpc.HealthStub(self._channel)
        deadline = time.monotonic() + timeout
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        while True:
            left = deadline - time.monotonic()
            try:
                answer = stub.Check(request, timeout=max(left, 0.05), wait_for_ready=True)
            except grpc.RpcError:
                answer = None
            if answer is not None and answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
            if left <= 0:
                raise StoreUnavailable(f"{self.target} is not ready after {timeout:g} s", target=self.target)
            time.sleep(min(0.05, max(left, 0)))

    def _run(self, call: Call[V], *, patience: int = 1) -> V:
        try:
            answer = getattr(self._stub, call.method)(call.request, timeout=patience * self.timeout)
        except grpc.RpcError as error:
            raise error_of(error, self.target) from error
        return call.read(answer)

    def _list(self, listing: Listing[V]) -> Iterator[V]:
        page = self._run(Call(listing.method, listing.request, lambda answer: answer))
        yield from listing.read(page)
        while listing.next_page(page):
            page = self._run(Call(listing.method, listing.request, lambda answer: answer))
            yield from listing.read(page)

    # -- articles -----------------------------------------------------------------------------------

    def ingest(
        self, article: Article, *, collection: str = DEFAULT_COLLECTION, max_matches: int | None = None
    ) -> IngestResult:
        """Store one article and say what it is; raises DedupError where it is refused."""
        return self._run(calls.ingest(article, collection, max_matches))

    def ingest_batch(
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
            answers = self._run(call, patience=4)
            outcomes += answers
        return outcomes

    def ingest_stream(
        self,
        articles: Iterable[Article],
        *,
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = 100,
        window: int = calls.WINDOW,
        max_matches: int | None = None,
    ) -> Iterator[tuple[Article, IngestResult | DedupError]]:
        """Store articles as they come and yield each with its outcome, in order, once it is stored.

        Up to ``window`` batches are under way before the first is waited for, so a source that trickles is
        best read with a ``batch_size`` and ``window`` of 1. Where the connection or the store fails, what was
        not acknowledged is sent again; StoreUnavailable is raised when that does not help for eight seconds.
        """
        calls.check_stream(batch_size, window)
        return self._stream(calls.split(articles, batch_size), collection, window, max_matches)

    def _stream(
        self, source: Iterator[list[Article]], collection: str, window: int, max_matches: int | None
    ) -> Iterator[tuple[Article, IngestResult | DedupError]]:
        under_way: deque[tuple[Batch, pb.StreamIngestArticlesRequest]] = deque()
        sequence = failures = 0
        exchange = _Exchange(self._stub)
        try:
            while True:
                while len(under_way) < window and (part := next(source, None)) is not None:
                    sequence += 1
                    batch = Batch.of(part)
                    request = calls.stream_request(sequence, batch, collection, max_matches)
                    under_way.append((batch, request))
                    exchange.send(request)
                if not under_way:
                    exchange.finish()
                    return
                try:
                    answer = exchange.receive()
                except grpc.RpcError as error:
                    if not is_unavailable(error) or failures == len(RECONNECT_WAITS):
                        raise error_of(error, self.target) from error
                    time.sleep(RECONNECT_WAITS[failures])
                    failures += 1
                    exchange = _Exchange(self._stub)
                    for _, request in under_way:
                        exchange.send(request)
                    continue
                failures = 0
                batch, _ = under_way.popleft()
                yield from zip(batch.articles, batch.acknowledged(answer), strict=True)
        finally:
            exchange.cancel()

    def find(
        self,
        article: Article,
        *,
        max_matches: int = 50,
        same_story: bool = False,
        collection: str = DEFAULT_COLLECTION,
    ) -> FindResult:
        """What an article would match, with ``same_story`` also what tells of the same event; nothing is stored."""
        return self._run(calls.find(article, collection, max_matches, same_story=same_story))

    def compare(
        self, a: Article | str, b: Article | str, *, collection: str = DEFAULT_COLLECTION
    ) -> Comparison:
        """Compare two articles, given or by the id of a stored one."""
        return self._run(calls.compare(a, b, collection))

    def get_article(self, article_id: str, *, collection: str = DEFAULT_COLLECTION) -> StoredArticle:
        """A stored article; raises NotFound."""
        return self._run(calls.get_article(article_id, collection))

    def delete_article(self, article_id: str, *, collection: str = DEFAULT_COLLECTION) -> tuple[str, ...]:
        """Remove an article; the ids of those that still carry its text."""
        return self._run(calls.delete_article(article_id, collection))

    def list_articles(
        self, *, collection: str = DEFAULT_COLLECTION, with_body: bool = False
    ) -> Iterator[StoredArticle]:
        """Articles in the order of their arrival; their bodies are empty unless asked for."""
        return self._list(calls.list_articles(collection, with_body=with_body))

    def list_matches(
        self, article_id: str | None = None, *, collection: str = DEFAULT_COLLECTION
    ) -> Iterator[Match]:
        """Verified matches of the collection, or of one article."""
        return self._list(calls.list_matches(article_id, collection))

    # -- clusters and stories -----------------------------------------------------------------------

    def get_cluster(self, cluster_id: str, *, collection: str = DEFAULT_COLLECTION) -> Cluster:
        """A cluster; the id of one merged away gives the one it went into."""
        return self._run(calls.get_cluster(cluster_id, collection))

    def list_clusters(self, min_size: int = 2, *, collection: str = DEFAULT_COLLECTION) -> Iterator[Cluster]:
        """Clusters of at least ``min_size`` articles."""
        return self._list(calls.list_clusters(min_size, collection))

    def list_cluster_articles(
        self, cluster_id: str, *, collection: str = DEFAULT_COLLECTION, with_body: bool = False
    ) -> Iterator[StoredArticle]:
        """Articles of a cluster; their bodies are empty unless asked for."""
        return self._list(calls.list_cluster_articles(cluster_id, collection, with_body=with_body))

    def get_story(self, story_id: str, *, collection: str = DEFAULT_COLLECTION) -> Story:
        """A story; raises NotFound."""
        return self._run(calls.get_story(story_id, collection))

    def list_stories(self, *, collection: str = DEFAULT_COLLECTION) -> Iterator[Story]:
        """Stories of a collection."""
        return self._list(calls.list_stories(collection))

    # -- collections --------------------------------------------------------------------------------

    def export(self, *, collection: str = DEFAULT_COLLECTION) -> Iterator[ExportedArticle | Match]:
        """Everything known: all articles sorted by id, then all matches sorted."""
        parts = self._stub.ExportCollection(calls.export(collection))
        try:
            for part in parts:
                yield from calls.exported(part)
        except grpc.RpcError as error:
            raise error_of(error, self.target) from error
        finally:
            parts.cancel()

    def create_collection(
        self, name: str, parameters: CollectionParameters | None = None
    ) -> CollectionStatus:
        """Create a collection; raises AlreadyExists."""
        return self._run(calls.create_collection(name, parameters or CollectionParameters()))

    def get_collection(self, name: str = DEFAULT_COLLECTION) -> CollectionStatus:
        """A collection with its counters; raises NotFound."""
        return self._run(calls.get_collection(name))

    def list_collections(self) -> Iterator[CollectionStatus]:
        """Collections by name."""
        return self._list(calls.list_collections())

    def delete_collection(self, name: str) -> None:
        """Delete a collection with everything in it."""
        self._run(calls.delete_collection(name))


class _Exchange:
    """One stream: gRPC takes requests from the queue in a thread of its own."""

    def __init__(self, stub: DedupServiceStub) -> None:
        self._requests: queue.SimpleQueue[pb.StreamIngestArticlesRequest | None] = queue.SimpleQueue()
        self._call = stub.StreamIngestArticles(iter(self._requests.get, None))

    def send(self, request: pb.StreamIngestArticlesRequest) -> None:
        self._requests.put(request)

    def receive(self) -> pb.StreamIngestArticlesResponse:
        """The next answer; raises RpcError."""
        answer = next(self._call, None)
        if answer is None:
            raise StoreUnavailable("the server ended the stream before it had answered")
        return answer

    def finish(self) -> None:
        """End the stream and wait for the server to do so."""
        self._requests.put(None)
        for _ in self._call:
            pass

    def cancel(self) -> None:
        """Give the stream up; nothing happens if it is finished."""
        self._requests.put(None)
        self._call.cancel()
