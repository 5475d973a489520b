"""``dedup status``: what a collection holds, and whether it is settled."""

from __future__ import annotations

import dataclasses
import time
from typing import Annotated

import typer

from dedup.cli.console import printable, say
from dedup.cli.fields import minute, to_object
from dedup.cli.options import DEFAULT_COLLECTION, DEFAULT_TARGET, AsJson, Collection, Target, connect
from dedup.errors import DedupError, Reason
from dedup.model import CollectionStatus
from dedup.sources.formats import to_line

_POLL_SECONDS = 0.05


def run(
    target: Target = DEFAULT_TARGET,
    collection: Collection = DEFAULT_COLLECTION,
    wait: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", min=0.0, help="Wait until nothing is pending or dirty."),
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Show what a collection holds and whether it is settled.

    Answers are final once nothing is pending and nothing dirty. With --wait the exit status is 1 if that
    takes longer.

    Examples:
      dedup status
      dedup status --json
      dedup status --wait 60 && dedup export --output out

    """
    with connect(target) as client:
        deadline = time.monotonic() + wait
        now = client.get_collection(collection)
        while wait and (now.pending or now.dirty):
            if time.monotonic() > deadline:
                raise DedupError(
                    f"{now.pending} pending and {now.dirty} dirty after {wait:g} seconds",
                    Reason.STORE_UNAVAILABLE,
                )
            time.sleep(_POLL_SECONDS)
            now = client.get_collection(collection)
    if as_json:
        say(to_line({"settled": not (now.pending or now.dirty), **to_object(now)}))
    else:
        _show(now)


def _show(status: CollectionStatus) -> None:
    settled = "settled" if not (status.pending or status.dirty) else "not settled"
    rows = {
        "collection": f"{printable(status.name)}, since {minute(status.created)} UTC",
        "articles": f"{status.articles:,} carrying {status.texts:,} texts",
        "clusters": f"{status.clusters:,} (single articles in a story or linked count, too)",
        "stories": f"{status.stories:,}",
        "pending": f"{status.pending:,}",
        "dirty": f"{status.dirty:,} ({settled})",
        "log position": f"{status.position:,}, {status.lag:,} behind when asked",
        "log digest": status.log_digest,
        "content digest": status.content_digest,
        "servers": f"{status.servers:,} alive that have written here",
        "an answer waits for": _promise(status),
        "store memory": _bytes(status.store_memory_bytes) if status.store_memory_bytes else "not told",
        "fingerprint": status.fingerprint,
    }
    parameters = dataclasses.asdict(status.parameters)
    rules = parameters.pop("rules")
    for name, value in (parameters | rules).items():
        rows[f"  {name.replace('_', ' ')}"] = str(value)
    for name, text in rows.items():
        say(f"{name:<20}  {text}")


_DISK = {
    "always": "the disk",
    "everysec": "no disk: a crash of the store may lose a second",
    "no": "no disk: a crash of the store may lose what the system had not written",
}


def _promise(status: CollectionStatus) -> str:
    """What of an acknowledged article is lost when the store fails."""
    replicas = f"{status.acks} replica{'' if status.acks == 1 else 's'} and " if status.acks else ""
    return replicas + _DISK.get(status.fsync, "whatever the store is set to: it does not tell")


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"
