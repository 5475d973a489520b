"""Following logs: one blocking read for all logs of a tag that this server has open.

A read that waits cannot be told of another log, so each server has a *bell* among the streams that it reads: a stream
of its own that it adds to when the set changes.

An answer has some megabyte at most, by the sizes that the entries of each log had. A read that waits is answered with
what comes first, as a rule with one log. Where much may have come meanwhile (at the start, after a lost connection,
after a pause) the logs are first asked without waiting, a few at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from dedup.errors import StoreUnavailable
from dedup.observability import get_logger
from dedup.store import keys
from dedup.store.failures import UnknownFormat
from dedup.store.log import READ_BYTES, LogEntry, entry_of

if TYPE_CHECKING:
    from dedup.store.connection import Store
    from dedup.store.log import Log

#: What is told of a log: its next entries, or None when a connection that was lost is there again: the log may have
#: gone back meanwhile.
Told = Callable[[list[LogEntry] | None], None]

#: Longest that one read waits.
BLOCK_MILLISECONDS: Final = 5000
#: Seconds between reads after which so much may have come that logs are asked a few at a time.
_LONG_PAUSE: Final = 0.1
#: Seconds before a lost connection is made again, at first and at most.
_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
_BELL_MILLISECONDS: Final = 60_000
#: Seconds between two reads where the last one had not to wait so long: what comes meanwhile comes in one answer, and
#: many readers of a busy log cost the store half.
_BREATH: Final = 0.001


class _Followed:
    """A log that is followed: from where on, how large its entries are, and who is told."""

    __slots__ = ("after", "key", "sizes", "told")

    def __init__(self, log: Log, after: int, told: Told) -> None:
        self.key, self.after, self.told = log.key, after, told
        self.sizes = log.sizes


class Tail:
    """Follows logs; one a server. What it calls must not wait."""

    def __init__(self, store: Store, incarnation: int) -> None:
        self._store = store
        self._incarnation = incarnation
        self._readers: dict[str, _Reader] = {}

    def follow(self, log: Log, after: int, told: Told) -> None:
        """Tell of entries after a position, as they come."""
        if log.tag not in self._readers:
            self._readers[log.tag] = _Reader(self._store, keys.bell(log.tag, self._incarnation))
        self._readers[log.tag].add(_Followed(log, after, told))

    def unfollow(self, log: Log) -> None:
        """Tell no more."""
        if log.tag in self._readers:
            self._readers[log.tag].remove(log.key)

    async def close(self) -> None:
        """Follow nothing."""
        for reader in self._readers.values():
            await reader.close()
        self._readers.clear()


class _Reader:
    """Follows the logs of one tag; its task runs while there are any."""

    def __init__(self, store: Store, bell: str) -> None:
        self._store = store
        self._bell = bell
        self._rung = "0-0"
        self._logs: dict[str, _Followed] = {}
        self._task: asyncio.Task[None] | None = None
        self._ringing: asyncio.Task[None] | None = None
        self._waits = False
        self._changed = False

    def add(self, followed: _Followed) -> None:
        """Follow a log."""
        self._logs[followed.key] = followed
        self._wake()

    def remove(self, key: str) -> None:
        """Follow a log no more."""
        if self._logs.pop(key, None) is not None:
            self._wake()

    async def close(self) -> None:
        """Follow nothing."""
        self._logs.clear()
        tasks = [task for task in (self._task, self._ringing) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _wake(self) -> None:
        self._changed = True
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        elif self._waits and self._ringing is None:
            self._ringing = asyncio.create_task(self._ring())

    async def _ring(self) -> None:
        try:
            with contextlib.suppress(StoreUnavailable):
                await self._store.run("append+oom", [self._bell], "", "", "ring", _BELL_MILLISECONDS)
        finally:
            self._ringing = None

    # -- reading -----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._follow()
        finally:
            self._task = None

    async def _follow(self) -> None:
        pause = 0.0
        now = asyncio.get_running_loop().time
        last = float("-inf")
        while self._logs:
            try:
                if now() - last > _LONG_PAUSE or self._changed:
                    self._changed = False
                    await self._catch_up(list(self._logs.values()))
                if pause:
                    pause = 0.0
                    get_logger().info("log_is_followed_again")
                    for each in list(self._logs.values()):
                        each.told(None)
                began = now()
                busy = await self._wait()
                last = now()
                if last - began < 2 * _BREATH:
                    await asyncio.sleep(_BREATH)
                await self._read_on(busy)
            except StoreUnavailable as error:
                if not pause:
                    get_logger().warning("log_cannot_be_followed", error=error.message)
                pause = min(_LONGEST_PAUSE, 2 * pause or _PAUSE)
                self._rung, self._changed = "0-0", True
                await asyncio.sleep(pause)

    async def _wait(self) -> list[_Followed]:
        """Wait for the first entries; the logs that may have more."""
        logs = list(self._logs.values())
        if not logs or self._changed:
            return []
        count = max(1, min(each.sizes.entries for each in logs) // len(logs))
        after = {self._bell: self._rung} | {each.key: f"{each.after}-0" for each in logs}
        self._waits = True
        try:
            found = await self._store.read_streams(after, BLOCK_MILLISECONDS, count)
        finally:
            self._waits = False
        return self._tell(found, count)

    async def _catch_up(self, logs: Sequence[_Followed]) -> None:
        """Ask logs without waiting, so many at a time that an answer stays small."""
        for part in _parts(logs):
            after = {each.key: f"{each.after}-0" for each in part}
            await self._read_on(self._tell(await self._store.read_streams(after, 0, 1), 1))

    async def _read_on(self, busy: list[_Followed]) -> None:
        """Read logs to their end, one after another, an answer each in turn."""
        while busy:
            again = []
            for each in busy:
                if self._logs.get(each.key) is each:
                    count = each.sizes.entries
                    found = await self._store.read_streams({each.key: f"{each.after}-0"}, 0, count)
                    again += self._tell(found, count)
            busy = again

    def _tell(self, found: dict[bytes, list[tuple[bytes, list[bytes]]]], count: int) -> list[_Followed]:
        """Tell of what was read; the logs of which there may be more."""
        more = []
        for raw_key, items in found.items():
            key = raw_key.decode()
            if key == self._bell:
                self._rung = items[-1][0].decode()
                continue
            followed = self._logs.get(key)
            if followed is None:
                continue
            try:
                entries = [entry_of(raw_id, fields) for raw_id, fields in items]
            except UnknownFormat as error:  # who reads the log is told so, too
                get_logger().error("log_cannot_be_followed", error=error.message)
                del self._logs[key]
                followed.told(None)
                continue
            if entries[0].position <= followed.after:  # followed anew from further on, meanwhile
                entries = [entry for entry in entries if entry.position > followed.after]
            if not entries:
                continue
            followed.after = entries[-1].position
            followed.sizes.see(entries)
            followed.told(entries)
            if len(items) >= count and self._logs.get(key) is followed:
                more.append(followed)
        return more


def _parts(logs: Sequence[_Followed]) -> list[list[_Followed]]:
    """Logs, so many at a time that one entry of each is within the bytes of an answer."""
    parts: list[list[_Followed]] = [[]]
    size = 0
    for each in logs:
        size += each.sizes.largest
        if parts[-1] and size > READ_BYTES:
            parts.append([])
            size = each.sizes.largest
        parts[-1].append(each)
    return parts
