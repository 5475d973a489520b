"""``dedup compare``: two articles side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dedup.cli.console import output, say
from dedup.cli.fields import to_fields
from dedup.cli.inputs import article_or_id
from dedup.cli.options import DEFAULT_COLLECTION, DEFAULT_TARGET, AsJson, Collection, Target, connect
from dedup.cli.views import SideBySide, measures_text
from dedup.config import load_settings
from dedup.model import Article, Comparison
from dedup.sources.formats import to_line


def run(
    a: Annotated[str, typer.Argument(metavar="A", help="A text file, or the id of a stored article.")],
    b: Annotated[str, typer.Argument(metavar="B", help="A text file, or the id of a stored article.")],
    target: Target = DEFAULT_TARGET,
    collection: Collection = DEFAULT_COLLECTION,
    short: Annotated[
        bool, typer.Option("--short", help="Leave out paragraphs in which nothing is shared.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show two articles side by side, shared passages marked.

    Each of A and B is a file if there is one of that name (the first line is the headline, the rest the
    body; or one line of JSON), else the id of a stored article. Nothing is stored.

    Examples:
      dedup compare wire.txt ours.txt
      dedup compare wire-1234 ours.txt --short
      dedup compare wire-1234 post-77 --json

    """
    settings = load_settings()
    sides = article_or_id(a, settings), article_or_id(b, settings)
    with connect(target) as client:
        comparison = client.compare(*sides, collection=collection)
    if as_json:
        say(to_line(comparison_fields(comparison)))
        return
    console = output()
    console.print(measures_text(comparison.match))
    console.print(SideBySide(comparison, (_title(a, sides[0]), _title(b, sides[1])), short=short))


def comparison_fields(comparison: Comparison) -> dict[str, object]:
    """The two articles' names, the match if there is one, and the passages."""
    return {
        "article": comparison.article.id,
        "other": comparison.other.id,
        "match": to_fields(comparison.match),
        "passages": to_fields(comparison.passages),
    }


def _title(given: str, side: Article | str) -> str:
    return f"{Path(given).name} (file)" if isinstance(side, Article) else given
