"""Stores that fail, and stores of other makes: one clear error each, and everything goes on when the store does.

One suite over the embedded Valkey and Debian's redis-server, each a process of its own; without the binary the
latter is skipped.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import redis
import structlog
from structlog.testing import LogCapture

from dedup.errors import DedupError, ParametersMismatch, Reason, StoreUnavailable
from dedup.live import Pipeline
from dedup.model import Article, CollectionParameters, Outcome, PubStatus
from dedup.store import embedded, keys
from dedup.store.embedded import EmbeddedValkey
from tests import data, flow


class Server:
    """A store that a test owns: killed and started again at the same address, with what it acknowledged."""

    name: str

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = redis.Redis.from_url(url, decode_responses=True)

    def command(self, *words: str) -> None:
        """Send a command that the client has no method for."""
        self.client.execute_command(*words)  # type: ignore[no-untyped-call]

    def kill(self) -> None:
        """As ``kill -9`` does."""
        raise NotImplementedError

    def again(self) -> None:
        """Start what was killed."""
        raise NotImplementedError


class Embedded(Server):
    """The embedded store, which starts again by itself."""

    name = "embedded"

    def __init__(self, store: EmbeddedValkey) -> None:
        super().__init__(store.url or "")
        self._store = store

    def kill(self) -> None:
        assert self._store.pid is not None
        os.kill(self._store.pid, signal.SIGKILL)

    def again(self) -> None:
        _answers(self)


class Redis(Server):
    """Debian's redis-server on a socket in ``place``."""

    name = "redis-server"

    def __init__(self, binary: str, place: Path, socket: Path) -> None:
        super().__init__(f"unix://{socket}")
        self._command = [
            binary,
            "--port",
            "0",
            "--unixsocket",
            str(socket),
            "--dir",
            str(place),
            "--save",
            "",
        ]
        self._command += ["--appendonly", "yes", "--appendfsync", "always", "--logfile", str(place / "log")]
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _answers(self)
        return process

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def again(self) -> None:
        self._process = self._start()


def _answers(server: Server) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            server.client.ping()
        except redis.exceptions.RedisError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return


@pytest.fixture(params=["embedded", "redis-server"])
def server(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """One store after the other; the embedded one is down for four seconds when it was killed."""
    monkeypatch.setattr(embedded, "RESTART_SECONDS", 2.0)
    if request.param == "embedded":
        with EmbeddedValkey(tmp_path) as store:
            made: Server = Embedded(store)
            yield made
            made.client.close()
        return
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("the same on Redis itself: no redis-server here (Debian: apt-get install redis-server)")
    with tempfile.TemporaryDirectory(prefix="dedup-") as short:
        made = Redis(binary, tmp_path, Path(short, "s.sock"))
        yield made
        made.client.close()
        made.kill()


@pytest.fixture
def log() -> Iterator[LogCapture]:
    """What is logged."""
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[capture])
    yield capture
    structlog.configure(**before)


@asynccontextmanager
async def opened(server: Server, **settings: object) -> AsyncIterator[Pipeline]:
    """A pipeline on a store, which takes up unfinished work after a second."""
    pipeline = await flow.open_pipeline(server.url, recovery_seconds=1, **settings)
    try:
        yield pipeline
    finally:
        await pipeline.close()


def one_sentence(error: DedupError, *words: str) -> None:
    """The message is one line with ``words`` in it, and no name of a Python class."""
    assert "\n" not in error.message
    assert 10 < len(error.message) < 400
    assert "Error(" not in error.message
    for word in words:
        assert word in error.message


# -- another make ------------------------------------------------------------------------------------


async def test_every_store_gives_the_same_state(server: Server, store_url: str, collection: str) -> None:
    """The seeds, one order here and another there: the same export, the same lists, the same answers again."""
    articles = data.latest(data.seeds())
    expected_at = await flow.open_pipeline(store_url)
    try:
        await flow.ingest(expected_at, collection, articles, 25)
        expected = await flow.state(expected_at, collection)
        await expected_at.delete_collection(collection)
    finally:
        await expected_at.close()
    shuffled = random.Random(8).sample(articles, len(articles))
    async with opened(server) as pipeline:
        first = await flow.ingest(pipeline, collection, shuffled, 16)
        assert await flow.state(pipeline, collection) == expected
    async with opened(server) as pipeline:
        again = await flow.ingest(pipeline, collection, shuffled, 40)
        assert [a.decision for a in again] == [a.decision for a in first]
        assert {a.outcome for a in again} == {Outcome.UNCHANGED}
        assert await flow.state(pipeline, collection) == expected
        assert (await pipeline.get_collection(collection)).store_memory_bytes > 0
        await pipeline.delete_collection(collection)
        assert server.client.keys("dedup:{*") == []


