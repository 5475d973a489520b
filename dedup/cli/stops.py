"""Interrupts that come when they may: SIGINT and SIGTERM never cut in two what must be whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stops:
    """SIGINT and SIGTERM as exceptions, but only while armed: never while something is made or removed.

    A context manager, entered before what must be cleaned up. A signal that comes unarmed is raised when
    :meth:`arm` is called. One is raised once; those that come after it do not disturb the cleaning up. Outside
    the main thread signals are left to whoever has it.
    """

    def __init__(self) -> None:
        self._armed = False
        self._came: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._take) for number in _STOP_SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def arm(self) -> None:
        """From here on a signal is raised where the program is."""
        self._armed = True
        self.check()

    def disarm(self) -> None:
        """From here on a signal waits."""
        self._armed = False

    def check(self) -> None:
        """Raise what has come: an exception raised within a callback of C code is lost there."""
        if self._came is None:
            return
        self.disarm()
        if self._came == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self._came)

    def _take(self, number: int, _: object) -> None:
        self._came = self._came or number
        if self._armed:
            self.check()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A block that SIGINT and SIGTERM do not cut in two: they take effect at its end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number)) for number in _STOP_SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
