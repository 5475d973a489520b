"""Sentences and pictures that several commands show: decisions, matches, two texts side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from dedup.cli.console import percent, printable, shorten
from dedup.model import Comparison, Decision, DecisionKind, Match, MatchKind, Passage

COPIED_STYLE, QUOTED_STYLE, NUMBER_STYLE = "black on yellow", "black on cyan", "bold reverse"


def kind_text(kind: MatchKind) -> str:
    """``near duplicate`` for NEAR_DUPLICATE."""
    return kind.name.lower().replace("_", " ")


def decision_text(decision: Decision | None, matches: Sequence[Match] = ()) -> str:
    """``copy 97 % of ID (near duplicate)`` and its like; ``not comparable`` where there is no decision."""
    if decision is None:
        return "not comparable"
    share, of = percent(decision.covered), printable(decision.copies)
    if decision.kind is DecisionKind.COPY:
        kinds = [kind_text(match.kind) for match in matches if match.other == decision.copies]
        return f"copy {share} of {of}" + (f" ({kinds[0]})" if kinds else "")
    if decision.kind is DecisionKind.PARTIAL_COPY:
        return f"partial {share} of {of}"
    if decision.kind is DecisionKind.OWN_UPDATE:
        return f"own update {share} of {of}" if of else "own update"
    return "quotes only" if decision.kind is DecisionKind.QUOTES_ONLY else "new"


def measures_text(match: Match | None) -> str:
    """The kind of a match and what was measured, in one line."""
    if match is None:
        return "no match: nothing that counts is shared"
    return (
        f"{kind_text(match.kind)} · {percent(match.containment)} and {percent(match.other_containment)} covered · "
        f"{match.shared_words} words shared, {match.quoted_words} quoted, "
        f"{match.longest_unquoted_run} in a row unquoted · Jaccard {match.jaccard:.3f} · "
        f"copy with a probability of {match.probability:.2f}"
    )


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Two articles in two panels, their shared passages numbered and highlighted (a rich renderable).

    Passages of which at least half of the words are quoted in either text have a style of their own; without
    colors they stand in quotation marks inside the brackets that show every passage. ``short`` leaves
    paragraphs out in which nothing is shared.
    """

    comparison: Comparison
    titles: tuple[str, str]
    short: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        color = console.color_system is not None
        match = self.comparison.match
        passages = match.passages if match is not None else self.comparison.passages
        numbered = list(enumerate(sorted(passages, key=lambda passage: passage.start), 1))
        sides = (
            (
                self.comparison.article.text,
                [_Span(number=n, start=p.start, end=p.end, quoted=is_quoted(p)) for n, p in numbered],
            ),
            (
                self.comparison.other.text,
                [
                    _Span(number=n, start=p.other_start, end=p.other_end, quoted=is_quoted(p))
                    for n, p in numbered
                ],
            ),
        )
        table = Table.grid(expand=True)
        table.add_column(ratio=1)
        table.add_column(ratio=1)
        width = max(8, options.max_width // 2 - 6)
        table.add_row(
            *(
                Panel(_marked(text, spans, color=color, short=self.short), title=Text(shorten(title, width)))
                for (text, spans), title in zip(sides, self.titles, strict=True)
            )
        )
        yield table
        if numbered:
            yield _legend(color=color, quoted=any(is_quoted(p) for p in passages))


@dataclass(frozen=True, slots=True)
class _Span:
    number: int
    start: int
    end: int
    quoted: bool


def is_quoted(passage: Passage) -> bool:
    """Whether a passage counts as a quotation: at least half of its words are quoted in either text."""
    return passage.quoted * 2 >= max(1, passage.words)


def _marked(text: str, spans: Sequence[_Span], *, color: bool, short: bool) -> RenderableType:
    """``text`` paragraph by paragraph, a passage that runs over its end numbered again in the next."""
    shown = Text()
    spans = sorted(spans, key=lambda span: span.start)
    left_out, start = False, 0
    for number, paragraph in enumerate(text.split("\n")):
        end = start + len(paragraph)
        inside = [span for span in spans if span.start < end and span.end > start and paragraph.strip()]
        if number and short and not inside:
            left_out = left_out or bool(paragraph.strip())
        else:
            shown.append("\n⋯\n" if left_out else "\n" if number else "", "dim")
            left_out = False
            shown.append_text(_paragraph(text, start, end, inside, color=color, headline=not number))
        start = end + 1
    if left_out:
        shown.append("\n⋯", "dim")
    return shown


def _paragraph(
    text: str, start: int, end: int, spans: Sequence[_Span], *, color: bool, headline: bool
) -> Text:
    shown = Text(style="bold" if headline else "")
    for span in spans:
        first, last = max(start, span.start), min(end, span.end)
        shown.append(printable(text[start:first]))
        piece = printable(text[first:last])
        if color:
            shown.append(f" {span.number} ", NUMBER_STYLE)
            shown.append(piece, QUOTED_STYLE if span.quoted else COPIED_STYLE)
        else:
            shown.append(f'["{span.number}: {piece}"]' if span.quoted else f"[{span.number}: {piece}]")
        start = last
    shown.append(printable(text[start:end]))
    return shown


def _legend(*, color: bool, quoted: bool) -> Text:
    legend = Text(style="dim")
    if color:
        legend.append(" n ", NUMBER_STYLE)
        legend.append("copied", COPIED_STYLE)
        if quoted:
            legend.append("  ").append(" n ", NUMBER_STYLE).append("quoted", QUOTED_STYLE)
        return legend
    return legend.append("[n: copied]" + ('  ["n: quoted"]' if quoted else ""))
