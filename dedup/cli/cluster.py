"""``dedup cluster``: articles and matches of files, without a service or a store."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dedup.cli.console import Advance, progress, say, waiting
from dedup.cli.fields import to_fields
from dedup.cli.files import Write, check_directory, check_files, replaced
from dedup.cli.intake import SOME_REJECTED, Intake
from dedup.cli.options import AsJson, Files, OutputDir, Rejects
from dedup.cli.parameters import (
    DEFAULTS,
    KeepText,
    Landmarks,
    MatchWindowDays,
    MinimumWords,
    Profile,
    Rule,
    SameStory,
    StorySpanDays,
    Window,
    read_rules,
)
from dedup.cli.stops import Stops
from dedup.config import load_settings
from dedup.core.article_rules import ArticleRules
from dedup.core.parameters import check_parameters
from dedup.errors import DedupError
from dedup.model import CollectionParameters
from dedup.sources.formats import ARTICLES_FILE, MATCHES_FILE, article_fields, to_line
from dedup.sources.jsonl import RawLine

if TYPE_CHECKING:
    from dedup.bulk.local import LocalCollection

Results = Annotated[
    Path | None,
    typer.Option("--results", metavar="FILE", help="Write id, outcome and decision of each article there."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=0,
        help="Processes that prepare and compare, beside the one that decides. "
        "If not given one for each processor, at most 8; on one processor none.",
    ),
]

#: Seconds between two lines that have no time of arrival.
_BETWEEN_LINES = 1e-6
#: Articles written between two looks at the progress bar.
_SHOWN = 100


def run(
    files: Files,
    output_dir: OutputDir,
    rejects: Rejects = None,
    results: Results = None,
    workers: Workers = None,
    profile: Profile = DEFAULTS.profile,
    window: Window = DEFAULTS.window,
    landmarks: Landmarks = DEFAULTS.landmarks,
    minimum_words: MinimumWords = DEFAULTS.minimum_words,
    match_window_days: MatchWindowDays = DEFAULTS.match_window_days,
    story_span_days: StorySpanDays = DEFAULTS.story_span_days,
    keep_text: KeepText = DEFAULTS.keep_text,
    same_story: SameStory = DEFAULTS.same_story,
    rule: Rule = None,
    as_json: AsJson = False,
) -> None:
    """Find what files of articles share: articles.jsonl and matches.jsonl, without a service.

    Lines are those of ingest, the two files those of export, as if each line had been ingested in its turn: the
    newest version of an article counts, a canceled one is removed, the first to arrive is what others copy. No
    service and no store are needed; what is known is held in memory. The first run on a machine compiles
    kernels, which takes a minute or two.

    A line arrives at its arrival_time (RFC 3339 or YYYY-MM-DD). Where it has none that is the start of the run
    and as many microseconds as lines stand before it, in all files together. An article without published
    counts as published when it arrives, so a run can be repeated to the byte where lines have one of the two.
    The number of workers changes nothing. They are started from 800 lines on.

    A line that cannot be taken is reported with file, line number and reason, and the rest goes on. Files take
    their names once all are complete. Exit status: 0, every line was taken; 2, some were rejected; 1, the work
    could not be done.

    Examples:
      dedup cluster today.jsonl --output out
      dedup cluster archive/*.jsonl.zst --output out --rejects bad.jsonl --results results.jsonl
      zcat feed.gz | dedup cluster - --output out --match-window-days 30 --json

    """
    rules = ArticleRules.of(load_settings())
    parameters = CollectionParameters(
        profile=profile,
        window=window,
        landmarks=landmarks,
        minimum_words=minimum_words,
        match_window_days=match_window_days,
        story_span_days=story_span_days,
        keep_text=keep_text,
        same_story=same_story,
        rules=read_rules(rule or ()),
    )
    check_parameters(parameters)
    total = check_files(files)
    check_directory(output_dir)
    with Stops() as stops, ExitStack() as stack:
        clustering = _Clustering(
            rules=rules,
            rejects=rejects,
            write_reject=_kept(rejects, stack),
            write_result=_kept(results, stack),
            stops=stops,
        )
        try:
            stops.arm()
            started = time.monotonic()
            clustering.run(files, total, output_dir, parameters, workers)
            seconds = time.monotonic() - started
        finally:
            stops.disarm()
    if as_json:
        say(to_line(clustering.summary(seconds)))
    else:
        for text in clustering.described(seconds):
            say(text)
    if clustering.rejected:
        raise typer.Exit(SOME_REJECTED)


def _kept(path: Path | None, stack: ExitStack) -> Write | None:
    return stack.enter_context(replaced(path))[0] if path else None


@dataclass(slots=True, kw_only=True)
class _Clustering(Intake):
    """Lines on their way into a collection in memory, and what comes out of it."""

    stops: Stops
    matches: int = 0
    #: Lines that were read and not taken yet.
    _lines: deque[RawLine] = field(default_factory=deque)
    _sizes: Counter[str] = field(default_factory=Counter)

    def run(
        self,
        files: Sequence[str],
        total: int | None,
        output_dir: Path,
        parameters: CollectionParameters,
        workers: int | None,
    ) -> None:
        """Take the lines of ``files`` in, ``total`` bytes of them, and write the two files."""
        from dedup.bulk.local import LocalCollection

        collection = LocalCollection(parameters, workers=workers, rules=self.rules)
        try:
            with progress("read", total) as self.advance:
                self._take_in(collection, self._arrivals(files, time.time()))
            with waiting("settle"):
                collection.settle()
            with progress("write", collection.collection.articles or None, count=True) as advance:
                self._write(collection, output_dir, advance)
        finally:
            collection.close()

    def _arrivals(self, files: Sequence[str], start: float) -> Iterator[tuple[bytes | DedupError, float]]:
        """Every line with the time at which it arrives if it does not say so itself."""
        for line, raw in self.raw_lines(files):
            self.stops.check()
            self._lines.append(line)
            yield raw, start + (self.position - 1) * _BETWEEN_LINES

    def _take_in(
        self, collection: LocalCollection, arrivals: Iterable[tuple[bytes | DedupError, float]]
    ) -> None:
        for taken in collection.ingest(arrivals):
            line = self._lines.popleft()
            if taken.error is not None:
                self.reject(line, taken.error)
                continue
            self.count(taken.outcome, taken.decision)
            if self.write_result is not None:
                found = {"id": taken.id, "outcome": taken.outcome, "decision": to_fields(taken.decision)}
                self.write_result(to_line(found) + "\n")

    def _write(self, collection: LocalCollection, directory: Path, advance: Advance) -> None:
        """The two files."""
        directory.mkdir(parents=True, exist_ok=True)
        with replaced(directory / ARTICLES_FILE, directory / MATCHES_FILE) as (write_article, write_match):
            for count, article in enumerate(collection.articles(), 1):
                self.stops.check()
                if article.cluster is not None:
                    self._sizes[article.cluster] += 1
                write_article(to_line(article_fields(article)) + "\n")
                if count % _SHOWN == 0:
                    advance(count)
            for count, lines in collection.match_lines():
                self.stops.check()
                write_match(lines)
                self.matches += count

    @property
    def clusters(self) -> int:
        """Clusters of two articles and more."""
        return sum(size > 1 for size in self._sizes.values())

    def summary(self, seconds: float) -> dict[str, object]:
        """The counts for a program."""
        counts = Intake.summary(self, seconds)
        times = {name: counts.pop(name) for name in ("seconds", "articles_per_second")}
        return {**counts, "clusters": self.clusters, "matches": self.matches, **times}

    def described(self, seconds: float) -> Iterator[str]:
        """The counts for a person, line by line."""
        taken, *rest = Intake.described(self, seconds)
        yield taken
        yield f"  {self.clusters:,} clusters of two and more, {self.matches:,} matches"
        yield from rest
