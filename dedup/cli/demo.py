"""``dedup demo``: the whole job on story families, from the first article to the stories."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from dedup.cli.baseline import minhash_pairs
from dedup.cli.console import output, pad, printable, waiting
from dedup.cli.local_service import local_service
from dedup.cli.options import connect
from dedup.cli.seeds import Family, copy_pairs, find_seeds, load_families
from dedup.cli.stops import Stops
from dedup.cli.stories import show_story
from dedup.cli.views import SideBySide, decision_text, is_quoted, measures_text
from dedup.errors import DedupError, Reason
from dedup.model import (
    Article,
    DecisionKind,
    ExportedArticle,
    IngestResult,
    Match,
    MatchKind,
    Outcome,
    PubStatus,
)

if TYPE_CHECKING:
    from dedup.client import DedupClient

_COLLECTION = "demo"
_SETTLE_SECONDS = 30
_JACCARD = 0.5
_LANGUAGES = {
    "ar": "Arabic",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "ja": "Japanese",
    "ur": "Urdu",
    "zh": "Chinese",
}
_DECISION_STYLES = {
    DecisionKind.NEW: "green",
    DecisionKind.COPY: "bold yellow",
    DecisionKind.PARTIAL_COPY: "yellow",
    DecisionKind.OWN_UPDATE: "magenta",
    DecisionKind.QUOTES_ONLY: "cyan",
}


def run(
    seeds: Annotated[
        Path | None,
        typer.Option("--seeds", metavar="DIR", help="Story families to show, instead of those shipped."),
    ] = None,
) -> None:
    """Show the whole job on story families written for it.

    Nothing needs to be running: it starts a service of its own on an embedded store in a temporary directory,
    sends it articles one by one, then a redelivery, a correction and a kill, and shows what the service knows.
    Everything is removed at the end.

    Examples:
      dedup demo
      dedup demo --seeds my-families

    """
    families = load_families(find_seeds(seeds))
    with (
        Stops() as stops,
        TemporaryDirectory(prefix="dedup-demo-") as directory,
        waiting("starting the service (at its first start kernels are compiled) ...") as started,
        local_service(Path(directory), stops) as service,
        connect(service.target) as client,
    ):
        started()
        demo = _Demo(console=output(), client=client, families=families)
        demo.arrivals()
        demo.redelivery()
        demo.correction()
        demo.kill()
        demo.side_by_side()
        demo.stories()
        demo.against_labels()
        demo.your_turn()


@dataclass(slots=True)
class _Demo:
    """Sections of the demo, in order; ``first`` are the answers to first arrivals, by id."""

    console: Console
    client: DedupClient
    families: list[Family]
    first: dict[str, IngestResult] = field(default_factory=dict)
    latest: dict[str, Article] = field(default_factory=dict)
    exported: list[ExportedArticle | Match] = field(default_factory=list)

    def arrivals(self) -> None:
        """Send every article and print a line for each."""
        count = sum(len(family.articles) for family in self.families)
        self._title(f"{count} articles arrive, from {len(self.families)} stories in several languages")
        for family in self.families:
            language = _LANGUAGES.get(family.language, family.language)
            about = f"{family.name} ({language}): {family.note.partition('. ')[0]}"
            self.console.print(Text(pad(about, self.console.width).rstrip(), style="dim"))
            for article in family.articles:
                result = self.client.ingest(article, collection=_COLLECTION)
                self.first.setdefault(article.id, result)
                self.latest[article.id] = article
                self._line(article, _answer(result), result)
        self._settle()
        self.exported = list(self.client.export(collection=_COLLECTION))

    def redelivery(self) -> None:
        """Send a copy again; the answer must be the same."""
        article = self._pick(DecisionKind.COPY)
        self._title("The same article again: the same answer")
        again = self.client.ingest(article, collection=_COLLECTION)
        if again.outcome is not Outcome.UNCHANGED or again.decision != self.first[article.id].decision:
            raise DedupError(f"the redelivery of {article.id} was answered differently", Reason.INVALID_FIELD)
        self._line(article, _answer(again), again, headline=False)

    def correction(self) -> None:
        """A higher version replaces the text; the decision stays; the older version then changes nothing."""
        article = self._pick(DecisionKind.COPY)
        self._title("A correction: a higher version replaces the text, the decision made at arrival stays")
        corrected = dataclasses.replace(
            article,
            headline=f"CORRECTED {article.headline}",
            body=f"{article.body}\n\nAn earlier version of this report misspelled a name.",
            version=(article.version or 0) + 1,
            version_time=None,
        )
        for sent in (corrected, article):
            result = self.client.ingest(sent, collection=_COLLECTION)
            self._line(sent, f"version {sent.version or 0}: {_answer(result)}", result, headline=False)

    def kill(self) -> None:
        """Withdraw the original that most articles copy; the answer names those that still carry it."""
        original = self._most_copied()
        self._title("A kill: the agency withdraws its report; these still carry it")
        withdrawn = dataclasses.replace(
            original, body="", pubstatus=PubStatus.CANCELED, version=(original.version or 0) + 1
        )
        result = self.client.ingest(withdrawn, collection=_COLLECTION)
        if result.outcome is not Outcome.CANCELED:
            raise DedupError(f"the kill of {original.id} was answered {result.outcome.name.lower()}")
        self._line(original, "canceled", None)
        del self.latest[original.id]
        for carrier in result.carriers:
            self._line(self.latest[carrier], "still carries it", None)

    def side_by_side(self) -> None:
        """One rewrite with a shared quotation, its passages highlighted."""
        pair = self._telling_pair()
        if pair is None:
            return
        comparison = self.client.compare(*pair, collection=_COLLECTION)
        self._title("The evidence: two articles side by side, paragraphs without shared passages left out")
        titles = tuple(f"{article} · {self.latest[article].source}" for article in pair)
        self.console.print(measures_text(comparison.match))
        self.console.print(SideBySide(comparison, (titles[0], titles[1]), short=True))
        self.console.print(Text(f"dedup compare {pair[0]} {pair[1]} shows the whole texts", style="dim"))

    def stories(self) -> None:
        """The stories, each with its clusters; the representative of a cluster stands first."""
        self._title(
            "Stories, each with its clusters of copies (the article that represents one stands first)"
        )
        self._settle()
        found = sorted(self.client.list_stories(collection=_COLLECTION), key=lambda story: story.headline)
        for story in found:
            show_story(self.console, self.client, story, _COLLECTION)

    def against_labels(self) -> None:
        """How many of the expected copy pairs were found, here and by datasketch."""
        copies = {pair for family in self.families for pair in family.expected_copies}
        others = {pair for family in self.families for pair in family.expected_others}
        articles = [article for family in self.families for article in family.articles]
        self._title(f"{len(copies)} pairs are copies, as the authors of the stories say; found are")
        ours = copy_pairs(self.exported)
        self._found("dedup", ours, copies, others)
        theirs = minhash_pairs(articles, _JACCARD)
        if theirs is None:
            self.console.print("  datasketch is not installed; `pip install datasketch` adds the comparison")
        else:
            self._found(f"datasketch MinHashLSH, Jaccard {_JACCARD}", theirs, copies, others)

    def your_turn(self) -> None:
        """The commands for one's own articles."""
        self._title("Your own articles: a JSON object a line with id, headline, body, source, published")
        for command, what in (
            ("dedup serve", "in one terminal; then in another"),
            ("dedup ingest yours.jsonl", "what is new, copied, partly copied"),
            ("dedup clusters", "who carries the same copy"),
            ("dedup compare ID OTHER", "the passages, side by side"),
            ("dedup export --output out", "everything, as JSON Lines"),
        ):
            self.console.print(Text.assemble("  ", (f"{command:<28}", "bold"), (what, "dim")))

    # -- how it looks and what is picked -------------------------------------------------------------

    def _title(self, text: str) -> None:
        self.console.print()
        self.console.print(Text(text, style="bold underline"))

    def _line(
        self, article: Article, answer: str, result: IngestResult | None, *, headline: bool = True
    ) -> None:
        decision = result.decision if result is not None else None
        style = _DECISION_STYLES.get(decision.kind, "") if decision is not None else ""
        line = Text(f"  {pad(article.id, 14)} {pad(article.source, 14)} ")
        if headline:
            line.append(pad(article.headline, max(12, self.console.width - 76)) + " ")
        line.append(printable(answer), style)
        self.console.print(line, no_wrap=True, overflow="ellipsis")

    def _found(
        self,
        name: str,
        found: set[tuple[str, str]],
        copies: set[tuple[str, str]],
        others: set[tuple[str, str]],
    ) -> None:
        wrong = len(found & others)
        self.console.print(
            Text.assemble(
                f"  {name:<36} ",
                (f"{len(found & copies):>3} of {len(copies)}", "bold"),
                f"   and {wrong} other{'' if wrong == 1 else 's'}, which are not",
            )
        )

    def _settle(self) -> None:
        deadline = time.monotonic() + _SETTLE_SECONDS
        while (status := self.client.get_collection(_COLLECTION)).pending or status.dirty:
            if time.monotonic() > deadline:
                raise DedupError(
                    f"{status.pending} pending, {status.dirty} dirty after {_SETTLE_SECONDS} s",
                    Reason.STORE_UNAVAILABLE,
                )
            time.sleep(0.02)

    def _ordered(self) -> list[Article]:
        """The articles now, those in English first, because the demo speaks it."""
        return sorted(self.latest.values(), key=lambda article: article.language != "en")

    def _pick(self, kind: DecisionKind) -> Article:
        for article in self._ordered():
            decision = self.first[article.id].decision
            if decision is not None and decision.kind is kind:
                return article
        raise DedupError(f"no article of these families was answered {kind.name.lower()}")

    def _most_copied(self) -> Article:
        def copied(article: Article) -> int:
            decisions = (result.decision for result in self.first.values())
            return sum(decision is not None and decision.copies == article.id for decision in decisions)

        return max(self._ordered(), key=copied)

    def _telling_pair(self) -> tuple[str, str] | None:
        """The shortest pair of English articles, one rewritten from the other, with a shared quotation."""
        best: tuple[tuple[bool, bool, bool, int], tuple[str, str]] | None = None
        for match in self.exported:
            if not isinstance(match, Match) or not {match.article, match.other} <= self.latest.keys():
                continue
            sides = self.latest[match.article], self.latest[match.other]
            quoted = [is_quoted(passage) for passage in match.passages]
            rank = (
                any(side.language != "en" for side in sides),
                match.kind is not MatchKind.REWRITE,
                all(quoted) or not any(quoted),
                sum(len(side.text) for side in sides),
            )
            if best is None or (rank, (match.article, match.other)) < best:
                best = rank, (match.article, match.other)
        return best[1] if best else None


def _answer(result: IngestResult) -> str:
    """The answer to one article in a few words; more than the decision where it was not a first arrival."""
    decision = decision_text(result.decision, result.matches)
    if result.outcome in (Outcome.CREATED, Outcome.NOT_COMPARABLE):
        return decision
    if result.outcome is Outcome.REPLACED:
        return f"replaced; {decision}"
    return f"{result.outcome.name.lower().replace('_', ' ')}; {decision}"
