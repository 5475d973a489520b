"""Another commit beside ours: found, built once, started as its own, compared round by round. No network is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import ServiceDescriptor

from bench import beside, contract, index
from bench.appended import Appended
from bench.options import Options
from bench.processes import OURS, Program, fresh_store

ROOT = Path(__file__).resolve().parent.parent
FieldType = descriptor_pb2.FieldDescriptorProto

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *words: str) -> str:
    """What git says in a folder, without the user's settings."""
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-c", "user.name=n", "-c", "user.email=n@example.org", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout of a small project that is called as ours, with one commit and the tag ``first``."""
    folder = tmp_path / "project"
    (folder / "dedup").mkdir(parents=True)
    (folder / "dedup" / "__init__.py").write_text('ORIGIN = "first"\n')
    (folder / "requirements.lock").write_text("numpy==2\n")
    (folder / "Makefile").write_text(
        "VENV := .venv\ninstall:\n\t$(PYTHON) -m venv --without-pip $(VENV)\n\techo made > $(VENV)/made\n"
    )
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "First")
    git(folder, "tag", "--annotate", "--message", "first", "first")
    return folder


def silent(_: str) -> None:
    """Nobody listens."""


def ask(program: Program, script: str) -> str:
    """What the program's interpreter prints, wherever it is started."""
    return subprocess.check_output([program.python, "-c", script], cwd="/", text=True).strip()


@needs_git
def test_a_revision_is_resolved_to_the_hash_of_its_commit(project: Path) -> None:
    """Hashes, short ones, names, annotated tags."""
    commit = git(project, "rev-parse", "HEAD")
    for revision in ("HEAD", commit, commit[:8], "first", "HEAD^{commit}"):
        assert beside.resolve(revision, project) == commit


@needs_git
@pytest.mark.parametrize("revision", ["nothing", "HEAD~7", "HEAD:Makefile", "--all", "", "0" * 40])
def test_what_is_no_commit_is_named(project: Path, revision: str) -> None:
    """Words, files, options, and hashes of nothing."""
    with pytest.raises(beside.BesideError, match=f"^'{revision}' is no commit of this checkout$"):
        beside.resolve(revision, project)


@needs_git
def test_a_folder_that_is_no_checkout_of_its_own_is_refused(project: Path, tmp_path: Path) -> None:
    """Neither a plain folder nor one inside another project's checkout."""
    for folder in (tmp_path, project / "dedup"):
        with pytest.raises(beside.BesideError, match="the project's folder is no git checkout"):
            beside.resolve("HEAD", folder)


def test_without_git_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No traceback of a missing program."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(beside.BesideError, match="git is not installed"):
        beside.resolve("HEAD")


@needs_git
def test_a_commit_with_our_lock_runs_its_own_code_on_our_packages(project: Path) -> None:
    """Its ``dedup``, not the changed one of the working tree nor ours; redis from where we have it. Built once."""
    commit = beside.resolve("HEAD", project)
    (project / "dedup" / "__init__.py").write_text('ORIGIN = "changed"\n')
    said: list[str] = []
    program = beside.install(commit, project, said.append)
    assert program.folder == project / "build" / "beside" / commit / "tree"
    assert ask(program, "import dedup; print(dedup.ORIGIN, dedup.__file__)") == (
        f"first {program.folder / 'dedup' / '__init__.py'}"
    )
    assert ask(program, "import redis; print(redis.__file__)") == redis.__file__
    assert beside.install(commit, project, said.append) == program
    assert len(said) == 1
    assert "on our packages" in said[0]


@needs_git
def test_a_half_built_commit_is_built_again(project: Path) -> None:
    """The stamp is written last."""
    commit = beside.resolve("HEAD", project)
    said: list[str] = []
    program = beside.install(commit, project, said.append)
    (program.folder / "dedup" / "__init__.py").unlink()
    (program.folder.parent / "stamp").unlink()
    assert beside.install(commit, project, said.append) == program
    assert ask(program, "import dedup; print(dedup.ORIGIN)") == "first"
    assert len(said) == 2


