"""Options that several commands share, and the connection they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from dedup.errors import StoreUnavailable
from dedup.model import Cluster, Story

if TYPE_CHECKING:
    from dedup.client import DedupClient

SizedT = TypeVar("SizedT", Cluster, Story)

_READY_SECONDS = 5.0
DEFAULT_TARGET, DEFAULT_COLLECTION = "127.0.0.1:7700", "default"

Target = Annotated[
    str,
    typer.Option("--target", envvar="DEDUP_TARGET", metavar="HOST:PORT", help="Where the service answers."),
]
Collection = Annotated[str, typer.Option("--collection", metavar="NAME", help="The collection to use.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs instead of text for people.")]
Files = Annotated[
    list[str], typer.Argument(metavar="FILE", help="JSON Lines, plain, gzip or zstd; - is standard input.")
]
Rejects = Annotated[
    Path | None,
    typer.Option("--rejects", metavar="FILE", help="Write each rejected line there, with its reason."),
]
OutputDir = Annotated[
    Path, typer.Option("--output", metavar="DIR", help="Directory for the two files; made if missing.")
]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=0, help="Show at most N; 0 shows all.")]


def connect(target: str) -> DedupClient:
    """A client of the service at ``target``; it connects with the first call."""
    from dedup.client import DedupClient

    return DedupClient(target)


def check_ready(client: DedupClient, target: str) -> None:
    """Raise StoreUnavailable unless the service serves within five seconds; for work that would retry long."""
    try:
        client.wait_ready(_READY_SECONDS)
    except StoreUnavailable as error:
        raise StoreUnavailable(f"no dedup server is ready at {target} (start one: dedup serve)") from error


def largest(found: Iterable[SizedT]) -> list[SizedT]:
    """Clusters or stories, those of most articles first, else in the order of the service."""
    return sorted(found, key=lambda item: -item.size)
