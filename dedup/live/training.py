"""Dictionaries that a collection's articles are compressed with: trained when there are articles enough."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from dedup.errors import StoreUnavailable
from dedup.store import codec as codecs

if TYPE_CHECKING:
    from dedup.live.archive import Archive
    from dedup.live.follower import Follower
    from dedup.store.codec import Codec
    from dedup.store.dictionaries import Dictionaries

_LOOK_SECONDS: Final = 5.0
log = structlog.get_logger()


class Training:
    """Reads the latest dictionary of a collection and trains the next one."""

    def __init__(
        self, follower: Follower, archive: Archive, dictionaries: Dictionaries, codec: Codec
    ) -> None:
        self._follower = follower
        self._archive = archive
        self._dictionaries = dictionaries
        self._codec = codec
        self._grown = asyncio.Event()
        self._wanted = 0
        self._task: asyncio.Task[None] | None = None

    async def read(self) -> None:
        """Read the dictionaries that there are: what comes next is packed with the last."""
        for number in range(1, len(codecs.TRAININGS) + 1):
            if not await self._dictionaries.read(self._codec, number, missing=True):
                return

    def start(self) -> None:
        """Begin to look whether one is due."""
        if self._codec.current < len(codecs.TRAININGS):
            self._follower.listen(self._look)
            self._task = asyncio.create_task(self._run())
            self._look()

    async def stop(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _look(self) -> None:
        if codecs.due(self._follower.collection.texts) > self._codec.current:
            self._grown.set()

    async def _run(self) -> None:
        while self._codec.current < len(codecs.TRAININGS):
            await self._grown.wait()
            self._grown.clear()
            try:
                await self._train()
            except StoreUnavailable:
                await asyncio.sleep(_LOOK_SECONDS)
                self._look()

    async def _train(self) -> None:
        await self._follower.steady()
        wanted = codecs.due(self._follower.collection.texts)
        if wanted <= self._codec.current:
            return
        training = codecs.TRAININGS[wanted - 1]
        if not await self._dictionaries.read(
            self._codec, wanted, missing=True
        ):  # another server may have been first
            await self._follower.steady()
            reader = self._follower.reader
            last = self._follower.collection.highest_article
            step = max(1, last // training.samples)
            articles = [reader.article(n) for n in range(1, last + 1, step)]
            records = [a.record for a in articles if a is not None and a.record]
            packed = await self._archive.packed(records)
            made = await asyncio.to_thread(self._codec.train, list(packed.values()), training.size)
            if made is None:
                await asyncio.sleep(_LOOK_SECONDS)
                return
            await self._dictionaries.put(wanted, made)
            await self._dictionaries.read(self._codec, wanted)
        self._look()
