"""Under what numbers this server is known to others, and its signs of life."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING

from dedup.errors import StoreUnavailable

if TYPE_CHECKING:
    from dedup.store.servers import Servers

#: Signs of life within the time after which a server counts as silent.
_BEATS = 4


class Incarnations:
    """The incarnations of this server: one at its start, another each time it finds itself retired.

    An incarnation is a random number of 63 bits. All stay alive while the server does: other collections may still
    know it under an earlier one.
    """

    def __init__(self, servers: Servers, seconds: float) -> None:
        self._servers = servers
        self._seconds = seconds
        self._all = [_number()]
        self._task: asyncio.Task[None] | None = None

    @property
    def current(self) -> int:
        """The one that new work begins under."""
        return self._all[-1]

    @property
    def all(self) -> tuple[int, ...]:
        """Every one of them."""
        return tuple(self._all)

    def after(self, retired: int) -> int:
        """The one to go on under where another one was retired."""
        if self.current == retired:
            self._all.append(_number())
        return self.current

    def is_ours(self, incarnation: int) -> bool:
        """Whether an incarnation is this server's."""
        return incarnation in self._all

    async def start(self) -> None:
        """Give the first sign of life, and go on."""
        await self._beat()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Leave: others need not wait until the signs have stopped for long."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        with contextlib.suppress(StoreUnavailable):
            for incarnation in self._all:
                await self._servers.leave(incarnation)

    async def is_heard(self) -> bool:
        """Whether the store takes a sign of life now."""
        try:
            await self._servers.beat(self.current, self._seconds)
        except StoreUnavailable:
            return False
        return True

    async def _beat(self) -> None:
        for incarnation in self._all:
            await self._servers.beat(incarnation, self._seconds)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._seconds / _BEATS)
            with contextlib.suppress(StoreUnavailable):
                await self._beat()


def _number() -> int:
    return secrets.randbits(63) | 1
