"""``dedup cluster``: what it writes is what the service exports, and nothing half-written whatever happens."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import zstandard

from bench import digests
from bench.digests import Export
from dedup.bulk.storage import Memory
from dedup.bulk.tasks import Space, Tasks, record_bytes
from dedup.cli import cluster as cluster_module
from dedup.cli import files as files_module
from dedup.cli import main
from dedup.cli.fields import to_object
from dedup.cli.intake import Intake
from dedup.cli.stops import Stops, uninterrupted
from dedup.core.article_rules import DEFAULT_ARTICLE_RULES
from dedup.model import Article, CollectionParameters
from dedup.sources.formats import to_line
from tests import data
from tests.cli_process import command, free_address, one_line, serving

SEEDS = sorted(data.SEEDS.glob("*.jsonl"))
FERRY, LAMPS = data.SEEDS / "en-ferry.jsonl", data.SEEDS / "en-lamps.jsonl"
BOTH = ["articles.jsonl", "matches.jsonl"]


def written(folder: Path) -> dict[str, bytes]:
    """Everything in a folder, hidden files too."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def save(path: Path, *lines: dict[str, Any] | str) -> Path:
    """A file of lines."""
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    path.write_text(text, "utf-8")
    return path


def read(path: Path) -> list[Any]:
    """The objects of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


class Command:
    """Runs ``dedup cluster`` in this process; ``status`` and ``err`` hold what it left."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self.capture = capture
        self.status = 0
        self.err = ""

    def __call__(self, *arguments: object) -> str:
        """Standard output."""
        self.status = main(["cluster", *map(str, arguments)])
        out, self.err = self.capture.readouterr()
        return out

    def summary(self, *arguments: object) -> dict[str, Any]:
        """What it prints with ``--json``."""
        found = json.loads(self(*arguments, "--json"))
        assert isinstance(found, dict)
        return found


