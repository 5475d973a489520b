"""The shape of the code is checked like its behavior: imports run one way, rooms stay small, locks whole."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "dedup"

#: Rooms that are pure and synchronous: no I/O, no wire, no clock, no settings, no timers.
PURE = ("core", "state")
NOT_IN_PURE_ROOMS = {
    "asyncio", "datetime.datetime.now", "dedup.config", "dedup.observability", "dedup.v1", "google", "grpc",
    "prometheus_client", "pydantic", "pydantic_settings", "redis", "requests", "socket", "structlog",
    "subprocess", "threading", "time",
}  # fmt: skip
#: What reads the clock without importing it by a name of its own.
CLOCK = re.compile(r"\b(?:datetime|date)\.(?:now|utcnow|today)\(")
#: The only rooms that know the messages of the contract; the server registers them.
KNOW_THE_WIRE = {"service", "convert", "client", "explorer", "server"}


def modules() -> Iterator[tuple[str, Path]]:
    """Every module that is written by hand, by its name inside the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        if not name.startswith("v1."):
            yield name, path


def imported(path: Path) -> set[str]:
    """The full names that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def test_imports_run_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layers of pyproject.toml hold, and every module has its place in them."""
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == EXIT_STATUS_SUCCESS


def is_in(room: str, name: str) -> bool:
    """Whether a module stands in a room."""
    return name.partition(".")[0] == room


def test_rooms_that_are_pure() -> None:
    """Core and state import nothing that reads, writes, waits, configures or tells the time."""
    pure = [(name, path) for name, path in modules() if any(is_in(room, name) for room in PURE)]
    assert sum(is_in("core", name) for name, _ in pure) > 30
    wrong = {
        name: found
        for name, path in pure
        if (
            found := {i for i in imported(path) for bad in NOT_IN_PURE_ROOMS if f"{i}.".startswith(f"{bad}.")}
            | set(CLOCK.findall(path.read_text()))
        )
    }
    assert wrong == {}


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_know_the_values_alone(room: str) -> None:
    """Of this project the core imports itself, values and errors; the state the core too."""
    known = {"dedup.core", "dedup.model", "dedup.errors", f"dedup.{room}"}
    wrong = {
        name: found
        for name, path in modules()
        if is_in(room, name)
        and (
            found := {
                i
                for i in imported(path)
                if f"{i}.".startswith("dedup.") and i != "dedup" and ".".join(i.split(".")[:2]) not in known
            }
        )
    }
    assert wrong == {}


def test_the_store_alone_spells_keys() -> None:
    """Only the store's room knows its protocol: the client, keys, byte layouts of the store, commands and scripts."""
    spelled = re.compile(
        r"""store\.(?:call|run|run_each|pipeline)\(    # a command or a script
        | prefix\}                                   # a key made of its prefix
        | ["']dedup:[{a-z]                           # a key written out
        | \b(?:redis|evalsha|MGET|HMGET|ZRANGE)\b\(  # the protocol's own words
        """,
        re.VERBOSE,
    )
    known = {"redis", "dedup.store.keys"}
    wrong = {
        name: found
        for name, path in modules()
        if not is_in("store", name)
        and (
            found := {i for i in imported(path) for one in known if f"{i}.".startswith(f"{one}.")}
            | set(spelled.findall(path.read_text()))
        )
    }
    assert wrong == {}


def test_wire_types_stay_at_the_edge() -> None:
    """Messages of the contract and gRPC are known where calls come in and go out, nowhere else."""
    wrong = {
        name: found
        for name, path in modules()
        if name.partition(".")[0] not in KNOW_THE_WIRE
        and (found := {i for i in imported(path) if re.match(r"(grpc|google|dedup\.v1)\b", i)})
    }
    assert wrong == {}


def test_modules_stay_small() -> None:
    """A room has about 400 lines at most."""
    lines = {name: len(path.read_text().splitlines()) for name, path in modules()}
    assert {name: count for name, count in lines.items() if count > 450} == {}


def test_functions_stay_small() -> None:
    """A function has about 50 lines at most, its docstring aside; a kernel, a loop nest, may have more."""
    long = {
        f"{name}.{node.name}": body_lines(node)
        for name, path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and body_lines(node) > (90 if ".kernels." in name else 60)
    }
    assert long == {}


def fields_of(node: ast.ClassDef) -> list[str]:
    """The fields of a class of values, none of another class."""
    made_of = [ast.unparse(base) for base in node.bases] + [ast.unparse(d) for d in node.decorator_list]
    if not any(re.search(r"\b(Struct|NamedTuple|dataclass)\b", each) for each in made_of):
        return []
    return [s.target.id for s in node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]


def test_values_are_built_by_keyword() -> None:
    """A value of more than three fields names each where it is made; only a row read off an array is spread."""
    trees = {name: ast.parse(path.read_text()) for name, path in modules()}
    large = {
        node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and len(fields_of(node)) > 3
    }
    assert {"Article", "Match", "Carrier", "Prepared"} <= large
    wrong = [
        f"{name}:{node.lineno}"
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in large
        and node.args
        and not any(isinstance(each, ast.Starred) for each in node.args)
    ]
    assert wrong == []


PINNED = re.compile(r"([a-z0-9.-]+)==(\S+)(?: ; (.+?))?((?:\s+--hash=sha256:[0-9a-f]{64})+)$")


def requirements(lock: str) -> dict[tuple[str, str], tuple[str, int]]:
    """Name and condition -> version and number of hashes, of every requirement of a lock file."""
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            pinned = re.match(
                r"([a-z0-9.-]+)(?:\[[a-z,]+\])?==(\S+)(?: ; ([^-]+?))?((?:\s+--hash=sha256:[0-9a-f]{64})+)$",
                line,
            )
            assert pinned, f"{lock}: {line[:80]} is not name==version with hashes"
            found[pinned[1], pinned[3] or ""] = (pinned[2], pinned[4].count("--hash"))
    return found


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-runtime.lock"])
def test_lock_is_hashed_and_names_no_address(lock: str) -> None:
    """Every requirement is pinned to a version and its files' hashes; no index, link or path stands there."""
    assert requirements(lock)
    text = (ROOT / lock).read_text()
    assert re.search(r"://|--index|--extra-index|--find-links|@ ", text) is None


def test_locks_agree_and_cover_the_project() -> None:
    """What is run is what was tested, and nothing that the project needs is missing from it."""
    everything, runtime = requirements("requirements.lock"), requirements("requirements-runtime.lock")
    assert {key: value for key, value in runtime.items() if everything.get(key) != value} == {}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[^a-z0-9-]", requirement)[0] for requirement in project["dependencies"]}
    assert needed <= {name for name, _ in runtime}
