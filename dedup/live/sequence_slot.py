"""Batches of one stream: prepared and verified beside each other, recorded one after another."""

from __future__ import annotations

import asyncio

from dedup.errors import StoreUnavailable


class SequenceSlot:
    """The place of a batch among those of its stream.

    A batch waits for its slot before it is recorded, and passes it on when it has been; where one fails, those behind
    it are not recorded, so that the client can send all of them again in order.
    """

    def __init__(self, before: SequenceSlot | None = None) -> None:
        self._before = before
        self._recorded: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def wait(self) -> None:
        """Until all batches before this one are recorded.

        Raises:
            StoreUnavailable: one of them was not.
        """
        if self._before is None:
            return
        if not await asyncio.shield(self._before._recorded):  # noqa: SLF001 - of the same class
            message = "a batch before this one was not stored"
            raise StoreUnavailable(message)
        self._before = None  # what is long done need not be kept

    def release(self) -> None:
        """The batch is recorded; does nothing a second time."""
        if not self._recorded.done():
            self._recorded.set_result(True)

    def abandon(self) -> None:
        """The batch was not recorded; does nothing if it was."""
        if not self._recorded.done():
            self._recorded.set_result(False)