@pytest.fixture
def cluster(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, with output as wide as where no terminal is."""
    monkeypatch.delenv("COLUMNS", raising=False)
    return Command(capsys)


# -- the same as the service --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def target(store_url: str) -> Iterator[str]:
    """Address of the real service."""
    address = free_address()
    with serving(address, "--store", store_url):
        yield address


@pytest.fixture
def service(
    target: str, collection: str, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """Ingests files into a collection with some parameters, exports it, and gives the summary of the ingestion."""

    def run(output: Path, *given: Path, parameters: tuple[str, ...] = ()) -> dict[str, Any]:
        where = ["--target", target, "--collection", collection]
        assert main(["create", collection, "--target", target, *parameters]) == 0
        capsys.readouterr()
        assert main(["ingest", *map(str, given), *where, "--batch-size", "1", "--json"]) in (0, 2)
        summary = json.loads(capsys.readouterr().out)
        assert main(["status", "--wait", "60", *where]) == 0
        assert main(["export", "--output", str(output), *where]) == 0
        capsys.readouterr()
        assert isinstance(summary, dict)
        return summary

    return run


def differences(one: Path, other: Path) -> dict[str, list[str]]:
    """Lines in which two exports differ, names of clusters and stories apart."""
    before, after = (digests.of_files(Export.read(folder)) for folder in (one, other))
    found = {aspect: digests.differing(lines, after[aspect]) for aspect, lines in before.items()}
    return {aspect: lines for aspect, lines in found.items() if lines}


@pytest.mark.parametrize(
    "parameters",
    [
        (),
        ("--profile", "copies"),
        ("--window", "16", "--landmarks", "3", "--rule", "rewrite_words=40"),
        ("--match-window-days", "1", "--minimum-words", "60", "--story-span-days", "1"),
        ("--no-keep-text",),
    ],
)
def test_the_files_are_those_of_the_service(
    cluster: Command, service: Callable[..., dict[str, Any]], tmp_path: Path, parameters: tuple[str, ...]
) -> None:
    """All story families: equal articles, matches, passages, clusters, stories and credits."""
    known = service(tmp_path / "service", *SEEDS, parameters=parameters)
    found = cluster.summary(*SEEDS, "--output", tmp_path / "cluster", *parameters)
    assert (cluster.status, cluster.err) == (0, "")
    assert differences(tmp_path / "service", tmp_path / "cluster") == {}
    assert found["outcomes"] == known["outcomes"]
    export = Export.read(tmp_path / "cluster")
    assert found["clusters"] == sum(len(ids) > 1 for ids in export.groups("cluster").values())
    assert found["matches"] == len(export.matches)
    for name in BOTH:
        lines = [
            [list(json.loads(line)) for line in (tmp_path / side / name).read_text("utf-8").splitlines()]
            for side in ("service", "cluster")
        ]
        assert lines[0] == lines[1], "the same keys in the same order"


def test_versions_kills_and_redeliveries(
    cluster: Command, service: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """The newest version counts, a kill removes, a redelivery changes nothing: every outcome as the service's."""
    wire, *rest = read(FERRY)
    late = {"published": "2030-01-01"}
    lines = [
        wire | {"id": "w", "version": 2},
        wire | {"id": "w", "version": 1, "body": "An older version that comes late. " * 9},
        wire | {"id": "w", "version": 2},
        *rest,
        *rest[:2],
        rest[2] | {"version": 3, "body": rest[3]["body"] + " Corrected after all, in a sentence of its own."},
        {"id": rest[4]["id"], "pubstatus": "canceled", "version": 9},
        {"id": "never", "pubstatus": "canceled"},
        rest[4] | {"version": 1},
        {"id": "short", "body": "Too short."},
        {"id": "empty", "body": ""},
        wire | {"id": "copy"} | late,
    ]
    path = save(tmp_path / "feed.jsonl", *lines)
    known = service(tmp_path / "service", path)
    found = cluster.summary(path, "--output", tmp_path / "cluster", "--results", tmp_path / "results.jsonl")
    assert (cluster.status, cluster.err) == (0, "")
    assert differences(tmp_path / "service", tmp_path / "cluster") == {}
    for name in ("articles", "rejected", "outcomes"):
        assert found[name] == known[name], name
    results = read(tmp_path / "results.jsonl")
    assert [each["id"] for each in results] == [line["id"] for line in lines]
    assert {tuple(each) for each in results} == {("id", "outcome", "decision")}
    assert [each["outcome"] for each in results[:3]] == ["created", "stale_version", "unchanged"]
    assert results[-1]["decision"]["copies"] == "w"
    assert results[-3] == {"id": "short", "outcome": "not_comparable", "decision": None}


def test_a_killed_article_has_no_decision(cluster: Command, tmp_path: Path) -> None:
    """As the service answers: neither a kill nor an older version that comes after it has one."""
    article = read(FERRY)[0] | {"id": "a", "version": 1}
    path = save(tmp_path / "feed", article, {"id": "a", "pubstatus": "canceled", "version": 2}, article)
    cluster(path, "--output", tmp_path / "out", "--results", tmp_path / "results")
    found = read(tmp_path / "results")
    assert [each["outcome"] for each in found] == ["created", "canceled", "stale_version"]
    assert [each["decision"] is None for each in found] == [False, True, True]


# -- what comes in ------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_packed_files_give_the_same_bytes(
    cluster: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    """Plain, gzip and zstd, from files and from standard input: the same two files."""
    cluster(FERRY, LAMPS, "--output", tmp_path / "plain")
    packed = tmp_path / "packed"
    packed.write_bytes(pack(FERRY.read_bytes()))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pack(LAMPS.read_bytes()))))
    out = cluster(packed, "-", "--output", tmp_path / "out")
    assert cluster.status == 0
    assert written(tmp_path / "out") == written(tmp_path / "plain")
    assert sorted(written(tmp_path / "out")) == BOTH
    first, second, *_ = out.splitlines()
    assert first.startswith("16 articles in ")
    assert second.strip().startswith("2 clusters of two and more, ")


