"""The clients against a server over loopback: values in, values out, errors of the same class, retries.

Both clients run the same verbs, so that most tests here are run with either: ``Both`` hides which one it is.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest

from dedup.client import AsyncDedupClient, DedupClient
from dedup.client.calls import BATCH_ARTICLES
from dedup.client.channel import channel_options
from dedup.config import load_settings
from dedup.errors import (
    AlreadyExists,
    DedupError,
    InvalidArgument,
    InvalidArticle,
    LimitExceeded,
    NotFound,
    Reason,
    StoreUnavailable,
)
from dedup.model import Article, CollectionParameters, ExportedArticle, IngestResult, Match, Outcome, Rules
from dedup.server import background_server, running_server
from tests.fake_pipeline import (
    CREDITS,
    DECISION,
    PASSAGES,
    FakePipeline,
    made_cluster,
    made_match,
    made_story,
)

ARTICLE = Article(
    "id/1 é", "Headline", "Body.", "Source", "By AFP", "Paris", "https://example.org/1", "fr", 1_510_387_200.5,
    version=3, version_time=1_510_387_100.0,
)  # fmt: skip


class Both:
    """Calls the one client or the other and waits for what it gives."""

    def __init__(
        self, client: DedupClient | AsyncDedupClient, loop: asyncio.AbstractEventLoop | None
    ) -> None:
        self.client = client
        self._loop = loop

    def __getattr__(self, verb: str) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            made = getattr(self.client, verb)(*arguments, **keywords)
            if self._loop is None:
                return list(made) if inspect.isgenerator(made) else made
            return asyncio.run_coroutine_threadsafe(_result(made), self._loop).result(60)

        return call


async def _result(made: Any) -> Any:
    return [item async for item in made] if inspect.isasyncgen(made) else await made


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread, for the server and the asynchronous client."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def pipeline() -> FakePipeline:
    """What the server answers from."""
    return FakePipeline()


@pytest.fixture(scope="module")
def address(pipeline: FakePipeline, loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    """Address of a server in the loop's thread."""

    async def open_pipeline(_: Any) -> Any:
        return pipeline

    settings = load_settings(listen="127.0.0.1:0", store="redis://none.invalid")
    server = running_server(settings, open_pipeline=open_pipeline)
    yield asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()


def serving(pipeline: FakePipeline, listen: str = "127.0.0.1:0", **options: Any) -> Any:
    """A server in a thread of its own."""

    async def open_pipeline(_: Any) -> Any:
        return pipeline

    settings = load_settings(listen=listen, store="redis://none.invalid", **options)
    return background_server(settings, open_pipeline=open_pipeline)


@pytest.fixture(scope="module", params=["threads", "asyncio"])
def client(request: pytest.FixtureRequest, address: str, loop: asyncio.AbstractEventLoop) -> Iterator[Both]:
    """Either client, connected."""
    if request.param == "threads":
        with DedupClient(address) as client:
            yield Both(client, None)
        return

    async def connect() -> AsyncDedupClient:
        return AsyncDedupClient(address)

    made = asyncio.run_coroutine_threadsafe(connect(), loop).result()
    yield Both(made, loop)
    asyncio.run_coroutine_threadsafe(made.close(), loop).result()


# -- every verb -------------------------------------------------------------------------------------


def test_clients_have_the_same_verbs() -> None:
    """What one can do the other can, with the same arguments."""

    def verbs(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in vars(kind).items()
            if not name.startswith("_")
        }

    assert verbs(DedupClient) == verbs(AsyncDedupClient)


def test_wait_ready_returns_when_it_serves(client: Both) -> None:
    """A server that serves is ready at once."""
    client.wait_ready(5)


def test_ingest_gives_a_result(client: Both, pipeline: FakePipeline) -> None:
    """Ids are plain in both directions, every field is there, and the article arrives as it was given."""
    pipeline.collections.pop("verbs", None)
    result = client.ingest(ARTICLE, collection="verbs")
    assert isinstance(result, IngestResult)
    assert (result.id, result.outcome, result.decision) == (ARTICLE.id, Outcome.CREATED, DECISION)
    assert (result.cluster, result.matches, result.credits) == (
        made_cluster(),
        (made_match(ARTICLE.id),),
        CREDITS,
    )
    assert pipeline.collections["verbs"][ARTICLE.id] == ARTICLE
    assert client.ingest(ARTICLE, collection="verbs", max_matches=0).matches == ()


