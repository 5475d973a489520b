"""Following logs: what is appended is told, once and in order, whatever becomes of the connection."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from dedup.store import keys
from dedup.store.connection import Store
from dedup.store.log import READ_BYTES, Log, LogEntry, Nonce
from dedup.store.tail import Tail
from tests import stores
from tests.test_log_store import A, B, entries, made, until


class Heard:
    """What was told of one log."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []
        self.lost = 0
        self.times: list[float] = []

    def __call__(self, found: list[LogEntry] | None) -> None:
        if found is None:
            self.lost += 1
            return
        self.entries += found
        self.times.append(time.monotonic())

    def check(self) -> None:
        """Everything came once and in order."""
        assert [e.position for e in self.entries] == list(range(1, len(self.entries) + 1))


@pytest_asyncio.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """The embedded store."""
    opened = Store(store_url)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def tail(store: Store) -> AsyncIterator[Tail]:
    """Follows nothing yet."""
    opened = Tail(store, 77)
    yield opened
    await opened.close()


def of_one_tag(count: int, name: str) -> list[str]:
    """Names of collections that are under one hash tag."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        one = f"{name}-{number}"
        number += 1
        if not found or keys.tag(one) == keys.tag(found[0]):
            found.append(one)
    return found


async def test_entries_are_told_as_they_come(store: Store, tail: Tail, collection: str) -> None:
    """From where one asked to, soon; not after one asked to hear no more."""
    log = await made(store, collection)
    await log.append(A, entries(1, 5))
    heard, later = Heard(), Heard()
    tail.follow(log, 0, heard)
    await until(lambda: len(heard.entries) == 5)
    began = time.monotonic()
    await log.append(A, entries(6))
    await until(lambda: len(heard.entries) == 6)
    assert time.monotonic() - began < 1
    heard.check()
    tail.unfollow(log)
    tail.follow(log, 5, later)
    await until(lambda: len(later.entries) == 1)
    await log.append(A, entries(7))
    await until(lambda: len(later.entries) == 2)
    tail.unfollow(log)
    tail.unfollow(log)
    await log.append(A, entries(8))
    await asyncio.sleep(0.1)
    assert (len(heard.entries), len(later.entries)) == (6, 2)


async def test_the_set_changes_while_the_read_waits(store: Store, tail: Tail, collection: str) -> None:
    """Another log under the same tag is followed at once: the bell wakes the read."""
    names = of_one_tag(4, collection)
    logs = [await made(store, name) for name in names]
    heard = [Heard() for _ in logs]
    tail.follow(logs[0], 0, heard[0])
    await asyncio.sleep(0.05)
    for log, each in zip(logs[1:], heard[1:], strict=True):
        tail.follow(log, 0, each)
        began = time.monotonic()
        await log.append(A, entries(1))
        await until(lambda each=each: len(each.entries) == 1)  # type: ignore[misc]
        assert time.monotonic() - began < 1
    for log in logs[:3]:
        tail.unfollow(log)
    await asyncio.sleep(0.05)
    await asyncio.gather(*(log.append(A, entries(2)) for log in logs))
    await until(lambda: len(heard[3].entries) == 2)
    assert [len(each.entries) for each in heard[:3]] == [0, 1, 1]


async def test_many_logs_at_once(store: Store, tail: Tail, collection: str) -> None:
    """A hundred logs under all tags, written at random: each hears its own, in order."""
    logs = [await made(store, f"{collection}-{n}") for n in range(100)]
    heard = [Heard() for _ in logs]
    for log, each in zip(logs, heard, strict=True):
        tail.follow(log, 0, each)

    async def write(log: Log) -> None:
        for number in range(1, 10):
            await log.append(A, entries(number))

    await asyncio.gather(*map(write, logs))
    await until(lambda: all(len(each.entries) == 9 for each in heard))
    for each in heard:
        each.check()


async def test_answers_stay_small(store_url: str, collection: str) -> None:
    """Forty logs of one tag that are behind by entries of 200 KB: no answer of more than some megabyte."""

    class Weighs(Store):
        largest = 0

        async def read_streams(
            self, after: dict[str, str], milliseconds: int, count: int
        ) -> dict[bytes, list[tuple[bytes, list[bytes]]]]:
            found = await super().read_streams(after, milliseconds, count)
            size = sum(len(fields[1]) for items in found.values() for _, fields in items)
            self.largest = max(self.largest, size)
            return found

    store = Weighs(store_url)
    tail = Tail(store, 78)
    logs = [await made(store, name) for name in of_one_tag(40, collection)]
    heard = [Heard() for _ in logs]
    for log, each in zip(logs, heard, strict=True):
        tail.follow(log, 0, each)
    for number in range(1, 3):  # they learn that entries are large
        for log in logs:
            await log.append(A, entries(number, size=200_000))
        await until(lambda number=number: all(len(each.entries) == number for each in heard))  # type: ignore[misc]
    store.largest = 0
    for log in logs:
        tail.unfollow(log)
    await asyncio.sleep(0.05)
    for log in logs:
        await log.append(A, entries(3, 6, size=200_000))
    for log, each in zip(logs, heard, strict=True):
        tail.follow(log, 2, each)
    await until(lambda: all(len(each.entries) == 8 for each in heard), 30)
    for each in heard:
        each.check()
    assert store.largest <= READ_BYTES
    await tail.close()
    for log in logs:
        await store.call("UNLINK", log.key)
    await store.close()


async def test_a_lost_connection_is_made_again(tmp_path: Path) -> None:
    """The follower is told once it is back, and hears what came meanwhile."""
    with stores.server(tmp_path) as server:
        direct = Store(server.url)
        log = await made(direct, "wire")
        async with stores.Proxy(server.port) as proxy:
            store = Store(proxy.url)
            tail = Tail(store, 79)
            heard = Heard()
            tail.follow(log, 0, heard)
            await log.append(A, entries(1))
            await until(lambda: len(heard.entries) == 1)
            for turn in range(1, 4):
                proxy.cut()
                await log.append(A, entries(turn + 1))
                await until(lambda turn=turn: heard.lost == turn and len(heard.entries) == turn + 1)  # type: ignore[misc]
            heard.check()
            await tail.close()
            await store.close()
        await direct.close()


async def test_a_log_that_went_back(tmp_path: Path) -> None:
    """After FLUSHALL and a new log under the same name the chain does not hold, and the end tells it."""
    with stores.server(tmp_path) as server:
        store = Store(server.url)
        log = await made(store, "wire")
        tail = Tail(store, 80)
        heard = Heard()
        tail.follow(log, 0, heard)
        await log.append(A, entries(1, 2))
        await until(lambda: len(heard.entries) == 2)
        made_with = server.command("HGET", keys.own("wire"), "d")
        server.command("FLUSHALL")
        server.command("HSET", keys.own("wire"), "d", made_with)
        await log.append(B, entries(1, 3))
        await until(lambda: len(heard.entries) == 3)
        assert heard.entries[-1].position == 3
        assert heard.entries[-1].before == Nonce(B, 2)
        assert heard.entries[1].nonce == Nonce(A, 2)
        await tail.close()
        await store.close()


async def test_a_format_that_is_not_known(store: Store, tail: Tail, collection: str) -> None:
    """Its follower is told to look for itself; others under the tag go on."""
    names = of_one_tag(2, collection)
    bad, good = [await made(store, name) for name in names]
    of_bad, of_good = Heard(), Heard()
    tail.follow(bad, 0, of_bad)
    tail.follow(good, 0, of_good)
    await asyncio.sleep(0.05)
    await store.call("XADD", bad.key, "1-0", "x", "y")
    await until(lambda: of_bad.lost == 1)
    await good.append(A, entries(1))
    await until(lambda: len(of_good.entries) == 1)


@pytest.mark.faults
async def test_five_thousand_idle_logs(tmp_path: Path) -> None:
    """They cost under 2 % of a core, at both ends together, and at most 16 connections."""
    with stores.server(tmp_path) as server:
        store = Store(server.url)
        tail = Tail(store, 81)
        followed = [Log(store, f"c{n}", "0" * 16, "f") for n in range(5000)]
        heard = Heard()
        for log in followed:
            tail.follow(log, 0, heard)
        await asyncio.sleep(3)

        def cost() -> float:
            fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
            ours = os.times()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + ours.user + ours.system

        before, began = cost(), time.monotonic()
        await asyncio.sleep(20)
        share = (cost() - before) / (time.monotonic() - began)
        connections = len(server.command("CLIENT", "LIST").splitlines()) - 1
        print(f"5,000 idle logs: {100 * share:.2f} % of a core, {connections} connections")
        assert share < 0.02
        assert connections <= 17  # 16 that wait, one for all else
        await tail.close()
        await store.close()
