"""Another commit of this project, run in turns with ours: a change of speed is a ratio measured in one run.

The commit's tree is exported to ``build/beside/HASH/tree``, and ``build/beside/HASH/venv`` is its environment: made by
its own ``make install``, or on top of our packages where both locks are the same. Both are built once; a stamp, written
last, says that they are whole. The commit's own code starts its server and its store, each with its own options. The
store's binary, its append-only setting and the client are ours for both.

A part asks ``in_turns`` whom to run, and hands what it measured, round by round, to ``grid`` and ``ratios``.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis

from bench import contract
from bench.processes import OURS, Program, fresh_store
from bench.report import Cell, Grid

#: Where other commits are built, in the project's folder.
PLACE: Final = Path("build/beside")
_LOCK: Final = "requirements.lock"
# Options of a store that differ from start to start.
_PASSING: Final = frozenset({"dir", "unixsocket", "logfile", "pidfile"})

#: Figures of one contender in one round by name, None where there is none.
Figures = Mapping[str, float | None]
#: Ours and theirs of one round.
Round = tuple[Figures, Figures]


class BesideError(Exception):
    """Another commit cannot be run; one sentence says why."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A commit that is ready to run.

    ``ours`` names the commit that it is compared with, ``notes`` what a reader of the ratios must know.
    """

    commit: str
    ours: str
    program: Program
    notes: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """Seven digits of the commit."""
        return self.commit[:7]

    def at(self, name: str) -> str:
        """The name of a contender of the commit."""
        return f"{name} at {self.short}"

    def about(self) -> dict[str, Any]:
        """For the JSON file."""
        return {"commit": self.commit, "ours": self.ours, "notes": list(self.notes)}


def in_turns(name: str, other: Beside | None, number: int = 0) -> list[tuple[str, Program]]:
    """Contenders of a round with the code of each: ours first in even rounds, the other commit first in odd ones."""
    both = [(name, OURS), *([] if other is None else [(other.at(name), other.program)])]
    return both if number % 2 == 0 else both[::-1]


# -- ratios ----------------------------------------------------------------------------------------


def ratios(rounds: Iterable[Round]) -> dict[str, list[float]]:
    """Ours / theirs of every figure that both have and that is not 0, round by round."""
    found: dict[str, list[float]] = {}
    for ours, theirs in rounds:
        for name, value in ours.items():
            other = theirs.get(name)
            of_name = found.setdefault(name, [])
            if value and other:
                of_name.append(value / other)
    return found


def grid(title: str, other: Beside, rounds: Mapping[str, Sequence[Round]]) -> Grid:
    """A row for each contender: medians of the ratios of its rounds, with the range of the first one."""
    rows: list[tuple[Cell, ...]] = []
    names = list(dict.fromkeys(name for of in rounds.values() for ours, _ in of for name in ours))
    for contender, of_contender in rounds.items():
        found = ratios(of_contender)
        cells: list[Cell] = [
            f"{statistics.median(values):.2f}" if (values := found.get(name)) else None for name in names
        ]
        if len(first := found.get(names[0], [])) > 1:
            cells[0] = f"{cells[0]} ({min(first):.2f} to {max(first):.2f})"
        rows.append((contender, *cells))
    return Grid(
        f"{title}: ours / {other.short}, medians of the ratios of each round",
        ("contender", *names),
        tuple(rows),
    )


# -- building --------------------------------------------------------------------------------------


def resolve(revision: str, root: Path = OURS.folder) -> str:
    """The full hash of a revision's commit. Raises BesideError where it is none or ``root`` is no checkout."""
    try:
        top = _git(root, "rev-parse", "--show-toplevel")
    except FileNotFoundError:
        raise BesideError("git is not installed: another commit cannot be found") from None
    except BesideError as error:
        raise BesideError(f"the project's folder is no git checkout: {error}") from None
    if not Path(top).samefile(root):  # such as an exported tree inside of another project
        raise BesideError("the project's folder is no git checkout of its own")
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except BesideError:
        raise BesideError(f"{revision!r} is no commit of this checkout") from None


