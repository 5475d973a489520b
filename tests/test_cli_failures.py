"""How the command line fails and how it starts and stops: one line an error, help, ``dedup serve``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from dedup.cli import app, main
from dedup.cli.console import percent, shorten, table_lines
from tests.cli_process import command, free_address, one_line, serving

FERRY = Path(__file__).parents[1] / "seeds" / "en-ferry.jsonl"
COMMANDS = [registered.name or "" for registered in app.registered_commands]


@pytest.mark.parametrize(
    "arguments",
    [
        ["ingest", FERRY], ["export", "--output", "{tmp}"], ["find", FERRY], ["compare", "a", "b"],
        ["clusters"], ["stories"], ["status"],
    ],
)  # fmt: skip
def test_no_service_is_one_line(
    arguments: list[object],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where nothing answers, every command says where it looked, in one line, with status 1."""
    monkeypatch.setattr("dedup.cli.options._READY_SECONDS", 0.2)
    given = [str(argument).replace("{tmp}", str(tmp_path)) for argument in arguments]
    assert main([*given, "--target", "127.0.0.1:1"]) == 1
    out, err = capsys.readouterr()
    assert "127.0.0.1:1" in one_line(err)
    assert out == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ingest"], "Missing argument 'FILE' (see dedup ingest --help)"),
        (["ingest", "x", "--batch-size", "0"], "Invalid value for '--batch-size': "),
        (["export"], "Missing option '--output' (see dedup export --help)"),
        (["nonsense"], "No such command 'nonsense'"),
        (["status", "--nonsense"], "--nonsense"),
        (["serve", "--listen", "nowhere"], "option listen: 'nowhere' is not HOST:PORT"),
        (["serve", "--store", "mysql://x"], "option store: "),
        (["demo", "--seeds", "/nonexistent"], "no *.labels.json in /nonexistent"),
    ],
)
def test_wrong_arguments_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A usage error is one line that says what is wrong, and status 1: 2 is kept for rejected lines."""
    assert main(arguments) == 1
    assert message in one_line(capsys.readouterr().err)


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command explains itself with an example that can be copied, and --help is no error."""
    assert sorted(COMMANDS) == sorted(
        ["serve", "ingest", "export", "find", "compare", "clusters", "stories", "status", "demo", "health"]
    )
    for name in COMMANDS:
        assert main([name, "--help"]) == 0
        out = capsys.readouterr().out
        assert f"Examples:\n    dedup {name}" in out
        assert max(map(len, out.splitlines())) <= 100
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n  {name} " not in out] == []
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("dedup ")


def refused(*arguments: object, env: dict[str, str] | None = None) -> str:
    """The one line that a service which cannot start leaves on standard error."""
    run = subprocess.run(
        command("serve", *arguments), capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, **(env or {})},
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stdout == ""
    return one_line(run.stderr)


def test_serve_and_what_prevents_it(tmp_path: Path) -> None:
    """An occupied port, a locked directory, a store that is down: one line each; SIGTERM ends with status 0."""
    listen, other = free_address(), free_address()
    data_dir = tmp_path / "data"
    with serving(listen, "--data-dir", data_dir) as process:
        assert refused("--listen", listen, "--data-dir", tmp_path / "b") == (
            f"cannot listen on {listen}: the address is in use"
        )
        assert str(data_dir) in refused("--listen", other, "--data-dir", data_dir)
        assert "127.0.0.1:1" in refused("--listen", other, "--store", "redis://127.0.0.1:1")
        secret = refused("--listen", other, env={"DEDUP_STORE": "redis://:hunter2@127.0.0.1:1"})
        assert "hunter2" not in secret
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_kept_store_answers_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was ingested before a stop is there after the next start, with the same decisions."""
    answers = []
    for _ in range(2):
        listen = free_address()
        with serving(listen, "--data-dir", tmp_path / "data"):
            assert main(["ingest", str(FERRY), "--target", listen, "--json"]) == 0
            answers.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
    assert answers[0]["outcomes"] == {"created": 8}
    assert answers[1]["outcomes"] == {"unchanged": 8}
    assert answers[0]["decisions"] == answers[1]["decisions"]


def test_tables_are_measured_in_columns() -> None:
    """Wide characters take two columns, numbers stand right, and the last column ends where the line does."""
    rows = [["南瀬", "5", "one two three four"], ["abc", "12", "x\ny"]]
    assert table_lines(("a", "size", "about"), rows, 26, right=("size",)) == [
        "a     size  about",
        "南瀬     5  one two three…",
        "abc     12  x y",
    ]
    assert shorten("南瀬日和新聞", 6) == "南瀬…"
    assert [percent(share) for share in (0, 0.004, 0.456, 0.999, 1)] == [
        "0 %",
        "0 %",
        "46 %",
        "99 %",
        "100 %",
    ]
