"""``dedup find``: what an article would match, without storing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from dedup.cli.console import output, percent, printable, report, say, show_table
from dedup.cli.fields import to_object
from dedup.cli.inputs import read_input
from dedup.cli.intake import SOME_REJECTED
from dedup.cli.options import DEFAULT_COLLECTION, DEFAULT_TARGET, AsJson, Collection, Target, connect
from dedup.cli.views import decision_text, kind_text
from dedup.config import load_settings
from dedup.errors import DedupError, InvalidArticle, LimitExceeded
from dedup.model import FindResult
from dedup.sources.formats import to_line

if TYPE_CHECKING:
    from dedup.client import DedupClient


def run(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A text file, or JSON Lines; - is standard input.")
    ],
    target: Target = DEFAULT_TARGET,
    collection: Collection = DEFAULT_COLLECTION,
    max_matches: Annotated[
        int, typer.Option("--max-matches", metavar="N", min=1, help="Show at most N matches an article.")
    ] = 10,
    same_story: Annotated[
        bool, typer.Option("--same-story", help="Articles of the same event as well, most similar first.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what an article would match, best first. Nothing is stored.

    In a text file the first line is the headline and the rest the body. A file of JSON Lines, as ingest
    takes it, may hold many articles.

    Examples:
      dedup find draft.txt
      cat draft.txt | dedup find -
      dedup find today.jsonl --json
      dedup find draft.txt --same-story --collection wires

    """
    rejected = False
    with connect(target) as client:
        for line in read_input(file, load_settings()):
            outcome = line.outcome
            if not isinstance(outcome, DedupError):
                try:
                    result = client.find(
                        outcome, max_matches=max_matches, same_story=same_story, collection=collection
                    )
                except (InvalidArticle, LimitExceeded) as error:
                    outcome = error
            if isinstance(outcome, DedupError):
                rejected = True
                report(f"{line.place}: {outcome.message}")
            elif as_json:
                say(to_line({"id": outcome.id, **to_object(result)}))
            else:
                _show(client, outcome.id or line.file, result, collection)
    if rejected:
        raise typer.Exit(SOME_REJECTED)


def _show(client: DedupClient, name: str, result: FindResult, collection: str) -> None:
    console = output()
    verdict = decision_text(result.decision, result.matches) if result.decision else ""
    if not result.comparable:
        verdict = "not comparable: too short"
    elif not result.matches:
        verdict = verdict or "new"
    count = f"{result.total_matches} match{'' if result.total_matches == 1 else 'es'}"
    agencies = ", ".join(sorted({credit.agency for credit in result.credits}))
    parts = [part for part in (verdict, count, f"credits {agencies}" if agencies else "") if part]
    console.print(Text(f"{printable(name)}: {' · '.join(parts)}", style="bold"), soft_wrap=True)
    if not result.matches:
        return
    rows = [
        [
            kind_text(match.kind),
            percent(match.containment),
            percent(match.other_containment),
            str(match.shared_words),
            str(match.quoted_words),
            article_line(client, match.other, collection),
        ]
        for match in result.matches
    ]
    numbers = ("of this", "of that", "words", "quoted")
    show_table(("kind", *numbers, "article"), rows, right=numbers)
    if result.matches_truncated:
        say(f"{result.total_matches - len(result.matches)} more; --max-matches shows them")


def article_line(client: DedupClient, article_id: str, collection: str) -> str:
    """A stored article in one line: its id, its source, its headline."""
    article = client.get_article(article_id, collection=collection).article
    source = f"{article.source}: " if article.source else ""
    return printable(f"{article.id}  {source}{article.headline}")
