"""Records that are looked for and not found are remembered until they are there again."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Any, cast

import pytest

from dedup.live import archive
from dedup.live.archive import Archive


class Records:
    """Some records, by number."""

    def __init__(self, kept: dict[int, bytes]) -> None:
        self.kept = kept

    async def read(self, numbers: Iterable[int]) -> dict[int, bytes | None]:
        """None where there is none."""
        return {n: self.kept.get(n) for n in numbers}


class Codec:
    """Has every dictionary."""

    def has(self, _: int) -> bool:
        """It does."""
        return True


async def test_lost_records_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those that were looked for; the first are forgotten where there are many."""
    monkeypatch.setattr(archive, "_LOST_KEPT", 3)
    monkeypatch.setattr(archive, "dictionary_of", lambda _: 0)
    records = Records({1: b"one"})
    made = Archive(cast(Any, records), cast(Any, None), cast(Any, Codec()), cast(Executor, None))
    assert await made.packed([1, 2]) == {1: b"one"}
    assert [made.is_lost(n) for n in (1, 2, 3)] == [False, True, False]
    records.kept[2] = b"two"
    assert await made.packed([2]) == {2: b"two"}
    assert not made.is_lost(2)
    await made.packed([5, 6, 7, 8])
    assert [made.is_lost(n) for n in (5, 6, 7, 8)] == [False, True, True, True]
