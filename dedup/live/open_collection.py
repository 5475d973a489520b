"""One collection as it is open in a server: what reads it, what writes it, and what works beside the calls."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from dedup.core.clustering import SettlingRules
from dedup.live.ingest import Ingest
from dedup.live.matching import Matcher
from dedup.live.reading import CollectionReader
from dedup.live.settling import Settler
from dedup.live.sweeping import Sweeper
from dedup.store.redis_index import RedisIndex

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from dedup.config import Settings
    from dedup.live.matching import TextCache
    from dedup.model import CollectionParameters
    from dedup.store.connection import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCollection:
    """Everything that a collection needs at run time."""

    #: Its name.
    name: str
    #: What it was made with.
    parameters: CollectionParameters
    #: What of it lies in the store.
    index: RedisIndex
    #: Finds the matches of texts.
    matcher: Matcher
    #: Reads what it holds.
    reader: CollectionReader
    #: Takes articles into it.
    ingest: Ingest
    #: Makes clusters and stories.
    settler: Settler
    #: Finishes what others began.
    sweeper: Sweeper

    @classmethod
    def open(
        cls,
        name: str,
        parameters: CollectionParameters,
        *,
        store: Store,
        settings: Settings,
        cache: TextCache,
        pool: Executor,
    ) -> Self:
        """Put a collection together and start what works beside the calls: unfinished work is taken up."""
        index = RedisIndex(store, name, parameters.landmarks)
        matcher = Matcher(index, parameters, cache, pool)
        reader = CollectionReader(name=name, parameters=parameters, index=index, matcher=matcher)
        settler = Settler(index, SettlingRules(story_span=parameters.story_span_days * 86400.0))
        queued = asyncio.Event()
        ingest = Ingest(
            reader,
            settler,
            queued,
            pool,
            max_matches=settings.max_matches,
            settle_seconds=settings.settle_wait_milliseconds / 1000,
        )
        sweeper = Sweeper(
            index=index,
            parameters=parameters,
            matcher=matcher,
            recovery_seconds=settings.recovery_seconds,
            finish=ingest.finish,
            wake_settler=settler.wake,
            busy=lambda: ingest.running > 0,
            queued=queued,
        )
        settler.start()
        sweeper.start()
        settler.wake()
        sweeper.wake()
        return cls(
            name=name,
            parameters=parameters,
            index=index,
            matcher=matcher,
            reader=reader,
            ingest=ingest,
            settler=settler,
            sweeper=sweeper,
        )

    async def stop(self) -> None:
        """Stop what works beside the calls; what is unfinished stays in the store."""
        await self.settler.stop()
        await self.sweeper.stop()