# -- memory ------------------------------------------------------------------------------------------


async def refusal(call: Awaitable[object]) -> StoreUnavailable | None:
    """The error of a call that is refused."""
    try:
        await call
    except StoreUnavailable as error:
        return error
    return None


async def test_out_of_memory_refuses_writes_and_nothing_else(server: Server, collection: str) -> None:
    """STORE_OUT_OF_MEMORY, typed; reads go on; with more memory the rest comes in and the state is that of all."""
    articles = data.corpus(400, seed=3)
    async with opened(server) as pipeline:
        await flow.ingest(pipeline, collection, articles[:40])
        stored = await flow.state(pipeline, collection)
        used = int(server.client.info("memory")["used_memory"])
        server.client.config_set("maxmemory", used + 300_000)
        refused: list[StoreUnavailable] = []
        for article in articles[40:]:
            try:
                await pipeline.ingest(collection, [article])
            except StoreUnavailable as error:
                refused.append(error)
                if len(refused) == 3:
                    break
        assert {error.reason for error in refused} == {Reason.STORE_OUT_OF_MEMORY}
        one_sentence(refused[0], "out of memory", "refuses writes")
        # what the store frees of its own buffers may take one or two more
        alone = [await refusal(pipeline.ingest_one(collection, article)) for article in articles[-40:]]
        assert {error.reason for error in alone if error} == {Reason.STORE_OUT_OF_MEMORY}

        assert await pipeline.ready()
        assert (await pipeline.get_article(collection, articles[0].id)).article == articles[0]
        assert (await pipeline.find(collection, articles[0])).total_matches > 0
        listed = await pipeline.list_articles(collection, page_size=1000, page_token="")
        assert len(listed.items) >= 40
        lines = [line async for line in pipeline.export(collection)]
        assert len(lines) >= len(stored.articles)

        server.client.config_set("maxmemory", 0)
        await flow.settled(pipeline, collection)
        await flow.ingest(pipeline, collection, articles, 50)
        found = await flow.state(pipeline, collection)
        await flow.ingest(pipeline, f"{collection}-fresh", articles, 50)
        fresh = await flow.state(pipeline, f"{collection}-fresh")
        assert found.articles == fresh.articles
        assert found.matches == fresh.matches
        assert found == fresh


async def test_kills_and_deletions_need_no_memory(server: Server, collection: str) -> None:
    """A full store refuses what comes, a replacement too, as a whole; a kill and a deletion go through."""
    articles = data.family(random.Random(3), "m", 12)
    killed, deleted, changed = (articles[i] for i in (2, 5, 8))
    async with opened(server) as pipeline:
        await flow.ingest(pipeline, collection, articles)
        before = await flow.state(pipeline, collection)
        server.client.config_set("maxmemory", 1)
        with pytest.raises(StoreUnavailable) as error:
            await pipeline.ingest(collection, [replace(changed, body=data.prose(random.Random(1), 50))])
        assert error.value.reason == Reason.STORE_OUT_OF_MEMORY
        assert await flow.state(pipeline, collection) == before
        (answer,) = await pipeline.ingest(collection, [replace(killed, pubstatus=PubStatus.CANCELED)])
        assert not isinstance(answer, DedupError)
        assert answer.outcome == Outcome.CANCELED
        await pipeline.delete_article(collection, deleted.id)
        assert (await flow.settled(pipeline, collection)).articles == 10
        server.client.config_set("maxmemory", 0)
        await flow.ingest(pipeline, collection, articles)
        assert await flow.state(pipeline, collection) == before


