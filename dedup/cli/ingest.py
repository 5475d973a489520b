"""``dedup ingest``: send files of articles to the service and say what became of them."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Annotated

import typer

from dedup.cli.console import progress, say
from dedup.cli.fields import to_object
from dedup.cli.files import check_files
from dedup.cli.intake import SOME_REJECTED, Intake
from dedup.cli.options import (
    DEFAULT_COLLECTION,
    DEFAULT_TARGET,
    AsJson,
    Collection,
    Files,
    Rejects,
    Target,
    check_ready,
    connect,
)
from dedup.config import load_settings
from dedup.core.article_rules import ArticleRules
from dedup.errors import DedupError, InvalidArgument, NotFound, ParametersMismatch, StoreUnavailable
from dedup.model import Article, IngestResult
from dedup.sources import Line
from dedup.sources.formats import to_line

#: What is wrong with the whole work and not with one article.
_HOPELESS = (InvalidArgument, NotFound, ParametersMismatch, StoreUnavailable)


def run(
    files: Files,
    target: Target = DEFAULT_TARGET,
    collection: Collection = DEFAULT_COLLECTION,
    rejects: Rejects = None,
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
    rules = ArticleRules.of(load_settings())
    total = check_files(files)
    with ExitStack() as stack:
        ingestion = _Ingestion(
            rules=rules,
            rejects=rejects,
            write_reject=stack.enter_context(_written(rejects)).write if rejects else None,
            write_result=stack.enter_context(_written(results)).write if results else None,
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
        for text in ingestion.described(seconds):
            say(text)
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


def _written(path: Path) -> IO[str]:
    return path.open("w", encoding="utf-8", newline="\n")


@dataclass(slots=True, kw_only=True)
class _Ingestion(Intake):
    """Lines on their way to the service."""

    _sent: deque[tuple[Article, Line]] = field(default_factory=deque)

    def articles(self, files: Sequence[str]) -> Iterator[Article]:
        """The articles of ``files``; lines that hold none are reported on the way."""
        for line, article in self.lines(files):
            self._sent.append((article, line))
            yield article

    def take(self, article: Article, outcome: IngestResult | DedupError) -> None:
        """Count the answer to ``article``; answers come in the order of the articles."""
        sent, line = self._sent.popleft()
        if sent is not article:
            raise DedupError(f"{line.place}: the service answered out of order")
        if isinstance(outcome, _HOPELESS):
            raise outcome
        if isinstance(outcome, DedupError):
            self.reject(line, outcome)
            return
        self.count(outcome.outcome.name.lower(), outcome.decision)
        if self.write_result is not None:
            self.write_result(to_line(to_object(outcome)) + "\n")
