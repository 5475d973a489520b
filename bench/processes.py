"""The processes that are measured: store, server and this client; what they use, and their certain end.

Every benchmark is bound to the first two processors it may use, with all its processes, so that figures from larger
machines compare. Linux only: processor time and memory are read from ``/proc``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import redis

import dedup
from bench import metrics
from dedup.client import DedupClient
from dedup.store.embedded import EmbeddedValkey, preloaded, valkey_binary

Fsync = Literal["always", "everysec"]

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_START_SECONDS: Final = 240.0
_STOP_SECONDS: Final = 20.0

# Begins every process that runs the service or another commit's store: should this process be killed, the kernel ends
# it; and it ends by itself where the code that runs is not the one that was asked for.
_BEGIN: Final = """
import ctypes, os, runpy, sys
ctypes.CDLL(None).prctl(1, 15, 0, 0, 0)
owner, package, *sys.argv[1:] = sys.argv[1:]
if os.getppid() != int(owner):
    sys.exit("its owner has ended")
import dedup
if os.path.realpath(os.path.dirname(dedup.__file__ or "")) != package:
    sys.exit(f"the code that runs is {dedup.__file__}, not {package}")
"""
_SERVE: Final = _BEGIN + 'runpy.run_module("dedup.cli", run_name="__main__", alter_sys=True)\n'

# A store as another commit starts it, with its options; the binary is ours. It ends with its standard input.
_STORE: Final = (
    _BEGIN
    + """
import importlib, pathlib
for place in ("dedup.store.embedded", "dedup.embedded"):
    try:
        embedded = importlib.import_module(place)
        break
    except ModuleNotFoundError:
        pass
folder, fsync, binary = sys.argv[1:]
embedded.valkey_binary = lambda: pathlib.Path(binary)
with embedded.EmbeddedValkey(pathlib.Path(folder), fsync=fsync) as store:
    print(store.url, store.pid, flush=True)
    sys.stdin.read()
"""
)


@dataclass(frozen=True, slots=True)
class Program:
    """The code of a service: an interpreter, and the folder that holds its package ``dedup``."""

    python: Path
    folder: Path

    def command(self, script: str, *arguments: object) -> list[str]:
        """Run a script that starts with ``_BEGIN``; to be started in the folder."""
        package = (self.folder / "dedup").resolve()
        return [str(each) for each in (self.python, "-c", script, os.getpid(), package, *arguments)]


#: The code that is measured: that of this process.
OURS: Final = Program(Path(sys.executable), Path(dedup.__file__).resolve().parent.parent)


def bind_to_cores(count: int) -> int:
    """Bind this process and those it starts to at most ``count`` processors; how many it got."""
    cores = sorted(os.sched_getaffinity(0))[:count]
    os.sched_setaffinity(0, cores)
    return len(cores)


# A second or less of computing, and of reading memory here and there, as a store does.
_BUSY: Final = """
import time, numpy as np
memory, places = np.ones(1 << 23, np.int64), np.random.default_rng(1).integers(0, 1 << 23, 1 << 22)
started = time.perf_counter()
sum(i * i for i in range(2_000_000))
memory[places].sum()
print(time.perf_counter() - started)
"""


def speed_together(count: int) -> float:
    """How fast each of ``count`` busy processes runs beside the others, as a share of its speed alone.

    1 where each has a processor of its own; virtual processors may share one, and memory is shared by all.
    """

    def seconds(processes: int) -> float:
        started = [
            subprocess.Popen([sys.executable, "-c", _BUSY], stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        return statistics.mean([float(process.communicate()[0]) for process in started])

    return statistics.median([seconds(1) / seconds(count) for _ in range(3)])


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, user and system."""
    fields = (
        Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    )
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(pid: int, *names: str) -> dict[str, int]:
    """Lines of ``/proc/PID/status`` in bytes, such as VmRSS and VmHWM."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, rest = line.partition(":")
        if name in names:
            found[name] = int(rest.split()[0]) * 1024
    return found


def private(pid: int) -> int:
    """Bytes of memory that a process shares with no other; 0 if it has ended."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
        return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Private_"))
    return 0