async def test_a_store_that_refuses_to_write(server: Server, collection: str) -> None:
    """It lacks replicas that it is to have: a typed error at once, no hammering, and it goes on when it can."""
    pipeline = await flow.open_pipeline(server.url)
    await pipeline.ingest(collection, [Article("a", "", data.prose(random.Random(1), 80))])
    server.client.config_set("min-replicas-to-write", 1)
    server.client.config_resetstat()
    began = time.monotonic()
    for _ in range(3):
        with pytest.raises(StoreUnavailable) as error:
            async with asyncio.timeout(5):
                await pipeline.delete_article(collection, "a")
        assert "too few replicas" in error.value.message
    await asyncio.sleep(1)
    assert time.monotonic() - began < 4
    refused = server.client.info("commandstats")["cmdstat_evalsha"]["rejected_calls"]
    assert 3 <= refused < 60
    server.client.config_set("min-replicas-to-write", 0)
    for _ in range(100):
        if not (await pipeline.get_collection(collection)).articles:
            break
        await asyncio.sleep(0.1)
    else:
        pytest.fail("the deletion that was refused was not sent again")
    await pipeline.close()


@pytest.mark.parametrize("taken_up", ["by redelivery", "beside the calls"])
async def test_articles_whose_writer_died_on_the_way(
    store_url: str, collection: str, monkeypatch: pytest.MonkeyPatch, taken_up: str
) -> None:
    """Recorded and never committed: whoever comes next, the sender or the server, writes decision and matches."""
    articles = data.corpus(150, seed=5)
    pipeline = await flow.open_pipeline(store_url)
    try:
        await flow.ingest(pipeline, collection, articles[:60], 20)
        await flow.settled(pipeline, collection)
        opened = await pipeline._collections.get(collection)

        async def dies(*_: object, **__: object) -> None:
            raise StoreUnavailable("gone")

        with monkeypatch.context() as broken:
            broken.setattr(opened.judge, "_append", dies)
            for start in range(60, 120, 12):
                with pytest.raises(StoreUnavailable):
                    await pipeline.ingest(collection, articles[start : start + 12])
        if taken_up == "beside the calls":
            await flow.settled(pipeline, collection)
        answers = await flow.ingest(pipeline, collection, articles, 40)
        assert all(answer.decision for answer in answers)
        found = await flow.state(pipeline, collection)
        await flow.ingest(pipeline, f"{collection}-fresh", articles, 25)
        assert found == await flow.state(pipeline, f"{collection}-fresh")
        for name in (collection, f"{collection}-fresh"):
            await pipeline.delete_collection(name)
    finally:
        await pipeline.close()


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
async def test_a_policy_that_evicts_is_warned_of(server: Server, log: LogCapture, policy: str) -> None:
    """Opening a store that could drop parts of the index says so, with the policy; noeviction says nothing."""
    client = server.client
    for configured, limit, expected in (
        ("noeviction", "1gb", []),
        (policy, "0", []),
        (policy, "1gb", [policy]),
    ):
        client.config_set("maxmemory", limit)
        client.config_set("maxmemory-policy", configured)
        log.entries.clear()
        async with opened(server):
            pass
        warned = [e for e in log.entries if e["event"] == "eviction_policy_can_drop_the_index"]
        assert [e["policy"] for e in warned] == expected
        assert {(e["log_level"], e["wanted"]) for e in warned} <= {("warning", "noeviction")}


# -- parameters --------------------------------------------------------------------------------------


async def test_other_parameters_are_refused(server: Server, collection: str) -> None:
    """A fingerprint that this release does not compute: no start, and the collection is named with both."""
    async with opened(server) as pipeline:
        await pipeline.create_collection(f"{collection}-a", CollectionParameters())
        await pipeline.create_collection(collection, CollectionParameters(window=16))
        await flow.ingest(pipeline, collection, data.corpus(5))
    stored = str(server.client.hget(keys.own(collection), "d"))
    line, _, rest = stored.partition("\n")
    epoch, _, fingerprint = line.partition(":")
    server.client.hset(keys.own(collection), "d", f"{epoch}:0123456789abcdef-1\n{rest}")
    async with opened(server) as pipeline:
        assert (await pipeline.get_collection(f"{collection}-a")).articles == 0
        with pytest.raises(ParametersMismatch) as error:
            await pipeline.get_collection(collection)
    assert error.value.reason == Reason.PARAMETERS_MISMATCH
    assert error.value.metadata == {
        "collection": collection,
        "stored": "0123456789abcdef-1",
        "computed": fingerprint,
    }
    one_sentence(error.value, collection, "0123456789abcdef-1", fingerprint)
    server.client.hset(keys.own(collection), "d", stored)
    async with opened(server) as pipeline:
        assert (await pipeline.get_collection(collection)).articles == 5


