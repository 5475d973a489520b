"""Stores that refuse, are slow, or need to be shown a certificate: one sentence each, within the time limit."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dedup.errors import Reason, StoreUnavailable
from dedup.store import addresses
from dedup.store.connection import Store, wrong_address
from dedup.store.failures import Retired, translate
from dedup.store.log import Log, Outgoing
from dedup.store.pages import Records
from dedup.store.registry import Registry
from dedup.store.servers import Servers
from dedup.store.tail import Tail
from tests import stores
from tests.test_log_store import A, entries, everything, kind, made, refusal, registered, until

#: What a user of the store must be allowed; more only where there is a cluster: ``asking cluster|slots``.
COMMANDS = """
    ping evalsha script|load wait
    get set getrange setrange exists unlink pexpire rename
    hget hmget hgetall hset hsetnx hincrby hdel
    sadd srem smembers sismember
    xadd xrange xread
""".split()
#: What is used where it is allowed: who has replicas, what memory is used, when the store writes to its disk.
OPTIONAL = ("role", "info", "config|get")


# -- addresses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://u:p%40@h:7/2",
        "rediss://h?ssl_cert_reqs=required",
        "unix:///tmp/s",
        "redis+sentinel://a,b:7,[::1]:8/name",
        "redis+sentinel://u:p@a/name/3?sentinel_password=x",
        "rediss+sentinel://a/name?ssl_ca_certs=/dev/null",
        "redis+cluster://a:1,b:2",
        "redis+cluster://u:p@[::1]/0",
    ],
)
def test_addresses(url: str) -> None:
    """Each is taken as it is meant."""
    assert wrong_address(url) == ""
    assert addresses.parse(url).kind in url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://h", "scheme"),
        ("redis+sentinel://a:1", "name of its service"),
        ("redis+sentinel://a:x/name", "host or port is malformed"),
        ("redis+sentinel://:1/name", "host or port is malformed"),
        ("redis+sentinel://a/name/x", "database must be a number"),
        ("redis+cluster://a,,b", "host or port is malformed"),
        ("redis+cluster://a/1", "no database but 0"),
        ("redis+cluster://a:99999", "host or port is malformed"),
        ("redis+cluster://a?colour=red", "no option 'colour'"),
        ("redis://h?colour=red", "no option 'colour'"),
        ("redis://h?db=x", "db"),
        ("redis://h/first", "database must be a number"),
        ("redis+cluster://a?db=3", "no database but 0"),
        ("redis://h?sentinel_password=x", "no option 'sentinel_password'"),
        # these would change how bytes are sent and read
        ("redis://h?protocol=3", "no option 'protocol'"),
        ("redis://h?decode_responses=1", "no option 'decode_responses'"),
        ("redis://h?socket_timeout=1", "no option 'socket_timeout'"),
        ("redis+cluster://h?max_connections=1", "no option 'max_connections'"),
        ("redis://h?host=other", "no option 'host'"),
        ("rediss://h?ssl_cert_reqs=perhaps", "Requirements Flag: perhaps"),
    ],
)
def test_wrong_addresses(url: str, said: str) -> None:
    """What is wrong is said."""
    assert said in wrong_address(url)


def test_addresses_are_taken_apart() -> None:
    """Hosts, users, certificates, Sentinel's own password."""
    found = addresses.parse(
        "rediss+sentinel://u:p%3Aq@a,[::1]:7/name/2?ssl_certfile=c&sentinel_username=s&sentinel_password=t"
    )
    assert found.hosts == [("a", 26379), ("::1", 7)]
    assert (found.options["username"], found.options["password"], found.options["db"]) == ("u", "p:q", 2)
    assert found.of_sentinel == {"ssl_certfile": "c", "username": "s", "password": "t"}
    assert found.is_tls
    assert addresses.parse("redis+cluster://a,b:9").hosts == [("a", 6379), ("b", 9)]


# -- what is refused ---------------------------------------------------------------------------------------


def user(server: stores.Server, *rules: str) -> str:
    """Make a user that may do what the rules say; its address."""
    server.command("ACL", "SETUSER", "u", "reset", "on", ">p", "~dedup:*", *rules)
    return server.url.replace("redis://", "redis://u:p@")


