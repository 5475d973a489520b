"""How the command line fails and how it starts and stops: one line an error, help, ``dedup serve``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
import redis

from dedup.cli import app, main
from dedup.cli.console import percent, shorten, table_lines
from dedup.store.embedded import EmbeddedValkey
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
        (["serve", "--store", "redis://[::1"], "option store: "),
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
        [
            "serve",
            "create",
            "cluster",
            "ingest",
            "export",
            "find",
            "compare",
            "clusters",
            "stories",
            "status",
            "demo",
            "health",
            "tune",
        ]
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


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ("redis://:hunter2@h:x7", "redis://HOST:PORT/NUMBER: host or port is malformed"),
        ("redis://h/first", "the database must be a number, not 'first'"),
        ("redis://h/0?nonsense=1", "there is no option 'nonsense'"),
        ("redis://h/0?socket_connect_timeout=x", "Invalid value for 'socket_connect_timeout'"),
        ("redis+sentinel://:hunter2@h:1", "HOST:PORT/SERVICE: an address of Sentinel ends with the name of"),
        ("redis+cluster://:hunter2@h:1/4", "HOST:PORT,HOST:PORT: a cluster has no database but 0"),
        (
            "redis+sentinel://:hunter2@127.0.0.1:1/wire",
            "no Sentinel names a master of 'wire' (redis+sentinel",
        ),
    ],
)
def test_a_malformed_address_of_the_store(store: str, message: str) -> None:
    """One line that says what is wrong with it, and no password."""
    line = refused("--listen", "127.0.0.1:0", "--store", store)
    assert message in line
    assert "hunter2" not in line


def test_a_store_that_asks_for_a_password(tmp_path: Path) -> None:
    """One line that says so, and no password."""
    with EmbeddedValkey(tmp_path / "store") as store:
        url = str(store.url)
        with redis.Redis.from_url(url) as client:
            client.config_set("requirepass", "hunter2")
            line = refused("--listen", free_address(), "--store", url)
            assert "the store refuses the credentials" in line
            wrong = url.replace("unix://", "unix://:hunter3@")
            assert "hunter" not in refused("--listen", free_address(), "--store", wrong)


def test_bad_lines_do_not_keep_good_ones_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each bad line is one report with file, line and reason; the others are stored; the service goes on."""
    body = " ".join(f"word{number}" for number in range(30))

    def line(**fields: object) -> bytes:
        return json.dumps({"body": body, **fields}).encode()

    cases: list[tuple[bytes, str]] = [
        (line(id="a", headline="One"), ""),
        (
            line(id="big", body="x" * (1 << 20) + "y"),
            "body is 1048577 bytes, over the limit of 1048576 (max_body_bytes)",
        ),
        (b'{"id":"b","body":"caf\xe9"}', "invalid UTF-8 at byte 22: 0xe9"),
        (b'{"id":"b","body":"\\ud800"}', "body holds an unpaired surrogate, U+D800, at character 1"),
        (line(id="\x01 \u2028/%", headline="a\0b", body=body.replace(" ", "\x07")), ""),
        (line(id="token", body="x" * 100_000), ""),
        (line(id="a", headline="One"), ""),
        (line(id="a", headline="Two", body=f"{body} and what came after"), ""),
        (b'{"id":"b","body":}', "malformed JSON at column 18: expecting value"),
        (b"[" * 5000, "malformed JSON: nested too deeply"),
        (b"[]", "not a JSON object but an array"),
        (line(id=""), "id must not be empty"),
        (line(id="i" * 513), "id is 513 bytes, over the limit of 512 (max_id_bytes)"),
        (line(id="b", version=-1), "version must be from 0 to"),
        (line(id="b", published="noon"), "published must be an RFC 3339 time"),
        (line(id="last", headline="Three"), ""),
    ]
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"\n".join(raw for raw, _ in cases))
    listen = free_address()
    with serving(listen, "--data-dir", tmp_path / "data"):
        for _ in range(2):
            assert main(["ingest", str(path), "--target", listen, "--json"]) == 2
            out, err = capsys.readouterr()
            expected = [f"{path}:{number}: {why}" for number, (_, why) in enumerate(cases, 1) if why]
            assert [
                reported.startswith(why) for reported, why in zip(err.splitlines(), expected, strict=True)
            ]
        good = sum(not why for _, why in cases)
        assert sum(json.loads(out)["outcomes"].values()) == good
        assert main(["ingest", str(path), "--target", listen, "--collection", "No Name"]) == 1
        assert "a collection is named by" in capsys.readouterr().err.splitlines()[-1]
        assert main(["status", "--target", listen, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["articles"] == 4
        for arguments, status, message in (
            (["clusters", "--collection", "none"], 1, "there is no collection 'none'"),
            (["compare", "", "a"], 1, "an empty name is neither"),
            (["compare", "i" * 400, "a"], 1, "has no article"),
        ):
            assert main([*arguments, "--target", listen]) == status
            assert message in one_line(capsys.readouterr().err)


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
