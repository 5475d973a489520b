"""The service over real gRPC on loopback: answers, limits, errors, health, reflection, start and stop.

The pipeline here is tests/fake_pipeline.py, which fills every field and fails on demand; the real one behind
the same service is tested by test_end_to_end.py.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from structlog.contextvars import merge_contextvars
from structlog.testing import LogCapture

from dedup.config import load_settings
from dedup.errors import (
    DataDirectoryLocked,
    DedupError,
    InvalidArgument,
    ParametersMismatch,
    Reason,
    StoreUnavailable,
)
from dedup.observability import REGISTRY
from dedup.server import WATCH_SECONDS, running_server
from dedup.v1 import article_pb2
from dedup.v1 import dedup_service_pb2 as pb
from dedup.v1.dedup_service_pb2_grpc import DedupServiceStub
from tests.fake_pipeline import ARRIVAL, FakePipeline

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
METHODS = {method.name for method in pb.DESCRIPTOR.services_by_name["DedupService"].methods}


@dataclass
class Running:
    """A server and what a test needs to talk to it."""

    pipeline: FakePipeline
    address: str
    channel: grpc.aio.Channel
    stub: Any

    async def health(self) -> int:
        """Status of the service."""
        stub: Any = health_pb2_grpc.HealthStub(self.channel)  # type: ignore[no-untyped-call,unused-ignore]
        answer = await stub.Check(health_pb2.HealthCheckRequest(service="dedup.v1.DedupService"))
        return int(answer.status)


@asynccontextmanager
async def running(pipeline: FakePipeline | None = None, **options: Any) -> AsyncIterator[Running]:
    """A server on a free port in front of ``pipeline``."""
    fake = pipeline or FakePipeline()

    async def open_pipeline(_: Any) -> Any:
        return fake

    settings = load_settings(**{"listen": "127.0.0.1:0", "store": "redis://none.invalid", **options})
    async with (
        running_server(settings, open_pipeline=open_pipeline) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield Running(fake, address, channel, DedupServiceStub(channel))


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Running]:
    """One server for the tests that leave it as it was."""
    async with running() as server:
        yield server


def article(article_id: str = "a1", **fields: Any) -> article_pb2.Article:
    """An article with little in it."""
    return article_pb2.Article(id=article_id, **{"headline": "Headline", "body": "Body.", **fields})


def ingest(parent: str = "", **fields: Any) -> pb.IngestArticleRequest:
    """A request to store one article."""
    return pb.IngestArticleRequest(parent=parent, article=article(**fields))


def ruled(**rules: Any) -> pb.CreateCollectionRequest:
    """A request to create a collection with rules of its own."""
    parameters = pb.CollectionParameters(rules=pb.KindRules(**rules))
    return pb.CreateCollectionRequest(name="collections/x", parameters=parameters)


async def refusal(call: Any) -> tuple[grpc.StatusCode, str, error_details_pb2.ErrorInfo]:
    """Code, message and ErrorInfo of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return explain(raised.value)


def explain(error: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str, error_details_pb2.ErrorInfo]:
    """Code, message and ErrorInfo of an error; the status in the metadata must agree with the call's."""
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    info = error_details_pb2.ErrorInfo()
    (detail,) = status.details
    assert detail.Unpack(info)
    assert info.domain == "dedup.v1"
    return error.code(), str(error.details()), info


# -- answers ----------------------------------------------------------------------------------------


async def test_ingest_answers_with_names(server: Running) -> None:
    """The answer names resources, ids percent-encoded, and says what offsets count."""
    answer = await server.stub.IngestArticle(ingest(article_id="a/é 1"))
    assert answer.name == "collections/default/articles/a%2F%C3%A9%201"
    assert answer.outcome == pb.INGEST_OUTCOME_CREATED
    assert answer.decision.copies == "collections/default/articles/wire%2F1%20%C3%A9"
    assert answer.cluster.name == "collections/default/clusters/c%201"
    assert answer.story == "collections/default/stories/s%2F1"
    assert answer.matches[0].article == answer.name
    assert answer.arrival_time.ToMicroseconds() == ARRIVAL * 1_000_000
    assert answer.offset_encoding == article_pb2.OFFSET_ENCODING_UNICODE_CODE_POINTS


@pytest.mark.parametrize(
    "request_", [
        ingest("collections/wire", article_id="n"),
        pb.IngestArticleRequest(article=article("", name="collections/wire/articles/n")),
        pb.IngestArticleRequest(parent="collections/wire", article=article("n", name="collections/wire/articles/%6e")),
    ],
)  # fmt: skip
async def test_an_article_is_named_by_parent_and_id_or_by_name(
    server: Running, request_: pb.IngestArticleRequest
) -> None:
    """``parent`` and ``id``, ``name`` alone, and both together say the same."""
    answer = await server.stub.IngestArticle(request_)
    assert answer.name == "collections/wire/articles/n"


