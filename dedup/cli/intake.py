"""Files of articles on the way into a collection: what was read, rejected and taken, and how that is said."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dedup.cli.console import Advance, report
from dedup.cli.files import Write
from dedup.core.article_rules import ArticleRules
from dedup.errors import DedupError
from dedup.model import Article, Decision
from dedup.sources import Line, open_source, read_jsonl
from dedup.sources.formats import to_line
from dedup.sources.jsonl import RawLine, kept_of_line, read_lines, source_name

#: Exit status where the work was done, but not for every line.
SOME_REJECTED: Final = 2


@dataclass(slots=True, kw_only=True)
class Intake:
    """The lines of files, and the counts of what became of them."""

    rules: ArticleRules
    #: Where rejected lines are kept, as the reader of the counts knows it.
    rejects: Path | None = None
    write_reject: Write | None = None
    write_result: Write | None = None
    advance: Advance | None = None
    #: Lines read so far in all files, blank ones left out.
    position: int = 0
    accepted: int = 0
    rejected: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    _bytes: int = 0

    def lines(self, files: Sequence[str]) -> Iterator[tuple[Line, Article]]:
        """The lines of ``files`` that hold an article, with it; the others are reported on the way."""
        for path in files:
            with open_source(path, self._read) as stream:
                for line in read_jsonl(stream, source_name(path), self.rules):
                    self.position += 1
                    if isinstance(line.outcome, DedupError):
                        self.reject(line, line.outcome)
                    else:
                        yield line, line.outcome

    def raw_lines(self, files: Sequence[str]) -> Iterator[tuple[RawLine, bytes | DedupError]]:
        """The lines of ``files``, with what is to be read of each, or why it cannot be."""
        for path in files:
            with open_source(path, self._read) as stream:
                for number, raw in read_lines(stream):
                    self.position += 1
                    kept = b"" if isinstance(raw, DedupError) else kept_of_line(raw)
                    yield RawLine(source_name(path), number, kept), raw

    def count(self, outcome: str, decision: Decision | None) -> None:
        """Count an article that was taken."""
        self.accepted += 1
        self.outcomes[outcome] += 1
        self.decisions[decision.kind.name.lower() if decision else "not_comparable"] += 1

    def reject(self, line: RawLine, error: DedupError) -> None:
        """Report a line that cannot be taken, and keep it where that was asked for."""
        self.rejected += 1
        report(f"{line.place}: {error.message}")
        if self.write_reject is not None:
            self.write_reject(to_line(_rejected(line, error)) + "\n")

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

    def described(self, seconds: float) -> Iterator[str]:
        """The counts for a person, line by line."""
        rate = f", {self.accepted / seconds:,.0f} a second" if self.accepted and seconds else ""
        yield f"{self.accepted:,} articles in {seconds:.1f} s{rate}"
        for what, counts in (("outcomes", self.outcomes), ("decisions", self.decisions)):
            if counts:
                parts = (f"{count:,} {name.replace('_', ' ')}" for name, count in counts.most_common())
                yield f"  {what}: {', '.join(parts)}"
        if self.rejected:
            kept = f", kept in {self.rejects}" if self.rejects is not None else ""
            yield f"  rejected: {self.rejected:,} lines{kept}"

    def _read(self, count: int) -> None:
        self._bytes += count
        if self.advance is not None:
            self.advance(self._bytes, f"{self.accepted:,} articles")


def _rejected(line: RawLine, error: DedupError) -> dict[str, object]:
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
