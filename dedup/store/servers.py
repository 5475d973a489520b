"""Signs of life of servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dedup.store import keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dedup.store.connection import Store


class Servers:
    """Who is alive on a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def beat(self, incarnation: int, seconds: float) -> None:
        """A sign of life that holds for so long; a store that is full takes it, too."""
        key = keys.sign_of_life(incarnation)
        await self._store.run("append+oom", [key], "", "", "beat", int(1000 * seconds))

    async def leave(self, incarnation: int) -> None:
        """No more signs are to be expected."""
        await self._store.call("UNLINK", keys.sign_of_life(incarnation))

    async def alive(self, incarnations: Iterable[int]) -> set[int]:
        """Those of some servers that gave a sign of life in time."""
        wanted = sorted(incarnations)
        answers = await self._store.pipeline([("EXISTS", keys.sign_of_life(i)) for i in wanted])
        return {i for i, found in zip(wanted, answers, strict=True) if found}
