"""``python -m bench.quality [DATASET...]``: see :mod:`bench.quality`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import processes, report
from bench.quality import adapters, calibration, datasets, outlets, same_story, tables, targets
from bench.quality.corpus_files import CorpusError
from bench.quality.finders import Found, finders

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="seeds, five, counter, telegram, emergent, outlets; all if not given."),
    ] = None,
    ours: Annotated[bool, typer.Option("--ours", help="The service alone, without peers.")] = False,
    corpus: Annotated[
        list[str] | None,
        typer.Option(help="news-copy=FOLDER, core=, spotsigs= or meter=: a published corpus that you have."),
    ] = None,
    data: Annotated[Path, typer.Option(help="Where real news lies.")] = Path("../shared/data"),
    text_dedup: Annotated[
        Path | None, typer.Option(help="A Python that has text-dedup installed: one more peer.")
    ] = None,
    retsim: Annotated[Path | None, typer.Option(help="A Python that has unisim installed: two more.")] = None,
    output: Annotated[Path, typer.Option(help="Where results go.")] = Path("build/quality"),
) -> None:
    """Compare what the service finds on labelled news with what peers find."""
    processes.end_on_signal()
    console = Console()
    console.width = max(console.width, 120)
    parts: list[report.Part] = []
    seen: list[tuple[datasets.Dataset, dict[str, Found]]] = []
    given = [_published(each) for each in corpus or []]
    for loaded in (*given, *datasets.load(data)):
        if isinstance(loaded, str):
            console.print(loaded, highlight=False, soft_wrap=True)
        elif loaded in given or (loaded.name in names if names else not given):
            started = time.perf_counter()
            found = {}
            for name, find in finders(text_dedup, retsim).items():
                if not ours or name == tables.OURS:
                    console.print(f"[dim]{loaded.name}: {name}[/dim]", highlight=False)
                    found[name] = find(loaded.articles)
            seen.append((loaded, found))
            parts.append(tables.part(loaded, found))
            report.print_part(parts[-1], console)
            console.print(f"{loaded.name}: {time.perf_counter() - started:.0f} s", highlight=False)
    if "outlets" in names if names else not given:
        asked = {name: find for name, find in finders().items() if not ours or name == tables.OURS}
        parts.append(outlets.part(asked))
        report.print_part(parts[-1], console)
    looked_at = [data for data, _ in seen]
    for over_all in (same_story.part(looked_at), calibration.part(looked_at), targets.part(seen)):
        if over_all is not None:
            parts.append(over_all)
            report.print_part(over_all, console)
    path = report.write(parts, {"machine": report.machine(2)}, output)
    console.print(f"\nresults: {path}", highlight=False)


def _published(given: str) -> datasets.Dataset:
    """The corpus that ``NAME=FOLDER`` says."""
    name, _, folder = given.partition("=")
    if name not in adapters.READERS or not folder:
        message = f"{given!r} is not NAME=FOLDER with one of the names {', '.join(adapters.READERS)}"
        raise typer.BadParameter(message, param_hint="--corpus")
    try:
        return adapters.READERS[name](Path(folder))
    except CorpusError as error:
        raise typer.BadParameter(str(error), param_hint="--corpus") from error


if __name__ == "__main__":
    app()