def test_reading_gives_values(client: Both) -> None:
    """Get, list, find, compare and delete speak of values of the model."""
    client.ingest_batch([ARTICLE, Article("two", body="Second.")], collection="reading")
    here = {"collection": "reading"}
    assert client.get_article(ARTICLE.id, **here).article == ARTICLE
    assert [each.article.body for each in client.list_articles(**here)] == ["", ""]
    assert [each.article.body for each in client.list_articles(with_body=True, **here)] == [
        "Body.",
        "Second.",
    ]
    assert client.list_matches(ARTICLE.id, **here) == [made_match(ARTICLE.id)] * 2
    assert len(client.list_matches(**here)) == 4
    found = client.find(Article("", body="Given."), max_matches=2, **here)
    assert (len(found.matches), found.total_matches, found.matches_truncated) == (2, 3, True)
    told = client.find(Article("", body="Given."), same_story=True, **here)
    assert {match.other for match in told.matches} == {"told/1"}
    compared = client.compare(Article("", body="Given."), ARTICLE.id, **here)
    assert (compared.article.body, compared.other, compared.passages) == ("Given.", ARTICLE, PASSAGES)
    assert compared.match == made_match("", ARTICLE.id)
    assert client.get_cluster("c 1", **here) == made_cluster()
    assert client.list_clusters(**here) == [made_cluster(f"c{n}") for n in range(3)]
    assert client.list_clusters(3, **here) == []
    assert len(client.list_cluster_articles("c 1", with_body=True, **here)) == 2
    assert client.get_story("s/1", **here) == made_story()
    assert client.list_stories(**here) == [made_story(f"s{n}") for n in range(3)]
    assert client.delete_article("two", **here) == ("x/y",)


def test_lists_fetch_every_page(client: Both) -> None:
    """More items than a page holds come all, in order."""
    ids = [f"p{n:04}" for n in range(1_100)]
    client.ingest_batch([Article(each) for each in ids], collection="pages")
    assert [each.article.id for each in client.list_articles(collection="pages")] == ids
    records = client.export(collection="pages")
    assert [each.id for each in records if isinstance(each, ExportedArticle)] == ids
    assert [each.article for each in records if isinstance(each, Match)] == ids


def test_collections_are_managed(client: Both) -> None:
    """Create, get, list, delete."""
    parameters = CollectionParameters(
        profile="copies",
        window=16,
        band_threshold=0.5,
        story_span_days=7,
        rules=Rules(rewrite_words=40, covered=0.9),
    )
    made = client.create_collection("made", parameters)
    assert (made.name, made.parameters) == ("made", parameters)
    with pytest.raises(AlreadyExists):
        client.create_collection("made")
    assert client.get_collection("made").name == "made"
    assert "made" in [each.name for each in client.list_collections()]
    client.delete_collection("made")
    with pytest.raises(NotFound):
        client.get_collection("made")


# -- batches and streams ----------------------------------------------------------------------------


def test_a_long_batch_is_sent_in_several_calls(client: Both, pipeline: FakePipeline) -> None:
    """Any number of articles, from any iterable, with an outcome for each in its place."""
    before = len(pipeline.batches)
    outcomes = client.ingest_batch(
        (Article(str(n)) for n in range(2 * BATCH_ARTICLES + 1)), collection="long"
    )
    assert [each.id for each in outcomes] == [str(n) for n in range(2 * BATCH_ARTICLES + 1)]
    assert [len(each) for each in pipeline.batches[before:]] == [BATCH_ARTICLES, BATCH_ARTICLES, 1]
    assert client.ingest_batch([], collection="long") == []


def test_large_articles_make_small_batches(client: Both, pipeline: FakePipeline) -> None:
    """A batch is closed long before it is too large for a message."""
    before = len(pipeline.batches)
    outcomes = client.ingest_batch(
        [Article(str(n), body="x" * 1_000_000) for n in range(12)], collection="large"
    )
    assert all(isinstance(each, IngestResult) for each in outcomes)
    assert [len(each) for each in pipeline.batches[before:]] == [5, 5, 2]


BAD = [
    Article("ok 1"), Article(""), Article("x\ud800"), Article("big", body="x" * ((1 << 20) + 1)),
    Article("number", version=1 << 70), Article("ok 2"), Article("huge", body="x" * (33 << 20)), Article("ok 3"),
]  # fmt: skip


