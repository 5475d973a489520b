"""The commands, run against the real service: what they print, what they write, how they end."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dedup.cli import main
from dedup.cli.export import write_export
from dedup.errors import DedupError
from dedup.model import ExportedArticle, Match, MatchKind
from tests.cli_process import command, free_address, one_line, serving

SEEDS = Path(__file__).parents[1] / "seeds"
FERRY, LAMPS = SEEDS / "en-ferry.jsonl", SEEDS / "en-lamps.jsonl"


@pytest.fixture(scope="module")
def target(store_url: str) -> Iterator[str]:
    """Address of the real service on the store of the session."""
    address = free_address()
    with serving(address, "--store", store_url):
        yield address


@dataclass
class Cli:
    """Runs commands in this process, against one collection of the service."""

    target: str
    collection: str
    capture: pytest.CaptureFixture[str]
    status: int = 0
    err: str = ""

    def __call__(self, command: str, *arguments: object) -> str:
        """Standard output of a command; ``status`` and ``err`` hold the rest."""
        where = ["--target", self.target] + (["--collection", self.collection] if command != "health" else [])
        self.status = main([command, *where, *map(str, arguments)])
        out, self.err = self.capture.readouterr()
        return out

    def objects(self, command: str, *arguments: object) -> list[Any]:
        """What a command prints with ``--json``, one object a line."""
        return [json.loads(line) for line in self(command, "--json", *arguments).splitlines()]

    def settle(self) -> dict[str, Any]:
        """The collection's status once nothing is pending or dirty."""
        (now,) = self.objects("status", "--wait", 30)
        assert self.status == 0, self.err
        assert isinstance(now, dict)
        return now


