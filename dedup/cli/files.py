"""Files that commands write: under their names stands what is complete, or what stood there before."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from dedup.cli.stops import uninterrupted
from dedup.sources.jsonl import STDIN

#: Write some text; raises OSError that names the file.
Write = Callable[[str], object]


def check_files(files: Sequence[str]) -> int | None:
    """Bytes of all files to be read, None where that cannot be known; raises OSError unless all can be read."""
    total: int | None = 0
    for path in files:
        if path == STDIN:
            total = None
            continue
        info = Path(path).stat()
        if stat.S_ISDIR(info.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        total = None if total is None or not stat.S_ISREG(info.st_mode) else total + info.st_size
    return total


def check_directory(directory: Path) -> None:
    """Raises OSError unless files can be made in a directory, or it can be made itself."""
    there = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(there))


@contextmanager
def replaced(*paths: Path) -> Iterator[list[Write]]:
    """Writers for files that take their names, all of them, only when the block ends well.

    A path where something else than a file stands, such as a pipe or ``/dev/stdout``, is written to as it is.

    Raises:
        OSError: a file cannot be written; nothing is left behind.

    """
    with ExitStack() as stack:
        with uninterrupted():
            opened = [_opened(path, stack) for path in paths]
        yield [_writer(file, path) for file, path, _ in opened]
        for file, path, is_temporary in opened:
            with _named(path):
                file.flush()
                if is_temporary:
                    os.fchmod(file.fileno(), 0o666 & ~_umask())
                    os.fsync(file.fileno())
        with uninterrupted():
            for file, path, is_temporary in opened:
                if is_temporary:
                    Path(file.name).replace(path)


def _opened(path: Path, stack: ExitStack) -> tuple[IO[str], Path, bool]:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if (path.exists() and not path.is_file()) or path.is_relative_to("/dev"):
        direct = path.open("w", encoding="utf-8", newline="\n")
        stack.callback(_close, direct)
        return direct, path, False
    final = path.resolve()  # of a link, what it points to is replaced
    with _named(path):
        file = NamedTemporaryFile(  # noqa: SIM115 - closed by the stack
            "w", encoding="utf-8", newline="\n", dir=final.parent, prefix=f".{final.name}.", delete=False
        )
    stack.callback(Path(file.name).unlink, missing_ok=True)
    stack.callback(_close, file)
    return file, final, True


def _close(file: IO[str]) -> None:
    """Close what was flushed, or what is given up: what a full disk did not take is no longer wanted."""
    with suppress(OSError):
        file.close()


def _writer(file: IO[str], path: Path) -> Write:
    def write(text: str) -> None:
        try:
            file.write(text)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error

    return write


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of a block name the file: those of a write or of a directory of temporary files do not."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _umask() -> int:
    """The mask that other files are made with; there is no way to ask but to set it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