@pytest.mark.parametrize("way", ["batch", "stream"])
def test_bad_articles_lose_none_of_the_others(client: Both, way: str) -> None:
    """What is refused, by the server or before it is sent, has its error in its place."""
    if way == "batch":
        outcomes = client.ingest_batch(BAD)
    else:
        pairs = client.ingest_stream(BAD, batch_size=3)
        assert [article for article, _ in pairs] == BAD
        outcomes = [outcome for _, outcome in pairs]
    kinds = [type(each) for each in outcomes]
    assert kinds == [
        IngestResult, InvalidArticle, InvalidArticle, LimitExceeded, InvalidArticle, IngestResult,
        LimitExceeded, IngestResult,
    ]  # fmt: skip
    assert "surrogate" in outcomes[2].message
    assert outcomes[2].metadata["field"] == "id"
    assert outcomes[3].metadata["article"] == "big"
    assert outcomes[3].reason is Reason.BODY_TOO_LARGE


def test_a_stream_takes_and_gives_in_order(client: Both, pipeline: FakePipeline) -> None:
    """Batches of the size asked for, each article with its outcome, also from a source that is long."""
    before = len(pipeline.batches)
    articles = [Article(str(n)) for n in range(95)]
    pairs = client.ingest_stream(iter(articles), collection="stream", batch_size=10)
    assert [article for article, _ in pairs] == articles
    assert [outcome.id for _, outcome in pairs] == [article.id for article in articles]
    assert [len(each) for each in pipeline.batches[before:]] == [10] * 9 + [5]
    assert client.ingest_stream([], collection="stream") == []


def test_a_stream_is_lazy(address: str) -> None:
    """Only ``context`` batches are taken from the source before the first outcome is given."""
    taken = []

    def source() -> Iterator[Article]:
        for n in range(1_000):
            taken.append(n)
            yield Article(str(n))

    with DedupClient(address) as client:
        stream: Any = client.ingest_stream(source(), collection="lazy", batch_size=5, window=2)
        next(stream)
        assert len(taken) == 10
        stream.close()


def test_an_error_of_the_source_ends_the_stream(client: Both) -> None:
    """It is raised as it is."""

    def source() -> Iterator[Article]:
        yield Article("1")
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="the file is gone"):
        client.ingest_stream(source(), batch_size=1)


def test_an_asynchronous_source_will_do(address: str, loop: asyncio.AbstractEventLoop) -> None:
    """The asynchronous client reads iterators of either kind."""

    async def source() -> AsyncIterator[Article]:
        for n in range(7):
            await asyncio.sleep(0)
            yield Article(str(n))

    async def ingest() -> list[str]:
        async with AsyncDedupClient(address) as client:
            stream = client.ingest_stream(source(), collection="async", batch_size=3)
            return [article.id async for article, _ in stream]

    assert asyncio.run_coroutine_threadsafe(ingest(), loop).result(30) == [str(n) for n in range(7)]


@pytest.mark.parametrize("sizes", [{"batch_size": 0}, {"batch_size": 1_001}, {"window": 0}])
def test_sizes_of_a_stream_are_checked(address: str, sizes: dict[str, Any]) -> None:
    """At the call, not at the first article."""
    with DedupClient(address) as client, pytest.raises(InvalidArgument):
        client.ingest_stream([], **sizes)


# -- errors and retries -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "arguments", "kind", "reason"),
    [
        ("get_article", ("none",), NotFound, Reason.ARTICLE_NOT_FOUND),
        ("get_cluster", ("gone",), NotFound, Reason.CLUSTER_NOT_FOUND),
        ("get_story", ("gone",), NotFound, Reason.STORY_NOT_FOUND),
        ("get_collection", ("none",), NotFound, Reason.COLLECTION_NOT_FOUND),
        ("get_collection", ("No Such",), InvalidArgument, Reason.INVALID_FIELD),
        ("ingest", (Article(""),), InvalidArticle, Reason.INVALID_FIELD),
        ("ingest", (Article("\udc80"),), InvalidArticle, Reason.INVALID_FIELD),
        ("ingest", (BAD[3],), LimitExceeded, Reason.BODY_TOO_LARGE),
        ("create_collection", ("x", CollectionParameters(window=0)), InvalidArgument, Reason.INVALID_FIELD),
        (
            "create_collection",
            ("x", CollectionParameters(profile="?")),
            InvalidArgument,
            Reason.INVALID_FIELD,
        ),
    ],
)
def test_errors_have_the_class_of_the_server(
    client: Both, verb: str, arguments: Iterable[Any], kind: type[DedupError], reason: Reason
) -> None:
    """With the reason and the metadata that say what was wrong."""
    client.ingest(Article("here"))
    with pytest.raises(kind) as raised:
        getattr(client, verb)(*arguments)
    assert type(raised.value) is kind
    assert raised.value.reason is reason
    assert raised.value.metadata