@pytest.fixture
def cli(
    target: str, collection: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Cli:
    """The commands on an empty collection, with output as wide as where no terminal is."""
    monkeypatch.delenv("COLUMNS", raising=False)
    return Cli(target, collection, capsys)


@pytest.fixture
def ferry(cli: Cli) -> Cli:
    """The commands on a collection that holds one story family."""
    cli("ingest", FERRY)
    assert (cli.status, cli.err) == (0, "")
    cli.settle()
    return cli


def read_lines(path: Path) -> list[Any]:
    """The objects of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


# -- ingest -----------------------------------------------------------------------------------------


def test_ingest_counts_by_outcome_and_decision(cli: Cli) -> None:
    """A file of a story comes out as its labels say, and the same file again as unchanged."""
    (first,) = cli.objects("ingest", FERRY)
    assert cli.status == 0
    expected = json.loads((SEEDS / "en-ferry.labels.json").read_text("utf-8"))["articles"].values()
    decisions = [entry["decision"] for entry in expected]
    assert first["decisions"] == {name: decisions.count(name) for name in sorted(set(decisions))}
    assert first["outcomes"] == {"created": len(decisions)}
    assert (first["articles"], first["rejected"]) == (len(decisions), 0)
    (again,) = cli.objects("ingest", FERRY)
    assert again["outcomes"] == {"unchanged": len(decisions)}
    assert again["decisions"] == first["decisions"]


def test_ingest_reports_bad_lines_and_goes_on(cli: Cli, tmp_path: Path) -> None:
    """Bad lines of plain and gzip files are named with file, line, reason; the rest is stored; status 2."""
    good = FERRY.read_bytes().splitlines()
    plain, packed = tmp_path / "plain.jsonl", tmp_path / "packed"
    too_long = json.dumps({"id": "long", "body": "x" * 1_048_577}).encode()
    plain.write_bytes(
        b"\n".join([good[0], b"{oops", good[1], b'{"id": "x", "body": "\xff"}', too_long]) + b"\n"
    )
    packed.write_bytes(gzip.compress(b"\n".join([rb'{"id": "s", "body": "\udc00"}', *good[2:]])))
    rejects = tmp_path / "rejects.jsonl"
    out = cli("ingest", plain, packed, "--rejects", rejects)
    assert cli.status == 2
    assert cli.err.splitlines() == [
        f"{plain}:2: malformed JSON at column 2: expecting property name enclosed in double quotes",
        f"{plain}:4: invalid UTF-8 at byte 22: 0xff",
        f"{plain}:5: body is 1048577 bytes, over the limit of 1048576 (max_body_bytes)",
        f"{packed}:1: body holds an unpaired surrogate, U+DC00, at character 1",
    ]
    assert f"rejected: 4 lines, kept in {rejects}" in out
    kept = read_lines(rejects)
    assert [(Path(line["file"]).name, line["line"]) for line in kept] == [
        ("plain.jsonl", 2), ("plain.jsonl", 4), ("plain.jsonl", 5), ("packed", 1),
    ]  # fmt: skip
    assert kept[0]["raw"] == "{oops"
    assert kept[1]["raw_base64"]
    assert kept[2]["error"] == "BODY_TOO_LARGE"
    assert cli.settle()["articles"] == len(good)


def test_what_the_service_refuses_is_reported_with_its_line(cli: Cli, tmp_path: Path) -> None:
    """A limit that only the service checks comes back to the line of the article."""
    path = tmp_path / "feed.jsonl"
    path.write_text(
        '{"id": "a", "body": ""}\n' + json.dumps({"id": "b", "body": "", "headline": "h" * 70_000})
    )
    (summary,) = cli.objects("ingest", path)
    assert (cli.status, summary["articles"], summary["rejected"]) == (2, 1, 1)
    assert cli.err.startswith(f"{path}:2: ")
    assert "headline" in cli.err
    assert "65536" in cli.err.replace(",", "")


def test_ingest_standard_input_with_results(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``-`` reads standard input, and --results keeps the answer to each article."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(FERRY.read_bytes()))))
    results = tmp_path / "results.jsonl"
    cli("ingest", "-", "--results", results, "--batch-size", 3)
    assert cli.status == 0
    answers = {answer["id"]: answer for answer in read_lines(results)}
    assert list(answers) == [article["id"] for article in read_lines(FERRY)]
    copy = answers["en-ferry-02"]
    assert copy["outcome"] == "created"
    assert (copy["decision"]["kind"], copy["decision"]["copies"]) == ("copy", "en-ferry-01")
    assert copy["matches"][0]["kind"] == "exact"
    assert copy["cluster"]["size"] >= 2


def test_a_short_article_and_a_kill(cli: Cli, tmp_path: Path) -> None:
    """Too short a text is stored and counted as not comparable; a canceled one is removed."""
    path = tmp_path / "feed.jsonl"
    path.write_text('{"id": "a", "body": "Too short."}\n{"id": "a", "pubstatus": "canceled", "version": 2}\n')
    (summary,) = cli.objects("ingest", path)
    assert summary["outcomes"] == {"canceled": 1, "not_comparable": 1}
    assert cli.settle()["articles"] == 0


def test_a_missing_file_stops_everything(cli: Cli, tmp_path: Path) -> None:
    """All files must be readable before any is sent; the one that is not is named."""
    for bad, reason in ((tmp_path / "none.jsonl", "No such file"), (tmp_path, "Is a directory")):
        cli("ingest", FERRY, bad)
        assert cli.status == 1
        assert one_line(cli.err).startswith(f"{bad}: {reason}")
    cli("status")
    assert cli.status == 1
    assert cli.collection in one_line(cli.err)


# -- export -----------------------------------------------------------------------------------------


def test_export_writes_the_format(ferry: Cli, tmp_path: Path) -> None:
    """Both files hold what the format says, sorted, with keys in order, and the same bytes twice."""
    first, second = tmp_path / "new" / "first", tmp_path / "second"
    for directory in (first, second):
        ferry("export", "--output", directory)
        assert (ferry.status, ferry.err) == (0, "")
        assert sorted(path.name for path in directory.iterdir()) == ["articles.jsonl", "matches.jsonl"]
    for name in ("articles.jsonl", "matches.jsonl"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
        mask = os.umask(0o022)
        os.umask(mask)
        assert stat.S_IMODE((first / name).stat().st_mode) == 0o666 & ~mask
    articles, matches = read_lines(first / "articles.jsonl"), read_lines(first / "matches.jsonl")
    assert [list(article) for article in articles] == [
        ["id", "text", "cluster", "story", "representative", "agencies"]
    ] * len(articles)
    ids = [article["id"] for article in articles]
    assert ids == sorted({article["id"] for article in read_lines(FERRY)})
    pairs = [(match["article"], match["other"]) for match in matches]
    assert pairs == sorted(pairs)
    assert all(article < other for article, other in pairs)
    texts = {line["id"]: f"{line['headline']}\n{line['body']}" for line in read_lines(FERRY)}
    for match in matches:
        assert list(match) == [
            "article", "other", "kind", "jaccard", "containment", "other_containment", "shared_words",
            "quoted_words", "probability", "passages",
        ]  # fmt: skip
        assert match["kind"] in {"exact", "near_duplicate", "excerpt", "rewrite", "shared_quote"}
        assert 0 < match["probability"] < 1
        assert match["shared_words"] == sum(passage["words"] for passage in match["passages"])
        for passage in match["passages"]:
            assert list(passage) == ["start", "end", "other_start", "other_end", "words", "quoted"]
            here = texts[match["article"]][passage["start"] : passage["end"]]
            there = texts[match["other"]][passage["other_start"] : passage["other_end"]]
            assert _letters(here) == _letters(there) != ""


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def test_export_replaces_files_only_when_complete(ferry: Cli, tmp_path: Path) -> None:
    """A failed export leaves the files of the last one and nothing else."""
    ferry("export", "--output", tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def broken() -> Iterator[ExportedArticle | Match]:
        yield ExportedArticle("a", "", None, None, False)
        raise DedupError("the connection was lost")

    with pytest.raises(DedupError, match="lost"):
        write_export(broken(), tmp_path)
    ferry("export", "--output", tmp_path, "--collection", "none-such")
    assert ferry.status == 1
    assert "none-such" in one_line(ferry.err)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


A, B = (ExportedArticle(name, "", None, None, False) for name in "ab")
AB, BC = (Match(a, b, MatchKind.EXACT, 1, 1, 1, 1, 0, 1) for a, b in ("ab", "bc"))


@pytest.mark.parametrize("items", [[B, A], [A, A], [A, AB, B], [AB, AB], [BC, AB]])
def test_export_out_of_order_is_an_error(tmp_path: Path, items: Sequence[ExportedArticle | Match]) -> None:
    """The order of the format is checked while it is written; nothing is left where it does not hold."""
    with pytest.raises(DedupError, match="out of order"):
        write_export(items, tmp_path)
    assert not list(tmp_path.iterdir())
    write_export([A, B, AB, BC], tmp_path)
    assert len(read_lines(tmp_path / "matches.jsonl")) == 2


# -- find and compare -------------------------------------------------------------------------------


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """A text file: new words around a paragraph of the wire report of the family."""
    wire = next(line for line in read_lines(FERRY) if line["id"] == "en-ferry-01")
    longest = max(wire["body"].split("\n"), key=len)
    path = tmp_path / "draft.txt"
    path.write_text(f"My own headline\nNobody has ever written this sentence before.\n{longest}\n", "utf-8")
    return path


def test_find_says_what_a_text_would_match(ferry: Cli, draft: Path) -> None:
    """A text file is matched, best first, and nothing is stored."""
    out = ferry("find", draft)
    assert (ferry.status, ferry.err) == (0, "")
    assert out.startswith(f"{draft}: ")
    assert "en-ferry-01 The Strait Bulletin: Ferry with 2" in out
    (found,) = ferry.objects("find", draft)
    assert found["comparable"] is True
    assert "en-ferry-01" in {match["other"] for match in found["matches"]}
    assert found["total_matches"] >= len(found["matches"]) >= 1
    (limited,) = ferry.objects("find", draft, "--max-matches", 1)
    assert len(limited["matches"]) == 1
    assert limited["matches_truncated"] is (found["total_matches"] > 1)
    assert ferry.settle()["articles"] == 8


def test_find_in_json_lines(ferry: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON Lines are told by their name or by their first character; a bad line costs only itself."""
    line = FERRY.read_bytes().splitlines()[1].replace(b"en-ferry-01", b"mine")
    data = line + b"\nnonsense\n" + b'{"id": "short", "body": "Nothing to compare."}\n'
    named = tmp_path / "more.jsonl"
    named.write_bytes(data)
    found = ferry.objects("find", named)
    assert ferry.status == 2
    assert ferry.err.startswith(f"{named}:2: malformed JSON")
    assert [(answer["id"], answer["comparable"]) for answer in found] == [("mine", True), ("short", False)]
    assert found[0]["matches"][0]["kind"] == "exact"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    out = ferry("find", "-")
    assert ferry.status == 2
    assert out.splitlines()[0].startswith("mine: ")
    assert "short: not comparable" in out


def test_compare_stored_articles_and_files(ferry: Cli, draft: Path) -> None:
    """Each side is a file or an id; shared passages are numbered alike on both sides."""
    out = ferry("compare", "en-ferry-03", "en-ferry-05", "--short")
    header, *panels = out.splitlines()
    assert header.startswith("rewrite · ")
    left, right = "\n".join(line[:50] for line in panels), "\n".join(line[50:] for line in panels)
    for side in (left, right):
        assert "[1: " in side
        assert '["3: ' in side
    assert "⋯" in left
    assert max(map(len, panels)) <= 100
    (plain,) = ferry.objects("compare", "en-ferry-01", draft)
    assert (plain["article"], plain["match"]["passages"]) == ("en-ferry-01", plain["passages"])
    assert ferry("compare", draft, draft).startswith(("exact", "near duplicate"))
    assert str(draft.name) in ferry("compare", draft, "en-ferry-01").replace("\n", "")


def test_compare_names_what_is_missing(ferry: Cli, tmp_path: Path) -> None:
    """An id that is neither a file nor stored, and a file of two articles, are one line each."""
    ferry("compare", "en-ferry-01", "no-such-article")
    assert ferry.status == 1
    assert "no-such-article" in one_line(ferry.err)
    ferry("compare", FERRY, "en-ferry-01")
    assert one_line(ferry.err) == f"{FERRY} holds 8 articles; compare takes one a side"
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\r\n")
    ferry("compare", picture, "en-ferry-01")
    assert one_line(ferry.err) == f"{picture}: not a text file: invalid UTF-8 at byte 1"


# -- clusters, stories, status, health ----------------------------------------------------------------


def test_clusters_and_stories(ferry: Cli) -> None:
    """The cluster and the story of the labels come out, as text and as JSON."""
    labels = json.loads((SEEDS / "en-ferry.labels.json").read_text("utf-8"))
    clusters = ferry.objects("clusters")
    assert [sorted(cluster["articles"]) for cluster in clusters] == list(map(sorted, labels["clusters"]))
    out = ferry("clusters")
    assert clusters[0]["representative"] in out
    assert out.splitlines()[1].split()[:2] == [clusters[0]["id"], str(clusters[0]["size"])]
    assert max(map(len, out.splitlines())) <= 100
    assert ferry("clusters", "--min-size", 50) == "no clusters of 50 or more articles\n"
    (story,) = ferry.objects("stories")
    assert story["size"] == len(labels["story"])
    out = ferry("stories")
    assert story["headline"][:40] in out
    for article in labels["story"]:
        assert article in out


def test_limits_of_lists(cli: Cli) -> None:
    """A list is cut where the limit says, and says so on standard error."""
    cli("ingest", FERRY, LAMPS)
    cli.settle()
    assert len(cli.objects("clusters", "--limit", 1)) == 1
    assert "--limit 0" in cli.err
    assert len(cli.objects("clusters", "--limit", 0)) > 1
    assert len(cli.objects("stories", "--limit", 1)) == 1


def test_status(ferry: Cli) -> None:
    """Counters and parameters, for people and for programs."""
    (now,) = ferry.objects("status")
    assert now["settled"] is True
    assert (now["articles"], now["pending"], now["dirty"]) == (8, 0, 0)
    assert now["parameters"]["shingle_size"] == 5
    assert now["store_memory_bytes"] > 0
    out = ferry("status")
    for words in (
        "articles              8 carrying 7 texts",
        "dirty                 0 (settled)",
        "shingle size",
        "MiB",
    ):
        assert words in out


def test_health(cli: Cli) -> None:
    """A service that serves is status 0; one that is not there is status 1 and one line."""
    assert cli("health") == "SERVING\n"
    assert cli.status == 0
    cli.target = "127.0.0.1:1"
    assert cli("health", "--timeout", "0.2") == ""
    assert cli.status == 1
    assert "127.0.0.1:1 is not ready" in one_line(cli.err)


def test_create(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """A collection with parameters and rules of its own; what is not given has its default."""
    create = ["create", cli.collection, "--target", cli.target]
    rules = ["--rule", "rewrite_words=40", "--rule", "covered=0.9"]
    assert main([*create, "--window", "16", "--no-keep-text", *rules]) == 0
    assert capsys.readouterr().out == f"created collection {cli.collection}\n"
    (now,) = cli.objects("status")
    assert [now["parameters"][name] for name in ("window", "keep_text", "landmarks")] == [16, False, 10]
    assert now["parameters"]["rules"]["rewrite_words"] == 40
    assert now["parameters"]["rules"]["quote_words"] == 12
    assert "  rewrite words       40\n" in cli("status")
    for arguments, message in (
        ([], "exists"),
        (["--rule", "words=3"], "the rules are covered, rewrite_words"),
        (["--rule", "rewrite_words=many"], "rewrite_words must be a whole number of words"),
        (["--rule", "rewrite_half=x"], "rewrite_half must be a share"),
        (["--rule", "rewrite_half=2"], "rules.rewrite_half must be above 0 and up to 1, not 2.0"),
        (["--window", "65"], "window must be from 1 to 64, not 65"),
        (["--profile", "none"], "profile must be one of passages, copies"),
    ):
        assert main([*create, *arguments]) == 1
        assert message in one_line(capsys.readouterr().err)
    other = f"{cli.collection}-b"
    assert main(["create", other, "--target", cli.target, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"]["rules"]["rewrite_words"] == 20


# -- failures ---------------------------------------------------------------------------------------


def test_a_bad_collection_name(cli: Cli) -> None:
    """A malformed collection name is refused by name, before anything is sent."""
    cli.collection = "no/such name"
    cli("ingest", FERRY)
    assert cli.status == 1
    assert "collection" in one_line(cli.err)


def test_text_from_outside_cannot_drive_the_terminal(cli: Cli, tmp_path: Path) -> None:
    """Control characters of headlines, ids and reasons reach no terminal."""
    evil = "\x1b]0;owned\x07\x1b[2J\u202e\r\n"
    body = " ".join(f"word{i}" for i in range(80))
    path = tmp_path / "feed.jsonl"
    lines = [
        {"id": f"{i}{evil}", "headline": f"H{evil}", "source": f"S{evil}", "body": body} for i in range(3)
    ]
    lines.append({"id": "x", "body": "", "pubstatus": evil})
    path.write_text("\n".join(map(json.dumps, lines)))
    shown = cli("ingest", path) + cli.err
    cli.settle()
    shown += cli("clusters") + cli("stories") + cli("find", path) + cli.err
    shown += cli("compare", lines[0]["id"], lines[1]["id"]) + cli("compare", "y" + evil, "z") + cli.err
    assert shown.count("H ") >= 3
    assert not set(shown) & set("\x1b\x07\r\u202e")


# -- processes --------------------------------------------------------------------------------------


def test_a_broken_pipe_is_quiet(ferry: Cli) -> None:
    """A reader that goes away ends a command without a word."""
    arguments = command("clusters", "--json", "--min-size", 1, "--limit", 0)
    arguments += ["--target", ferry.target, "--collection", ferry.collection]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) in (0, 1)


def test_an_interrupt_is_status_130(cli: Cli) -> None:
    """Ctrl-C while standard input is read ends with 130 and without a traceback; what was sent stays."""
    arguments = command(
        "ingest", "-", "--target", cli.target, "--collection", cli.collection, "--batch-size", 1
    )
    process = subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    for line in FERRY.read_bytes().splitlines(keepends=True):
        process.stdin.write(line)
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = cli.objects("status")
        if found and found[0]["articles"] >= 4:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert cli.objects("status")[0]["articles"] >= 4
