"""Work that goes on beside the calls: a loop that runs when woken, and looks by itself once a second."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import structlog

from dedup.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = structlog.get_logger()

#: Seconds between two looks at queues that another server may have filled.
LOOK_SECONDS: Final = 1.0
#: Seconds of rest after a failure; what is queued in the store stays queued.
FAILURE_SECONDS: Final = 0.5


class Worker:
    """Calls ``work`` whenever it is woken; ``work`` says for how many seconds to rest before the next call.

    None means until somebody wakes it. A failure of one call is logged and the loop goes on, so that one
    component that fails does not hold up the others. Whoever has the event ``wake`` can wake it too.
    """

    def __init__(
        self,
        name: str,
        collection: str,
        work: Callable[[], Awaitable[float | None]],
        wake: asyncio.Event | None = None,
    ) -> None:
        self._name = name
        self._collection = collection
        self._work = work
        self._wake = wake or asyncio.Event()
        self._stopped = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run until :meth:`stop`."""
        self._stopped = False
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop at the next await; what is unfinished stays in the store."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """Something is to be done."""
        self._wake.set()

    async def _run(self) -> None:
        rest: float | None = None
        # A cancellation can get lost in ``work``: redis-py sends with asyncio.wait_for, which until Python 3.12 drops
        # one that meets the end of its wait.
        while not self._stopped:
            if rest is None:
                # not wait_for, which until Python 3.12 drops a cancellation that meets the end of its wait
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._wake.wait()
            else:
                await asyncio.sleep(rest)
            self._wake.clear()
            try:
                rest = await self._work()
            except StoreUnavailable:
                rest = FAILURE_SECONDS
            except Exception:  # whatever it was, the rest of the queue must not wait for it
                log.exception("worker_failed", work=self._name, collection=self._collection)
                rest = FAILURE_SECONDS