def allowed(*commands: str) -> list[str]:
    """Rules that allow commands."""
    return [f"+{command}" for command in commands]


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[stores.Server]:
    """One make of store after the other."""
    binary = stores.redis_binary() if request.param == "redis" else ""
    with stores.server(tmp_path, "--enable-debug-command", "yes", binary=binary) as one:
        yield one


async def test_a_user_with_the_commands_needed(server: stores.Server) -> None:
    """Everything works with these commands and keys alone; what is optional is not told, and no error."""
    store = Store(user(server, *allowed(*COMMANDS)))
    await store.check()
    assert server.command("KEYS", "*") == []
    log = await made(store, "wire")
    records, tail = Records(store, "wire", "e"), Tail(store, A)
    heard: list[object] = []
    tail.follow(log, 0, heard.append)
    await log.append(A, entries(1, 2))
    (_, content), *_ = records.pages_of([b"x" * 100, b"y" * 100])
    assert await records.write([(await log.reserve(A, 1), content)]) == [True]
    await records.read(records.numbers(1, content))
    await records.erase(records.numbers(1, content))
    await Servers(store).beat(A, 10)
    await until(lambda: len(heard) > 0)
    assert await store.acks() == 0
    assert await store.memory_bytes() == 0
    assert await store.eviction_risk() is None
    assert await store.fsync() == ""
    await Registry(store).delete("wire", (await registered(store, "wire")).epoch)
    await tail.close()
    await store.close()


async def test_each_command_that_is_refused_is_named(server: stores.Server) -> None:
    """The user lacks one command after the other: the check names it, in one sentence."""
    for lacking in COMMANDS:
        store = Store(user(server, *allowed(*(c for c in COMMANDS if c != lacking))))
        error = await refusal(store.check())
        assert error.reason is Reason.STORE_UNAVAILABLE
        name = lacking.replace("|", " ").upper()
        assert f"does not let this user run {name}" in error.message, lacking
        assert len(error.message) < 250
        await store.close()
    server.command("DEL", *(server.command("KEYS", "*") or ["-"]))


async def test_keys_that_are_refused_are_named(server: stores.Server) -> None:
    """The user may touch other keys only."""
    server.command("ACL", "SETUSER", "u", "reset", "on", ">p", "~other:*", *allowed(*COMMANDS))
    store = Store(server.url.replace("redis://", "redis://u:p@"))
    error = await refusal(store.check())
    assert "run SET" in error.message
    await store.close()


async def test_commands_that_there_are_not(tmp_path: Path) -> None:
    """A store without scripting, or without streams, is told as such."""
    for number, name in enumerate(("EVALSHA", "SCRIPT", "XADD", "WAIT")):
        binary = stores.redis_binary()
        with stores.server(tmp_path / str(number), "--rename-command", name, "", binary=binary) as server:
            store = Store(server.url)
            error = await refusal(store.check())
            assert f"the store has no command {name}" in error.message
            await store.close()


async def test_wrong_password(server: stores.Server) -> None:
    """It is said that the credentials are refused; the password is not shown."""
    server.command("ACL", "SETUSER", "u", "reset", "on", ">p", "~*", "+@all")
    server.command("CONFIG", "SET", "requirepass", "secret")
    for url in (server.url, server.url.replace("//", "//u:hidden@"), server.url.replace("//", "//:hidden@")):
        store = Store(url)
        began = time.monotonic()
        error = await refusal(store.check())
        assert "refuses the credentials" in error.message
        assert "hidden" not in error.message
        assert time.monotonic() - began < 2
        await store.close()
    store = Store(server.url.replace("//", "//:secret@"))
    await store.check()
    await store.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("NOAUTH Authentication required.", "refuses the credentials"),
        (
            "AUTH <password> called without any password configured for the default user",
            "refuses the credentials",
        ),
        ("WRONGPASS invalid username-password pair or user is disabled.", "refuses the credentials"),
        ("certificate verify failed: unknown authority", "no TLS connection"),
    ],
)
def test_sentences(text: str, said: str) -> None:
    """What is no refusal of credentials is not taken for one."""
    from redis.exceptions import ConnectionError as Lost

    assert said in translate(Lost(text)).message


