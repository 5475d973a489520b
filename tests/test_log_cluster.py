"""The log on clusters and under Sentinel: slots that move, nodes that die, replicas that have to have it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis.crc import key_slot

from dedup.errors import StoreUnavailable
from dedup.store import keys
from dedup.store.connection import Store
from dedup.store.log import Appended, Log, Nonce, Outgoing
from dedup.store.pages import Records
from dedup.store.registry import Registry
from dedup.store.servers import Servers
from dedup.store.tail import Tail
from tests import stores
from tests.test_log_connection import COMMANDS
from tests.test_log_store import A, B, entries, everything, kind, made, refusal, registered, until
from tests.test_log_tail import Heard


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stores.Cluster]:
    """Three masters."""
    one = stores.Cluster(tmp_path_factory.mktemp("cluster"))
    yield one
    one.stop()


@pytest_asyncio.fixture
async def store(cluster: stores.Cluster) -> AsyncIterator[Store]:
    """The cluster."""
    opened = Store(cluster.url)
    yield opened
    await opened.close()


def everywhere(cluster: stores.Cluster, part: str = "") -> list[bytes]:
    """Keys on all masters."""
    return [key for one in cluster.servers for key in one.command("KEYS", f"*{part}*")]


async def test_a_cluster(cluster: stores.Cluster, store: Store, collection: str) -> None:
    """Collections lie on all nodes, pages too; everything works, and a deletion leaves nothing."""
    await store.check()
    assert store.is_cluster
    assert await store.acks() == 0
    assert await store.memory_bytes() > 0
    assert await store.fsync() in {"always", "everysec"}
    tail = Tail(store, A)
    names = [f"{collection}-{n}" for n in range(20)]
    logs = [await made(store, name) for name in names]
    heard = [Heard() for _ in logs]
    for log, each in zip(logs, heard, strict=True):
        tail.follow(log, 0, each)
    await asyncio.gather(*(log.append(A, entries(1, 3)) for log in logs))
    await until(lambda: all(len(each.entries) == 3 for each in heard))
    assert {cluster.master_of(log.key).port for log in logs} == {one.port for one in cluster.masters}
    records = Records(store, names[0], (await registered(store, names[0])).epoch)
    payloads = [random.Random(n).randbytes(30_000) for n in range(30)]
    first = await logs[0].reserve(A, 30)
    pages = [(first + n, content) for n, (_, content) in enumerate(records.pages_of(payloads))]
    assert await records.write(pages) == [True] * 30
    assert {cluster.master_of(keys.page(names[0], "", page)).port for page, _ in pages} == {
        one.port for one in cluster.masters
    }
    numbers = [records.numbers(page, content)[0] for page, content in pages]
    assert list((await records.read(numbers)).values()) == payloads
    await records.erase(numbers[:10])
    assert sum(kept is None for kept in (await records.read(numbers)).values()) == 10
    servers = Servers(store)
    await servers.beat(A, 10)
    assert await servers.alive([A, B]) == {A}
    await servers.leave(A)
    await tail.close()
    for name in names:
        await Registry(store).delete(name, (await registered(store, name)).epoch)
    await Registry(store).purge_gone()
    assert everywhere(cluster, collection) == []


async def test_a_user_of_a_cluster(cluster: stores.Cluster, collection: str) -> None:
    """The commands needed, two more of a cluster, and no other: also while a slot moves."""
    for one in cluster.servers:
        rules = [f"+{command}" for command in (*COMMANDS, "asking", "cluster|slots")]
        one.command("ACL", "SETUSER", "u", "reset", "on", ">p", "~dedup:*", *rules)
    store = Store(cluster.url.replace("//", "//u:p@"))
    await store.check()
    log = await made(store, collection)
    writer = Writing(log, A)
    await until(lambda: writer.acknowledged > 5)
    for turn in range(3):
        await asyncio.to_thread(cluster.move, key_slot(log.key.encode()), cluster.masters[turn])
    await writer.stop()
    await writer.check()
    assert writer.errors == []
    await Registry(store).delete(collection, (await registered(store, collection)).epoch)
    await store.close()
    for one in cluster.servers:
        one.command("ACL", "SETUSER", "u", "-cluster|slots")
    store = Store(cluster.url.replace("//", "//u:p@"), answer_seconds=2)
    assert "CLUSTER SLOTS" in (await refusal(store.check())).message
    await store.close()


class Writing:
    """Appends to a log, one entry after another, each until its fate is known; counts what was acknowledged."""

    def __init__(self, log: Log, incarnation: int, *, at_once: int = 1) -> None:
        self.log = log
        self.incarnation = incarnation
        self.at_once = at_once
        self.acknowledged = 0
        self.errors: list[StoreUnavailable] = []
        self.slowest = 0.0
        self._stop = False
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End it, and see that it went well."""
        self._stop = True
        await self._task

    async def _run(self) -> None:
        while not self._stop:
            sent = entries(self.acknowledged + 1, self.at_once, is_arrival=self.acknowledged % 2 == 0)
            began = time.monotonic()
            try:
                answers = await self.log.append(self.incarnation, sent)
            except StoreUnavailable as error:
                self.errors.append(error)
                continue
            finally:
                self.slowest = max(self.slowest, time.monotonic() - began)
            refused = [answer for answer in answers if isinstance(answer, StoreUnavailable)]
            self.errors += refused[:1]
            self.acknowledged += len([a for a in answers if isinstance(a, Appended)])
            await asyncio.sleep(0.002)

    async def check(self) -> None:
        """All that was acknowledged is in the log, in order and once."""
        numbers = [
            e.nonce.counter for e in await everything(self.log) if e.nonce.incarnation == self.incarnation
        ]
        assert numbers[: self.acknowledged] == list(range(1, self.acknowledged + 1))
        assert len(numbers) <= self.acknowledged + self.at_once