@needs_git
def test_a_commit_with_another_lock_is_installed_by_its_own_makefile(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it was built on our packages before ours changed; options of the make that runs us do not reach it."""
    commit = beside.resolve("HEAD", project)
    beside.install(commit, project, silent)
    (project / "requirements.lock").write_text("numpy==3\n")
    monkeypatch.setenv("MAKEFLAGS", "n -- VENV=elsewhere")
    said: list[str] = []
    program = beside.install(commit, project, said.append)
    assert "with its own packages" in said[0]
    assert (program.folder.parent / "venv" / "made").exists()
    assert not list((program.folder.parent / "venv").rglob("beside.pth"))


@needs_git
def test_a_failing_installation_is_told_and_leaves_no_stamp(project: Path) -> None:
    """With the last lines of what it said."""
    (project / "Makefile").write_text("install:\n\t@echo no such package >&2; false\n")
    git(project, "commit", "--quiet", "--all", "--message", "Broken")
    (project / "requirements.lock").write_text("numpy==3\n")
    commit = beside.resolve("HEAD", project)
    with pytest.raises(beside.BesideError, match=r"^make ended with 2: no such package"):
        beside.install(commit, project, silent)
    assert not (project / "build" / "beside" / commit / "stamp").exists()


def test_command_lines(tmp_path: Path) -> None:
    """An interpreter alone on our packages, else ``make install``; a server is told whose code it must be."""
    program = Program(tmp_path / "venv/bin/python", tmp_path / "tree")
    environment = tmp_path / "venv"
    assert beside.install_commands(program, environment, shared=True) == [
        [sys.executable, "-m", "venv", "--without-pip", str(environment)]
    ]
    assert beside.install_commands(program, environment, shared=False) == [
        ["make", "--directory", str(program.folder), "install", f"PYTHON={sys.executable}", f"VENV={environment}"]
    ]  # fmt: skip
    python, _, script, owner, package, *rest = program.command("script", "serve", "--listen", "here:1")
    assert (python, script, owner) == (str(program.python), "script", str(os.getpid()))
    assert (package, rest) == (str(tmp_path / "tree" / "dedup"), ["serve", "--listen", "here:1"])
    assert OURS.folder == ROOT


def test_the_store_of_another_program_runs_with_our_binary_and_ends(tmp_path: Path) -> None:
    """Started by the other's code; gone with the block."""
    (tmp_path / "dedup").symlink_to(ROOT / "dedup")
    with fresh_store("everysec", Program(OURS.python, tmp_path)) as store:
        with redis.Redis.from_url(store.url) as connection:
            assert connection.config_get("appendfsync") == {"appendfsync": "everysec"}
        assert store.pid in {int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()}
    assert not Path(f"/proc/{store.pid}").exists()


def test_code_that_is_not_the_one_asked_for_does_not_start(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """An interpreter that finds our package where it should run another."""
    with (
        pytest.raises(RuntimeError, match="did not start"),
        fresh_store("everysec", Program(OURS.python, tmp_path)),
    ):
        pass
    assert "the code that runs is" in capfd.readouterr().err


def test_bytes_appended_count_through_rewrites() -> None:
    """The file is smaller after a rewrite; what was appended is not."""
    with (
        fresh_store() as store,
        redis.Redis.from_url(store.url) as connection,
        Appended(connection) as appended,
    ):
        before = appended.size()
        for number in range(100):
            connection.set("key", str(number) * 1000)
            if number in {30, 60}:
                connection.bgrewriteaof()
                while connection.info("persistence")["aof_rewrite_in_progress"]:
                    pass
                appended.size()
        grown = appended.size() - before
        assert connection.info("persistence")["aof_current_size"] < grown
    assert 190_000 < grown < 200_000 + 100 * 40


OTHER = beside.Beside("72774bb8f0017d92", "0123456 with changes", Program(Path("python"), Path("tree")))


def test_contenders_take_turns() -> None:
    """Ours first in even rounds, the other commit first in odd ones; peers are left out where nobody asks for them."""
    ours, theirs = ("x", OURS), ("x at 72774bb", OTHER.program)
    assert beside.in_turns("x", OTHER, 0) == [ours, theirs]
    assert beside.in_turns("x", OTHER, 1) == [theirs, ours]
    assert beside.in_turns("x", None, 1) == [ours]
    names = [list(index.contenders([], [], Options(beside=OTHER, peers=False), number)) for number in (0, 1)]
    assert names[0][:2] == [index.BATCH, f"{index.BATCH} at 72774bb"]
    assert names[1][:2] == [f"{index.BATCH} at 72774bb", index.BATCH]
    assert len(names[0]) == 6
    assert index.DATASKETCH in index.contenders([], [], Options(), 0)


def test_ratios_are_medians_of_those_of_each_round() -> None:
    """Not ratios of medians; what one has not, or is 0, makes none."""
    rounds: list[beside.Round] = [
        ({"rate": 100.0, "ms": 1.0, "bytes": None}, {"rate": 50.0, "ms": 0.0, "bytes": 3.0}),
        ({"rate": 30.0, "ms": 3.0, "bytes": None}, {"rate": 60.0, "ms": 2.0, "bytes": 3.0}),
        ({"rate": 60.0, "ms": 2.0, "bytes": None}, {"rate": 50.0, "ms": 4.0, "bytes": 3.0}),
    ]
    assert beside.ratios(rounds) == {"rate": [2.0, 0.5, 1.2], "ms": [1.5, 0.5], "bytes": []}
    grid = beside.grid("Speed", OTHER, {"dedup": rounds})
    assert grid.columns == ("contender", "rate", "ms", "bytes")
    assert grid.rows == (("dedup", "1.20 (0.50 to 2.00)", "1.00", None),)


def test_rates_until_settled_and_processor_time_of_all() -> None:
    """What a run of ``index`` gives to be compared."""
    run = index.Run("x", 100, 2.0, 3.0, 5.0, {"server": 0.5, "store": 0.25, "client": 0.25}, 7.0)
    assert run.figures() == {
        "until settled": 20.0, "articles/s": 50.0, "store B": 5.0, "file B": 7.0,
        "server": 0.5, "store": 0.25, "client": 0.25, "all": 1.0,
    }  # fmt: skip


def contract_with(
    *fields: tuple[str, int, FieldType.Type.ValueType, bool], message: str = "Asked"
) -> ServiceDescriptor:
    """A service of the methods that are called; its requests have these fields: name, number, type, repeated."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{message}.proto", package="dedup.v1", syntax="proto3")
    made = file.message_type.add(name=message)
    for name, number, kind, repeated in fields:
        label = FieldType.LABEL_REPEATED if repeated else FieldType.LABEL_OPTIONAL
        made.field.add(name=name, number=number, type=kind, label=label)
    service = file.service.add(name="DedupService")
    for method in contract.CALLED:
        service.method.add(name=method, input_type=f".dedup.v1.{message}", output_type=f".dedup.v1.{message}")
    return contract.service_of([file])


def test_contracts_are_compared_as_the_wire_sees_them() -> None:
    """Names do not matter; a number of another type does, and one that the server does not know is told."""
    ours = contract_with(
        ("window", 1, FieldType.TYPE_UINT32, False), ("names", 2, FieldType.TYPE_STRING, True)
    )
    renamed = contract_with(
        ("size", 1, FieldType.TYPE_INT64, False), ("ids", 2, FieldType.TYPE_STRING, True), message="Renamed"
    )
    other_type = contract_with(
        ("window", 1, FieldType.TYPE_DOUBLE, False), ("names", 2, FieldType.TYPE_STRING, False)
    )
    older = contract_with(("window", 1, FieldType.TYPE_UINT32, False))
    assert contract.compare(ours, renamed) == ([], [])
    assert contract.compare(ours, other_type)[0] == [
        "it has another type for Asked.window, number 1", "it has another type for Asked.names, number 2",
    ]  # fmt: skip
    assert contract.compare(ours, older) == ([], ["Asked.names"])


def test_our_own_contract_is_understood() -> None:
    """As another commit's interpreter tells it."""
    told = subprocess.check_output([sys.executable, "-c", contract.TELL], cwd=ROOT, text=True)
    assert contract.compare(contract.ours(), contract.theirs(told)) == ([], [])


@pytest.mark.parametrize(
    ("parts", "revision", "reason"),
    [("index", "no-such-revision", "no"), ("sketch", "HEAD", "index and growth")],
)
def test_the_command_line_says_what_is_wrong_before_it_measures(
    parts: str, revision: str, reason: str
) -> None:
    """A usage error that names the option: no such commit (or no checkout), no part that runs another."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", parts, "--beside", revision],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Invalid value for --beside" in done.stderr
    assert reason in done.stderr
