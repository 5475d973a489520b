"""Articles in: one, a batch, a stream."""

# ruff: noqa: N802, ARG002 - gRPC gives the names and the arguments of methods

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from structlog.contextvars import bind_contextvars

from dedup.config import Settings
from dedup.convert import outgoing
from dedup.convert.incoming import check_encoding, collection_of, has_markup
from dedup.convert.names import Namer, parse, parse_collection
from dedup.convert.status import to_status
from dedup.errors import DedupError, StoreUnavailable
from dedup.live.sequence_slot import SequenceSlot
from dedup.model import Article, IngestResult
from dedup.service.base import Methods, bind_work
from dedup.v1 import article_pb2
from dedup.v1 import dedup_service_pb2 as pb

#: Batches of a stream that are read while one is being stored.
READ_AHEAD = 2
#: Batches of a stream that are worked on at once, besides the one whose answer is awaited.
IN_FLIGHT = 12

#: None: the client has ended the stream.
_Requests = asyncio.Queue[pb.StreamIngestArticlesRequest | Exception | None]
_Acknowledged = tuple[pb.StreamIngestArticlesRequest, pb.StreamIngestArticlesResponse]
_Answers = asyncio.Queue[asyncio.Task[_Acknowledged] | Exception | None]


class IngestMethods(Methods):
    """IngestArticle, BatchIngestArticles, StreamIngestArticles."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._readers: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """End the streams after the batch they are at; their clients go on elsewhere."""
        for reader in self._readers:
            reader.cancel()

    async def IngestArticle(self, request: pb.IngestArticleRequest, context: Any) -> pb.IngestArticleResponse:
        """One article; put together by the pipeline with those of other calls."""
        collection = collection_of(request.parent, request.article.name)
        max_matches = self._incoming.max_matches(request)
        check_encoding(request)
        (article,) = await self._read([request.article], collection)
        if isinstance(article, DedupError):
            raise article
        bind_contextvars(collection=collection, article=article.id)
        result = await self._pipeline.ingest_one(collection, article)
        bind_contextvars(
            outcome=result.outcome.name.lower(), cluster=result.cluster.id if result.cluster else ""
        )
        bind_work([result])
        response = pb.IngestArticleResponse()
        outgoing.write_ingest_response(result, Namer(collection), max_matches, response)
        self._fit(response, [response])
        return response

    async def BatchIngestArticles(
        self, request: pb.BatchIngestArticlesRequest, context: Any
    ) -> pb.BatchIngestArticlesResponse:
        """Many articles with an outcome for each."""
        collection = parse_collection(request.parent, "parent")
        bind_contextvars(collection=collection, articles=len(request.articles))
        outcomes = await self._store(request, collection)
        stored = [each for each in outcomes if isinstance(each, IngestResult)]
        bind_contextvars(refused=len(outcomes) - len(stored))
        bind_work(stored)
        response = pb.BatchIngestArticlesResponse()
        self._write_results(request, collection, outcomes, response)
        self._fit(response, [each.response for each in response.results if each.HasField("response")])
        return response

    async def StreamIngestArticles(
        self, request_iterator: AsyncIterator[pb.StreamIngestArticlesRequest], context: Any
    ) -> AsyncIterator[pb.StreamIngestArticlesResponse]:
        """Batches from a stream, recorded and acknowledged in order, verified beside each other."""
        requests: _Requests = asyncio.Queue(READ_AHEAD)
        answers: _Answers = asyncio.Queue(IN_FLIGHT)
        reader = asyncio.create_task(_read_ahead(request_iterator, requests))
        worker = asyncio.create_task(self._work_ahead(requests, answers))
        self._readers.add(reader)
        batches = articles = refused = 0
        try:
            while not isinstance(task := await answers.get(), Exception | None):
                request, answer = await task
                with contextlib.suppress(DedupError):  # an answer says what is wrong with the name
                    bind_contextvars(collection=parse_collection(request.parent, "parent"))
                batches, articles = batches + 1, articles + len(request.articles)
                whole = answer.HasField("error")
                refused += (
                    len(request.articles) if whole else sum(each.HasField("error") for each in answer.results)
                )
                bind_contextvars(batches=batches, articles=articles, refused=refused)
                yield answer
            if task is not None:
                raise task
        finally:
            self._readers.discard(reader)
            reader.cancel()
            worker.cancel()
            while not answers.empty():
                if isinstance(left := answers.get_nowait(), asyncio.Task):
                    left.cancel()

    async def _work_ahead(self, requests: _Requests, answers: _Answers) -> None:
        """Start on batches as they come, as many at once as the queue of their answers holds."""
        slot: SequenceSlot | None = None
        while isinstance(request := await requests.get(), pb.StreamIngestArticlesRequest):
            slot = SequenceSlot(slot)
            await answers.put(asyncio.create_task(self._in_order(request, slot)))
        await answers.put(request)

    async def _in_order(self, request: pb.StreamIngestArticlesRequest, slot: SequenceSlot) -> _Acknowledged:
        try:
            answer = await self._acknowledge(request, slot)
            await slot.wait()  # where nothing of it was stored it did not wait so far
            slot.release()
        finally:
            slot.abandon()
        return request, answer

    async def _acknowledge(
        self, request: pb.StreamIngestArticlesRequest, slot: SequenceSlot
    ) -> pb.StreamIngestArticlesResponse:
        """The answer to one batch; StoreUnavailable ends the stream.

        To go on would store later batches before the one that failed; the client sends it again in order.
        """
        response = pb.StreamIngestArticlesResponse(sequence=request.sequence)
        try:
            collection = parse_collection(request.parent, "parent")
            outcomes = await self._store(request, collection, slot)
            for outcome in outcomes:
                if isinstance(outcome, StoreUnavailable):
                    raise outcome
        except StoreUnavailable:
            raise
        except DedupError as error:
            response.error.CopyFrom(to_status(error))
            return response
        self._write_results(request, collection, outcomes, response)
        self._fit(response, [each.response for each in response.results if each.HasField("response")])
        return response

    async def DeleteArticle(self, request: pb.DeleteArticleRequest, context: Any) -> pb.DeleteArticleResponse:
        """Remove an article."""
        collection, article_id = parse(request.name, "articles")
        bind_contextvars(collection=collection, article=article_id)
        carriers = await self._pipeline.delete_article(collection, article_id)
        names = Namer(collection)
        return pb.DeleteArticleResponse(carriers=[names.article(each) for each in carriers])

    async def _store(
        self,
        request: pb.BatchIngestArticlesRequest | pb.StreamIngestArticlesRequest,
        collection: str,
        slot: SequenceSlot | None = None,
    ) -> list[IngestResult | DedupError]:
        """Store what can be read of a batch; one outcome an article."""
        self._incoming.check_batch(len(request.articles))
        self._incoming.max_matches(request)
        check_encoding(request)
        read = await self._read(request.articles, collection)
        articles = [each for each in read if isinstance(each, Article)]
        stored: Sequence[IngestResult | DedupError] = ()
        if articles:
            stored = await self._pipeline.ingest(collection, articles, slot)
        answers = iter(stored)
        return [next(answers) if isinstance(each, Article) else each for each in read]

    def _write_results(
        self,
        request: pb.BatchIngestArticlesRequest | pb.StreamIngestArticlesRequest,
        collection: str,
        outcomes: Iterable[IngestResult | DedupError],
        response: pb.BatchIngestArticlesResponse | pb.StreamIngestArticlesResponse,
    ) -> None:
        names, max_matches = Namer(collection), self._incoming.max_matches(request)
        for outcome in outcomes:
            result = response.results.add()
            if isinstance(outcome, DedupError):
                result.error.CopyFrom(to_status(outcome))
            else:
                outgoing.write_ingest_response(outcome, names, max_matches, result.response)

    async def _read(
        self, messages: Sequence[article_pb2.Article], collection: str
    ) -> list[Article | DedupError]:
        """Articles or why they are refused; pages of HTML are read in a thread."""
        if has_markup(messages):
            return await asyncio.to_thread(self._read_all, messages, collection)
        return self._read_all(messages, collection)

    def _read_all(
        self, messages: Iterable[article_pb2.Article], collection: str
    ) -> list[Article | DedupError]:
        read: list[Article | DedupError] = []
        for message in messages:
            try:
                read.append(self._incoming.article(message, collection))
            except DedupError as error:
                read.append(error)
        return read

    def _fit(self, message: Any, answers: Sequence[pb.IngestArticleResponse]) -> None:
        """Drop matches, those of the largest answers first, until ``message`` can be sent."""
        excess = message.ByteSize() - self._settings.max_message_bytes
        for answer in sorted(answers, key=lambda each: -each.ByteSize()) if excess > 0 else ():
            excess -= answer.ByteSize()
            while answer.matches and excess + answer.ByteSize() > 0:
                del answer.matches[len(answer.matches) // 2 :]
                answer.matches_truncated = True
            excess += answer.ByteSize()


async def _read_ahead(source: AsyncIterator[pb.StreamIngestArticlesRequest], requests: _Requests) -> None:
    """Fill the queue; what stands last in it ends the stream.

    Canceled, as by a server that stops, it drops what was read and not yet stored: the client has no answer
    to that and sends it again elsewhere.
    """
    last: Exception | None = None
    try:
        async for request in source:
            await requests.put(request)
    except asyncio.CancelledError:
        while not requests.empty():
            requests.get_nowait()
        requests.put_nowait(StoreUnavailable("the server is stopping; open the stream again"))
        raise
    except Exception as error:  # noqa: BLE001 - raised again in the task that answers
        last = error
    await requests.put(last)
