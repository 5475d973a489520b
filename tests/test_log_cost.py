"""What the log costs a store: processor time, memory, the append-only file, the longest calls. Figures are printed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dedup.store.connection import Store
from dedup.store.log import ENTRY_BYTES, Log, LogEntry, Outgoing
from dedup.store.pages import Records
from dedup.store.tail import Tail
from tests import stores
from tests.test_log_store import A, entries, everything, made, registered, until

pytestmark = pytest.mark.faults

#: Bytes of an article in an entry of the log, and of its record: mean and deviation.
IN_LOG, RECORD = (900, 150), (1265, 350)
READERS = 4


class Measured:
    """What a store has used since the last look."""

    def __init__(self, server: stores.Server) -> None:
        self._server = server
        self._last = self._now()

    def _now(self) -> tuple[float, float, float]:
        told = self._server.command("INFO", "everything").decode()
        fields = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
        appended = sum(file.stat().st_size for file in self._server.place.rglob("*.aof"))
        cpu = float(fields["used_cpu_user"]) + float(fields["used_cpu_sys"])
        return cpu, float(fields["used_memory"]), float(appended)

    def per(self, articles: int) -> tuple[float, float, float]:
        """Milliseconds of processor, bytes of memory, bytes of the append-only file; each an article."""
        now = self._now()
        cpu, memory, appended = (b - a for a, b in zip(self._last, now, strict=True))
        self._last = self._now()
        return 1000 * cpu / articles, memory / articles, appended / articles


def sizes(draw: random.Random, of: tuple[int, int], count: int) -> list[int]:
    """Bytes of so many articles."""
    return [max(300, int(draw.gauss(*of))) for _ in range(count)]


def packed(draw: random.Random, batch: int) -> list[bytes]:
    """Entries that a batch of articles makes."""
    made_entries = [b""]
    for size in sizes(draw, IN_LOG, batch):
        if made_entries[-1] and len(made_entries[-1]) + size > ENTRY_BYTES:
            made_entries.append(b"")
        made_entries[-1] += draw.randbytes(size)
    return made_entries


@asynccontextmanager
async def readers(url: str, log: Log, epoch: str, fingerprint: str) -> AsyncIterator[list[int]]:
    """Servers that follow a log and do not fold it; how many entries each has heard."""
    heard = [0] * READERS
    opened = []
    for number in range(READERS):
        store = Store(url)
        tail = Tail(store, 100 + number)

        def told(found: list[LogEntry] | None, number: int = number) -> None:
            heard[number] += len(found or ())

        tail.follow(Log(store, log.name, epoch, fingerprint), 0, told)
        opened.append((store, tail))
    yield heard
    for store, tail in opened:
        await tail.close()
        await store.close()


@pytest.mark.parametrize("make", ["valkey", "redis"])
@pytest.mark.parametrize("fsync", ["everysec", "always"])
async def test_cost_of_an_article(tmp_path: Path, make: str, fsync: str) -> None:
    """Appended with four readers; its record; in batches of 100 and alone."""
    binary = stores.redis_binary() if make == "redis" else ""
    options = ("--appendonly", "yes", "--appendfsync", fsync, "--auto-aof-rewrite-percentage", "0")
    with stores.server(tmp_path, *options, binary=binary) as server:
        store = Store(server.url)
        draw = random.Random(5)
        log = await made(store, "wire")
        found = await registered(store, "wire")
        records = Records(store, "wire", found.epoch)
        counter, page = 1, 1
        for batch, articles in ((100, 20_000), (1, 3_000)):
            async with readers(server.url, log, found.epoch, found.fingerprint) as heard:
                await until(lambda heard=heard: len(set(heard)) == 1)  # type: ignore[misc]
                await asyncio.sleep(0.3)
                first = counter
                already = heard[0]
                measured = Measured(server)
                for _ in range(articles // batch):
                    sent = [
                        Outgoing(counter=counter + n, raw=raw, is_arrival=True)
                        for n, raw in enumerate(packed(draw, batch))
                    ]
                    counter += len(sent)
                    await log.append(A, sent)
                last = already + counter - first
                await until(lambda heard=heard, last=last: min(heard) >= last)  # type: ignore[misc]
                cpu, memory, appended = measured.per(articles)
            for _ in range(articles // batch):
                contents = records.pages_of([draw.randbytes(size) for size in sizes(draw, RECORD, batch)])
                await records.write([(page + n, content) for n, (_, content) in enumerate(contents)])
                page += len(contents)
            of_record = measured.per(articles)
            print(
                f"{make} {fsync}, {batch} at a time: append {cpu:.4f} ms, record {of_record[0]:.4f} ms; memory "
                f"{memory:.0f} + {of_record[1]:.0f} = {memory + of_record[1]:.0f} B; append-only file "
                f"{appended:.0f} + {of_record[2]:.0f} = {appended + of_record[2]:.0f} B"
            )
            # where every call waits for the disk, a call alone costs what that costs
            assert cpu <= (0.03 if batch > 1 else 0.1 if fsync == "everysec" else 0.5)
            assert memory + of_record[1] <= 2.6 * 1024
        for line in longest(server):
            print("   ", line)
        await store.close()


def longest(server: stores.Server) -> list[str]:
    """The slowest thousandth of each command, microseconds; none over 10 ms."""
    told = server.command("INFO", "latencystats").decode().splitlines()
    lines = [line for line in told if line.startswith("latency_percentiles_usec_")]
    for line in lines:
        assert float(line.rpartition("=")[2]) <= 10_000, line
    return [line.removeprefix("latency_percentiles_usec_") for line in lines]


async def test_longest_calls_of_large_entries(tmp_path: Path) -> None:
    """A log of entries of 200 KB, read from the beginning: the slowest thousandth of calls is under 10 ms."""
    with stores.server(tmp_path, "--appendonly", "yes") as server:
        store = Store(server.url)
        log = await made(store, "wire")
        for number in range(1, 501):
            await log.append(A, entries(number, size=200_000))
        for _ in range(3):
            assert len(await everything(Log(store, "wire", *await made_with(store)))) == 500
        for line in longest(server):
            print("   ", line)
        await store.close()


async def made_with(store: Store) -> tuple[str, str]:
    """Epoch and fingerprint of the collection."""
    found = await registered(store, "wire")
    return found.epoch, found.fingerprint