def test_arrival_time_stands_in_for_the_day_of_publication(cluster: Command, tmp_path: Path) -> None:
    """Copies without ``published`` that arrived four days apart are not compared where the window is three."""
    body = data.prose(random.Random(5), 80)
    apart = [
        {"id": "a", "body": body, "source": "A", "arrival_time": "2024-05-01T08:00:00+02:00"},
        {"id": "b", "body": body + " more", "source": "B", "arrival_time": "2024-05-05"},
    ]
    together = [{name: value for name, value in line.items() if name != "arrival_time"} for line in apart]
    for lines, matches in ((apart, 0), (together, 1)):
        path = save(tmp_path / "feed.jsonl", *lines)
        found = cluster.summary(path, "--output", tmp_path / "out", "--match-window-days", 3)
        assert (cluster.status, found["matches"]) == (0, matches)


def test_lines_without_a_time_arrive_in_their_order(tmp_path: Path) -> None:
    """A microsecond each from the start of the run on, counted over all files; rejected lines count, blank ones not."""
    first = save(tmp_path / "1", {"id": "a", "body": ""}, "", "{oops", {"id": "b", "body": ""})
    second = save(
        tmp_path / "2",
        {"id": "c", "body": "", "arrival_time": "1970-01-01T00:00:09Z"},
        {"id": "d", "body": "", "arrival_time": "noon"},
        {"id": "e", "body": "", "arrival_time": None},
    )
    with Stops() as stops:
        clustering = cluster_module._Clustering(rules=DEFAULT_ARTICLE_RULES, stops=stops)
        deliveries = list(clustering._arrivals([str(first), str(second)], 1e9))
    lines = Memory()
    tasks = Tasks(
        parameters=CollectionParameters(), rules=DEFAULT_ARTICLE_RULES, lines=lines, texts=lines, words=lines
    )
    part = tasks.prepare(deliveries, -1, Space(at=0, size=record_bytes(deliveries), words_at=0, words_size=0))
    arrived = part.packed.rows["arrival"].tolist()
    assert part.packed.ids() == ["a", "b", "c", "e"]
    assert arrived == pytest.approx([1e9, 1e9 + 2e-6, 9.0, 1e9 + 5e-6], abs=2e-7)
    assert arrived[0] < arrived[1] < arrived[3]
    assert sorted(part.errors) == [1, 4]


def test_bad_lines_are_reported_and_the_rest_goes_on(cluster: Command, tmp_path: Path) -> None:
    """File, line and reason as for ingest, kept with --rejects; exit status 2; the others are in the files."""
    wire, *rest = FERRY.read_text("utf-8").splitlines()
    cut = tmp_path / "cut.zst"
    cut.write_bytes(zstandard.compress("".join(f"{line}\n" for line in rest).encode())[:-9])
    path = tmp_path / "feed.jsonl"
    path.write_bytes(
        b"\n".join(
            [
                wire.encode(),
                b"{oops",
                b'{"id": "x", "body": "\xff"}',
                b'{"id": "t", "body": "", "arrival_time": "2024-13-01"}',
                b'{"id": "h", "body": "", "headline": "' + b"h" * 70_000 + b'"}',
            ]
        )
    )
    rejects = tmp_path / "rejects.jsonl"
    out = cluster(path, cut, FERRY, "--output", tmp_path / "out", "--rejects", rejects)
    assert cluster.status == 2
    *of_path, of_cut = cluster.err.splitlines()
    assert of_path == [
        f"{path}:2: malformed JSON at column 2: expecting property name enclosed in double quotes",
        f"{path}:3: invalid UTF-8 at byte 22: 0xff",
        f"{path}:4: arrival_time is no such day or time: '2024-13-01'",
        f"{path}:5: headline is 70000 bytes, over the limit of 65536",
    ]
    assert of_cut.startswith(f"{cut}:1: damaged zstd data, reading stops here: ")
    assert f"rejected: 5 lines, kept in {rejects}" in out
    assert [(Path(line["file"]).name, line["line"]) for line in read(rejects)] == [
        ("feed.jsonl", 2), ("feed.jsonl", 3), ("feed.jsonl", 4), ("feed.jsonl", 5), ("cut.zst", 1),
    ]  # fmt: skip
    assert len(read(tmp_path / "out" / "articles.jsonl")) == len(rest) + 1


