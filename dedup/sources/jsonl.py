"""Articles from JSON Lines: one JSON object a line, plain, gzip or zstd (told by content), file or standard input.

Every line that is not blank comes out, in order, with its place: as an article, or as the error that says
why it is none. Damaged gzip or zstd data or a read error ends its file with such an error. Control characters
may stand unescaped in strings (real feeds hold them), which strict JSON forbids; NaN and Infinity may not.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import orjson

from dedup.core.article_rules import DEFAULT_ARTICLE_RULES, ArticleRules
from dedup.errors import DedupError, InvalidArticle, LimitExceeded
from dedup.model import Article
from dedup.sources import zstd
from dedup.sources.fields import arrival_time_from_fields, article_from_fields

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: A stream of bytes that can be looked into (``peek``) before it is read.
Source = io.BufferedReader | gzip.GzipFile

#: What stands for standard input on a command line, and how it is called in reports.
STDIN, STDIN_NAME = "-", "<stdin>"
#: A body of 1 MiB whose every character is escaped as \\u00XX takes 6 MiB; longer lines are not held.
MAX_LINE_BYTES = 16 * 1024 * 1024

_GZIP_MAGIC = b"\x1f\x8b"
_MAGIC = (_GZIP_MAGIC, *zstd.MAGIC)
_BOM = b"\xef\xbb\xbf"
#: How much of a line over the limit is kept for reports.
_KEPT_OF_LONG_LINE = 1000


@dataclass(frozen=True, slots=True)
class RawLine:
    """One line: its file's name, its number (from 1), the bytes as read, none where they could not be."""

    file: str
    number: int
    raw: bytes

    @property
    def place(self) -> str:
        """``file:number``, as compilers write it."""
        return f"{self.file}:{self.number}"


@dataclass(frozen=True, slots=True)
class Line(RawLine):
    """A line and what it holds.

    ``arrival_time`` is its field of that name in Unix seconds, where that was asked for and is there.
    """

    outcome: Article | DedupError
    arrival_time: float | None = None


@contextmanager
def open_source(path: str, on_read: Callable[[int], None] | None = None) -> Iterator[Source]:
    """The bytes of a file, or of standard input for ``-``, unpacked where they are gzip or zstd.

    ``on_read`` is told how many bytes were taken from the file, each time some are.

    Raises:
        OSError: the file cannot be opened.

    """
    if path == STDIN:
        yield _unpacked(sys.stdin.buffer, on_read)
        return
    with Path(path).open("rb") as file:
        yield _unpacked(file, on_read)


def source_name(path: str) -> str:
    """How reports call the source at ``path``."""
    return STDIN_NAME if path == STDIN else path


def read_jsonl(
    stream: io.BufferedIOBase,
    name: str,
    rules: ArticleRules = DEFAULT_ARTICLE_RULES,
    *,
    arrival_times: bool = False,
) -> Iterator[Line]:
    """Every line of ``stream`` that is not blank; ``name`` is the file's name in reports.

    ``arrival_times`` reads the field ``arrival_time`` beside the article; else it is ignored as any other that
    is none of an article.
    """
    for number, raw in read_lines(stream):
        outcome: Article | DedupError
        arrival_time = None
        kept = b""
        if isinstance(raw, DedupError):
            outcome = raw
        else:
            outcome, arrival_time = article_of_line(raw, rules, arrival_times=arrival_times)
            kept = kept_of_line(raw)
        yield Line(file=name, number=number, raw=kept, outcome=outcome, arrival_time=arrival_time)


def article_of_line(
    raw: bytes, rules: ArticleRules, *, arrival_times: bool = True
) -> tuple[Article | DedupError, float | None]:
    """What one line holds, an article or why it is none, and its ``arrival_time`` where that is asked for."""
    try:
        fields = _parse(raw)
        article = article_from_fields(fields, rules)
        return article, arrival_time_from_fields(fields) if arrival_times else None
    except DedupError as error:
        return error, None


def kept_of_line(raw: bytes) -> bytes:
    """As much of a line as is kept for reports."""
    return raw[:_KEPT_OF_LONG_LINE] if len(raw) > MAX_LINE_BYTES else raw


