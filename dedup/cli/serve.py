"""``dedup serve``: the service, until a signal stops it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from dedup.config import load_settings


def run(
    listen: Annotated[
        str | None,
        typer.Option("--listen", metavar="HOST:PORT", help="Where to answer.  [default: 127.0.0.1:7700]"),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="STORE",
            help="embedded, or an address: redis://, rediss://, unix://, redis+sentinel://, redis+cluster://."
            "  [default: embedded]",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", metavar="DIR", help="Directory of the embedded store."),
    ] = None,
) -> None:
    """Start the service and run it until SIGINT or SIGTERM.

    The embedded store is a private Valkey process: nothing needs to be installed, and everything is kept in
    the data directory. Every option can also be given in the environment, as DEDUP_ and its name in capitals
    (DEDUP_STORE), where passwords do not show in the list of processes; flags come first.

    Examples:
      dedup serve
      dedup serve --listen 0.0.0.0:7700 --data-dir /var/lib/dedup
      DEDUP_STORE=redis://:secret@db.internal:6379/0 dedup serve

    """
    settings = load_settings(listen=listen, store=store, data_dir=data_dir)
    if settings.kernel_cache_dir:
        os.environ["DEDUP_KERNEL_CACHE_DIR"] = (
            settings.kernel_cache_dir
        )  # read when kernels are first imported
    from dedup import server

    status = server.run(settings)
    if status:
        raise typer.Exit(status)