def children(pid: int) -> list[int]:
    """Processes that a process has started and that live."""
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@dataclass(frozen=True, slots=True)
class Stack:
    """A service and its store, each a process of its own. ``metrics`` is the port of the server's metrics."""

    target: str
    url: str
    store_pid: int
    server_pid: int
    metrics: int

    def processes(self) -> dict[str, int]:
        """Process ids by role."""
        return {"server": self.server_pid, "store": self.store_pid, "client": os.getpid()}

    def cpu(self) -> dict[str, float]:
        """Processor seconds used so far, by role."""
        return {role: cpu_seconds(pid) for role, pid in self.processes().items()}

    def redis(self) -> redis.Redis:
        """A connection to the store."""
        return redis.Redis.from_url(self.url)


@dataclass(frozen=True, slots=True)
class StoreProcess:
    """A store alone, for peers."""

    url: str
    pid: int

    @property
    def socket_path(self) -> str:
        """Where it listens."""
        return self.url.removeprefix("unix://")

    def used_memory(self) -> int:
        """What the store counts."""
        with redis.Redis.from_url(self.url) as connection:
            return used_memory(connection)


def used_memory(connection: redis.Redis) -> int:
    """``used_memory`` less buffers of connections and of the append-only file, which come and go."""
    found = metrics.info(connection, "memory")
    passing = int(found.get("mem_clients_normal", 0)) + int(found.get("mem_aof_buffer", 0))
    return int(found["used_memory"]) - passing


@contextmanager
def fresh_store(fsync: Fsync = "everysec", program: Program = OURS) -> Iterator[StoreProcess]:
    """An empty store in a directory of its own, gone after the block.

    It has the options that ``program`` gives it; binary, allocator and append-only setting are the same for all.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        if program != OURS:
            with _store_of(program, folder, fsync) as started:
                yield started
            return
        with EmbeddedValkey(Path(folder), fsync=fsync) as store:
            if store.url is None or store.pid is None:
                raise RuntimeError("the store did not start")
            yield StoreProcess(store.url, store.pid)


@contextmanager
def _store_of(program: Program, folder: str, fsync: Fsync) -> Iterator[StoreProcess]:
    binary = valkey_binary()
    process = subprocess.Popen(
        program.command(_STORE, folder, fsync, binary),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=program.folder,
        env=_environment() | {"LD_PRELOAD": preloaded()},
    )
    with process:  # leaving closes its standard input and waits
        url, _, pid = (process.stdout.readline() if process.stdout else "").strip().partition(" ")
        if not pid:
            raise RuntimeError(f"the store of {program.folder} did not start")
        if not Path(f"/proc/{pid}/exe").samefile(binary):
            raise RuntimeError(f"the store of {program.folder} is another binary than ours")
        yield StoreProcess(url, int(pid))


@contextmanager
def fresh_stack(fsync: Fsync = "everysec", program: Program = OURS) -> Iterator[Stack]:
    """An empty store and a server on it, ready; both gone after the block.

    Raises RuntimeError where calls failed in the block: the client sends some again, which no figure would show.
    """
    with fresh_store(fsync, program) as store, _server(store.url, program) as (process, target, port):
        yield Stack(target, store.url, store.pid, process.pid, port)
        if failed := metrics.failed_calls(port):
            raise RuntimeError(f"calls failed while they were measured: {failed}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment() -> dict[str, str]:
    """Ours without the options of the user's own service; where compiled kernels are kept may stay."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DEDUP_") or name == "DEDUP_KERNEL_CACHE_DIR"
    }


@contextmanager
def _server(url: str, program: Program) -> Iterator[tuple[subprocess.Popen[bytes], str, int]]:
    port, metrics_port = _free_port(), _free_port()
    target = f"127.0.0.1:{port}"
    environment = _environment()
    environment |= {"DEDUP_LOG_LEVEL": "warning", "DEDUP_METRICS_LISTEN": f"127.0.0.1:{metrics_port}"}
    command = program.command(_SERVE, "serve", "--listen", target, "--store", url)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=program.folder, env=environment
        )
        try:
            _wait(process, target)
            yield process, target, metrics_port
        except BaseException as error:
            error.add_note(f"the server ran the code of {program.folder}")
            log.seek(0)
            sys.stderr.write(log.read()[-4000:].decode(errors="replace"))
            raise
        finally:
            end(process)


def _wait(process: subprocess.Popen[bytes], target: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            host, _, port = target.rpartition(":")
            socket.create_connection((host, int(port)), timeout=1).close()
            with DedupClient(target) as client:
                client.wait_ready(deadline - time.monotonic())
            return
        time.sleep(0.05)
    raise RuntimeError("the server did not become ready")


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and see that it does."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def end_on_signal() -> None:
    """Let SIGTERM unwind the program, so that every process it started is ended."""

    def stop(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)
