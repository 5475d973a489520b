"""The log of a collection on a real store: a chain, written by servers that are fenced, each entry once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
import redis

from dedup.errors import ParametersMismatch, Reason, StoreUnavailable
from dedup.model import CollectionParameters
from dedup.store import keys
from dedup.store.connection import Store
from dedup.store.log import (
    READ_BYTES,
    Appended,
    CollectionGone,
    End,
    Log,
    LogDiverged,
    LogEntry,
    MayYetCome,
    Nonce,
    Outgoing,
    Retired,
    UnknownFormat,
)
from dedup.store.registry import Registered, Registry, fingerprint
from dedup.store.servers import Servers
from tests import stores

PARAMETERS = CollectionParameters()
#: Incarnations.
A, B, C = 11, 22, 33


@pytest_asyncio.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """The embedded store."""
    opened = Store(store_url)
    yield opened
    await opened.close()


async def made(store: Store, name: str) -> Log:
    """The log of a new collection."""
    registered = await Registry(store).create(name, PARAMETERS, 1.0)
    assert registered is not None
    return log_of(store, name, registered)


def log_of(store: Store, name: str, registered: Registered) -> Log:
    """The log of a collection, as one server has it."""
    return Log(store, name, registered.epoch, registered.fingerprint)


def entries(first: int, count: int = 1, *, is_arrival: bool = True, size: int = 8) -> list[Outgoing]:
    """Entries under consecutive numbers."""
    return [
        Outgoing(counter=n, raw=str(n).encode().ljust(size, b"."), is_arrival=is_arrival)
        for n in range(first, first + count)
    ]


async def everything(log: Log) -> list[LogEntry]:
    """A log from its beginning; that it is a chain is checked."""
    found: list[LogEntry] = []
    while more := await log.read(found[-1].position if found else 0):
        found += more
    before = Nonce(0, 0)
    for position, entry in enumerate(found, 1):
        assert entry.position == position
        assert entry.before == before
        before = entry.nonce
    assert await log.end() == End(len(found), before)
    return found


async def refusal(call: Awaitable[object]) -> StoreUnavailable:
    """The error that a call ends with."""
    with pytest.raises(StoreUnavailable) as error:
        await call
    assert "\n" not in error.value.message
    return error.value


def kind(outcome: Appended | StoreUnavailable) -> object:
    """An outcome, in short."""
    return type(outcome) if isinstance(outcome, StoreUnavailable) else (outcome.position, outcome.seen)


# -- the chain ----------------------------------------------------------------------------------------


async def test_entries_are_a_chain(store: Store, collection: str) -> None:
    """Each has its position, its nonce and that of the entry before, whoever wrote them."""
    log = await made(store, collection)
    assert await log.end() == End(0, Nonce(0, 0))
    assert await log.read(0) == []
    assert await log.append(A, entries(1, 2)) == [
        Appended(1, Nonce(0, 0), seen=False),
        Appended(2, Nonce(A, 1), seen=False),
    ]
    assert await log.append(B, entries(1)) == [Appended(3, Nonce(A, 2), seen=False)]
    assert await log.append(A, entries(3)) == [Appended(4, Nonce(B, 1), seen=False)]
    found = await everything(log)
    assert [(e.nonce, e.raw) for e in found][2:] == [(Nonce(B, 1), b"1......."), (Nonce(A, 3), b"3.......")]
    assert await log.incarnations() == {A: (3, 4), B: (1, 3)}


async def test_the_same_number_is_appended_once(store: Store, collection: str) -> None:
    """An entry that comes again is told to be there, with its place where it is the last of its server."""
    log = await made(store, collection)
    await log.append(A, entries(1, 3))
    await log.append(B, entries(1))
    again = await log.append(A, entries(1, 4))
    assert [kind(a) for a in again] == [(0, True), (0, True), (3, True), (5, False)]
    assert len(await everything(log)) == 5


async def test_five_at_once_append_one(store: Store, collection: str) -> None:
    """The same entry on five connections at the same time stands in the log once, at the place that all are told."""
    log = await made(store, collection)
    for number in range(1, 40):
        answers = await asyncio.gather(*(log.append(A, entries(number)) for _ in range(5)))
        outcomes = [answer for (answer,) in answers if isinstance(answer, Appended)]
        assert [o.position for o in outcomes] == [number] * 5
        assert sorted(o.seen for o in outcomes) == [False, True, True, True, True]
    assert len(await everything(log)) == 39


async def test_many_servers_append_at_once(store_url: str, store: Store, collection: str) -> None:
    """Eight servers, each in order, sending some again: one chain with every entry once and each server's in order."""
    log = await made(store, collection)
    draw = random.Random(7)

    async def writes(incarnation: int) -> None:
        own = Store(store_url)
        theirs = log_of(own, collection, await registered(own, collection))
        number = 1
        while number <= 60:
            count = draw.randint(1, 4)
            await theirs.append(incarnation, entries(number, count))
            number += count if draw.random() < 0.8 else 0
        await own.close()

    await asyncio.gather(*(writes(incarnation) for incarnation in range(1, 9)))
    nonces = [entry.nonce for entry in await everything(log)]
    for incarnation in range(1, 9):
        numbers = [nonce.counter for nonce in nonces if nonce.incarnation == incarnation]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= 60


