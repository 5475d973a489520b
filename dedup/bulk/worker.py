"""``python -m dedup.bulk.worker DESCRIPTOR...``: worker processes, which :mod:`dedup.bulk.pool` starts.

The first process reads what all have in common, loads every kernel once, and forks: the workers share what it has
loaded. Each answers the calls of its own connection in their order. One whose connection ends is no longer wanted and
ends at once, in the middle of a call too; so none outlives the command, however that ends.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection

from dedup.bulk.messages import READY, Failure, Setup
from dedup.bulk.storage import SharedFile
from dedup.bulk.tasks import Tasks
from dedup.bulk.warmup import warm_up


def main(descriptors: Sequence[int]) -> int:
    """Start a worker for each connection; the status of the first that ends otherwise than it should."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the command has them, and ends the connections
    connections = [Connection(descriptor) for descriptor in descriptors]
    try:
        setup: Setup = connections[0].recv()
    except EOFError:
        return 0
    warm_up(setup.parameters, setup.rules)
    started = [_fork(connections, connection, setup) for connection in connections]
    for connection in connections:
        connection.close()
    statuses = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in started]
    failed = next((status for status in statuses if status), 0)
    return 128 - failed if failed < 0 else failed  # as a shell names signals


def _fork(connections: Sequence[Connection], own: Connection, setup: Setup) -> int:
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        for connection in connections:
            if connection is not own:
                connection.close()
        _work(own, setup)
        status = 0
    except BaseException:  # noqa: BLE001 - nothing of the process it was forked from is to be run
        traceback.print_exc()
    finally:
        os._exit(status)


def _work(connection: Connection, setup: Setup) -> None:
    lines, texts, words = map(SharedFile, setup.files)
    tasks = Tasks(parameters=setup.parameters, rules=setup.rules, lines=lines, texts=texts, words=words)
    calls: queue.SimpleQueue[tuple[str, tuple[object, ...]]] = queue.SimpleQueue()
    # Calls are taken as they come, so that who sends one never waits for the work on another.
    threading.Thread(target=_receive, args=(connection, calls), daemon=True).start()
    connection.send(READY)
    while True:
        name, arguments = calls.get()
        answer: object
        try:
            answer = tasks.do(name, arguments)
        except Exception as error:  # noqa: BLE001 - raised where the call was made
            error.add_note(traceback.format_exc())
            answer = Failure(error)
        try:
            connection.send(answer)
        except OSError:
            return


def _receive(connection: Connection, calls: queue.SimpleQueue[tuple[str, tuple[object, ...]]]) -> None:
    while True:
        try:
            calls.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)


if __name__ == "__main__":
    sys.exit(main([int(each) for each in sys.argv[1:]]))