async def test_slots_move_while_entries_are_appended(
    cluster: stores.Cluster, store: Store, collection: str
) -> None:
    """The log's slot goes from node to node: nobody gets an error, nothing is lost or doubled, the tail hears all."""
    other = Store(cluster.url)
    log = await made(store, collection)
    theirs = Log(other, collection, *await made_with(store, collection))
    tail, heard = Tail(store, 91), Heard()
    tail.follow(log, 0, heard)
    writers = [Writing(log, A, at_once=3), Writing(theirs, B)]
    await until(lambda: all(writer.acknowledged > 5 for writer in writers))
    slot = key_slot(log.key.encode())
    for turn in range(6):
        before = [writer.acknowledged for writer in writers]
        await asyncio.to_thread(cluster.move, slot, cluster.masters[turn % 3])
        await until(
            lambda before=before: all(w.acknowledged > b + 5 for w, b in zip(writers, before, strict=True))  # type: ignore[misc]
        )
    for writer in writers:
        await writer.stop()
        await writer.check()
        assert writer.errors == []
    count = len(await everything(log))
    await until(lambda: len(heard.entries) == count)
    heard.check()
    await tail.close()
    await Registry(store).delete(collection, (await registered(store, collection)).epoch)
    await other.close()


async def made_with(store: Store, name: str) -> tuple[str, str]:
    """Epoch and fingerprint of a collection."""
    found = await registered(store, name)
    return found.epoch, found.fingerprint


async def test_slots_of_pages_move(cluster: stores.Cluster, store: Store, collection: str) -> None:
    """Pages are written, read and erased while their slots go elsewhere."""
    records = Records(store, collection, "e")
    payloads = [bytes([n]) * 30_000 for n in range(40)]
    pages = [(n + 1, content) for n, (_, content) in enumerate(records.pages_of(payloads))]
    numbers = [records.numbers(page, content)[0] for page, content in pages]
    moving = asyncio.create_task(
        asyncio.to_thread(move_all, cluster, [key_slot(page_key(collection, n)) for n in range(1, 9)])
    )
    turns = 0
    while not moving.done() or turns < 2:
        assert await records.write(pages) == [True] * 40
        assert list((await records.read(numbers)).values()) == payloads
        turns += 1
    await moving
    await records.erase(numbers)
    assert everywhere(cluster, collection) == []


def page_key(name: str, page: int) -> bytes:
    """The key of a page."""
    return keys.page(name, "e", page).encode()


def move_all(cluster: stores.Cluster, slots: list[int]) -> None:
    """Move slots to the next node, one after another."""
    for slot in slots:
        at = cluster.masters.index(cluster.master_of_slot(slot))
        cluster.move(slot, cluster.masters[(at + 1) % 3])