def test_nothing_at_all(cluster: Command, tmp_path: Path) -> None:
    """An empty file, and one of which every line is bad, give two empty files."""
    bad = save(tmp_path / "bad", "x")
    for path, status in ((Path(os.devnull), 0), (bad, 2)):
        found = cluster.summary(path, "--output", tmp_path / "out")
        assert (cluster.status, found["articles"], found["clusters"]) == (status, 0, 0)
        assert written(tmp_path / "out") == dict.fromkeys(BOTH, b"")


def test_what_cannot_be_done_is_not_begun(cluster: Command, tmp_path: Path) -> None:
    """One line that says what is wrong, status 1, and not a file or folder made."""
    (tmp_path / "file").write_text("")
    (tmp_path / "taken" / "matches.jsonl").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    output = ("--output", tmp_path / "out" / "deeper")
    for arguments, message in (
        ((FERRY, tmp_path / "none", *output), f"{tmp_path / 'none'}: No such file"),
        ((tmp_path, *output), f"{tmp_path}: Is a directory"),
        ((FERRY, "--output", tmp_path / "file"), f"{tmp_path / 'file'}: Not a directory"),
        ((FERRY, "--output", tmp_path / "file" / "out"), f"{tmp_path / 'file'}: Not a directory"),
        ((FERRY, "--output", tmp_path / "taken"), f"{tmp_path / 'taken' / 'matches.jsonl'}: Is a directory"),
        ((FERRY, *output, "--results", tmp_path), f"{tmp_path}: Is a directory"),
        ((FERRY, *output, "--rejects", tmp_path / "a" / "b"), f"{tmp_path / 'a' / 'b'}: No such file"),
        ((FERRY,), "Missing option '--output' (see dedup cluster --help)"),
        ((FERRY, *output, "--workers", -1), "Invalid value for '--workers'"),
        ((FERRY, *output, "--rule", "words=3"), "the rules are covered, rewrite_words"),
        ((FERRY, *output, "--window", 65), "window must be from 1 to 64, not 65"),
        ((FERRY, *output, "--profile", "none"), "profile must be one of passages, copies"),
    ):
        assert cluster(*arguments) == ""
        assert cluster.status == 1
        assert message in one_line(cluster.err)
        assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="to root every file is readable")
def test_what_may_not_be_read_or_written(cluster: Command, tmp_path: Path) -> None:
    """A file without the right to read it, a folder without the right to write: status 1, nothing begun."""
    secret = save(tmp_path / "secret", "")
    secret.chmod(0)
    closed = tmp_path / "closed"
    closed.mkdir(0o500)
    for arguments, place in (
        ((secret, "--output", tmp_path / "out"), secret),
        ((FERRY, "--output", closed), closed),
    ):
        cluster(*arguments)
        assert cluster.status == 1
        assert one_line(cluster.err) == f"{place}: Permission denied"
    assert not (tmp_path / "out").exists()


# -- what goes out ------------------------------------------------------------------------------------


def many(path: Path, *more: str) -> Path:
    """A file of 900 articles, for which workers are started, with lines that are none among them."""
    lines = [to_line(to_object(article)) for article in data.corpus(900)]
    for i, line in enumerate(more):
        lines.insert(137 * (i + 1), line)
    path.write_text("".join(line + "\n" for line in lines), "utf-8")
    return path