async def test_max_matches_cuts_and_says_so(server: Running) -> None:
    """No matches where none are asked for, with their number and the flag."""
    answer = await server.stub.IngestArticle(pb.IngestArticleRequest(article=article(), max_matches=0))
    assert (len(answer.matches), answer.total_matches, answer.matches_truncated) == (0, 1, True)


async def test_times_and_dates_reach_the_pipeline(server: Running) -> None:
    """A full time, a bare date and none are told apart."""
    await server.stub.IngestArticle(ingest("collections/times", article_id="t", publish_time={"seconds": 7}))
    await server.stub.IngestArticle(ingest("collections/times", article_id="d", publish_date="1970-01-02"))
    await server.stub.IngestArticle(ingest("collections/times", article_id="n"))
    stored = server.pipeline.collections["times"]
    assert [(each.published, each.published_is_date) for each in stored.values()] == [
        (7.0, False), (86_400.0, True), (None, False),
    ]  # fmt: skip


async def test_html_is_reduced_to_its_text(server: Running) -> None:
    """A body of text/html is stored as its text, parameters of the media type aside."""
    pytest.importorskip("trafilatura")
    page = "<html><body><nav>Home</nav><article><p>{}</p></article></body></html>"
    text = "The council voted on Tuesday to close the bridge for repairs until the end of the month. " * 5
    media_type = "Text/HTML; charset=utf-8"
    for send in (ingest, batch):
        request = send(article_id="page", body=page.format(text), body_media_type=media_type)
        method = "IngestArticle" if send is ingest else "BatchIngestArticles"
        await getattr(server.stub, method)(request)
        assert server.pipeline.collections["default"].pop("page").body == text.strip()


def batch(*articles: article_pb2.Article, parent: str = "", **fields: Any) -> pb.BatchIngestArticlesRequest:
    """A request to store several articles, or the one made of ``fields``."""
    return pb.BatchIngestArticlesRequest(parent=parent, articles=articles or [article(**fields)])


async def test_a_bad_article_loses_none_of_its_batch(server: Running) -> None:
    """Each item has an outcome in its place: a response, or a status that names the field."""
    answer = await server.stub.BatchIngestArticles(
        batch(
            article("b1"), article("b2", body="x" * (1 << 20) + "é"), article(""), article("b1"),
            article("b3", body_media_type="application/pdf"), article("b4"), parent="collections/batch",
        )
    )  # fmt: skip
    kinds = [each.WhichOneof("result") for each in answer.results]
    assert kinds == ["response", "error", "error", "response", "error", "response"]
    assert [each.error.code for each in answer.results] == [0, 8, 3, 0, 3, 0]
    assert answer.results[3].response.outcome == pb.INGEST_OUTCOME_UNCHANGED
    infos = []
    for each in answer.results:
        if each.HasField("error"):
            info = error_details_pb2.ErrorInfo()
            assert each.error.details[0].Unpack(info)
            infos.append((info.reason, info.metadata["field"], info.metadata["article"]))
    assert infos == [
        ("BODY_TOO_LARGE", "body", "b2"), ("INVALID_FIELD", "id", ""),
        ("UNSUPPORTED_MEDIA_TYPE", "body_media_type", "b3"),
    ]  # fmt: skip
    assert server.pipeline.batches[-1] == ["b1", "b1", "b4"]


async def test_a_batch_of_bad_articles_alone_is_answered(server: Running) -> None:
    """Nothing reaches the pipeline and every item says why."""
    before = len(server.pipeline.batches)
    answer = await server.stub.BatchIngestArticles(batch(article(""), article("")))
    assert [each.error.code for each in answer.results] == [3, 3]
    assert len(server.pipeline.batches) == before


async def test_an_answer_is_cut_until_it_fits_into_a_message() -> None:
    """Matches are dropped, the largest answers first, and the flag says so; the limits of a message hold."""
    pipeline = FakePipeline()
    async with running(pipeline, max_message_bytes=50_000) as server:
        pipeline.matches_each = 400
        answer = await server.stub.BatchIngestArticles(
            pb.BatchIngestArticlesRequest(articles=[article(f"a{n}") for n in range(40)])
        )
        assert answer.ByteSize() <= 50_000
        responses = [each.response for each in answer.results]
        assert all(each.total_matches == 400 for each in responses)
        assert all(each.matches_truncated for each in responses)
        assert any(each.matches for each in responses)
        code = (await too_large(server.stub))[0]
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await server.health() == SERVING


