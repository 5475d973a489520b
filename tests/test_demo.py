"""The demo: what it shows is what the labels of the story families say, and it leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from dedup.cli.baseline import minhash_pairs
from dedup.cli.local_service import local_service
from dedup.cli.seeds import copy_pairs, find_seeds, load_families
from dedup.cli.stops import Stops
from dedup.errors import InvalidArgument, StoreUnavailable
from dedup.model import Article, ExportedArticle, Match, MatchKind

SEEDS = Path(__file__).parents[1] / "seeds"
ANSWERS = {
    "new": r"new$",
    "copy": r"copy \d+ % of \S+ \((exact|near duplicate|excerpt)\)$",
    "partial_copy": r"partial \d+ % of \S+$",
    "own_update": r"own update \d+ % of \S+$",
    "quotes_only": r"quotes only$",
    "not_comparable": r"not comparable$",
}


def demo(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    """``dedup demo`` as its own process, with its temporary directories in ``tmp_path``."""
    return subprocess.Popen(
        [sys.executable, "-m", "dedup.cli", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "DEDUP_STORE": "redis://127.0.0.1:1", "COLUMNS": "100"},
    )


@pytest.fixture
def one_family(tmp_path: Path) -> Path:
    """A directory with one story family."""
    directory = tmp_path / "family"
    directory.mkdir()
    for path in SEEDS.glob("en-ferry.*"):
        shutil.copy(path, directory)
    return directory


def test_the_demo_shows_what_the_labels_expect(tmp_path: Path) -> None:
    """Every first arrival is answered as labeled, and every section is there, as plain text of 100 columns."""
    process = demo(tmp_path)
    out, err = process.communicate(timeout=240)
    assert (process.returncode, err) == (0, "")
    assert not list(tmp_path.iterdir())
    assert "\x1b" not in out
    assert all(len(line) <= 100 for line in out.splitlines() if line.isascii())
    first: dict[str, str] = {}
    for line in out.partition("The same article again")[0].splitlines():
        if found := re.match(r"  (\S+) ", line):
            first.setdefault(found[1], line)
    for path in SEEDS.glob("*.labels.json"):
        for article, label in json.loads(path.read_text("utf-8"))["articles"].items():
            assert re.search(ANSWERS[label["decision"] or "not_comparable"], first[article]), first[article]
    expected = sum(len(family.expected_copies) for family in load_families(SEEDS))
    for words in (
        "unchanged; copy ", "version 2: replaced; copy ", "version 1: stale version", "canceled",
        "still carries it", "[1: ", '["', "Stories, each with its clusters", "dedup ingest yours.jsonl",
    ):  # fmt: skip
        assert words in out
    ours = re.search(r"dedup +(\d+) of (\d+) +and (\d+) others", out)
    theirs = re.search(r"datasketch MinHashLSH, Jaccard 0.5 +(\d+) of (\d+)", out)
    assert ours is not None
    assert theirs is not None
    assert (int(ours[1]), int(ours[2]), int(ours[3])) == (expected, expected, 0)
    assert int(theirs[1]) < expected / 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("sign", ["dedup-demo-*", "dedup-demo-*/service.log", "dedup-demo-*/store/*"])
def test_an_interrupted_demo_leaves_nothing(
    tmp_path: Path, one_family: Path, sign: str, number: signal.Signals
) -> None:
    """A signal at any moment of the start ends the service too and removes its files."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = demo(temporary, "--seeds", str(one_family))
    deadline = time.monotonic() + 60
    while not list(temporary.glob(sign)) and time.monotonic() < deadline:
        time.sleep(0.001)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in out + err
    assert not list(temporary.iterdir())
    assert str(temporary) not in _command_lines()