async def registered(store: Store, name: str) -> Registered:
    """What a collection was made with."""
    found = await Registry(store).read(name)
    assert found is not None
    return found


async def test_a_gap_is_refused(store: Store, collection: str) -> None:
    """A number that leaves one out is refused, as the store then lost what was under it."""
    log = await made(store, collection)
    await log.append(A, entries(1))
    (answer,) = await log.append(A, entries(3))
    assert isinstance(answer, LogDiverged)
    assert answer.reason is Reason.LOG_DIVERGED
    assert len(await everything(log)) == 1


# -- fencing ------------------------------------------------------------------------------------------


async def test_a_retired_server_appends_nothing(store: Store, collection: str) -> None:
    """Its entries, pages and notes are refused, also one that it sends again; another number of its own goes on."""
    log = await made(store, collection)
    await log.append(A, entries(1))
    (taken,) = await log.append(B, [Outgoing(counter=1, raw=b"retired", is_arrival=False, retires=A)])
    assert kind(taken) == (2, False)
    assert await log.incarnations() == {A: None, B: (1, 2)}
    for again in (entries(1), entries(2)):
        (answer,) = await log.append(A, again)
        assert isinstance(answer, Retired)
    assert isinstance(await refusal(log.reserve(A, 10)), Retired)
    assert isinstance(await refusal(log.note_erased(A, 1)), Retired)
    assert [kind(a) for a in await log.append(C, entries(1))] == [(3, False)]


async def test_two_retire_the_same(store: Store, collection: str) -> None:
    """One of them does; the other's entry is not appended, and its number is free for the next."""
    log = await made(store, collection)
    await log.append(A, entries(1))
    retiring = [Outgoing(counter=1, raw=b"retired", is_arrival=False, retires=A)]
    answers = await asyncio.gather(log.append(B, retiring), log.append(C, retiring))
    assert sorted(kind(a) for (a,) in answers) == [(0, False), (2, False)]  # type: ignore[type-var]
    late = C if kind(answers[1][0]) == (0, False) else B
    assert [kind(a) for a in await log.append(late, entries(1))] == [(3, False)]
    assert len(await everything(log)) == 3
    # one that never wrote anything can be retired, too
    (answer,) = await log.append(late, [Outgoing(counter=2, raw=b"r", is_arrival=False, retires=99)])
    assert kind(answer) == (4, False)
    assert isinstance((await log.append(99, entries(1)))[0], Retired)


async def test_behind_a_retirement_that_was_not_needed(store: Store, collection: str) -> None:
    """What is sent in one go behind it is refused, but is no loss of the store's."""
    log = await made(store, collection)
    await log.append(B, [Outgoing(counter=1, raw=b"r", is_arrival=False, retires=A)])
    sent = [Outgoing(counter=1, raw=b"r", is_arrival=False, retires=A), *entries(2)]
    first, second = await log.append(C, sent)
    assert kind(first) == (0, False)
    assert isinstance(second, StoreUnavailable)
    assert not isinstance(second, LogDiverged)