async def test_an_index_of_the_layout_before_is_named(server: Server, collection: str) -> None:
    """The message says what it is and what to do; others on the store are served."""
    server.client.sadd(keys.COLLECTIONS, collection)
    server.client.hset(keys.OLD_PARAMETERS.format(name=collection), "parameters", "{}")
    async with opened(server) as pipeline:
        with pytest.raises(ParametersMismatch) as error:
            await pipeline.ingest(collection, data.corpus(2))
        one_sentence(error.value, collection, "export", "ingest")
        assert len(await flow.ingest(pipeline, f"{collection}-b", data.corpus(2))) == 2


# -- a store that is not there -----------------------------------------------------------------------


async def test_a_store_killed_under_the_pipeline(server: Server, collection: str) -> None:
    """While it is down, one clear error a call; started again, the same pipeline goes on with all it acknowledged."""
    articles = data.corpus(90, seed=6)
    async with opened(server) as pipeline:
        first = await flow.ingest(pipeline, collection, articles[:60])
        server.kill()
        for call in (
            pipeline.ingest(collection, articles[60:62]),
            pipeline.ingest_one(collection, articles[60]),
            pipeline.get_article(collection, articles[0].id),
            pipeline.get_collection(collection),
            pipeline.list_matches(collection, article_id=None, page_size=9, page_token=""),
        ):
            with pytest.raises(StoreUnavailable) as error:
                await call
            assert error.value.reason == Reason.STORE_UNAVAILABLE
            one_sentence(error.value, "the store")
        assert not await pipeline.ready()
        await asyncio.to_thread(server.again)
        assert await pipeline.ready()
        again = await flow.ingest(pipeline, collection, articles[:60])
        assert [(a.outcome, a.number, a.decision) for a in again] == [
            (Outcome.UNCHANGED, a.number, a.decision) for a in first
        ]
        await flow.ingest(pipeline, collection, articles[60:])
        found = await flow.state(pipeline, collection)
        await flow.ingest(pipeline, f"{collection}-fresh", articles, 30)
        assert found == await flow.state(pipeline, f"{collection}-fresh")


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("redis://127.0.0.1:1", "127.0.0.1:1"),
        ("redis://:secret@127.0.0.1:1/0", "127.0.0.1:1"),
        ("unix:///nowhere/s.sock", "/nowhere/s.sock"),
        ("redis://no-such-host.invalid:6379", "no-such-host.invalid"),
    ],
)
async def test_a_store_that_is_down(url: str, word: str) -> None:
    """One sentence with the address in it, and no password."""
    with pytest.raises(StoreUnavailable) as error:
        await flow.open_pipeline(url)
    assert error.value.reason == Reason.STORE_UNAVAILABLE
    one_sentence(error.value, "the store does not answer", word)
    assert "secret" not in error.value.message


async def test_something_that_is_no_store() -> None:
    """A port where something else answers: still one sentence."""

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(other, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(StoreUnavailable) as error:
            await flow.open_pipeline(f"redis://127.0.0.1:{port}")
    one_sentence(error.value, "the store")


async def test_wrong_credentials(server: Server, collection: str) -> None:
    """A password that is asked for and not given, or is wrong: the message says so and does not show it."""
    server.client.config_set("requirepass", "right")
    path = server.url.removeprefix("unix://")
    for address, given in ((server.url, ""), (f"unix://:mistaken@{path}", "mistaken")):
        with pytest.raises(StoreUnavailable) as error:
            await flow.open_pipeline(address)
        one_sentence(error.value, "the store")
        assert any(word in error.value.message for word in ("credentials", "authenticated", "password"))
        assert not given or given not in error.value.message
    pipeline = await flow.open_pipeline(f"unix://:right@{path}")
    (answer,) = await flow.ingest(pipeline, collection, [Article("a", "Head", "Too short.")])
    assert answer.outcome == Outcome.NOT_COMPARABLE
    await pipeline.close()


async def test_a_replica_that_only_reads(server: Server, collection: str) -> None:
    """Writes are refused with the reason; a master again, it takes them."""
    articles = data.corpus(4)
    async with opened(server) as pipeline:
        await flow.ingest(pipeline, collection, articles[:3])
        await flow.settled(pipeline, collection)
        server.command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreUnavailable) as error:
            await pipeline.ingest(collection, articles)
        one_sentence(error.value, "read-only replica")
        assert (await pipeline.get_article(collection, articles[0].id)).article == articles[0]
        server.command("REPLICAOF", "NO", "ONE")
        await flow.ingest(pipeline, collection, articles)