def read_objects(stream: io.BufferedIOBase) -> Iterator[tuple[int, bytes, dict[str, object] | DedupError]]:
    """Every line that is not blank: its number, its bytes, and the JSON object in it or why there is none."""
    for number, raw in read_lines(stream):
        if isinstance(raw, DedupError):
            yield number, b"", raw
            continue
        fields: dict[str, object] | DedupError
        try:
            fields = _parse(raw)
        except DedupError as error:
            fields = error
        yield number, raw, fields


def read_lines(stream: io.BufferedIOBase) -> Iterator[tuple[int, bytes | DedupError]]:
    """Numbered lines without their ends; a line over the limit is cut one byte after it, the rest skipped."""
    number = 0
    while True:
        number += 1
        try:
            raw = stream.readline(MAX_LINE_BYTES + 1)
            if not raw:
                return
            rest = raw
            while len(raw) > MAX_LINE_BYTES and rest and not rest.endswith(b"\n"):
                rest = stream.readline(MAX_LINE_BYTES)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield number, InvalidArticle(f"damaged gzip data, reading stops here: {error}")
            return
        except InvalidArticle as error:
            yield number, error
            return
        except OSError as error:
            yield number, InvalidArticle(f"reading stops here: {error.strerror or error}")
            return
        raw = raw.removesuffix(b"\n").removesuffix(b"\r")
        if number == 1:
            raw = raw.removeprefix(_BOM)
        if raw.strip():
            yield number, raw


def _parse(raw: bytes) -> dict[str, object]:
    if len(raw) > MAX_LINE_BYTES:
        raise LimitExceeded(
            f"line is over the limit of {MAX_LINE_BYTES} bytes", field="line", limit=MAX_LINE_BYTES
        )
    try:
        value = orjson.loads(raw)
        # a float may be an integer of more than 64 bits
        if isinstance(value, dict) and not any(isinstance(each, float) for each in value.values()):
            return value
    except orjson.JSONDecodeError:
        pass  # what is wrong, or what is allowed though strict JSON forbids it, the other parser says
    try:
        value = json.loads(raw.decode(), strict=False, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise InvalidArticle(
            f"invalid UTF-8 at byte {error.start + 1}: 0x{raw[error.start]:02x}", field="line"
        ) from error
    except json.JSONDecodeError as error:
        what = error.msg[:1].lower() + error.msg[1:]
        raise InvalidArticle(f"malformed JSON at column {error.colno}: {what}", field="line") from error
    except RecursionError as error:
        raise InvalidArticle("malformed JSON: nested too deeply", field="line") from error
    except ValueError as error:
        raise InvalidArticle(f"malformed JSON: {error}", field="line") from error
    if not isinstance(value, dict):
        kinds = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
        raise InvalidArticle(f"not a JSON object but {kinds.get(type(value), 'a number')}", field="line")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _unpacked(file: io.BufferedIOBase | BinaryIO, on_read: Callable[[int], None] | None) -> Source:
    head = b""
    # Byte by byte, so that a first line through a pipe does not wait for the second one.
    while any(magic.startswith(head) and magic != head for magic in _MAGIC) and (byte := file.read(1)):
        head += byte
    whole: io.BufferedReader = io.BufferedReader(_Rejoined(head, file, on_read))
    if head == _GZIP_MAGIC:
        return gzip.GzipFile(fileobj=whole)
    return io.BufferedReader(zstd.ZstdReader(whole)) if head in zstd.MAGIC else whole


class _Rejoined(io.RawIOBase):
    """A stream with the bytes that were read to tell its format put back in front."""

    def __init__(
        self, head: bytes, rest: io.BufferedIOBase | BinaryIO, on_read: Callable[[int], None] | None
    ) -> None:
        self._head, self._rest, self._on_read = head, rest, on_read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        data = self._head or _some(self._rest, len(view))
        taken, self._head = data[: len(view)], data[len(view) :]
        view[: len(taken)] = taken
        if self._on_read is not None:
            self._on_read(len(taken))
        return len(taken)


def _some(stream: io.BufferedIOBase | BinaryIO, size: int) -> bytes:
    """What is there now, so that lines come through a pipe as they are written."""
    return stream.read1(size) if isinstance(stream, io.BufferedIOBase) else stream.read(size)
