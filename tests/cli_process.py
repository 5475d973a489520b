"""Helpers to run ``dedup`` as a process of its own, and to read what it leaves."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dedup.client import DedupClient


def command(*arguments: object) -> list[str]:
    """A command line that runs ``dedup`` as its own process."""
    return [sys.executable, "-m", "dedup.cli", *map(str, arguments)]


@contextmanager
def serving(listen: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """``dedup serve``, ready, as its own process; its log goes nowhere."""
    process = subprocess.Popen(
        command("serve", "--listen", listen, *arguments), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        with DedupClient(listen) as client:
            client.wait_ready(120)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def free_address() -> str:
    """A port that nothing listens on, a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def one_line(text: str) -> str:
    """The message in ``text``, which must be one line as every expected failure is."""
    assert text.startswith("dedup: "), text
    assert text.count("\n") == 1, text
    assert "Traceback" not in text
    return text[len("dedup: ") : -1]
