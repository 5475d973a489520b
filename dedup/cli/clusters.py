"""``dedup clusters``: which articles carry the same copy."""

from __future__ import annotations

from typing import Annotated

import typer

from dedup.cli.console import report, say, shorten, show_table
from dedup.cli.fields import minute, to_object
from dedup.cli.find import article_line
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
from dedup.sources.formats import to_line


def run(
    target: Target = DEFAULT_TARGET,
    collection: Collection = DEFAULT_COLLECTION,
    min_size: Annotated[
        int, typer.Option("--min-size", metavar="N", min=1, help="Only clusters of at least N articles.")
    ] = 2,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List clusters: articles that carry the same copy.

    Largest first, each with the article that represents it; a size with "?" is not settled yet. With --json
    one object a line, the articles' ids included.

    Examples:
      dedup clusters
      dedup clusters --min-size 10 --limit 0 --json

    """
    with connect(target) as client:
        found = largest(client.list_clusters(min_size=min_size, collection=collection))
        rows = []
        for cluster in found[: limit or None]:
            if as_json:
                members = client.list_cluster_articles(cluster.id, collection=collection)
                ids = [member.article.id for member in members]
                say(to_line({**to_object(cluster), "articles": ids}))
                continue
            rows.append(
                [
                    cluster.id,
                    str(cluster.size) + ("" if cluster.settled else "?"),
                    minute(cluster.first_published),
                    shorten(cluster.origin.name or ", ".join(cluster.agencies), 16),
                    article_line(client, cluster.representative, collection),
                ]
            )
    if rows:
        show_table(("cluster", "size", "first", "origin", "represented by"), rows, right=("size",))
    elif not as_json:
        say(f"no clusters of {min_size} or more articles")
    if limit and len(found) > limit:
        report(f"{limit} of {len(found):,} shown; --limit 0 shows all")