def install(commit: str, root: Path = OURS.folder, say: Callable[[str], None] = print) -> Program:
    """Export a commit and install it, unless that was done; the code that then runs.

    ``root`` is the folder of ours. Raises BesideError with the last lines that a failing command said.
    """
    folder = (root / PLACE / commit).resolve()
    tree, environment, stamp = folder / "tree", folder / "venv", folder / "stamp"
    program = Program(environment / "bin" / "python", tree)
    lock = _run(["git", "-C", str(root), "show", f"{commit}:{_LOCK}"])
    shared = lock == (root / _LOCK).read_bytes()
    made_of = f"{platform.python_version()} {environment} {_packages() if shared else 'its own packages'}\n"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == made_of:
        return program
    say(f"building {commit[:7]} {'on our packages' if shared else 'with its own packages'}")
    shutil.rmtree(folder, ignore_errors=True)
    tree.mkdir(parents=True)
    _run(["tar", "-x", "-C", str(tree)], _run(["git", "-C", str(root), "archive", commit]))
    for command in install_commands(program, environment, shared=shared):
        _run(command)
    if shared:
        (place,) = environment.glob("lib/python*/site-packages")
        # Folders named in such a file are searched; their own files of this kind, which lead to our code, are not read.
        lines = [str(tree), *_packages()]
        (place / "beside.pth").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if Path(_ask(program, "import dedup; print(dedup.__file__)")).parent != tree / "dedup":
        raise BesideError(f"the environment of {commit[:7]} runs other code than its own")
    stamp.write_text(made_of, encoding="utf-8")
    return program


def install_commands(program: Program, environment: Path, *, shared: bool) -> list[list[str]]:
    """What makes the environment: nothing but an interpreter where our packages are used, else its ``make install``."""
    if shared:
        return [[sys.executable, "-m", "venv", "--without-pip", str(environment)]]
    made_by = [f"PYTHON={sys.executable}", f"VENV={environment}"]
    return [["make", "--directory", str(program.folder), "install", *made_by]]


def prepare(revision: str, say: Callable[[str], None] = print) -> Beside:
    """Find, build and check a commit. Raises BesideError where it cannot be compared with ours."""
    commit = resolve(revision)
    program = install(commit, say=say)
    try:
        theirs = contract.theirs(_ask(program, contract.TELL))
    except KeyError:
        raise BesideError(f"{commit[:7]} has no service {contract.SERVICE}") from None
    wrong, unknown = contract.compare(contract.ours(), theirs)
    if wrong:
        raise BesideError(f"our client cannot call the server of {commit[:7]}: {'; '.join(wrong)}")
    notes = [f"{commit[:7]} does not know and ignores {', '.join(unknown)}"] if unknown else []
    try:
        notes += [
            f"the store of {commit[:7]} has {name} {its}, ours {own}"
            for name, (its, own) in _options_apart(program).items()
        ]
    except RuntimeError as error:
        raise BesideError(str(error)) from None
    ours = _git(OURS.folder, "describe", "--always", "--abbrev=7", "--exclude=*", "--dirty= with changes")
    return Beside(commit, ours, program, tuple(notes))


def _options_apart(program: Program) -> dict[str, tuple[str, str]]:
    """Options that the commit's store is started with and ours is not, with the value of each."""
    its, own = _options(program), _options(OURS)
    return {name: (its[name], own.get(name, "-")) for name in its if its[name] != own.get(name)}


def _options(program: Program) -> dict[str, str]:
    with (
        fresh_store("everysec", program) as store,
        redis.Redis.from_url(store.url, decode_responses=True) as it,
    ):
        found: Any = it.config_get("*")
        return {name: value for name, value in found.items() if name not in _PASSING}


def _packages() -> list[str]:
    """The folders of our packages."""
    return list(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib")))


def _ask(program: Program, script: str) -> str:
    """What a script prints that the commit's interpreter runs in the commit's folder."""
    return _run([str(program.python), "-c", script], folder=program.folder).decode().strip()


def _git(root: Path, *words: str) -> str:
    return _run(["git", "-C", str(root), *words]).decode().strip()


def _run(command: list[str], given: bytes | None = None, folder: Path | None = None) -> bytes:
    """What a command prints. Raises BesideError with the end of what it said if it fails."""
    # Of make, which may have started us: its options and variables are not for another commit's Makefile.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    done = subprocess.run(command, input=given, cwd=folder, env=environment, capture_output=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-5:]
        raise BesideError(f"{Path(command[0]).name} ended with {done.returncode}: {' '.join(said)}")
    return done.stdout