def test_an_export_of_nothing_is_not_found(client: Both) -> None:
    """A stream that fails raises like a call."""
    with pytest.raises(NotFound):
        client.export(collection="none")


def test_a_fault_of_the_server_names_its_id(client: Both, pipeline: FakePipeline) -> None:
    """INTERNAL is a plain DedupError with the id to look for in the log."""
    pipeline.fail_with = ZeroDivisionError("x")
    with pytest.raises(DedupError) as raised:
        client.ingest(ARTICLE)
    assert type(raised.value) is DedupError
    assert raised.value.reason is Reason.INTERNAL
    assert raised.value.metadata["error_id"] in raised.value.message


def test_a_store_that_is_back_is_not_noticed(client: Both, pipeline: FakePipeline) -> None:
    """UNAVAILABLE is tried again, in a call by gRPC and in a stream by us, each article stored in order."""
    pipeline.fail_with = StoreUnavailable("just a moment")
    assert client.ingest(ARTICLE).id == ARTICLE.id
    pipeline.fail_with = StoreUnavailable("just a moment")
    before = len(pipeline.batches)
    articles = [Article(str(n)) for n in range(30)]
    pairs = client.ingest_stream(articles, batch_size=10)
    assert all(isinstance(outcome, IngestResult) for _, outcome in pairs)
    assert [len(each) for each in pipeline.batches[before:]] == [10, 10, 10]


def test_nothing_there_is_one_clear_error() -> None:
    """Within a few seconds, naming the target."""
    started = time.monotonic()
    with DedupClient("127.0.0.1:1") as client:
        for call in (lambda: client.ingest(ARTICLE), client.get_collection):
            with pytest.raises(
                StoreUnavailable, match=r"no dedup server answers at 127\.0\.0\.1:1"
            ) as raised:
                call()
            assert "\n" not in raised.value.message
        with pytest.raises(StoreUnavailable, match=r"not ready after 0\.2 s"):
            client.wait_ready(0.2)
    assert time.monotonic() - started < 10


def test_a_call_that_takes_too_long_is_given_up(address: str, pipeline: FakePipeline) -> None:
    """After ``timeout`` seconds."""
    pipeline.gate = asyncio.Event()
    try:
        with DedupClient(address, timeout=0.2) as client, pytest.raises(StoreUnavailable, match="in time"):
            client.ingest(ARTICLE)
    finally:
        pipeline.gate = None


def test_a_stream_survives_a_restart_of_the_server() -> None:
    """What was not acknowledged is sent again to the server that comes up on the address, nothing twice or never."""
    pipeline = FakePipeline()
    servers = ExitStack()
    address = servers.enter_context(serving(pipeline, shutdown_grace_seconds=1))
    seen = []
    with DedupClient(address) as client:
        articles = [Article(str(n)) for n in range(60)]
        for article, outcome in client.ingest_stream(articles, collection="restart", batch_size=5, window=3):
            assert isinstance(outcome, IngestResult)
            seen.append(article.id)
            if len(seen) == 20:
                servers.close()
                servers.enter_context(serving(pipeline, listen=address))
    servers.close()
    assert seen == [article.id for article in articles]
    assert set(pipeline.collections["restart"]) == set(seen)


def test_one_client_serves_many_threads(address: str) -> None:
    """Calls of eight threads over one connection."""
    failures: list[BaseException] = []
    with DedupClient(address) as client:

        def work(thread: int) -> None:
            try:
                for n in range(20):
                    assert client.ingest(Article(f"{thread}-{n}"), collection="threads").id == f"{thread}-{n}"
            except BaseException as error:
                failures.append(error)
                raise

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_credentials_make_a_secure_channel() -> None:
    """TLS is asked for by credentials; a server without it is then not reached."""
    with (
        DedupClient("127.0.0.1:1", credentials=grpc.ssl_channel_credentials(), timeout=2) as client,
        pytest.raises(StoreUnavailable),
    ):
        client.get_collection()


def test_options_of_the_caller_win() -> None:
    """An option given to a client replaces ours of that name: gRPC would take the first of two."""
    found = channel_options([("grpc.enable_retries", 0), ("grpc.keepalive_time_ms", 7)])
    assert [value for name, value in found if name == "grpc.enable_retries"] == [0]
    assert dict(found)["grpc.keepalive_time_ms"] == 7