async def test_an_old_epoch_is_refused(store: Store, collection: str) -> None:
    """A server that has not heard that a collection was deleted and made again writes nothing into the new one."""
    registry = Registry(store)
    old = await made(store, collection)
    await old.append(A, entries(1))
    await registry.delete(collection, (await registered(store, collection)).epoch)
    for what in (old.end(), old.reserve(A, 1)):
        assert isinstance(await refusal(what), CollectionGone)
    new = await made(store, collection)
    (answer,) = await old.append(A, entries(2))
    assert isinstance(answer, CollectionGone)
    assert isinstance(await refusal(old.note_erased(A, 1)), CollectionGone)
    for what in (old.end(), old.reserve(A, 1)):
        assert isinstance(await refusal(what), CollectionGone)
    assert await old.blocks() == {}
    assert await old.incarnations() == {}
    assert await old.read(0) == []
    assert [kind(a) for a in await new.append(A, entries(1))] == [(1, False)]


async def test_another_fingerprint_is_refused(store: Store, collection: str) -> None:
    """A server of a release that makes other postings writes nothing."""
    await made(store, collection)
    epoch = (await registered(store, collection)).epoch
    (answer,) = await Log(store, collection, epoch, "other-6").append(A, entries(1))
    assert isinstance(answer, StoreUnavailable)
    assert "parameters" in answer.message


# -- lost tails ----------------------------------------------------------------------------------------


async def test_a_lost_tail_is_noticed(tmp_path: Path) -> None:
    """An older append-only file is put back: the writer that was ahead is told, and so is who looks at the end."""
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with stores.server(tmp_path / "s", *options) as server:
        store = Store(server.url)
        log = await made(store, "wire")
        await log.append(A, entries(1, 2))
        shutil.copytree(tmp_path / "s" / "appendonlydir", tmp_path / "older")
        await log.append(A, entries(3, 2))
        await log.append(B, entries(1))
        ahead = await log.end()
        server.kill()
        shutil.rmtree(tmp_path / "s" / "appendonlydir")
        (tmp_path / "older").rename(tmp_path / "s" / "appendonlydir")
        server.start()
        (answer,) = await log.append(A, entries(5))
        assert isinstance(answer, LogDiverged)
        assert await log.end() == End(2, Nonce(A, 2))
        # the place of what was lost is taken by another entry: the chain tells
        await log.append(C, entries(1, 3))
        again = await log.end()
        assert again.position == ahead.position
        assert again.nonce != ahead.nonce
        await everything(log)
        await store.close()


# -- unknown fate -----------------------------------------------------------------------------------------


async def test_connection_cut_between_sending_and_answer(tmp_path: Path) -> None:
    """The store appended it and the answer was lost: it is sent again by itself, and stands there once."""
    with stores.server(tmp_path) as server:
        async with stores.Proxy(server.port) as proxy:
            store = Store(proxy.url, answer_seconds=5)
            log = await made(store, "wire")
            await log.append(A, entries(1))
            proxy.deaf = True
            sent = asyncio.create_task(log.append(A, entries(2, 3)))
            await until(lambda: server.command("XLEN", log.key) == 4)
            proxy.deaf = False
            proxy.cut()
            assert [kind(a) for a in await sent] == [(0, True), (0, True), (4, True)]
            assert len(await everything(log)) == 4
            await store.close()


async def test_answer_that_never_comes(tmp_path: Path) -> None:
    """Within the time limit it is an error of unknown fate; the same numbers sent again say what became of them."""
    with stores.server(tmp_path) as server:
        async with stores.Proxy(server.port) as proxy:
            store = Store(proxy.url, answer_seconds=0.5)
            log = await made(store, "wire")
            await log.append(A, entries(1))
            proxy.deaf = True
            error = await refusal(log.append(A, entries(2, 2)))
            assert error.message == "the store did not answer EVALSHA within 0.5 s"
            proxy.deaf = False
            assert [kind(a) for a in await log.append(A, entries(2, 3))] == [(0, True), (3, True), (4, False)]
            await store.close()