async def test_a_slot_that_hangs_between_nodes(cluster: stores.Cluster, collection: str) -> None:
    """Half of a collection's keys are here, half there: an error that says so, in time; then it goes on."""
    store = Store(cluster.url, answer_seconds=0.5)
    log = await made(store, collection)
    await log.append(A, entries(1))
    slot = key_slot(log.key.encode())
    source = cluster.master_of_slot(slot)
    target = next(one for one in cluster.masters if one is not source)
    target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.name(source))
    source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.name(target))
    source.command("MIGRATE", "127.0.0.1", target.port, log.key, 0, 5000)
    error = await refusal(log.append(A, entries(2)))
    assert error.message == "the cluster is moving the keys that EVALSHA needs"
    source.command("MIGRATE", "127.0.0.1", target.port, keys.own(collection), 0, 5000)
    target.command("SCRIPT", "FLUSH")
    # all of it is there now, but the slot is not yet: the node sends us on for this once
    assert [kind(a) for a in await log.append(A, entries(2))] == [(2, False)]
    for one in (target, source, *cluster.masters):
        one.command("CLUSTER", "SETSLOT", slot, "NODE", cluster.name(target))
    assert [kind(a) for a in await log.append(A, entries(3))] == [(3, False)]
    await everything(log)
    await Registry(store).delete(collection, (await registered(store, collection)).epoch)
    await store.close()


async def test_a_node_is_frozen(cluster: stores.Cluster, collection: str) -> None:
    """What lies on it ends within the time limit; what lies elsewhere goes on."""
    store = Store(cluster.url, answer_seconds=1)
    names = [f"{collection}-{n}" for n in range(12)]
    logs = [await made(store, name) for name in names]
    frozen = cluster.master_of(logs[0].key)
    frozen.freeze()
    try:
        began = time.monotonic()
        results = await asyncio.gather(*(log.append(A, entries(1)) for log in logs), return_exceptions=True)
        assert time.monotonic() - began < 1.5
    finally:
        frozen.thaw()
    for log, result in zip(logs, results, strict=True):
        there = cluster.master_of(log.key) is frozen
        assert isinstance(result, StoreUnavailable) == there
    await until(lambda: b"cluster_state:ok" in cluster.masters[0].command("CLUSTER", "INFO"))
    await until(lambda: all(b"fail" not in one.command("CLUSTER", "NODES") for one in cluster.masters))
    for name in names:
        await Registry(store).delete(name, (await registered(store, name)).epoch)
    await store.close()


# -- replicas -----------------------------------------------------------------------------------------


@pytest.fixture
def replicated(tmp_path: Path) -> Iterator[stores.Cluster]:
    """Three masters with a replica each."""
    one = stores.Cluster(tmp_path, replicas=1)
    yield one
    one.stop()


@pytest.mark.faults
@pytest.mark.parametrize("how", ["killed", "frozen", "handed over"])
async def test_failover_of_the_node_of_a_log(replicated: stores.Cluster, how: str) -> None:
    """Its replica takes over: nothing acknowledged is lost, within the time limit, in the middle of appends."""
    store = Store(replicated.url)
    assert await store.acks() == 1
    log = await made(store, "wire")
    tail, heard = Tail(store, 92), Heard()
    tail.follow(log, 0, heard)
    writer = Writing(log, A, at_once=3)
    await until(lambda: writer.acknowledged > 50)
    node = replicated.master_of(log.key)
    if how == "killed":
        node.kill()
    elif how == "frozen":
        node.freeze()
    else:
        replica = next(
            one
            for one in replicated.servers
            if one.command("ROLE")[0] == b"slave" and one.command("ROLE")[2] == node.port
        )
        replica.command("CLUSTER", "FAILOVER")
    began = time.monotonic()
    await until(lambda: replicated.master_of(log.key) is not node, 30)
    before = writer.acknowledged
    await until(lambda: writer.acknowledged > before + 50, 30)
    took = time.monotonic() - began
    await writer.stop()
    await writer.check()
    count = len(await everything(log))
    await until(lambda: len(heard.entries) == count)
    heard.check()
    print(
        f"failover, node {how}: {took:.1f} s until 50 more; slowest append {writer.slowest:.1f} s; "
        f"{len(writer.errors)} errors"
    )
    assert writer.slowest < 10.5
    assert writer.errors == []
    await tail.close()
    await store.close()


