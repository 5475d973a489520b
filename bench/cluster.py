"""`dedup cluster` on a file beside the service on the same file: ingest, settle and export, in turns.

Both read the same JSON Lines and write the same two files, by the commands that a user gives. Counted are seconds from
the start of the first command to the end of the last, and processor time of all processes: commands, and the service's
server and store, which run already, so that their start is not counted. All kernels are compiled before either starts.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench import corpus, digests, load
from bench.digests import Export
from bench.options import Options
from bench.processes import fresh_stack
from bench.report import Grid, Part, Plot, median
from dedup.cli.fields import to_object
from dedup.client import AsyncDedupClient
from dedup.sources.formats import to_line

COLLECTION: Final = "bench"
SERVICE, CLUSTER = "ingest, settle, export", "dedup cluster"
#: How many times faster than the service `dedup cluster` is to be on 20,000 articles.
TARGET: Final = 2.5


@dataclass(frozen=True, slots=True)
class Run:
    """One of the two in one round: seconds by the clock, and of processors, by process."""

    contender: str
    articles: int
    seconds: float
    cpu: dict[str, float]

    @property
    def cpu_seconds(self) -> float:
        """Processor time of all processes."""
        return sum(self.cpu.values())


def run_command(*arguments: object) -> float:
    """Run ``dedup`` and return the processor seconds it used. Raises CalledProcessError with what it said."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "dedup.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr[-4000:])
        done.check_returncode()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cluster(file: Path, articles: int, output: Path) -> Run:
    """A process and its workers, no store."""
    started = time.perf_counter()
    used = run_command("cluster", file, "--output", output)
    return Run(CLUSTER, articles, time.perf_counter() - started, {"command": used})


def service(file: Path, articles: int, output: Path) -> Run:
    """A new store and a server that is warm, and the commands that are given to it."""
    with fresh_stack("everysec") as stack:
        asyncio.run(_prepare(stack.target))
        where = ("--target", stack.target, "--collection", COLLECTION)
        before = stack.cpu()
        started = time.perf_counter()
        used = run_command("ingest", file, *where)
        asyncio.run(_settled(stack.target))
        used += run_command("export", "--output", output, *where)
        seconds = time.perf_counter() - started
        after = stack.cpu()
    roles = {role: after[role] - before[role] for role in ("server", "store")}
    return Run(SERVICE, articles, seconds, {"command": used, **roles})


async def _prepare(target: str) -> None:
    async with AsyncDedupClient(target) as client:
        await load.prepare(client, COLLECTION)


async def _settled(target: str) -> None:
    async with AsyncDedupClient(target) as client:
        await load.settled(client, COLLECTION)


def write(count: int, file: Path) -> None:
    """Generated articles as the commands read them."""
    with file.open("w", encoding="utf-8", newline="\n") as lines:
        lines.writelines(to_line(to_object(article)) + "\n" for article in corpus.stream(count))


def differing(one: Path, other: Path) -> dict[str, int]:
    """In how many lines two exports differ, names of clusters apart, by aspect."""
    before, after = (digests.of_files(Export.read(folder)) for folder in (one, other))
    return {aspect: len(digests.differing(lines, after[aspect])) for aspect, lines in before.items()}


def run(options: Options) -> Part:
    """Both in several rounds, and whether they found the same."""
    count = options.count(quick=600, full=20_000)
    rounds: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        file, few = folder / "articles.jsonl", folder / "few.jsonl"
        write(count, file)
        write(min(count, 1000), few)
        options.say("cluster: kernels")
        run_command("cluster", few, "--output", folder / "few")
        for number in range(options.rounds):
            for contender in (service, cluster):
                options.say(f"cluster: round {number + 1}, {contender.__name__}")
                rounds.append(contender(file, count, folder / contender.__name__))
        differences = differing(folder / service.__name__, folder / cluster.__name__)
    seconds = {
        name: median([r.seconds for r in rounds if r.contender == name]) for name in (SERVICE, CLUSTER)
    }
    cpu = {
        name: median([r.cpu_seconds for r in rounds if r.contender == name]) for name in (SERVICE, CLUSTER)
    }
    rows = [
        (
            name,
            seconds[name],
            count / seconds[name],
            seconds[SERVICE] / seconds[name],
            cpu[name],
            cpu[SERVICE] / cpu[name],
        )
        for name in (SERVICE, CLUSTER)
    ]
    columns = ("contender", "seconds", "articles/s", "times as fast", "processor s", "times less")
    ratio = seconds[SERVICE] / seconds[CLUSTER]
    found = [f"{aspect} {lines}" for aspect, lines in differences.items() if lines]
    return Part(
        "cluster",
        {"articles": count, "rounds": options.rounds, "append-only": "everysec"},
        (Grid("A file of articles to articles.jsonl and matches.jsonl, medians", columns, tuple(rows)),),
        {"rounds": [asdict(r) for r in rounds], "ratio": ratio, "differing lines": differences},
        (
            Plot(
                "cluster",
                "A file of articles, from start to end",
                "seconds",
                tuple(seconds),
                {"seconds": tuple(seconds.values())},
            ),
        ),
        (
            f"dedup cluster is {ratio:.2f} times as fast; the target on 20,000 articles is {TARGET:g}",
            f"lines that differ: {', '.join(found) or 'none'}",
        ),
    )