def _command_lines() -> str:
    """Of every process there is."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text("utf-8", "replace").replace("\0", " "))
    return "\n".join(found)


def test_a_signal_waits_until_it_is_armed() -> None:
    """A signal that comes while things are made is raised when they can be cleaned up, and not later again."""
    before = signal.getsignal(signal.SIGTERM)
    with Stops() as stops:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(SystemExit, match="143"):
            stops.arm()
        stops.disarm()
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_service_that_fails_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that cannot start, or that ends during the work, is one error with its last words."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setattr("dedup.cli.local_service._free_port", lambda: port)
        with pytest.raises(StoreUnavailable, match=f"the service stopped: cannot listen on 127.0.0.1:{port}"):
            local_service(tmp_path, Stops()).__enter__()
    monkeypatch.undo()
    running = local_service(tmp_path, Stops())
    service = running.__enter__()
    service.process.terminate()
    service.process.wait(30)
    with pytest.raises(StoreUnavailable, match="the service stopped"):
        running.__exit__(None, None, None)


def test_seeds_are_found_and_checked(tmp_path: Path, one_family: Path) -> None:
    """The families are those of the checkout, or of the directory given; what is wrong with one is said."""
    assert find_seeds(None).resolve() == SEEDS.resolve()
    with pytest.raises(InvalidArgument, match=r"no \*\.labels\.json"):
        find_seeds(tmp_path)
    (family,) = load_families(find_seeds(one_family))
    assert (family.name, family.language, len(family.articles)) == ("en-ferry", "en", 8)
    assert ("en-ferry-01", "en-ferry-02") in family.expected_copies
    assert ("en-ferry-01", "en-ferry-07") in family.expected_others
    assert not family.expected_copies & family.expected_others
    (one_family / "en-ferry.jsonl").write_text("{}\n")
    with pytest.raises(InvalidArgument, match=r"en-ferry\.jsonl:1: id is missing"):
        load_families(one_family)
    shutil.copy(SEEDS / "en-ferry.jsonl", one_family)
    (one_family / "en-ferry.labels.json").write_text('{"pairs": 5}')
    with pytest.raises(InvalidArgument, match="not a labels file"):
        load_families(one_family)


def test_equal_texts_count_with_all_carriers() -> None:
    """A match of one of several equal texts is a match of each; quotations are no copies."""

    def match(article: str, other: str, kind: MatchKind) -> Match:
        return Match(article, other, kind, 0.1, 0.2, 0.3, 40, 0, 40)

    texts = {"a": "1", "b": "1", "c": "2", "d": "3"}
    items: list[ExportedArticle | Match] = [
        *(ExportedArticle(name, text, "c1", None, False) for name, text in texts.items()),
        ExportedArticle("e", "", None, None, False),
        ExportedArticle("f", "", None, None, False),
        match("a", "c", MatchKind.REWRITE),
        match("a", "d", MatchKind.SHARED_QUOTE),
    ]
    assert copy_pairs(items) == {("a", "b"), ("a", "c"), ("b", "c")}


def test_the_baseline_finds_documents_not_passages() -> None:
    """Datasketch finds a near duplicate at Jaccard 0.5, not a paragraph in other surroundings."""

    def words(prefix: str, count: int) -> str:
        return " ".join(f"{prefix}{i}" for i in range(count))

    articles = [
        Article(id="a", body=words("a", 300)),
        Article(id="b", body=words("a", 290)),
        Article(id="c", body=words("c", 300) + words(" a", 60)),
        Article(id="zh", body="".join(chr(0x4E00 + i) for i in range(200))),
        Article(id="zi", body="".join(chr(0x4E00 + i) for i in range(195))),
    ]
    assert minhash_pairs(articles, 0.5) == {("a", "b"), ("zh", "zi")}


def test_a_wheel_holds_the_families(tmp_path: Path) -> None:
    """What is installed without a checkout has the seeds, the script of the log and no compiled leftovers."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(SEEDS.parent / name, source)
    leave = shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc")
    for name in ("dedup", "seeds"):
        shutil.copytree(SEEDS.parent / name, source / name, ignore=leave)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--no-index", "--wheel-dir", tmp_path, source], check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "installed")
    shipped = {path.name for path in SEEDS.iterdir() if path.name != "README.md"}
    assert {name.removeprefix("dedup/seeds/") for name in names if "/seeds/" in name} == shipped
    assert {"dedup/py.typed", "dedup/store/scripts/append.lua", "dedup/v1/article_pb2.pyi"} <= names
    code = "from dedup.cli.seeds import *; import dedup; print(dedup.__file__, len(load_families(find_seeds(None))))"
    installed = tmp_path / "installed"
    environment = os.environ | {"PYTHONPATH": str(installed)}
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    families = len(list(SEEDS.glob("*.labels.json")))
    assert found.stdout.split() == [str(installed / "dedup" / "__init__.py"), str(families)]
