"""``python -m bench.goldens record|check [DATASET...]``: what the service finds, held against what it once found.

A change that is to change no meaning has to leave all of it as it was. The real service, on a store of its own, is
given each data set in file order, in batches of 100, by one client. Then it is exported and reduced to digests
(:mod:`bench.digests`), which are compared with those in ``goldens.json`` beside this file. That file holds digests
and counts alone; the lines they are made of and the two files of the export go to ``build/goldens/NAME``.

A run is made to give the same digests every time. Matches vanish for moments while they are verified again, so an
export counts where the next one, a second later, is equal to it. Decisions rest on what is known when an article comes,
and clusters and boilerplate come to be known in the background: every batch waits until nothing is pending and nothing
dirty.

``digest FOLDER`` reduces what ``dedup export``, or any command that writes the same files, has written; ``articles``
writes a data set as such a command reads it; ``quality`` holds the figures of ``make quality`` against those recorded.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from bench import digests, processes
from bench.digests import Export, Lines
from bench.quality.datasets import Missing
from bench.report import Cell, Grid, Part, print_part
from dedup.cli.export import write_export
from dedup.cli.fields import to_object
from dedup.client import DedupClient
from dedup.errors import DedupError
from dedup.model import Article, ExportedArticle, IngestResult, Match
from dedup.sources.formats import to_line
from tests import data as news

Number = TypeVar("Number", int, float)

ROOT: Final = Path(__file__).resolve().parent.parent
GOLDENS: Final = Path(__file__).with_name("goldens.json")
COLLECTION: Final = "goldens"
BATCH: Final = 100
#: Seconds between two exports that have to be equal.
STABLE_SECONDS: Final = 1.0
#: Seconds until a collection that does not settle is given up.
PATIENCE: Final = 600.0
_POLL_SECONDS: Final = 0.01
#: Columns of ``make quality`` that differ from run to run.
_UNSTEADY: Final = frozenset({"seconds"})


def seeds(folder: Path) -> Sequence[Article]:
    """The story families of the project, corrected versions included; ``folder`` is not used."""
    del folder
    return news.seeds()


def five(folder: Path) -> Sequence[Article]:
    """Five real articles about one event, beside the folder of the data."""
    path = _there(folder.parent / "seeds" / "articles.jsonl")
    return _articles(path.read_text(encoding="utf-8").splitlines())


def _file(name: str) -> Callable[[Path], Sequence[Article]]:
    def load(folder: Path) -> Sequence[Article]:
        with gzip.open(_there(folder / f"{name}.jsonl.gz"), "rt", encoding="utf-8") as lines:
            return _articles(lines)

    return load


def _there(path: Path) -> Path:
    if not path.exists():
        raise Missing(f"{path} is not there")
    return path


def _articles(lines: Iterable[str]) -> Sequence[Article]:
    return [news.to_article(json.loads(line)) for line in lines]


#: The data sets by name; a loader is given the folder where real news lies and may raise Missing.
DATASETS: Final[Mapping[str, Callable[[Path], Sequence[Article]]]] = {
    "seeds": seeds,
    "five": five,
    "telegram": _file("telegram_2019"),
    "emergent": _file("emergent_2014"),
    "reuters": _file("reuters_1987"),
}


@dataclass(frozen=True, slots=True)
class Golden:
    """One data set: the lines of its aspects, and counts."""

    lines: Lines
    counts: dict[str, int]

    def digests(self) -> dict[str, str]:
        """The digest of every aspect."""
        return {aspect: digests.digest(lines) for aspect, lines in self.lines.items()}


# -- running the service --------------------------------------------------------------------------


def run(articles: Sequence[Article], folder: Path) -> Golden:
    """Give the articles to a service of its own; the export is written to ``folder``."""
    with processes.fresh_stack() as stack, DedupClient(stack.target) as client:
        client.create_collection(COLLECTION)
        answers = list(_ingested(client, articles))
        items = _stable(client)
        described = list(client.list_clusters(1, collection=COLLECTION))
    write_export(items, folder)
    export = Export.read(folder)
    matches = [item for item in items if isinstance(item, Match)]
    members = export.groups("cluster")
    lines = digests.of_files(export) | {
        "measures": digests.measures(matches, export.texts()),
        "clusters": digests.clusters(described, members),
        "earliest": digests.earliest(described, members),
        "decisions": digests.decisions(answers),
    }
    return Golden(lines, digests.counts(export) | digests.counts_of_answers(answers))


def _ingested(client: DedupClient, articles: Sequence[Article]) -> Iterator[IngestResult]:
    """The answer to every article. Raises the first refusal."""
    for start in range(0, len(articles), BATCH):
        part = articles[start : start + BATCH]
        for outcome in client.ingest_batch(part, collection=COLLECTION, max_matches=0):
            if isinstance(outcome, DedupError):
                raise outcome
            yield outcome
        _settled(client)


def _settled(client: DedupClient) -> None:
    """Wait until nothing is pending and nothing dirty."""
    deadline = time.monotonic() + PATIENCE
    while True:
        status = client.get_collection(COLLECTION)
        if status.pending == 0 and status.dirty == 0:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{status.pending} pending and {status.dirty} dirty after {PATIENCE:g} s")
        time.sleep(_POLL_SECONDS)


def _stable(client: DedupClient) -> list[ExportedArticle | Match]:
    """The first export that is equal to the one before it."""
    deadline = time.monotonic() + PATIENCE
    before: list[ExportedArticle | Match] | None = None
    while True:
        _settled(client)
        items = list(client.export(collection=COLLECTION))
        if items == before:
            return items
        if time.monotonic() > deadline:
            raise TimeoutError(f"no two exports in turn were equal within {PATIENCE:g} s")
        before = items
        time.sleep(STABLE_SECONDS)


# -- comparing ------------------------------------------------------------------------------------


def compared(
    name: str, known: Mapping[str, Any] | None, now: Golden, against: Path | None, shown: int
) -> tuple[Part, bool]:
    """A data set beside what is recorded of it, and whether all digests are equal.

    ``against`` is a folder of kept lines, of which at most ``shown`` that differ are listed for each aspect.
    """
    before: Mapping[str, str] = known["digests"] if known else {}
    after = now.digests()
    equal = all(before.get(aspect) == found for aspect, found in after.items())
    rows = [
        (aspect, before.get(aspect), found, len(now.lines[aspect]), _word(before.get(aspect), found))
        for aspect, found in after.items()
    ]
    grids = [Grid("digests", ("aspect", "recorded", "now", "lines", "equal"), tuple(rows))]
    old = {what: count for what, count in known["counts"].items() if _counted(what, now)} if known else {}
    if counted := changed(old, now.counts):
        grids.append(Grid("counts that differ", ("count", "recorded", "now"), counted))
    notes: list[str] = []
    for aspect in [aspect for aspect in after if against and before.get(aspect) != after[aspect]]:
        notes += _listed(against or Path(), name, aspect, now.lines[aspect], shown)
    return Part(name, {}, tuple(grids), {}, (), tuple(notes)), equal


def _counted(what: str, now: Golden) -> bool:
    """Whether a count is one that the golden has: files of an export do not show the answers."""
    return "decisions" in now.lines or not what.startswith(digests.OF_ANSWERS)


def _word(before: str | None, after: str) -> str:
    return "not recorded" if before is None else "yes" if before == after else "NO"


def _listed(folder: Path, name: str, aspect: str, lines: Sequence[str], shown: int) -> list[str]:
    path = _kept(folder, name, aspect)
    if not path.exists():
        return [f"{aspect}: {path} is not there"]
    found = digests.differing(digests.saved(path), lines)
    more = [f"… and {len(found) - shown} more"] if len(found) > shown else []
    return [f"{aspect}: {len(found)} lines differ", *map(escape, found[:shown]), *more]


def _kept(folder: Path, name: str, aspect: str) -> Path:
    return folder / f"{name}.{aspect}.txt.gz"


def _recorded(path: Path) -> dict[str, Any]:
    """What is recorded; nothing where there is no such file."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {"datasets": {}, "quality": {}} | found


