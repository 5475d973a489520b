"""Group commit: single articles that arrive together go to the store together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from dedup.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from dedup.model import Article, IngestResult


class Batcher:
    """Collects articles for up to ``wait`` seconds or until ``most`` are there, and ingests them as one batch.

    Two batches are on their way at most, one of them often waiting for its clusters to settle; the next one gathers
    meanwhile, so that the busier the service is, the larger its batches are.
    """

    LANES: Final = 2

    def __init__(
        self, ingest: Callable[[Sequence[Article]], Awaitable[list[IngestResult]]], most: int, wait: float
    ) -> None:
        self._ingest = ingest
        self._most = most
        self._wait = wait
        self._waiting: list[tuple[Article, asyncio.Future[IngestResult]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def add(self, article: Article) -> IngestResult:
        """Ingest one article; returns when its batch is committed."""
        if self._closed:
            message = "the service is stopping"
            raise StoreUnavailable(message)
        future: asyncio.Future[IngestResult] = asyncio.get_running_loop().create_future()
        self._waiting.append((article, future))
        if len(self._tasks) < self.LANES:
            task = asyncio.create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def close(self) -> None:
        """Take no more articles and wait for those that are here."""
        self._closed = True
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self) -> None:
        while self._waiting:
            if len(self._waiting) < self._most and self._wait:
                await asyncio.sleep(self._wait)
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            if not batch:
                return  # the other lane took them
            try:
                results = await self._ingest([article for article, _ in batch])
            except BaseException as error:  # every caller learns of it
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                if isinstance(error, asyncio.CancelledError):
                    raise
                continue
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)
