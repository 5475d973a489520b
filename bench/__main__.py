"""``python -m bench [PART...]``: measure dedup beside its peers, live in one run.

Prints tables and writes ``bench.json`` and plots. ``--quick`` takes less than three minutes and says less: fewer
articles, smaller sizes. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import importlib
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import beside, processes, report
from bench.options import Options
from dedup.store.embedded import preloaded


class PartName(StrEnum):
    """The parts, in the order they run in."""

    SKETCH = "sketch"
    INDEX = "index"
    CLUSTER = "cluster"
    FOLD = "fold"
    LATENCY = "latency"
    GROWTH = "growth"
    STORE = "store"
    PROFILE = "profile"
    TRADEOFF = "tradeoff"


#: Parts that can run another commit in turns with ours.
WITH_ANOTHER = (PartName.INDEX, PartName.GROWTH)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    parts: Annotated[
        list[PartName] | None,
        typer.Argument(help="What to measure; all if not given (--quick leaves tradeoff out)."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer articles; under three minutes.")] = False,
    articles: Annotated[int, typer.Option(help="Articles of each part; 0: as the part likes.")] = 0,
    rounds: Annotated[int, typer.Option(help="Rounds of which medians are taken.")] = 3,
    seconds: Annotated[
        float, typer.Option(help="How long each rate of latency lasts; 0: 20, quick 2.")
    ] = 0.0,
    sizes: Annotated[str, typer.Option(help="Sizes of growth and fold, such as 10000,100000.")] = "",
    cores: Annotated[int, typer.Option(help="Processors that everything shares.")] = 2,
    another: Annotated[
        str,
        typer.Option(
            "--beside", metavar="COMMIT", help="A commit whose service takes turns with ours (index, growth)."
        ),
    ] = "",
    peers: Annotated[
        bool, typer.Option("--peers/--no-peers", help="Run datasketch and rensa too, and recall (index).")
    ] = True,
    data: Annotated[Path, typer.Option(help="Where real news lies.")] = Path("../shared/data"),
    output: Annotated[Path, typer.Option(help="Where results go.")] = Path("build/bench"),
) -> None:
    """Measure dedup beside its peers."""
    processes.end_on_signal()
    console = Console()
    console.width = max(console.width, 140)  # tables are wide, also where they go to a file
    errors = Console(stderr=True)
    chosen = parts or [name for name in PartName if not (quick and name is PartName.TRADEOFF)]
    other = _another(another, chosen, errors) if another else None
    used = processes.bind_to_cores(cores)
    console.print(f"store: its memory comes from {preloaded() or 'the C library'}", highlight=False)
    together = processes.speed_together(used)
    console.print(f"{used} busy processes run at {together:.2f} of the speed of one", highlight=False)
    about = {"machine": report.machine(used) | {"speed_together": together}, "quick": quick}
    numbers = tuple(int(size) for size in sizes.split(",") if size)
    options = Options(quick, articles, rounds, seconds, numbers, data, output, errors, other, peers)
    done: list[report.Part] = []
    for name in chosen:
        started = time.perf_counter()
        done.append(importlib.import_module(f"bench.{name}").run(options))
        report.print_part(done[-1], console)
        options.say(f"{name}: {time.perf_counter() - started:.0f} s")
        report.write(done, about, output)  # after each part: what was measured outlives a failure
    console.print(f"\nresults and plots: {output}")


def _another(revision: str, parts: list[PartName], errors: Console) -> beside.Beside:
    """Another commit, built before anything is measured."""
    if not set(parts) & set(WITH_ANOTHER):
        raise typer.BadParameter(
            f"only {' and '.join(WITH_ANOTHER)} run another commit", param_hint="--beside"
        )
    try:
        return beside.prepare(revision, lambda message: errors.print(message, style="dim", highlight=False))
    except beside.BesideError as error:
        raise typer.BadParameter(str(error), param_hint="--beside") from None


if __name__ == "__main__":
    app(prog_name="python -m bench")