@pytest.mark.faults
async def test_failover_of_the_node_of_a_page(replicated: stores.Cluster) -> None:
    """Pages that were written are there after the node's replica took over."""
    store = Store(replicated.url)
    log = await made(store, "wire")
    records = Records(store, "wire", (await registered(store, "wire")).epoch)
    kept: dict[int, bytes] = {}
    page = await log.reserve(A, 10_000)

    async def write(count: int) -> None:
        nonlocal page
        for _ in range(count):
            payloads = [random.randbytes(1000) for _ in range(60)]
            made_pages = records.pages_of(payloads)
            numbered = [(page + i, content) for i, (_, content) in enumerate(made_pages)]
            page += len(numbered)
            assert all(await records.write(numbered))
            for (number, content), (indexes, _) in zip(numbered, made_pages, strict=True):
                kept.update(
                    zip(records.numbers(number, content), [payloads[i] for i in indexes], strict=True)
                )

    await write(30)
    node = next(one for one in replicated.masters if one is not replicated.master_of(log.key))
    node.kill()
    await write(60)
    assert await records.read(kept) == kept
    await store.close()


@pytest.mark.faults
async def test_a_replica_that_does_not_follow(replicated: stores.Cluster) -> None:
    """It is frozen: appends say that nobody acknowledged, and the same sent again is acknowledged when it follows."""
    store = Store(replicated.url, answer_seconds=2)
    log = await made(store, "wire")
    await log.append(A, entries(1))
    node = replicated.master_of(log.key)
    replica = next(
        one
        for one in replicated.servers
        if one.command("ROLE")[0] == b"slave" and one.command("ROLE")[2] == node.port
    )
    replica.freeze()
    try:
        for _ in range(2):  # also the second time, when the entry has been there for long
            error = await refusal(log.append(A, entries(2)))
            assert error.message == "0 of 1 replicas acknowledged what was written within 0.8 s"
    finally:
        replica.thaw()
    assert [kind(a) for a in await log.append(A, entries(2))] == [(2, True)]
    await store.close()


# -- Sentinel -------------------------------------------------------------------------------------------


@pytest.mark.faults
@pytest.mark.parametrize("how", ["killed", "frozen", "handed over"])
@pytest.mark.parametrize("make", ["valkey", "redis"])
async def test_failover_by_sentinel(tmp_path: Path, make: str, how: str) -> None:
    """The replica becomes the master: nothing acknowledged is lost, in the middle of appends."""
    sentinel = stores.Sentinel(tmp_path, binary=stores.redis_binary() if make == "redis" else "")
    store = Store(sentinel.url)
    try:
        await store.check()
        assert await store.acks() == 1
        log = await made(store, "wire")
        tail, heard = Tail(store, 93), Heard()
        tail.follow(log, 0, heard)
        writer = Writing(log, A, at_once=3)
        await until(lambda: writer.acknowledged > 50)
        if how == "killed":
            sentinel.master.kill()
        elif how == "frozen":
            sentinel.master.freeze()
        else:
            sentinel.sentinels[0].command("SENTINEL", "FAILOVER", "wire")
        began = time.monotonic()
        await until(lambda: sentinel.replica.command("ROLE")[0] == b"master", 30)
        before = writer.acknowledged
        await until(lambda: writer.acknowledged > before + 50, 30)
        took = time.monotonic() - began
        await writer.stop()
        await writer.check()
        count = len(await everything(log))
        await until(lambda: len(heard.entries) == count)
        heard.check()
        print(
            f"Sentinel, {make}, master {how}: {took:.1f} s until 50 more; "
            f"slowest append {writer.slowest:.1f} s; {[e.message for e in writer.errors][:3]}"
        )
        await tail.close()
    finally:
        await store.close()
        sentinel.stop()


@pytest.mark.faults
async def test_a_replica_that_lagged_is_promoted(tmp_path: Path) -> None:
    """Without waiting for replicas a tail is lost: the writer is told, and the end of the log tells everybody."""
    sentinel = stores.Sentinel(tmp_path)
    store = Store(sentinel.url, acks=0)
    try:
        log = await made(store, "wire")
        await log.append(A, entries(1, 5))
        await until(lambda: sentinel.replica.command("XLEN", log.key) == 5)
        sentinel.replica.freeze()
        for _ in range(4):  # fills what lies between the two, so that what comes behind it does not get there
            sentinel.master.command("SET", "filler", bytes(16 << 20))
        await log.append(A, entries(6, 5))
        ahead = await log.end()
        sentinel.master.kill()
        sentinel.replica.thaw()
        await until(lambda: sentinel.replica.command("ROLE")[0] == b"master", 30)
        (answer,) = await log.append(A, [Outgoing(counter=11, raw=b"x", is_arrival=True)])
        assert isinstance(answer, StoreUnavailable)
        assert answer.reason.name == "LOG_DIVERGED"
        end = await log.end()
        assert ahead.position == 10
        assert end == (5, Nonce(A, 5))
    finally:
        await store.close()
        sentinel.stop()