def test_stores_that_are_too_old() -> None:
    """What Redis 6 answers, as its source has it, is told as its age."""
    from redis.exceptions import ResponseError

    compiling = ResponseError(
        "Error compiling script (new function): user_script:1: unexpected symbol near '#'"
    )
    assert "too old" in translate(compiling, "SCRIPT LOAD").message
    assert "too old" in translate(ResponseError("syntax error"), "SET").message


# -- stores that cannot now -------------------------------------------------------------------------------


async def test_a_read_only_replica(server: stores.Server) -> None:
    """Writes are refused in one sentence; reads go on."""
    store = Store(server.url)
    log = await made(store, "wire")
    await log.append(A, entries(1))
    server.command("REPLICAOF", "127.0.0.1", "1")
    (answer,) = await log.append(A, entries(2))
    assert isinstance(answer, StoreUnavailable)
    assert answer.message == "the store is a read-only replica"
    assert (await refusal(store.check())).message == "the store is a read-only replica"
    assert len(await everything(log)) == 1
    server.command("CONFIG", "SET", "replica-serve-stale-data", "no")
    assert "lost its master" in (await refusal(log.end())).message
    server.command("REPLICAOF", "NO", "ONE")
    assert [kind(a) for a in await log.append(A, entries(2))] == [(2, False)]
    await store.close()


async def test_an_address_that_moves_to_another_master(tmp_path: Path) -> None:
    """The master became a replica and the address leads elsewhere: a connection that is told so is made again."""
    with stores.server(tmp_path / "a") as old, stores.server(tmp_path / "b") as new:
        new.command("REPLICAOF", "127.0.0.1", old.port)
        await until(lambda: new.command("ROLE")[3] == b"connected")
        async with stores.Proxy(old.port) as proxy:
            store = Store(proxy.url)
            log = await made(store, "wire")
            await log.append(A, entries(1))
            await asyncio.gather(*(log.end() for _ in range(5)))  # several connections
            new.command("REPLICAOF", "NO", "ONE")
            old.command("REPLICAOF", "127.0.0.1", new.port)
            proxy.to = new.port
            (answer,) = await log.append(A, entries(2))
            assert isinstance(answer, StoreUnavailable)
            assert answer.message == "the store is a read-only replica"
            assert [kind(a) for a in await log.append(A, entries(2))] == [(2, False)]
            assert len(await everything(log)) == 2
            await store.close()


async def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """The store cannot save and refuses writes: what it refuses is said; when it can, it goes on."""
    with stores.server(tmp_path / "s") as server:
        store = Store(server.url)
        log = await made(store, "wire")
        await log.append(A, entries(1))
        server.command("CONFIG", "SET", "save", "1 1")
        (tmp_path / "s" / "dump.rdb").mkdir()
        (tmp_path / "s" / "dump.rdb" / "x").touch()
        with contextlib.suppress(Exception):
            server.command("BGSAVE")
        await until(lambda: b"rdb_last_bgsave_status:err" in server.command("INFO", "persistence"))
        (answer,) = await log.append(A, entries(2))
        assert isinstance(answer, StoreUnavailable)
        assert answer.message == "the store cannot write to its disk and refuses EVALSHA"
        assert len(await everything(log)) == 1
        server.command("CONFIG", "SET", "save", "")
        assert [kind(a) for a in await log.append(A, entries(2))] == [(2, False)]
        await store.close()


async def test_too_few_replicas(server: stores.Server) -> None:
    """Replicas that are asked for and are not there: an error of unknown fate that says so, and the entry stands."""
    store = Store(server.url, acks=2, answer_seconds=1)
    log = await made(store, "wire")
    began = time.monotonic()
    error = await refusal(log.append(A, entries(1)))
    assert error.message == "0 of 2 replicas acknowledged what was written within 0.4 s"
    assert time.monotonic() - began < 1
    assert (await refusal(log.append(A, entries(1)))).message == error.message
    assert len(await everything(log)) == 1
    server.command("CONFIG", "SET", "min-replicas-to-write", "1")
    (answer,) = await Log(other := Store(server.url), "wire", *await made_with(store)).append(A, entries(2))
    assert isinstance(answer, StoreUnavailable)
    assert answer.message == "the store refuses EVALSHA: it has too few replicas"
    await other.close()
    await store.close()