def test_the_number_of_workers_changes_nothing(cluster: Command, tmp_path: Path) -> None:
    """None, one, two and three workers: the same bytes in all files, bad lines reported in the same order."""
    path = many(tmp_path / "feed.jsonl", "{oops", '{"id": "x"}', "", '{"id": "", "body": ""}', "null")
    said = set()
    for workers in (0, 1, 2, 3):
        folder = tmp_path / str(workers)
        folder.mkdir()
        more = ("--results", folder / "results", "--rejects", folder / "rejects")
        cluster(path, "--output", folder, "--workers", workers, *more)
        assert cluster.status == 2
        said.add(cluster.err)
    assert (
        written(tmp_path / "0")
        == written(tmp_path / "1")
        == written(tmp_path / "2")
        == written(tmp_path / "3")
    )
    assert len(written(tmp_path / "0")["matches.jsonl"]) > 10_000
    assert [line.split(":")[1] for line in said.pop().splitlines()] == ["138", "275", "549", "686"]
    assert not said


@pytest.mark.parametrize("parameters", [("--profile", "copies"), ("--no-keep-text",)])
def test_workers_with_other_parameters(
    cluster: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parameters: tuple[str, ...]
) -> None:
    """Bands, and texts without places: the same with workers, also where few words are kept and records do not fit."""
    from dedup.bulk import archive, local

    path = many(tmp_path / "feed.jsonl")
    monkeypatch.setattr(archive, "WORD_SLOTS", 2)
    monkeypatch.setattr(local, "record_bytes", lambda _: 5000)
    for workers in (0, 2):
        cluster(path, "--output", tmp_path / str(workers), "--workers", workers, *parameters)
        assert (cluster.status, cluster.err) == (0, "")
        monkeypatch.undo()
    assert written(tmp_path / "0") == written(tmp_path / "2")


def children(pid: int) -> dict[int, bytes]:
    """The processes that a process has started, and those that these have: their command lines."""
    found: dict[int, bytes] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(status.read_text("ascii").rpartition(")")[2].split()[1])
            if parent == pid:
                child = int(status.parent.name)
                found |= {child: (status.parent / "cmdline").read_bytes()} | children(child)
    return found


