"""Worker processes, and calls that they answer; without workers this process does what is called for itself.

Calls of one worker are answered in their order. A call is given to the worker that has the least to do. What a worker
raises is raised by :meth:`Pool.result`. Where one ends before it has answered, all end, and so does the command.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, Final

import numba as nb

from dedup.bulk.messages import READY, Failure, Setup
from dedup.bulk.storage import SharedFile
from dedup.bulk.tasks import Tasks
from dedup.core.kernels.place import VARIABLE
from dedup.errors import DedupError

#: More than these are of no use by default: folding and deciding are the work of one process.
MAX_WORKERS: Final = 8
#: Seconds for workers to end once they are no longer wanted.
_PATIENCE: Final = 2.0


class WorkerEnded(DedupError):
    """A worker process ended before its work was done."""


def default_workers() -> int:
    """One for each processor, none where there is only one."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if processors == 1 else min(processors, MAX_WORKERS)


class Call:
    """Something that a worker was asked for."""

    __slots__ = ("answer", "is_done", "weight")

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.is_done = False
        self.answer: Any = None

    def done(self, answer: object) -> None:
        """Keep the answer."""
        self.answer, self.is_done = answer, True


class _Worker:
    """The connection to one worker, and what it has been asked for."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.calls: deque[Call] = deque()
        self.weight = 0
        self.is_ready = False


class Pool:
    """Workers that do tasks."""

    def __init__(self, tasks: Tasks, files: Sequence[SharedFile] = ()) -> None:
        self._tasks = tasks
        self._files = [file.descriptor for file in files]
        self._workers: list[_Worker] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def size(self) -> int:
        """How many processes do tasks."""
        return max(1, len(self._workers))

    @property
    def processes(self) -> list[int]:
        """The processes that were started: that of which the workers are children."""
        return [self._process.pid] if self._process is not None else []

    def start(self, workers: int) -> None:
        """Start workers; they are ready some time later."""
        if not workers:
            return
        pairs = [Pipe() for _ in range(workers)]
        descriptors = [their.fileno() for _, their in pairs]
        setup = Setup(
            parameters=self._tasks.parameters,
            rules=self._tasks.rules,
            files=self._files,
        )
        try:
            self._process = _started(descriptors, self._files)
        finally:
            self._workers = [_Worker(ours) for ours, _ in pairs]
            for _, their in pairs:
                their.close()
        self._workers[0].connection.send(setup)

    def close(self) -> None:
        """End the workers, whatever they do."""
        for worker in self._workers:
            worker.connection.close()
        self._workers = []
        if self._process is not None:
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    # -- calls -----------------------------------------------------------------------------------------

    def submit(self, name: str, *arguments: object, weight: int = 1) -> Call:
        """Ask for a task; ``weight`` says how much work it is, beside others."""
        call = Call(weight)
        if not self._workers:
            call.done(self._tasks.do(name, arguments))
            return call
        while not any(worker.is_ready for worker in self._workers):
            self._receive(None)
        worker = min((w for w in self._workers if w.is_ready), key=lambda w: w.weight)
        try:
            worker.connection.send((name, arguments))
        except OSError as error:
            raise self._ended() from error
        worker.calls.append(call)
        worker.weight += weight
        return call

    def result(self, call: Call) -> Any:
        """The answer to a call; waits for it."""
        while not call.is_done:
            self._receive(None)
        if isinstance(call.answer, Failure):
            raise call.answer.error
        return call.answer

    def poll(self) -> None:
        """Take the answers that have come, so that no worker waits to give one."""
        if self._workers:
            self._receive(0.0)

    def _receive(self, timeout: float | None) -> None:
        by_connection = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection), timeout):
            worker = by_connection[connection]  # type: ignore[index]
            try:
                answer = worker.connection.recv()
            except (EOFError, OSError) as error:
                raise self._ended() from error
            if not worker.is_ready and answer == READY:
                worker.is_ready = True
                continue
            call = worker.calls.popleft()
            worker.weight -= call.weight
            call.done(answer)

    def _ended(self) -> WorkerEnded:
        """Ends all; says how the first of them ended."""
        self.close()
        status = self._process.returncode if self._process is not None else 0
        how = f"exit status {status}"
        if status < 0 or status > 128:
            number = -status if status < 0 else status - 128
            how = f"killed by {signal.Signals(number).name}" if number in list(signal.Signals) else how
        return WorkerEnded(f"a worker process ended ({how}); nothing was written")


def _started(connections: Sequence[int], files: Sequence[int]) -> subprocess.Popen[bytes]:
    """The process that workers are forked from; signals that end the command are not for it."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    environment["OPENBLAS_NUM_THREADS"] = "1"
    if nb.config.CACHE_DIR:
        environment[VARIABLE] = nb.config.CACHE_DIR
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        return subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-P", "-m", "dedup.bulk.worker", *map(str, connections)],
            pass_fds=(*connections, *files),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=environment,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