async def made_with(store: Store) -> tuple[str, str]:
    """Epoch and fingerprint of the collection."""
    found = await registered(store, "wire")
    return found.epoch, found.fingerprint


async def test_nobody_is_there(tmp_path: Path) -> None:
    """No server, no socket, something else that listens: an error at once."""
    (port,) = stores.free_ports(1)
    for url in (
        f"redis://127.0.0.1:{port}",
        f"unix://{tmp_path}/no.sock",
        f"redis+cluster://127.0.0.1:{port}",
        f"redis+sentinel://127.0.0.1:{port}/wire",
    ):
        store = Store(url, answer_seconds=0.5)
        began = time.monotonic()
        error = await refusal(store.call("PING"))
        assert time.monotonic() - began < 1
        assert error.message.startswith("the store does not answer")
        assert len(error.message) < 150
        assert not await store.ping()
        await store.close()


async def test_not_a_store(tmp_path: Path) -> None:
    """Something that answers in another protocol."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        store = Store(f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}", answer_seconds=2)
        assert "does not answer" in (await refusal(store.check())).message
        await store.close()


async def test_a_node_of_a_cluster_under_a_plain_address(tmp_path: Path) -> None:
    """What to write instead is said."""
    with stores.server(tmp_path, "--cluster-enabled", "yes") as server:
        store = Store(server.url)
        error = await refusal(store.check())
        assert "cluster is down" in error.message
        await store.close()
        store = Store(server.url.replace("redis://", "redis+cluster://"), answer_seconds=1)
        assert "the cluster is down" in (await refusal(store.check())).message
        await store.close()


async def test_a_server_under_a_cluster_address(server: stores.Server) -> None:
    """It is no cluster."""
    store = Store(server.url.replace("redis://", "redis+cluster://"), answer_seconds=1)
    error = await refusal(store.check())
    assert "cluster support disabled" in error.message
    await store.close()


async def test_a_store_that_loads(tmp_path: Path) -> None:
    """While it loads its data it says so, at once; then it goes on with what it had."""
    with stores.server(tmp_path) as server:
        store = Store(server.url)
        log = await made(store, "wire")
        await log.append(A, entries(1))
        for number in range(300):
            server.command("SET", f"filler{number}", bytes(1000))
        server.command("SAVE")
        server.kill()
        server.slowly()
        began = time.monotonic()
        assert (await refusal(log.append(A, entries(100)))).message == "the store is loading its data"
        assert time.monotonic() - began < 5
        await until(server.answers, 30)
        assert [kind(a) for a in await log.append(A, entries(2))] == [(2, False)]
        await store.close()


async def test_many_calls_at_once(server: stores.Server) -> None:
    """More than there may be connections: they wait for one another, and each gets its own answer."""
    store = Store(server.url)
    calls = [store.call("SET", f"dedup:n{n}", n) for n in range(1000)]
    assert set(await asyncio.gather(*calls)) == {b"OK"}
    found = await asyncio.gather(*(store.call("GET", f"dedup:n{n}") for n in range(1000)))
    assert found == [str(n).encode() for n in range(1000)]
    assert len(server.command("CLIENT", "LIST").splitlines()) <= 129
    await store.close()


# -- time limits ---------------------------------------------------------------------------------------------


async def test_a_frozen_store(server: stores.Server) -> None:
    """Everything that is asked ends within the time limit; afterwards it goes on, with everything once."""
    store = Store(server.url, answer_seconds=0.5)
    log = await made(store, "wire")
    await log.append(A, entries(1))
    server.freeze()
    try:
        began = time.monotonic()
        calls = [
            log.append(A, entries(2, 2)),
            log.end(),
            log.read(0),
            Servers(store).beat(A, 10),
            store.check(),
        ]
        errors = await asyncio.gather(*map(refusal, calls))
        assert time.monotonic() - began < 1
        assert all(error.message.endswith("within 0.5 s") for error in errors)
    finally:
        server.thaw()
    assert [kind(a) for a in await log.append(A, entries(2, 3))][2] == (4, False)
    assert len(await everything(log)) == 4
    await store.close()


async def test_a_store_that_is_busy(server: stores.Server) -> None:
    """A long script of somebody else's: no answer in time, or BUSY; then it goes on."""
    store = Store(server.url, answer_seconds=0.4)
    log = await made(store, "wire")
    await log.append(A, entries(1))
    server.command("CONFIG", "SET", "busy-reply-threshold", "800")
    loop = asyncio.create_task(
        asyncio.to_thread(
            server.command,
            "EVAL",
            "local t = redis.call('TIME')[1] while redis.call('TIME')[1] - t < 3 do end",
            0,
        )
    )
    await asyncio.sleep(0.1)
    began = time.monotonic()
    assert "within 0.4 s" in (await refusal(log.append(A, entries(2)))).message
    assert time.monotonic() - began < 0.8
    await asyncio.sleep(0.6)
    (answer,) = await log.append(A, entries(2))
    assert isinstance(answer, StoreUnavailable)
    assert not isinstance(answer, Retired)
    assert answer.message == "the store is busy with a script"
    await loop
    (answer,) = await log.append(A, entries(2))
    assert kind(answer) in {(2, False), (2, True)}
    assert len(await everything(log)) == 2
    await store.close()


