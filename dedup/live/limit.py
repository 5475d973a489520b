"""How much is under way at a time: articles beyond wait, and are refused when that takes too long."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from dedup.errors import LimitExceeded, Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

#: Articles of a server that are taken in and not decided about yet.
MAX_UNDECIDED: Final = 2000
#: Seconds that a call waits for its turn.
WAIT_SECONDS: Final = 10.0


class Limit:
    """Lets articles through, as many as may be under way; first come, first served."""

    def __init__(self, most: int = MAX_UNDECIDED, seconds: float = WAIT_SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        self._held = 0
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def hold(self, articles: int) -> AsyncIterator[None]:
        """Have so many articles under way.

        Raises:
            LimitExceeded: too many others still were, after some seconds.
        """
        try:
            async with asyncio.timeout(self._seconds), self._turn:
                while self._held and self._held + articles > self._most:
                    self._freed.clear()
                    await self._freed.wait()
                self._held += articles
        except TimeoutError:
            message = f"{self._held} articles are under way, and {self._most} are the limit; try again later"
            raise LimitExceeded(message, Reason.TOO_MANY_UNDER_WAY, limit=self._most) from None
        try:
            yield
        finally:
            self._held -= articles
            self._freed.set()
