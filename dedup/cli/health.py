"""``dedup health``: whether the service is ready."""

from __future__ import annotations

from typing import Annotated

import typer

from dedup.cli.options import DEFAULT_TARGET, Target, connect


def run(
    target: Target = DEFAULT_TARGET,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.0, help="How long to wait for it.")
    ] = 2.0,
) -> None:
    """Exit with 0 if the service and its store answer, else 1.

    Made for the health checks of containers.

    Examples:
      dedup health
      dedup health --target dedup.internal:7700 --timeout 30

    """
    with connect(target) as client:
        client.wait_ready(timeout)
    typer.echo("SERVING")
