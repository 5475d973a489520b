"""Bytes that a store appends to its file, those of rewrites left out.

The size of the append-only file falls with every rewrite, so two sizes do not say what an article adds. Commands are
appended to increments (``*.incr.aof``): a rewrite begins a new one, and removes the old one when it ends. Each
increment is opened when it is first seen, so that its size can be read after it was removed. It must live for half a
second: as long as the next rewrite does not end before that.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Any, Final, Self

import redis

from bench import metrics

_LOOK_SECONDS: Final = 0.5


class Appended:
    """Watches the append-only file of a store on this machine; a context manager."""

    def __init__(self, store: redis.Redis) -> None:
        found: Any = store.config_get("*dir*")
        kept = {_text(name): _text(value) for name, value in found.items()}
        self._folder = Path(kept["dir"]) / kept["appenddirname"]
        self._store = store
        self._increments: dict[str, int] = {}
        self._looking = threading.Lock()
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="appended", daemon=True)

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()
        while self._increments:
            os.close(self._increments.popitem()[1])

    def size(self) -> int:
        """Bytes appended since the increment began that was there at first; what waits to be written is included."""
        self._look()
        waiting = int(metrics.info(self._store, "persistence").get("aof_buffer_length", 0))
        return waiting + sum(os.fstat(descriptor).st_size for descriptor in self._increments.values())

    def _watch(self) -> None:
        while not self._left.wait(_LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        with self._looking, contextlib.suppress(FileNotFoundError):
            for path in self._folder.glob("*.incr.aof"):
                if path.name not in self._increments:
                    self._increments[path.name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
