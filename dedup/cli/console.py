"""What the commands print with: answers on standard output, everything else on standard error.

Text of articles comes from outside, so it reaches a terminal without control characters. Where output is
not a terminal it is plain text of 100 columns, unless ``COLUMNS`` says otherwise.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Protocol

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

#: Columns where output is no terminal.
PLAIN_WIDTH = 100

# C0 and C1 controls, line and paragraph separators, and what turns the direction of a whole line.
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E]
_ISOLATES = [0x2066, 0x2067, 0x2068, 0x2069]
_ONE_LINE = dict.fromkeys(_CONTROLS + _ISOLATES, " ")
_MANY_LINES = {code: space for code, space in _ONE_LINE.items() if code != 0x0A}


class Advance(Protocol):
    """Tells a progress bar how far the work is and, in a few words, what came of it."""

    def __call__(self, done: int, note: str = "") -> None:
        """``done`` of the total are behind us."""


def output() -> Console:
    """The console for answers."""
    return _console(sys.stdout)


def messages() -> Console:
    """The console for progress, reports and errors."""
    return _console(sys.stderr)


def _console(file: IO[str]) -> Console:
    plain = not file.isatty() and "COLUMNS" not in os.environ
    return Console(
        file=file, width=PLAIN_WIDTH if plain else None, highlight=False, markup=False, emoji=False
    )


def say(text: str) -> None:
    """One line of an answer that programs may read: never wrapped, never styled."""
    sys.stdout.write(text + "\n")


def report(text: str) -> None:
    """One line on standard error, whole and unstyled, whatever control characters ``text`` holds."""
    messages().print(printable(text), soft_wrap=True)


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print :func:`table_lines` as wide as the terminal."""
    console = output()
    head, *rest = table_lines(header, rows, console.width, right=right)
    console.print(Text(head, style="bold"), soft_wrap=True)
    for line in rest:
        console.print(Text(line), soft_wrap=True)


def printable(text: str, *, lines: bool = False) -> str:
    """``text`` with a space for every control character, so that offsets stay; ``lines`` keeps newlines."""
    return text.translate(_MANY_LINES if lines else _ONE_LINE)


def shorten(text: str, cells: int) -> str:
    """``text`` in one line of at most ``cells`` columns, wide characters counted as two."""
    line = " ".join(printable(text).split())
    return line if cell_len(line) <= cells else set_cell_size(line, cells - 1).rstrip() + "…"


def pad(text: str, cells: int) -> str:
    """:func:`shorten`, filled up with spaces to exactly ``cells`` columns."""
    return set_cell_size(shorten(text, cells), cells)


def table_lines(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, right: Sequence[str] = ()
) -> list[str]:
    """A table without rules: columns as wide as they must be, the last cut where ``width`` ends.

    Columns named in ``right`` hold numbers. The header is the first line.
    """
    cells = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        parts = []
        for name, cell, column in zip(header[:-1], row, widths, strict=False):
            space = " " * (column - cell_len(cell))
            parts.append(space + cell if name in right else cell + space)
        left = "  ".join(parts)
        lines.append(f"{left}  {shorten(row[-1], max(12, width - cell_len(left) - 2))}".rstrip())
    return lines


def percent(share: float) -> str:
    """A share in [0, 1] as ``41 %``; below 100 % never shown as 100."""
    return f"{min(round(share * 100), 99 if share < 1 else 100)} %"


@contextmanager
def progress(what: str, total: int | None = None, *, count: bool = False) -> Iterator[Advance]:
    """A progress bar on standard error while the block runs, if that is a terminal.

    ``total`` is in whatever unit the block counts in; None shows activity alone; ``count`` shows the
    numbers beside the share.
    """
    console = messages()
    amount: list[ProgressColumn] = [MofNCompleteColumn() if count else TaskProgressColumn()]
    columns: list[ProgressColumn] = [BarColumn(), *amount] if total else [SpinnerColumn()]
    bar = Progress(
        TextColumn("{task.description}"),
        *columns,
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=total, note="")

        def advance(done: int, note: str = "") -> None:
            bar.update(task, completed=done, note=note)

        yield advance


@contextmanager
def waiting(what: str) -> Iterator[Callable[[], None]]:
    """A spinner on standard error, if that is a terminal, until the block ends or calls what it is given."""
    console = messages()
    if not console.is_terminal:
        yield lambda: None
        return
    with console.status(what) as status:
        yield status.stop