async def too_large(stub: Any) -> tuple[grpc.StatusCode, str]:
    """Send a message over the limit; gRPC itself refuses it."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.IngestArticle(ingest(body="x" * 60_000))
    return raised.value.code(), str(raised.value.details())


async def test_find_and_compare_take_articles_without_an_id(server: Running) -> None:
    """What is not stored needs no name; a stored one is given by its name."""
    await server.stub.IngestArticle(ingest(article_id="stored"))
    found = await server.stub.FindMatches(pb.FindMatchesRequest(article=article(""), max_matches=2))
    assert (len(found.matches), found.total_matches, found.matches_truncated) == (2, 3, True)
    assert found.matches[0].article == ""
    compared = await server.stub.CompareArticles(
        pb.CompareArticlesRequest(
            article=pb.ComparedArticle(article=article("", body="Another.")),
            other=pb.ComparedArticle(name="collections/default/articles/stored"),
        )
    )
    assert compared.article.body == "Another."
    assert compared.other.name == "collections/default/articles/stored"
    assert [each.words for each in compared.passages] == [9, 14]


async def test_lists_are_paged(server: Running) -> None:
    """Pages have the size asked for, up to the largest; the basic view has no bodies, the full one small pages."""
    for n in range(40):
        await server.stub.IngestArticle(ingest("collections/pages", article_id=f"p{n}"))
    parent = "collections/pages"
    sizes: list[int] = []
    token = ""
    while not sizes or token:
        page = await server.stub.ListArticles(
            pb.ListArticlesRequest(parent=parent, page_size=15, page_token=token)
        )
        sizes.append(len(page.articles))
        token = page.next_page_token
        assert not any(each.article.body for each in page.articles)
        assert all(each.article.headline for each in page.articles)
    assert sizes == [15, 15, 10]
    full = await server.stub.ListArticles(
        pb.ListArticlesRequest(parent=parent, page_size=1_000_000, view=pb.ARTICLE_VIEW_FULL)
    )
    assert (len(full.articles), full.articles[0].article.body) == (32, "Body.")
    rest = await server.stub.ListArticles(pb.ListArticlesRequest(parent=parent, page_size=1_000_000))
    assert (len(rest.articles), rest.next_page_token) == (40, "")


async def test_an_article_comes_with_its_matches(server: Running) -> None:
    """GetArticle lists current matches and says where there are more."""
    await server.stub.IngestArticle(ingest(article_id="m"))
    name = "collections/default/articles/m"
    answer = await server.stub.GetArticle(pb.GetArticleRequest(name=name, max_matches=1))
    assert (len(answer.matches), answer.matches_truncated) == (1, True)
    answer = await server.stub.GetArticle(pb.GetArticleRequest(name=name))
    assert (len(answer.matches), answer.matches_truncated) == (2, False)
    assert answer.article.article.body == "Body."


async def test_export_gives_articles_then_matches(server: Running) -> None:
    """Many records in a message, articles before matches, sorted."""
    for n in range(1_500):
        server.pipeline.collections.setdefault("export", {})[f"e{n:04}"] = None  # type: ignore[assignment]
    parts = [
        part
        async for part in server.stub.ExportCollection(pb.ExportCollectionRequest(name="collections/export"))
    ]
    assert 2 <= len(parts) < 10
    articles = [each.name for part in parts for each in part.articles]
    matches = [each.article for part in parts for each in part.matches]
    assert articles == matches == sorted(articles)
    assert len(articles) == 1_500
    first_with_matches = next(n for n, part in enumerate(parts) if part.matches)
    assert not any(part.articles for part in parts[first_with_matches + 1 :])


async def test_collections_are_created_with_their_parameters(server: Running) -> None:
    """Parameters that are not given have their defaults."""
    created = await server.stub.CreateCollection(
        pb.CreateCollectionRequest(
            name="collections/made",
            parameters=pb.CollectionParameters(
                profile=pb.COLLECTION_PROFILE_COPIES, seed=0, window=16, rules=pb.KindRules(rewrite_words=40)
            ),
        )
    )
    got = created.collection.parameters
    assert (got.profile, got.seed, got.window, got.permutations) == (pb.COLLECTION_PROFILE_COPIES, 0, 16, 128)
    assert (got.rules.rewrite_words, got.rules.rewrite_share, got.rules.quote_words) == (40, 0.1, 12)
    names = [
        each.name for each in (await server.stub.ListCollections(pb.ListCollectionsRequest())).collections
    ]
    assert "collections/made" in names
    await server.stub.DeleteCollection(pb.DeleteCollectionRequest(name="collections/made"))
    code, _, info = await refusal(server.stub.GetCollection(pb.GetCollectionRequest(name="collections/made")))
    assert (code, info.reason) == (grpc.StatusCode.NOT_FOUND, "COLLECTION_NOT_FOUND")


# -- streams ----------------------------------------------------------------------------------------


def stream_batch(sequence: int, *ids: str, parent: str = "collections/stream") -> Any:
    """One batch of a stream."""
    return pb.StreamIngestArticlesRequest(
        sequence=sequence, parent=parent, articles=[article(each) for each in ids]
    )


async def test_batches_of_a_stream_are_acknowledged_in_order(server: Running) -> None:
    """Several may be under way; the answers carry the numbers and the effects are applied in order."""
    call = server.stub.StreamIngestArticles()
    for n in (7, 3, 3, 9):
        await call.write(stream_batch(n, f"s{n}", "same"))
    await call.done_writing()
    answers = [answer async for answer in call]
    assert [answer.sequence for answer in answers] == [7, 3, 3, 9]
    assert all(len(answer.results) == 2 for answer in answers)
    assert answers[0].results[1].response.outcome == pb.INGEST_OUTCOME_CREATED
    assert answers[1].results[1].response.outcome == pb.INGEST_OUTCOME_UNCHANGED
    assert server.pipeline.batches[-4:] == [["s7", "same"], ["s3", "same"], ["s3", "same"], ["s9", "same"]]


async def test_a_refused_batch_does_not_end_the_stream(server: Running) -> None:
    """A batch that is wrong as a whole is acknowledged with its error, and the next is stored."""
    call = server.stub.StreamIngestArticles()
    await call.write(stream_batch(1, "x", parent="nonsense"))
    await call.write(stream_batch(2, *(str(n) for n in range(1_001))))
    await call.write(stream_batch(3))
    await call.write(stream_batch(4, "y"))
    await call.done_writing()
    answers = [answer async for answer in call]
    assert [answer.error.code for answer in answers] == [3, 8, 0, 0]
    assert [len(answer.results) for answer in answers] == [0, 0, 0, 1]


async def test_a_store_that_is_down_ends_the_stream(server: Running) -> None:
    """What was not acknowledged can be sent again in order; nothing later is stored before it."""
    call = server.stub.StreamIngestArticles()
    server.pipeline.fail_with = StoreUnavailable("the store does not answer")
    before = len(server.pipeline.batches)
    await call.write(stream_batch(1, "x"))
    await call.write(stream_batch(2, "y"))
    code, _, info = await refusal(call.read())
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert len(server.pipeline.batches) == before


async def test_a_client_that_leaves_leaves_nothing_behind(server: Running) -> None:
    """A stream canceled by its client ends the tasks that served it."""
    before = len(asyncio.all_tasks())
    for _ in range(5):
        call = server.stub.StreamIngestArticles()
        for n in range(3):
            await call.write(stream_batch(n, "x"))
        await call.read()
        call.cancel()
    for _ in range(100):
        await asyncio.sleep(0.01)
        if len(asyncio.all_tasks()) <= before:
            break
    assert len(asyncio.all_tasks()) <= before


# -- what is refused --------------------------------------------------------------------------------

LONG = "é" * 257  # 514 bytes
#: A number that no enumeration has.
NONE: Any = 9
IN_A = "collections/a/articles/x"
REFUSED: dict[str, tuple[str, Any, str]] = {
    "no id": ("IngestArticle", ingest(article_id=""), "id"),
    "no article": ("IngestArticle", pb.IngestArticleRequest(), "id"),
    "long id": ("IngestArticle", ingest(article_id=LONG), "id"),
    "headline": ("IngestArticle", ingest(headline="x" * 65_537), "headline"),
    "source": ("IngestArticle", ingest(source="x" * 2_049), "source"),
    "byline": ("IngestArticle", ingest(byline="é" * 1_025), "byline"),
    "located": ("IngestArticle", ingest(located="x" * 2_049), "located"),
    "url": ("IngestArticle", ingest(url="x" * 8_193), "url"),
    "language": ("IngestArticle", ingest(language_code="x" * 65), "language_code"),
    "version": ("IngestArticle", ingest(version=-1), "version"),
    "pubstatus": ("IngestArticle", ingest(pubstatus=17), "pubstatus"),
    "date": ("IngestArticle", ingest(publish_date="11 November"), "publish_date"),
    "no such day": ("IngestArticle", ingest(publish_date="2017-02-30"), "publish_date"),
    "not a date": ("IngestArticle", ingest(publish_date="2017-02-03T04:05:06Z"), "publish_date"),
    "time": ("IngestArticle", ingest(publish_time={"seconds": 1 << 60}), "publish_time"),
    "nanos": ("IngestArticle", ingest(version_time={"nanos": -1}), "version_time"),
    "media type": ("IngestArticle", ingest(body_media_type="text/rtf"), "body_media_type"),
    "parent": ("IngestArticle", ingest("default"), "parent"),
    "collection": ("IngestArticle", ingest("collections/Äpfel"), "parent"),
    "name": ("IngestArticle", ingest(name="articles/x"), "name"),
    "name of another collection": ("IngestArticle", ingest("collections/b", article_id="", name=IN_A), "article.name"),
    "name and id": ("IngestArticle", ingest("collections/a", article_id="y", name=IN_A), "article.id"),
    "max_matches": ("IngestArticle", pb.IngestArticleRequest(article=article(), max_matches=51), "max_matches"),
    "max_matches of find": ("FindMatches", pb.FindMatchesRequest(article=article(), max_matches=1_001), "max_matches"),
    "encoding": ("IngestArticle", pb.IngestArticleRequest(article=article(), offset_encoding=NONE), "offset_encoding"),
    "comparison of nothing": ("CompareArticles", pb.CompareArticlesRequest(), "article"),
    "page size": ("ListArticles", pb.ListArticlesRequest(page_size=-1), "page_size"),
    "page token": ("ListArticles", pb.ListArticlesRequest(page_token="?"), "page_token"),
    "view": ("ListArticles", pb.ListArticlesRequest(view=NONE), "view"),
    "min size": ("ListClusters", pb.ListClustersRequest(min_size=-1), "min_size"),
    "article's name": ("GetArticle", pb.GetArticleRequest(name="collections/default"), "name"),
    "encoding of a name": ("GetArticle", pb.GetArticleRequest(name="collections/a/articles/%zz"), "name"),
    "cluster's name": ("GetCluster", pb.GetClusterRequest(name=IN_A), "name"),
    "parent of articles": ("ListClusterArticles", pb.ListClusterArticlesRequest(), "parent"),
    "story's name": ("GetStory", pb.GetStoryRequest(), "name"),
    "no collection": ("DeleteCollection", pb.DeleteCollectionRequest(), "name"),
    "parameters": (
        "CreateCollection",
        pb.CreateCollectionRequest(name="collections/x", parameters=pb.CollectionParameters(window=65)),
        "window",
    ),
    "profile": (
        "CreateCollection",
        pb.CreateCollectionRequest(name="collections/x", parameters=pb.CollectionParameters(profile=NONE)),
        "profile",
    ),
    "threshold": (
        "CreateCollection",
        pb.CreateCollectionRequest(name="collections/x", parameters=pb.CollectionParameters(band_threshold=1.5)),
        "band_threshold",
    ),
    "rule of words": ("CreateCollection", ruled(rewrite_words=0), "rules.rewrite_words"),
    "rule of many words": ("CreateCollection", ruled(quote_passage=1_001), "rules.quote_passage"),
    "rule of a share": ("CreateCollection", ruled(rewrite_half=0.0), "rules.rewrite_half"),
    "rule of too large a share": ("CreateCollection", ruled(covered=1.01), "rules.covered"),
    "rule of no number": ("CreateCollection", ruled(rewrite_share=float("nan")), "rules.rewrite_share"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_a_bad_field_is_named(server: Running, case: str) -> None:
    """INVALID_ARGUMENT with the field in the metadata, and the server lives on."""
    method, request, field = REFUSED[case]
    await server.stub.IngestArticle(ingest())  # the default collection exists
    code, message, info = await refusal(getattr(server.stub, method)(request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert info.metadata["field"] in {field, f"article.{field}"}
    assert info.reason in {"INVALID_FIELD", "UNSUPPORTED_MEDIA_TYPE", "INVALID_PAGE_TOKEN"}
    assert 10 < len(message) < 200
    assert await server.health() == SERVING


async def test_limits_are_stated_where_they_are_exceeded(server: Running) -> None:
    """A body of a byte too much and a batch of an article too many are RESOURCE_EXHAUSTED with the limit."""
    limit = 1 << 20
    await server.stub.IngestArticle(ingest(body="x" * limit))
    code, _, info = await refusal(server.stub.IngestArticle(ingest(body="é" * (limit // 2) + "x")))
    assert (code, info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "BODY_TOO_LARGE")
    assert (info.metadata["bytes"], info.metadata["limit"]) == (str(limit + 1), str(limit))
    request = batch(*(article(str(n)) for n in range(1_001)))
    code, _, info = await refusal(server.stub.BatchIngestArticles(request))
    assert (code, info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "BATCH_TOO_LARGE")
    assert (info.metadata["articles"], info.metadata["limit"]) == ("1001", "1000")


async def test_strange_text_is_no_error(server: Running) -> None:
    """Control characters, one token of 100,000 characters, an empty body, any script: all are stored."""
    for body in ("", "\0\x01\x1b\x7f", "x" * 100_000, "نص 文字 ข้อความ \U0001f600 \u200b\u202e", "\n" * 1_000):
        answer = await server.stub.IngestArticle(ingest("collections/odd", body=body))
        assert answer.name
        assert server.pipeline.collections["odd"]["a1"].body == body


@pytest.mark.parametrize(
    "data", [b"\x12\x05\x1a\x03a\xff\xfe", b"\x12\x05\x1a\x03\xed\xa0\x80", b"\xff", b"\x12\x7f"]
)
async def test_what_is_no_message_is_refused_clearly(server: Running, data: bytes) -> None:
    """Bytes that are not UTF-8, surrogates and broken messages are INVALID_ARGUMENT, in calls and in streams."""
    for method, kind in (
        ("IngestArticle", server.channel.unary_unary),
        ("StreamIngestArticles", server.channel.stream_stream),
    ):
        raw: Any = kind(f"/dedup.v1.DedupService/{method}")
        call = raw(data) if method == "IngestArticle" else raw(iter([data]))
        read = call if method == "IngestArticle" else call.read()
        code, message, _ = await refusal(read)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "not a valid message" in message
    assert await server.health() == SERVING


async def test_watching_is_not_in_this_release(server: Running) -> None:
    """The method is in the contract and says that it is not implemented."""
    code, _, info = await refusal(server.stub.WatchClusters(pb.WatchClustersRequest()).read())
    assert (code, info.reason) == (grpc.StatusCode.UNIMPLEMENTED, "NOT_IMPLEMENTED")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ParametersMismatch("other parameters"), grpc.StatusCode.FAILED_PRECONDITION),
        (StoreUnavailable("down"), grpc.StatusCode.UNAVAILABLE),
        (StoreUnavailable("full", Reason.STORE_OUT_OF_MEMORY), grpc.StatusCode.UNAVAILABLE),
        (DataDirectoryLocked("locked"), grpc.StatusCode.FAILED_PRECONDITION),
    ],
)
async def test_errors_of_the_pipeline_keep_their_reason(
    server: Running, error: DedupError, code: grpc.StatusCode
) -> None:
    """What the pipeline raises on purpose arrives with its code and reason."""
    server.pipeline.fail_with = error
    got, message, info = await refusal(server.stub.IngestArticle(ingest()))
    assert (got, message, info.reason) == (code, error.message, error.reason.name)


async def test_what_does_not_exist_is_not_found(server: Running) -> None:
    """Reads never make a collection; each kind of resource has its reason."""
    calls = {
        "COLLECTION_NOT_FOUND": server.stub.ListArticles(pb.ListArticlesRequest(parent="collections/none")),
        "ARTICLE_NOT_FOUND": server.stub.GetArticle(
            pb.GetArticleRequest(name="collections/default/articles/none")
        ),
        "CLUSTER_NOT_FOUND": server.stub.GetCluster(
            pb.GetClusterRequest(name="collections/default/clusters/gone")
        ),
        "STORY_NOT_FOUND": server.stub.GetStory(pb.GetStoryRequest(name="collections/default/stories/gone")),
    }
    await server.stub.IngestArticle(ingest())
    for reason, call in calls.items():
        code, _, info = await refusal(call)
        assert (code, info.reason) == (grpc.StatusCode.NOT_FOUND, reason)
    export = server.stub.ExportCollection(pb.ExportCollectionRequest(name="collections/none"))
    code, _, info = await refusal(export.read())
    assert (code, info.reason) == (grpc.StatusCode.NOT_FOUND, "COLLECTION_NOT_FOUND")


# -- around the calls -------------------------------------------------------------------------------


@pytest.fixture
def log() -> Any:
    """What is logged, with what was bound."""
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[merge_contextvars, capture])
    yield capture.entries
    structlog.configure(**before)


async def test_a_fault_of_ours_has_an_id_in_answer_and_log(server: Running, log: list[Any]) -> None:
    """INTERNAL says nothing but an id; the log has it beside the traceback; the server lives on."""
    server.pipeline.fail_with = ZeroDivisionError("secret")
    code, message, info = await refusal(server.stub.IngestArticle(ingest()))
    assert (code, info.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in message
    (line,) = [entry for entry in log if entry.get("code") == "INTERNAL"]
    assert line["error_id"] == info.metadata["error_id"]
    assert line["error_id"] in message
    assert "ZeroDivisionError: secret" in line["exception"]
    await server.stub.IngestArticle(ingest())


async def test_a_call_is_one_line_without_text(server: Running, log: list[Any]) -> None:
    """Method, code, milliseconds and what the call was about; never a word of an article."""
    await server.stub.IngestArticle(ingest(article_id="l1", body="unmistakable", headline="conspicuous"))
    await server.stub.BatchIngestArticles(batch(article("l2", body="unmistakable"), article("")))
    await refusal(server.stub.IngestArticle(ingest(article_id="l3", headline="conspicuous" * 10_000)))
    lines = [entry for entry in log if entry["event"] == "call"]
    assert [line["method"] for line in lines] == ["IngestArticle", "BatchIngestArticles", "IngestArticle"]
    assert [line["code"] for line in lines] == ["OK", "OK", "INVALID_ARGUMENT"]
    assert lines[0]["article"] == "l1"
    assert (lines[0]["outcome"], lines[0]["cluster"], lines[0]["verified"]) == ("created", "c 1", 1)
    assert (lines[1]["articles"], lines[1]["refused"], lines[1]["verified"]) == (2, 1, 1)
    assert "article" not in lines[1]
    assert all(0 < line["ms"] < 10_000 for line in lines)
    assert "unmistakable" not in str(log)
    assert "conspicuous" not in str(log)


async def test_the_line_of_a_stream_counts_all_its_batches(server: Running, log: list[Any]) -> None:
    """One line a stream: batches, articles and how many of them were refused, together."""

    async def requests() -> AsyncIterator[pb.StreamIngestArticlesRequest]:
        for number, parent in enumerate(("collections/c1", "collections/c1", "collections/Bad")):
            articles = [article(f"s{number}"), article("")]
            yield pb.StreamIngestArticlesRequest(parent=parent, sequence=number, articles=articles)

    answers = [answer async for answer in server.stub.StreamIngestArticles(requests())]
    assert [answer.HasField("error") for answer in answers] == [False, False, True]
    (line,) = [entry for entry in log if entry["event"] == "call"]
    assert (line["method"], line["code"], line["collection"]) == ("StreamIngestArticles", "OK", "c1")
    assert (line["batches"], line["articles"], line["refused"]) == (3, 6, 4)


async def test_lines_of_questions_name_what_was_asked(server: Running, log: list[Any]) -> None:
    """Collection and article, and how many matches were verified."""
    await server.stub.IngestArticle(ingest(article_id="q1", body="one two three"))
    log.clear()
    await server.stub.FindMatches(pb.FindMatchesRequest(article=article("q2", body="one two three")))
    await server.stub.ListMatches(pb.ListMatchesRequest(article="collections/default/articles/q1"))
    await server.stub.ListArticles(pb.ListArticlesRequest(parent="collections/default"))
    find, matches, articles = [entry for entry in log if entry["event"] == "call"]
    assert (find["article"], "verified" in find) == ("q2", True)
    assert matches["article"] == "q1"
    assert {line["collection"] for line in (find, matches, articles)} == {"default"}


async def test_calls_are_counted_by_method_and_code(server: Running) -> None:
    """The metrics know every call."""

    def count(code: str) -> float:
        labels = {"method": "GetStory", "code": code}
        return REGISTRY.get_sample_value("dedup_calls_total", labels) or 0.0

    before = count("INVALID_ARGUMENT")
    await refusal(server.stub.GetStory(pb.GetStoryRequest(name="x")))
    assert count("INVALID_ARGUMENT") == before + 1


async def test_reflection_describes_the_service(server: Running) -> None:
    """A client that knows nothing but the address finds the service, its methods and their messages."""

    def ask() -> tuple[set[str], set[str], bytes]:
        with grpc.insecure_channel(server.address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            pool = DescriptorPool(database)
            found = pool.FindServiceByName("dedup.v1.DedupService")
            fields = pool.FindMessageTypeByName("dedup.v1.IngestArticleResponse").fields_by_name
            return set(database.get_services()), {each.name for each in found.methods}, bytes(len(fields))

    services, methods, _ = await asyncio.to_thread(ask)
    assert {"dedup.v1.DedupService", "grpc.health.v1.Health"} <= services
    assert methods == METHODS


async def test_health_of_an_unknown_service_is_not_found(server: Running) -> None:
    """The health service answers for itself, also through our interceptor."""
    stub: Any = health_pb2_grpc.HealthStub(server.channel)  # type: ignore[no-untyped-call,unused-ignore]
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


# -- start and stop ---------------------------------------------------------------------------------


async def test_a_server_that_starts_says_so() -> None:
    """Before the store is open health is NOT_SERVING and calls are UNAVAILABLE, so that clients try again."""
    opened = asyncio.Event()
    port = free_port()

    async def open_pipeline(_: Any) -> Any:
        await opened.wait()
        return FakePipeline()

    settings = load_settings(listen=f"127.0.0.1:{port}", store="redis://none.invalid")

    async def serve() -> None:
        async with running_server(settings, open_pipeline=open_pipeline):
            await asyncio.sleep(0.2)

    serving = asyncio.create_task(serve())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_retries", 0)]) as channel:
        server = Running(FakePipeline(), "", channel, DedupServiceStub(channel))
        await channel.channel_ready()
        assert await server.health() == NOT_SERVING
        code, message, _ = await refusal(server.stub.IngestArticle(ingest()))
        assert (code, message) == (grpc.StatusCode.UNAVAILABLE, "the server is starting")
        opened.set()
        await asyncio.sleep(0.1)
        assert await server.health() == SERVING
    await serving


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_an_occupied_port_is_one_clear_error(server: Running) -> None:
    """Before anything is opened, in one line, naming the address."""
    opened = []

    async def open_pipeline(settings: Any) -> Any:
        opened.append(settings)

    settings = load_settings(listen=server.address, store="redis://none.invalid")
    with pytest.raises(InvalidArgument) as raised:
        async with running_server(settings, open_pipeline=open_pipeline):
            pass
    assert raised.value.message == f"cannot listen on {server.address}: the address is in use"
    assert opened == []


@pytest.mark.parametrize("address", ["no-such-host.invalid:1", "192.0.2.1:7700"])
async def test_an_impossible_address_is_one_clear_error(address: str) -> None:
    """A name that is not known, an address that is not ours."""
    with pytest.raises(InvalidArgument, match=f"cannot listen on {address}: ") as raised:
        async with running_server(load_settings(listen=address, store="redis://none.invalid")):
            pass
    assert "\n" not in raised.value.message


async def test_a_unix_socket_will_do(tmp_path: Path) -> None:
    """``unix:PATH`` instead of host and port."""
    async with running(listen=f"unix:{tmp_path}/d.sock") as server:
        assert server.address == f"unix:{tmp_path}/d.sock"
        assert (await server.stub.IngestArticle(ingest())).name


async def test_a_pipeline_that_does_not_open_leaves_nothing_running() -> None:
    """Its error is raised as it is and the port is free again."""
    port = free_port()
    settings = load_settings(listen=f"127.0.0.1:{port}", store="redis://none.invalid")

    async def open_pipeline(_: Any) -> Any:
        raise ParametersMismatch("the index was built with other parameters")

    for _ in range(2):
        with pytest.raises(ParametersMismatch):
            async with running_server(settings, open_pipeline=open_pipeline):
                pass


async def test_health_follows_the_store() -> None:
    """NOT_SERVING while the store does not answer, SERVING when it does again."""
    async with running() as server:
        for answers, expected in ((False, NOT_SERVING), (True, SERVING)):
            server.pipeline.is_ready = answers
            await asyncio.sleep(1.3 * WATCH_SECONDS)
            assert await server.health() == expected


async def test_stopping_lets_calls_end_and_closes_the_pipeline() -> None:
    """A call under way is answered, an open stream is told to go on elsewhere, then the pipeline is closed."""
    pipeline = FakePipeline()

    async def open_pipeline(_: Any) -> Any:
        return pipeline

    address = f"127.0.0.1:{free_port()}"
    async with grpc.aio.insecure_channel(address, [("grpc.enable_retries", 0)]) as channel:
        stub: Any = DedupServiceStub(channel)
        settings = load_settings(listen=address, store="redis://none.invalid")
        async with running_server(settings, open_pipeline=open_pipeline):
            stream = stub.StreamIngestArticles()
            await stream.write(stream_batch(1, "x"))
            assert (await stream.read()).sequence == 1
            pipeline.gate = asyncio.Event()
            call = stub.IngestArticle(ingest())
            await asyncio.sleep(0.05)
            asyncio.get_running_loop().call_later(0.2, pipeline.gate.set)
        assert pipeline.closed
        assert (await call).name
        code, message, _ = await refusal(stream.read())
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "stopping" in message