def _record(path: Path, recorded: dict[str, Any]) -> None:
    path.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def figures(result: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Every number in the tables that ``make quality`` wrote to ``bench.json``, by table and by row and column."""
    found: dict[str, dict[str, float]] = {}
    for part, about in result["parts"].items():
        for grid in about["grids"]:
            heads = Counter(row[0] for row in grid["rows"])
            table: dict[str, float] = {}
            for row in grid["rows"]:
                head = row[0] if heads[row[0]] == 1 else f"{row[0]}, {grid['columns'][1]} {row[1]}"
                for column, cell in zip(grid["columns"][1:], row[1:], strict=True):
                    if isinstance(cell, int | float) and column not in _UNSTEADY:
                        table[f"{head}: {column}"] = round(cell, 6)
            found[f"{part}: {grid['title']}"] = table
    return {title: table for title, table in found.items() if table}


def changed(before: Mapping[str, Number], after: Mapping[str, Number]) -> tuple[tuple[Cell, ...], ...]:
    """Rows of what is not the same on both sides; None where it is missing."""
    names = dict.fromkeys([*before, *after])
    return tuple(
        (name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
    )


# -- the command line -----------------------------------------------------------------------------

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=(__doc__ or "").split("\n\n")[1])

Names = Annotated[list[str] | None, typer.Argument(help=f"{', '.join(DATASETS)}; all if not given.")]
Data = Annotated[Path, typer.Option(help="Where real news lies.")]
Name = Annotated[str, typer.Option(help="What the run is called; the commit if empty.")]
Output = Annotated[Path, typer.Option(help="Where lines and exports go, in a folder with the run's name.")]
Recorded = Annotated[Path, typer.Option("--goldens", help="The file of digests and counts.")]
Against = Annotated[
    Path | None, typer.Option(help="List the lines that differ from those in this folder of an earlier run.")
]
Shown = Annotated[int, typer.Option(help="Lines listed for each aspect.")]
DATA: Final = Path("../shared/data")
OUTPUT: Final = Path("build/goldens")


@app.command()
def record(
    names: Names = None,
    data: Data = DATA,
    name: Name = "",
    output: Output = OUTPUT,
    goldens: Recorded = GOLDENS,
) -> None:
    """Run the service and record what it finds."""
    console, name = _console(), name or _commit()
    for dataset, golden in _runs(names, data, output / name, console):
        recorded = _recorded(goldens)
        entry = {"run": name, "digests": golden.digests(), "counts": golden.counts}
        part, _ = compared(dataset, recorded["datasets"].get(dataset), golden, None, 0)
        print_part(part, console)
        known = recorded["datasets"] | {dataset: entry}
        ordered = {each: known[each] for each in DATASETS if each in known}
        _record(goldens, recorded | {"datasets": ordered})


@app.command()
def check(
    names: Names = None,
    data: Data = DATA,
    name: Name = "check",
    output: Output = OUTPUT,
    goldens: Recorded = GOLDENS,
    against: Against = None,
    shown: Shown = 20,
) -> None:
    """Run the service and compare what it finds with what is recorded; exit status 1 where it differs."""
    console = _console()
    equal: dict[str, bool] = {}
    for dataset, golden in _runs(names, data, output / (name or _commit()), console):
        known = _recorded(goldens)["datasets"].get(dataset)
        part, equal[dataset] = compared(dataset, known, golden, against, shown)
        print_part(part, console)
    _end(console, equal)


@app.command()
def digest(
    folder: Annotated[Path, typer.Argument(help="Holds articles.jsonl and matches.jsonl.")],
    dataset: Annotated[str, typer.Option(help="Compare with what is recorded of this data set.")] = "",
    goldens: Recorded = GOLDENS,
    against: Against = None,
    shown: Shown = 20,
) -> None:
    """Reduce the files of an export; exit status 1 where they differ from the data set named."""
    export = Export.read(folder)
    golden = Golden(digests.of_files(export), digests.counts(export))
    known = _recorded(goldens)["datasets"].get(dataset)
    if dataset and known is None:
        raise typer.BadParameter(f"nothing is recorded of {dataset!r}", param_hint="--dataset")
    console = _console()
    part, equal = compared(dataset or str(folder), known, golden, against, shown)
    print_part(part, console)
    if dataset:
        _end(console, {dataset: equal})


@app.command()
def articles(
    dataset: Annotated[str, typer.Argument(help=", ".join(DATASETS))],
    file: Annotated[
        Path, typer.Argument(help="JSON Lines; outside the project where the news is of others.")
    ],
    data: Data = DATA,
) -> None:
    """Write a data set as a command reads it: its own dates may be none that RFC 3339 knows."""
    loaded = _loader(dataset)(data)
    with file.open("w", encoding="utf-8", newline="\n") as lines:
        lines.writelines(to_line(to_object(article)) + "\n" for article in loaded)


@app.command()
def quality(
    result: Annotated[Path, typer.Argument(help="What make quality wrote.")] = Path(
        "build/quality/bench.json"
    ),
    goldens: Recorded = GOLDENS,
    name: Name = "",
    keep: Annotated[bool, typer.Option("--record", help="Record the figures instead.")] = False,
) -> None:
    """Compare figures of ``make quality QUALITY=--ours`` with those recorded; exit status 1 where they differ."""
    console, recorded = _console(), _recorded(goldens)
    now = figures(json.loads(result.read_text(encoding="utf-8")))
    before: dict[str, dict[str, float]] = recorded["quality"].get("figures", {})
    rows = changed(_flat(before), _flat(now))
    grid = Grid(f"figures that differ, of {len(_flat(now))}", ("figure", "recorded", "now"), rows)
    print_part(Part("quality", {}, (grid,), {}), console)
    if keep:
        _record(goldens, recorded | {"quality": {"run": name or _commit(), "figures": now}})
    else:
        _end(console, {"quality": not rows})


# -- small things of the command line --------------------------------------------------------------


def _runs(
    names: list[str] | None, data: Path, folder: Path, console: Console
) -> Iterator[tuple[str, Golden]]:
    """Run the data sets that are there; the lines of each are kept in ``folder``."""
    processes.end_on_signal()
    for name in names or DATASETS:
        started = time.perf_counter()
        try:
            loaded = _loader(name)(data)
        except Missing as reason:
            console.print(f"{name} is left out: {reason}", highlight=False, soft_wrap=True)
            continue
        golden = run(loaded, folder / name)
        for aspect, lines in golden.lines.items():
            digests.save(lines, _kept(folder, name, aspect))
        console.print(f"{name}: {time.perf_counter() - started:.0f} s", highlight=False)
        yield name, golden


def _flat(tables: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {f"{title}: {what}": value for title, table in tables.items() for what, value in table.items()}


def _loader(name: str) -> Callable[[Path], Sequence[Article]]:
    if name not in DATASETS:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(DATASETS)}")
    return DATASETS[name]


def _console() -> Console:
    console = Console()
    console.width = max(console.width, 120)  # tables are wide, also where they go to a file
    return console


def _commit() -> str:
    """The commit of the project, "-dirty" where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _end(console: Console, equal: Mapping[str, bool]) -> None:
    """Say what is as recorded; exit status 1 where something is not, or nothing was compared."""
    for word, wanted in (("as recorded", True), ("not as recorded", False)):
        if names := [name for name, found in equal.items() if found is wanted]:
            console.print(f"{word}: {', '.join(names)}", highlight=False, soft_wrap=True)
    if not equal:
        console.print("nothing was compared")
    if not equal or not all(equal.values()):
        raise typer.Exit(1)


if __name__ == "__main__":
    app(prog_name="python -m bench.goldens")
