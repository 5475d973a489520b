"""What the methods share: the settings, the pipeline, and articles read from requests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from structlog.contextvars import bind_contextvars

from dedup.config import Settings
from dedup.convert.incoming import Incoming, has_markup
from dedup.errors import StoreUnavailable
from dedup.live import Pipeline
from dedup.model import Article, FindResult, IngestResult
from dedup.v1 import article_pb2
from dedup.v1.dedup_service_pb2_grpc import DedupServiceServicer


class Methods(DedupServiceServicer):
    """Base of the methods; those of the contract that nobody overrides answer UNIMPLEMENTED."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._incoming = Incoming(settings)
        self._started: Pipeline | None = None

    def start(self, pipeline: Pipeline) -> None:
        """Answer calls from now on."""
        self._started = pipeline

    @property
    def _pipeline(self) -> Pipeline:
        if self._started is None:
            raise StoreUnavailable("the server is starting", store=self._settings.store_shown)
        return self._started

    async def _given(self, message: article_pb2.Article, collection: str) -> Article:
        """An article that is not stored and may be without an id; a page of HTML is read in a thread."""
        if has_markup([message]):
            return await asyncio.to_thread(self._incoming.article, message, collection, id_required=False)
        return self._incoming.article(message, collection, id_required=False)


def bind_work(results: Iterable[IngestResult | FindResult]) -> None:
    """For the log line of a call: how many texts it compared, where the pipeline tells, and how many matched."""
    answers = list(results)
    compared = [each.candidates for each in answers if each.candidates is not None]
    if compared:
        bind_contextvars(candidates=sum(compared))
    bind_contextvars(verified=sum(each.total_matches for each in answers))