@contextmanager
def waiting_with_workers(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A run that has taken 900 articles from a pipe and waits for more, and its two workers, the last to fork last."""
    process = subprocess.Popen(
        command("cluster", "-", "--output", folder, "--workers", 2, "--results", folder / "results"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(many(folder.parent / "feed.jsonl").read_bytes())
    process.stdin.flush()
    deadline = time.monotonic() + 120
    while len(found := children(process.pid)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(found) == 3
    assert all(b"dedup.bulk.worker" in line for line in found.values())
    try:
        yield process, sorted(found)
    finally:
        process.kill()
        process.communicate()


def gone(pids: Sequence[int]) -> bool:
    """Whether processes have ended, soon."""
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_killed_worker_ends_the_command(tmp_path: Path) -> None:
    """As where the system runs out of memory: one line that says so, status 1, no file, no process left."""
    out = tmp_path / "out"
    out.mkdir()
    with waiting_with_workers(out) as (process, workers):
        os.kill(workers[-1], signal.SIGKILL)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert one_line(err.decode()) == "a worker process ended (killed by SIGKILL); nothing was written"
        assert gone(workers)
    assert written(out) == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupt_ends_the_workers(tmp_path: Path, number: int) -> None:
    """Delivery to all of them, as by a terminal, or to the command alone: no process is left, and nothing is said."""
    out = tmp_path / "out"
    out.mkdir()
    with waiting_with_workers(out) as (process, workers):
        for pid in () if number == signal.SIGKILL else workers:
            os.kill(pid, number)
        time.sleep(0.2)
        assert not gone(workers[:1]) if number == signal.SIGKILL else True
        process.send_signal(number)
        said = process.communicate(timeout=60)
        assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
        assert said == (b"", b"")
        assert gone(workers)
    if number != signal.SIGKILL:  # which leaves no time to clean up
        assert written(out) == {}


def test_what_a_worker_raises_is_raised(
    cluster: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file for what workers share that is full: the error of the system, nothing written, no worker left."""
    from dedup.bulk import archive

    path = many(tmp_path / "feed.jsonl")
    monkeypatch.setattr(archive, "WORD_SLOT_BYTES", 1 << 22)
    with largest_file(18 << 20):
        cluster(path, "--output", tmp_path / "out", "--workers", 1)
    assert cluster.status == 1
    assert one_line(cluster.err) == "what workers share: File too large"
    assert not any(b"dedup.bulk.worker" in line for line in children(os.getpid()).values())
    assert not (tmp_path / "out").exists()


def test_results_may_go_to_a_pipe(tmp_path: Path) -> None:
    """What is no file is written to as it is: the results of a run before its summary."""
    done = subprocess.run(
        command("cluster", FERRY, "--output", tmp_path, "--results", "/dev/stdout", "--json"),
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    *results, summary = map(json.loads, done.stdout.splitlines())
    assert [each["id"] for each in results] == [line["id"] for line in read(FERRY)]
    assert summary["articles"] == len(results)
    assert sorted(written(tmp_path)) == BOTH


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond some bytes, as on a disk that is full then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_what_was_there(cluster: Command, tmp_path: Path) -> None:
    """A file that cannot be written is named in one line, status 1; the old files stay, and nothing else is left."""
    kept = tmp_path / "kept"
    kept.mkdir()
    cluster(LAMPS, "--output", kept, "--results", kept / "results")
    before = written(kept)
    for size in (10, 3000, 9000):
        with largest_file(size):
            cluster(*SEEDS, "--output", kept, "--results", kept / "results")
        assert cluster.status == 1
        assert one_line(cluster.err).startswith(f"{kept}/")
        assert written(kept) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("option", ["--results", "--rejects"])
def test_a_full_device(cluster: Command, tmp_path: Path, option: str) -> None:
    """The same for the files of single lines."""
    bad = save(tmp_path / "bad", "x")
    cluster(FERRY, bad, "--output", tmp_path / "out", option, "/dev/full")
    assert cluster.status == 1
    assert cluster.err.splitlines()[-1] == "dedup: /dev/full: No space left on device"


def send(number: int) -> None:
    """A signal to this process, which is handled before the next line."""
    signal.raise_signal(number)


def at_reading(patch: pytest.MonkeyPatch, number: int) -> None:
    """While lines are read."""
    raw_lines = Intake.raw_lines

    def lines(*arguments: Any, **named: Any) -> Iterator[Any]:
        for count, line in enumerate(raw_lines(*arguments, **named)):
            if count == 5:
                send(number)
            yield line

    patch.setattr(Intake, "raw_lines", lines)


def at_settling(patch: pytest.MonkeyPatch, number: int) -> None:
    """While the collection settles."""
    from dedup.bulk.local import LocalCollection

    patch.setattr(LocalCollection, "settle", lambda _: send(number))


def at_writing(patch: pytest.MonkeyPatch, number: int) -> None:
    """While the two files are written."""
    from dedup.bulk.local import LocalCollection

    articles = LocalCollection.articles

    def items(*arguments: Any) -> Iterator[Any]:
        for count, item in enumerate(articles(*arguments)):
            if count == 12:
                send(number)
            yield item

    patch.setattr(LocalCollection, "articles", items)


def at_lost(patch: pytest.MonkeyPatch, number: int) -> None:
    """Where an exception is lost, as in a callback of C code."""
    reads = Intake._read

    def lossy(*arguments: Any) -> None:
        reads(*arguments)
        with suppress(BaseException):  # as C code does
            send(number)

    patch.setattr(Intake, "_read", lossy)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", [at_reading, at_settling, at_writing, at_lost])
def test_an_interrupt_leaves_what_was_there(
    cluster: Command, tmp_path: Path, moment: Callable[[pytest.MonkeyPatch, int], None], number: int
) -> None:
    """Whenever it comes: status 130 or 143, the old files as they were, no other file left."""
    arguments = (
        *SEEDS[:4],
        "--output",
        tmp_path,
        "--results",
        tmp_path / "results",
        "--rejects",
        tmp_path / "bad",
    )
    cluster(LAMPS, *arguments[4:])
    before = written(tmp_path)
    handler = signal.getsignal(number)
    with pytest.MonkeyPatch.context() as patch:
        moment(patch, number)
        try:
            cluster(*arguments)
            status = cluster.status
        except SystemExit as ended:
            status = int(str(ended.code))
    assert status == 128 + number
    assert written(tmp_path) == before
    assert signal.getsignal(number) is handler


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_files_take_their_names_together(
    cluster: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, count: int
) -> None:
    """An interrupt between one file's name and the next one's waits until both have theirs."""
    cluster(LAMPS, "--output", tmp_path / "out")
    cluster(FERRY, "--output", tmp_path / "expected")
    replace = Path.replace
    done: list[Path] = []

    def interrupted(self: Path, target: Path) -> Path:
        if len(done) == count:
            send(number)
        done.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    try:
        cluster(FERRY, "--output", tmp_path / "out", "--results", tmp_path / "results")
        status = cluster.status
    except SystemExit as ended:
        status = int(str(ended.code))
    assert written(tmp_path / "out") == written(tmp_path / "expected")
    assert not list(tmp_path.glob(".*"))
    # The results come after both files: an interrupt there finds the work done.
    assert status == (0 if count == 2 else 128 + number)
    assert (tmp_path / "results").exists() == (count == 2)


def _twice(number: int) -> str:
    send(number)
    send(number)
    return "whole"


def test_a_block_that_is_not_interrupted() -> None:
    """A signal that comes within it takes effect at its end, once, by whatever handler stood there."""
    seen: list[str] = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests before may have left another
    try:
        with pytest.raises(KeyboardInterrupt), uninterrupted():
            seen.append(_twice(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == ["whole"]


def processor_ticks(pid: int) -> int:
    """What a process has used of processors so far."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_waits_for_input_is_interrupted(tmp_path: Path, number: int) -> None:
    """A run that reads from a pipe ends at once, without a traceback, and takes its temporary files along."""
    process = subprocess.Popen(
        command("cluster", "-", "--output", tmp_path / "out", "--results", tmp_path / "results"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(FERRY.read_bytes())
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".results.*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    before = -1
    while before != (before := processor_ticks(process.pid)) and time.monotonic() < deadline:
        time.sleep(1.0)  # it still imports what it needs
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert (out, err) == (b"", b"")
    assert not list(tmp_path.rglob("*"))


def test_a_link_keeps_pointing_where_it_did(tmp_path: Path) -> None:
    """Of a link that which it points to is replaced; what fails leaves it alone."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    link.symlink_to(real)
    with pytest.raises(ZeroDivisionError), files_module.replaced(link) as (write,):
        write(f"half {1 / 0}")
    assert real.read_text() == "old"
    with files_module.replaced(link) as (write,):
        write("new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_what_is_shown_for_one_article(cluster: Command, tmp_path: Path) -> None:
    """The summary for a person, and that of a program, have the same counts."""
    path = save(
        tmp_path / "one", to_object(Article("a", "H", data.prose(random.Random(1), 40), published=1e9))
    )
    out = cluster(path, "--output", tmp_path / "out")
    assert out.splitlines()[1:] == [
        "  0 clusters of two and more, 0 matches",
        "  outcomes: 1 created",
        "  decisions: 1 new",
    ]
    found = cluster.summary(path, "--output", tmp_path / "out")
    assert list(found) == [
        "articles", "rejected", "outcomes", "decisions", "clusters", "matches", "seconds", "articles_per_second",
    ]  # fmt: skip
