"""``dedup ingest``: send files of articles to the service and say what became of them."""

from __future__ import annotations

import base64
import errno
import os
import signal
import stat
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Annotated

import typer

from dedup.cli.console import Advance, progress, report, say
from dedup.cli.fields import to_object
from dedup.cli.options import (
    DEFAULT_COLLECTION,
    DEFAULT_TARGET,
    AsJson,
    Collection,
    Target,
    check_ready,
    connect,
)
from dedup.config import Settings, load_settings
from dedup.core.article_rules import ArticleRules
from dedup.errors import DedupError, InvalidArgument, NotFound, ParametersMismatch, StoreUnavailable
from dedup.model import Article, IngestResult
from dedup.sources import Line, open_source, read_jsonl
from dedup.sources.formats import to_line
from dedup.sources.jsonl import STDIN, source_name

#: Exit status where the work was done, but not for every line.
SOME_REJECTED = 2

#: What is wrong with the whole work and not with one article.
_HOPELESS = (InvalidArgument, NotFound, ParametersMismatch, StoreUnavailable)


def run(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="JSON Lines, plain or gzip; - is standard input.")
    ],
    target: Target = DEFAULT_TARGET,
    collection: Collection = DEFAULT_COLLECTION,
    rejects: Annotated[
        Path | None,
        typer.Option("--rejects", metavar="FILE", help="Write each rejected line there, with its reason."),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="FILE", help="Write the answer to each article there, as JSON."),
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", min=1, max=1000, help="Articles sent together.")
    ] = 100,
    as_json: AsJson = False,
) -> None:
    """Send articles to the service and say what became of them.

    A line is one JSON object: id, headline (or title), body, and optionally source, byline, located, url,
    language, published (RFC 3339 or YYYY-MM-DD), version, version_time, pubstatus (usable, withheld,
    canceled), body_media_type (text/plain, text/html). Other fields are ignored.

    A line that cannot be taken is reported with file, line number and reason, and the rest goes on. Sending
    a file again changes nothing. Exit status: 0, every line was taken; 2, some were rejected; 1, the work
    could not be done.

    Examples:
      dedup ingest today.jsonl
      dedup ingest archive/*.jsonl.gz --rejects bad.jsonl
      curl -s https://example.org/feed.jsonl | dedup ingest - --json

    """
    settings = load_settings()
    total = _check_files(files)
    with ExitStack() as stack:
        ingestion = _Ingestion(
            settings=settings,
            rejects=stack.enter_context(_written(rejects)) if rejects else None,
            results=stack.enter_context(_written(results)) if results else None,
        )
        ingestion.advance = stack.enter_context(progress("ingest", total))
        client = stack.enter_context(connect(target))
        check_ready(client, target)
        interrupted = stack.enter_context(_interrupts())
        started = time.monotonic()
        try:
            stream = client.ingest_stream(
                ingestion.articles(files),
                collection=collection,
                batch_size=batch_size,
                max_matches=None if results else 0,
            )
            for article, outcome in stream:
                ingestion.take(article, outcome)
            if interrupted:  # where gRPC's own code ran at that moment, the exception was lost in it
                raise KeyboardInterrupt
        except DedupError as error:
            taken = f" ({ingestion.accepted} articles were acknowledged)" if ingestion.accepted else ""
            raise type(error)(error.message + taken, error.reason, **error.metadata) from error
        seconds = time.monotonic() - started
    if as_json:
        say(to_line(ingestion.summary(seconds)))
    else:
        ingestion.show(seconds)
    if ingestion.rejected:
        raise typer.Exit(SOME_REJECTED)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Interrupts as Python raises them, and remembered, for the block."""
    seen: list[int] = []

    def on_interrupt(number: int, _: FrameType | None) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


def _check_files(files: Sequence[str]) -> int | None:
    """Bytes of all files, None where that cannot be known; nothing is sent unless all can be read."""
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


def _written(path: Path) -> IO[str]:
    return path.open("w", encoding="utf-8", newline="\n")


@dataclass(slots=True)
class _Ingestion:
    """Lines on their way to the service, and the counts of what came back."""

    settings: Settings
    rejects: IO[str] | None = None
    results: IO[str] | None = None
    advance: Advance | None = None
    accepted: int = 0
    rejected: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    _bytes: int = 0
    _sent: deque[tuple[Article, Line]] = field(default_factory=deque)

    def articles(self, files: Sequence[str]) -> Iterator[Article]:
        """The articles of ``files``; lines that hold none are reported on the way."""
        for path in files:
            with open_source(path, self._read) as stream:
                for line in read_jsonl(stream, source_name(path), ArticleRules.of(self.settings)):
                    if isinstance(line.outcome, DedupError):
                        self._reject(line, line.outcome)
                    else:
                        self._sent.append((line.outcome, line))
                        yield line.outcome

    def take(self, article: Article, outcome: IngestResult | DedupError) -> None:
        """Count the answer to ``article``; answers come in the order of the articles."""
        sent, line = self._sent.popleft()
        if sent is not article:
            raise DedupError(f"{line.place}: the service answered out of order")
        if isinstance(outcome, _HOPELESS):
            raise outcome
        if isinstance(outcome, DedupError):
            self._reject(line, outcome)
            return
        self.accepted += 1
        self.outcomes[outcome.outcome.name.lower()] += 1
        decided = outcome.decision.kind.name.lower() if outcome.decision else "not_comparable"
        self.decisions[decided] += 1
        if self.results is not None:
            self.results.write(to_line(to_object(outcome)) + "\n")

    def summary(self, seconds: float) -> dict[str, object]:
        """The counts for a program."""
        return {
            "articles": self.accepted,
            "rejected": self.rejected,
            "outcomes": dict(sorted(self.outcomes.items())),
            "decisions": dict(sorted(self.decisions.items())),
            "seconds": round(seconds, 3),
            "articles_per_second": round(self.accepted / seconds, 1) if seconds else 0.0,
        }

    def show(self, seconds: float) -> None:
        """The counts for a person."""
        rate = f", {self.accepted / seconds:,.0f} a second" if self.accepted and seconds else ""
        say(f"{self.accepted:,} articles in {seconds:.1f} s{rate}")
        for what, counts in (("outcomes", self.outcomes), ("decisions", self.decisions)):
            if counts:
                parts = (f"{count:,} {name.replace('_', ' ')}" for name, count in counts.most_common())
                say(f"  {what}: {', '.join(parts)}")
        if self.rejected:
            kept = f", kept in {self.rejects.name}" if self.rejects is not None else ""
            say(f"  rejected: {self.rejected:,} lines{kept}")

    def _read(self, count: int) -> None:
        self._bytes += count
        if self.advance is not None:
            self.advance(self._bytes, f"{self.accepted:,} articles")

    def _reject(self, line: Line, error: DedupError) -> None:
        self.rejected += 1
        report(f"{line.place}: {error.message}")
        if self.rejects is not None:
            self.rejects.write(to_line(_rejected(line, error)) + "\n")


def _rejected(line: Line, error: DedupError) -> dict[str, object]:
    """A rejected line as it is kept: ``raw`` is the line itself, or ``raw_base64`` where it is no UTF-8."""
    fields: dict[str, object] = {
        "file": line.file,
        "line": line.number,
        "reason": error.message,
        "error": error.reason.name,
    }
    try:
        return {**fields, "raw": line.raw.decode()}
    except UnicodeDecodeError:
        return {**fields, "raw_base64": base64.b64encode(line.raw).decode("ascii")}
