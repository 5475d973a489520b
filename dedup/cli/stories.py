"""``dedup stories``: which clusters are about one event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from dedup.cli.console import output, printable, report, say, shorten
from dedup.cli.fields import minute, to_object
from dedup.cli.options import (
    DEFAULT_COLLECTION,
    DEFAULT_TARGET,
    AsJson,
    Collection,
    Limit,
    Target,
    connect,
    largest,
)
from dedup.model import Story
from dedup.sources.formats import to_line

if TYPE_CHECKING:
    from dedup.client import DedupClient


def run(
    target: Target = DEFAULT_TARGET,
    collection: Collection = DEFAULT_COLLECTION,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List stories: clusters about one event.

    Largest first, each with the agencies credited in it and its clusters, the article that represents a cluster first.
    With --json one object a line.

    Examples:
      dedup stories
      dedup stories --limit 0 --json

    """
    with connect(target) as client:
        found = largest(client.list_stories(collection=collection))
        for story in found[: limit or None]:
            if as_json:
                say(to_line(to_object(story)))
            else:
                show_story(output(), client, story, collection)
    if not found and not as_json:
        say("no stories")
    if limit and len(found) > limit:
        report(f"{limit} of {len(found):,} shown; --limit 0 shows all")


def show_story(console: Console, client: DedupClient, story: Story, collection: str) -> None:
    """One story: its headline and agencies, then a line for each of its clusters."""
    first, last = minute(story.first_published)[:10], minute(story.last_published)[:10]
    when = first if first == last else f"{first} to {last}"
    about = [f"{story.size} articles", when, ", ".join(story.agencies)]
    console.print(Text(shorten(story.headline or story.id, console.width), style="bold"), no_wrap=True)
    console.print(Text("  " + printable(" · ".join(part for part in about if part))))
    for cluster_id in story.clusters:
        cluster = client.get_cluster(cluster_id, collection=collection)
        members = client.list_cluster_articles(cluster_id, collection=collection)
        ids = [member.article.id for member in members]
        others = [printable(article) for article in ids if article != cluster.representative]
        line = Text("    ")
        line.append(printable(cluster.representative), style="bold")
        line.append((" · " + ", ".join(others)) if others else "")
        console.print(line, overflow="ellipsis", no_wrap=True)