async def test_a_late_copy_takes_no_number_of_another_entry(tmp_path: Path) -> None:
    """Refused when sent again, appended when the first copy arrives after all: its number is given to no other entry.

    The first copy is held up on the way. The store is full when the second one comes, and has room again when the first
    one does.
    """
    with stores.server(tmp_path) as server:
        async with stores.Proxy(server.port) as proxy:
            store = Store(proxy.url, answer_seconds=0.5)
            direct = Store(server.url)
            log = await made(store, "wire")
            await log.append(A, entries(1))
            proxy.passing.clear()
            await refusal(log.append(A, entries(2)))
            full(server)
            log._store = direct
            (answer,) = await log.append(A, entries(2))
            # go on under another number and keep its records, as the first copy is still under way
            assert isinstance(answer, MayYetCome)
            assert answer.reason is Reason.STORE_OUT_OF_MEMORY
            server.command("CONFIG", "SET", "maxmemory", "0")
            proxy.passing.set()
            await until(lambda: server.command("XLEN", log.key) == 2)
            assert [kind(a) for a in await log.append(B, entries(1))] == [(3, False)]
            assert len(await everything(log)) == 3
            await store.close()
            await direct.close()


async def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something holds; a store that is asked may be away for a while."""
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(redis.exceptions.RedisError):
                if true():
                    return
            await asyncio.sleep(0.01)


def full(server: stores.Server) -> None:
    """Let a store be out of memory."""
    server.command("CONFIG", "SET", "maxmemory", "1")


async def test_scripts_are_forgotten(tmp_path: Path) -> None:
    """A store that was started anew, or was told to forget scripts, gets them again; order and numbers hold."""
    with stores.server(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
        store = Store(server.url)
        log = await made(store, "wire")
        await log.append(A, entries(1))
        server.command("SCRIPT", "FLUSH")
        both = [*entries(2), *entries(3, is_arrival=False), *entries(4)]
        assert [kind(a) for a in await log.append(A, both)] == [(2, False), (3, False), (4, False)]
        server.command("SCRIPT", "FLUSH")
        await log.append(A, entries(5))
        server.kill()
        server.start()
        assert [kind(a) for a in await log.append(A, entries(6, 2))] == [(6, False), (7, False)]
        assert len(await everything(log)) == 7
        await store.close()


# -- memory -------------------------------------------------------------------------------------------


async def test_a_full_store_refuses_arrivals_alone(tmp_path: Path) -> None:
    """Arrivals get STORE_OUT_OF_MEMORY; all else passes; what was refused gives its number to the next."""
    with stores.server(tmp_path) as server:
        store = Store(server.url)
        log = await made(store, "wire")
        await log.append(A, entries(1))
        full(server)
        (answer,) = await log.append(A, entries(2))
        assert isinstance(answer, StoreUnavailable)
        assert answer.reason is Reason.STORE_OUT_OF_MEMORY
        assert answer.message == "the store is out of memory and refuses writes"
        # in one go with others: those behind it are refused for its sake
        sent = [*entries(2, is_arrival=False), *entries(3), *entries(4, is_arrival=False)]
        first, second, third = await log.append(A, sent)
        assert kind(first) == (2, False)
        assert isinstance(second, StoreUnavailable)
        assert isinstance(third, StoreUnavailable)
        assert not isinstance(third, LogDiverged)
        assert second.reason is third.reason is Reason.STORE_OUT_OF_MEMORY
        retiring = [Outgoing(counter=3, raw=b"r", is_arrival=False, retires=B)]
        assert [kind(a) for a in await log.append(A, retiring)] == [(3, False)]
        assert (await refusal(log.reserve(A, 10))).reason is Reason.STORE_OUT_OF_MEMORY
        await log.note_erased(A, 1)
        await store.check()
        await Servers(store).beat(A, 10)
        assert await Servers(store).alive([A]) == {A}
        await Servers(store).leave(A)
        assert len(await everything(log)) == 3
        await Registry(store).delete("wire", (await registered(store, "wire")).epoch)
        assert server.command("KEYS", "*") == []
        await store.close()


# -- reading ------------------------------------------------------------------------------------------


async def test_large_entries_are_read_a_megabyte_at_a_time(store: Store, collection: str) -> None:
    """Entries of 200 KB come five at a time; after small ones come many at a time, in answers of at most a megabyte."""
    log = await made(store, collection)
    for number in range(1, 21):
        await log.append(A, entries(number, size=200_000))
    await log.append(A, entries(21, 600, size=100))
    sizes = []
    position = 0
    while found := await log.read(position):
        sizes.append((len(found), sum(len(e.raw) for e in found)))
        position = found[-1].position
    assert position == 620
    assert max(size for _, size in sizes) <= READ_BYTES
    assert max(count for count, _ in sizes) >= 100
    assert [count for count, _ in sizes][:3] == [4, 5, 5]


async def test_an_entry_of_another_format(store: Store, collection: str) -> None:
    """What this release does not read is a typed error that says so."""
    log = await made(store, collection)
    await log.append(A, entries(1))
    await store.call("XADD", log.key, "2-0", "f", "x" * 40)
    error = await refusal(log.read(1))
    assert isinstance(error, UnknownFormat)
    assert "entry 2-0" in error.message


# -- blocks of pages ------------------------------------------------------------------------------------


async def test_blocks_of_page_numbers(store: Store, collection: str) -> None:
    """Nobody gets a number twice; who has which is known until it is released."""
    log = await made(store, collection)
    taken = await asyncio.gather(*(log.reserve(i, 10) for i in (A, B, A, B)))
    assert sorted(taken) == [1, 11, 21, 31]
    found = await log.blocks()
    assert sorted(found) == [A, B]
    assert sorted(first for blocks in found.values() for first, _ in blocks) == [1, 11, 21, 31]
    mine = [first for first, _ in found[A]]
    assert await log.reserve(A, 5, mine) == 41
    assert await log.blocks() == {A: [(41, 5)], B: found[B]}
    assert await log.erased() == 0
    await log.note_erased(A, 7)
    await log.note_erased(B, 5)
    assert await log.erased() == 7


# -- the registry --------------------------------------------------------------------------------------


async def test_collections_are_made_once(store: Store, collection: str) -> None:
    """Of many who make one at once, one does; what it was made with is what all read."""
    registry = Registry(store)
    answers = await asyncio.gather(*(registry.create(collection, PARAMETERS, float(n)) for n in range(8)))
    first = [answer for answer in answers if answer is not None]
    assert len(first) == 1
    assert await registry.read(collection) == first[0]
    assert first[0].parameters == PARAMETERS
    assert first[0].fingerprint == fingerprint(PARAMETERS)
    assert collection in await registry.names()
    assert await registry.read(f"{collection}-not") is None


async def test_making_it_is_sent_twice(tmp_path: Path) -> None:
    """The answer is lost and the command sent again: whoever made it is told that it did."""
    with stores.server(tmp_path) as server:
        async with stores.Proxy(server.port) as proxy:
            store = Store(proxy.url)
            await store.check()
            proxy.deaf = True
            making = asyncio.create_task(Registry(store).create("wire", PARAMETERS, 1.0))
            await until(lambda: bool(server.command("EXISTS", keys.own("wire"))))
            proxy.deaf = False
            proxy.cut()
            assert await making == await registered(store, "wire")
            await store.close()


async def test_a_name_that_is_not_listed_is_listed_again(store: Store, collection: str) -> None:
    """Its maker may have died before he listed it: whoever opens it does."""
    await made(store, collection)
    await store.call("SREM", keys.COLLECTIONS, collection)
    assert collection not in await Registry(store).names()
    await registered(store, collection)
    assert collection in await Registry(store).names()


async def test_a_collection_of_the_layout_before(store: Store, collection: str) -> None:
    """It is named as what it is, with what to do."""
    key = keys.OLD_PARAMETERS.format(name=collection)
    await store.call("HSET", key, "parameters", "{}")
    with pytest.raises(ParametersMismatch, match="before its log"):
        await Registry(store).read(collection)
    await store.call("UNLINK", key)


async def all_keys(store: Store, part: str) -> list[bytes]:
    """Keys with a word in them."""
    found: list[bytes] = await store.call("KEYS", f"*{part}*")
    return found


async def filled(store: Store, name: str) -> Registered:
    """A collection with a log, dictionaries, pages and blocks."""
    log = await made(store, name)
    found = await registered(store, name)
    await log.append(A, entries(1, 3))
    first = await log.reserve(A, 700)
    await store.call("SET", keys.dictionary(name, found.epoch, 1), "d")
    for page in (first, first + 1, first + 699):
        await store.call("SET", keys.page(name, found.epoch, page), "p")
    return found


async def test_a_deletion_leaves_nothing(store: Store, collection: str) -> None:
    """All keys go; a second deletion, and one of another epoch, do nothing."""
    registry = Registry(store)
    old = await filled(store, collection)
    await registry.delete(collection, old.epoch)
    assert await all_keys(store, collection) == []
    assert await registry.read(collection) is None
    assert collection not in await registry.names()
    new = await filled(store, collection)
    assert new.epoch != old.epoch
    before = sorted(await all_keys(store, collection))
    await registry.delete(collection, old.epoch)
    await registry.purge_gone()
    assert sorted(await all_keys(store, collection)) == before
    assert collection in await registry.names()
    await registry.delete(collection, new.epoch)
    assert await all_keys(store, collection) == []


class Dies(Store):
    """A store whose client dies after so many commands that write."""

    left = 0

    async def call(self, *command: bytes | str | float) -> object:
        self._count(str(command[0]))
        return await super().call(*command)

    async def pipeline(self, commands, **more):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN003
        self._count(str(commands[0][0]))
        return await super().pipeline(commands, **more)

    async def run(self, script: str, names, *arguments):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN002
        self._count("EVALSHA")
        return await super().run(script, names, *arguments)

    def _count(self, command: str) -> None:
        if command in ("UNLINK", "SREM", "SADD", "EVALSHA"):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt


async def test_a_deletion_breaks_off_anywhere(store_url: str, store: Store, collection: str) -> None:
    """After whichever command: the collection stands whole, or somebody finishes; a new one is not touched."""
    registry = Registry(store)
    steps = 0
    finished = False
    while not finished:
        old = await filled(store, collection)
        dying = Dies(store_url)
        dying.left = steps
        try:
            await Registry(dying).delete(collection, old.epoch)
            finished = True
        except KeyboardInterrupt:
            pass
        await dying.close()
        if await registry.read(collection) is None:
            new = await filled(store, collection)  # at once, under the same name
            await registry.purge_gone()
            left = await all_keys(store, collection)
            assert not [key for key in left if old.epoch.encode() in key]
            assert len([key for key in left if new.epoch.encode() in key]) == 5
            assert collection in await registry.names()
            await registry.delete(collection, new.epoch)
        else:
            assert steps <= 1
            assert len(await all_keys(store, old.epoch)) == 5
            await registry.delete(collection, old.epoch)
        assert await all_keys(store, collection) == []
        steps += 1
    assert steps > 6


# -- servers ------------------------------------------------------------------------------------------


async def test_signs_of_life(store: Store) -> None:
    """A server is alive from its sign on, for as long as that says, or until it leaves."""
    servers = Servers(store)
    mine = random.Random().sample(range(1 << 60), 3)
    assert await servers.alive(mine) == set()
    assert await servers.alive([]) == set()
    await servers.beat(mine[0], 30)
    await servers.beat(mine[1], 0.2)
    assert await servers.alive(mine) == set(mine[:2])
    await asyncio.sleep(0.3)
    assert await servers.alive(mine) == {mine[0]}
    await servers.leave(mine[0])
    assert await servers.alive(mine) == set()