async def test_a_canceled_call_leaves_no_answer_behind(server: stores.Server) -> None:
    """A connection whose caller has gone is not used again: nobody gets another one's answer."""
    store = Store(server.url)
    for number in range(30):
        await store.call("SET", f"dedup:n{number}", number)

    async def get(number: int) -> None:
        assert await store.call("GET", f"dedup:n{number}") == str(number).encode()

    for turn in range(30):
        tasks = [asyncio.create_task(get(number)) for number in range(30)]
        for _ in range(turn % 7):
            await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(r) for r in results} <= {type(None), asyncio.CancelledError}
    await store.close()


# -- TLS -----------------------------------------------------------------------------------------------------


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A certificate authority, and certificates of a server and of a client, in a directory."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    place = tmp_path / "tls"
    place.mkdir()

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=place, check=True, capture_output=True)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca", "-days", "2")
    (place / "ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")
    for name in ("server", "client"):
        openssl("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", *signed)
    return place


@pytest.mark.parametrize("clients", ["no", "yes"], ids=["", "client certificates"])
async def test_tls(tmp_path: Path, certificates: Path, clients: str) -> None:
    """With the authority's certificate, and the client's where it is asked for; without, one sentence."""
    options = ["--tls-auth-clients", clients, "--port", "0"]
    for option, name in (("cert", "server.crt"), ("key", "server.key"), ("ca-cert", "ca.crt")):
        options += [f"--tls-{option}-file", str(certificates / name)]
    with stores.server(tmp_path / "s", *options, binary=stores.redis_binary(), tls=True) as server:
        url = server.url.replace("redis://", "rediss://")
        ca = f"ssl_ca_certs={certificates}/ca.crt"
        own = f"ssl_certfile={certificates}/client.crt&ssl_keyfile={certificates}/client.key"
        good = f"{url}?{ca}&{own}" if clients == "yes" else f"{url}?{ca}"
        store = Store(good, answer_seconds=3)
        await store.check()
        log = await made(store, "wire")
        await log.append(A, [Outgoing(counter=1, raw=b"x" * 300_000, is_arrival=True)])
        assert len(await everything(log)) == 1
        await store.close()
        bad = [url, server.url, *([f"{url}?{ca}"] if clients == "yes" else [])]
        for each in bad:
            store = Store(each, answer_seconds=2)
            error = await refusal(store.check())
            assert error.message.startswith(("no TLS connection to the store", "the store does not answer"))
            await store.close()
