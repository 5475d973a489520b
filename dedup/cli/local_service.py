"""A service of one's own for as long as a command runs: ``dedup serve`` in a child process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dedup.cli.stops import Stops
from dedup.errors import DedupError, StoreUnavailable

_HOST = "127.0.0.1"
_STOP_SECONDS = 15


@dataclass(frozen=True, slots=True)
class LocalService:
    """A running child; ``target`` is where it answers."""

    target: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise StoreUnavailable, with the last words of the child, if it is no longer there."""
        status = self.process.poll()
        if status is not None:
            lines = self.log.read_text("utf-8", "replace").split("\n")
            words = next((line.strip() for line in reversed(lines) if line.strip()), f"exit status {status}")
            raise StoreUnavailable(f"the service stopped: {words.removeprefix('dedup: ')}")


@contextmanager
def local_service(directory: Path, stops: Stops, *, timeout: float = 240.0) -> Iterator[LocalService]:
    """A service on an embedded store in ``directory`` and a free port; stopped when the block ends.

    ``stops`` is armed for the block. ``timeout`` is in seconds, generous because kernels are compiled at the
    first start on a machine.

    Raises:
        StoreUnavailable: it does not start, or not in time.

    """
    port = _free_port()
    log = directory / "service.log"
    # Options of the user's own service must not reach this one; where compiled kernels are kept may.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DEDUP_") or name == "DEDUP_KERNEL_CACHE_DIR"
    } | {"DEDUP_LOG_LEVEL": "warning"}
    command = [sys.executable, "-m", "dedup.cli", "serve", "--listen", f"{_HOST}:{port}"]
    command += ["--store", "embedded", "--data-dir", str(directory / "store")]
    with log.open("wb") as messages:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdin=subprocess.DEVNULL, stdout=messages, stderr=messages, env=environment
        )
        service = LocalService(f"{_HOST}:{port}", process, log)
        try:
            stops.arm()
            _wait(service, port, timeout)
            yield service
            service.check()
        except DedupError:
            service.check()  # what ended the service says more than the call that failed
            raise
        finally:
            stops.disarm()
            _stop(process)


def _wait(service: LocalService, port: int, timeout: float) -> None:
    from dedup.client import DedupClient

    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        service.check()
        try:
            socket.create_connection((_HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
            continue
        with DedupClient(service.target) as client:
            client.wait_ready(max(0.1, deadline - time.monotonic()))
        return
    raise StoreUnavailable(f"the service was not ready after {timeout:g} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
