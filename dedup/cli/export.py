"""``dedup export``: everything known about a collection, in two files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from dedup.cli.console import progress, report, say
from dedup.cli.files import replaced
from dedup.cli.options import DEFAULT_COLLECTION, DEFAULT_TARGET, Collection, OutputDir, Target, connect
from dedup.errors import DedupError
from dedup.model import ExportedArticle, Match
from dedup.sources.formats import ARTICLES_FILE, MATCHES_FILE, article_fields, match_fields, to_line


def run(
    output_dir: OutputDir,
    target: Target = DEFAULT_TARGET,
    collection: Collection = DEFAULT_COLLECTION,
) -> None:
    """Write what is known to articles.jsonl and matches.jsonl.

    Every article with its cluster, every verified pair with its passages. Both files are sorted, so that
    equal collections give equal files. Files that stand there already are replaced once both new ones are
    complete.

    Examples:
      dedup export --output out
      dedup export --output out --collection archive

    """
    with connect(target) as client:
        status = client.get_collection(collection)
        if status.pending or status.dirty:
            report(
                f"dedup: note: {status.pending} pending and {status.dirty} dirty; "
                "final answers need both at 0 (dedup status --wait 60)"
            )
        with progress("export", status.articles or None, count=True) as advance:
            counts = write_export(client.export(collection=collection), output_dir, advance)
    say(f"{counts.articles:,} articles and {counts.matches:,} matches in {output_dir}")


@dataclass(slots=True)
class Counts:
    """Lines written."""

    articles: int = 0
    matches: int = 0


def write_export(
    items: Iterable[ExportedArticle | Match],
    directory: Path,
    advance: Callable[[int], None] = lambda _: None,
) -> Counts:
    """Write what an export yields, articles first, to the two files in ``directory``.

    Raises:
        DedupError: the items do not come in the order of the format.
        OSError: the files cannot be written; nothing is left behind.

    """
    directory.mkdir(parents=True, exist_ok=True)
    counts = Counts()
    last_id, last_pair = "", ("", "")
    with replaced(directory / ARTICLES_FILE, directory / MATCHES_FILE) as (write_article, write_match):
        for item in items:
            if isinstance(item, ExportedArticle):
                _check_order(item.id > last_id and not counts.matches)
                last_id = item.id
                write_article(to_line(article_fields(item)) + "\n")
                counts.articles += 1
                advance(counts.articles)
            else:
                pair = (item.article, item.other)
                _check_order(pair > last_pair and item.article < item.other)
                last_pair = pair
                write_match(to_line(match_fields(item)) + "\n")
                counts.matches += 1
    return counts


def _check_order(holds: bool) -> None:
    # Strings compare by code points, which is the order of their UTF-8 bytes.
    if not holds:
        raise DedupError("the service sent its export out of order; nothing was written")
