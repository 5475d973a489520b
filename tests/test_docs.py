"""The documents say what is: names, files, commands, rooms, links and the hash of the digests are those of the code."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.cli import app
from dedup.state.kernels import base

ROOT = Path(__file__).resolve().parent.parent
ARCHITECTURE, GLOSSARY = ROOT / "docs" / "architecture.md", ROOT / "docs" / "glossary.md"
#: What says how the project is, and what only describes files of data.
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), ROOT / "bench" / "README.md"]
ABOUT_DATA = [ROOT / "seeds" / "README.md", ROOT / "bench" / "quality" / "labels" / "README.md"]
#: Where a path in a document may begin.
FOLDERS = (ROOT, ROOT / "dedup", ROOT / "bench", ROOT / "tests")
FILE = re.compile(r"\.(?:py|md|toml|lua|jsonl?|proto|binpb|sh|lock|yml|png)$")
#: Files that users have, or that commands write.
NOT_OURS = {"articles.jsonl", "matches.jsonl", "labels.jsonl", "bench.json", "reliability.png"}


def prose(path: Path) -> str:
    """A document without its blocks of code."""
    return re.sub(
        r"^```.*?^```$|^ {4}[^\n]*$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )


def names_in(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)


@cache
def targets() -> set[str]:
    """What ``make`` knows."""
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@cache
def commands() -> set[str | None]:
    """What ``dedup`` knows."""
    return {command.name for command in app.registered_commands}


@cache
def layers() -> list[list[str]]:
    """The rooms of the import contract, a layer after the other, from above."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {each["id"]: each for each in pyproject["tool"]["importlinter"]["contracts"]}
    return [re.findall(r"\w+", layer) for layer in contracts["layers"]["layers"]]


@cache
def identifiers() -> set[str]:
    """Every identifier of the package, the benchmark and the contract, every room, and every constant."""
    found = {room for layer in layers() for room in layer}
    for path in [*(ROOT / "dedup").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]:
        found.add(path.stem)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.arg | ast.keyword) and node.arg:
                found.add(node.arg)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.alias):
                found.add(node.name)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    for path in (ROOT / "proto").rglob("*.proto"):
        found.update(re.findall(r"\w+", re.sub(r"//.*", "", path.read_text(encoding="utf-8"))))
    return found


@cache
def options() -> set[str]:
    """Every option of a command, of ``dedup`` and of the benchmark: written out, or made of an argument by Typer."""
    found: set[str] = set()
    for folder in ("dedup/cli", "bench"):
        for path in (ROOT / folder).rglob("*.py"):
            code = path.read_text(encoding="utf-8")
            found.update(re.findall(r"--[a-z][a-z-]*", code))
            arguments = [node.arg for node in ast.walk(ast.parse(code)) if isinstance(node, ast.arg)]
            found.update("--" + name.replace("_", "-") for name in arguments)
    return found


def is_module_or_member(name: str) -> bool:
    """Whether a dotted name, full or inside the package, leads to a module or to what one holds."""
    parts = name.split(".")
    if parts[0][0].isupper():  # a class and its member
        return set(parts) <= identifiers()
    for full in (parts, ["dedup", *parts]):
        for count in range(len(full), 0, -1):
            try:
                found: object = importlib.import_module(".".join(full[:count]))
            except ImportError:
                continue
            for part in full[count:]:
                found = getattr(found, part, None)
            if found is not None:
                return True
            break
    return False


def is_module(name: str) -> bool:
    """Whether Python can run this with ``-m``, ours or another's."""
    return importlib.util.find_spec(name) is not None


def is_wrong(name: str, document: Path) -> bool:
    """Whether what stands in backticks names something of ours that is not there."""
    words = name.split()
    if words[0] == "make" and len(words) > 1:
        return words[1] not in targets()
    if words[0] == "dedup" and len(words) > 1:
        return words[1] not in commands() and not words[1].isupper()
    if name.startswith("--"):
        return words[0] not in options()
    if len(words) > 1 or name in NOT_OURS or re.search(r"^/|[<>{}~:$=]", name):
        return False
    if "/" in name or FILE.search(name):
        starts = (document.parent, *FOLDERS)
        return not (any(any(start.glob(name.rstrip("/"))) for start in starts) or name.startswith("build/"))
    if re.fullmatch(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", name):
        return not is_module_or_member(name)
    if re.fullmatch(r"[A-Za-z_]\w*", name):
        known = name in identifiers() or name.removeprefix("DEDUP_").lower() in identifiers()
        prefix = name.endswith("_") and any(each.startswith(name) for each in identifiers())
        return not (known or prefix)
    return False


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_named_exists(document: Path) -> None:
    """Modules, classes, fields, settings, files, options, commands and make targets in backticks are there."""
    assert sorted({name for name in names_in(prose(document)) if is_wrong(name, document)}) == []


def test_what_does_not_exist_is_told() -> None:
    """The test above finds something."""
    for name in (
        "dedup.core.nowhere",
        "core/nowhere.py",
        "NoSuchClass",
        "no_such_field",
        "make nothing",
        "--no-option",
    ):
        assert is_wrong(name, ARCHITECTURE), name


def anchors(document: Path) -> set[str]:
    """The names that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_shown_exist(document: Path) -> None:
    """What blocks of code tell to run is there: targets of make, commands of dedup, modules."""
    code = "\n".join(
        re.findall(
            r"^```$.*?^```$|^ {4}[^\n]*$", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        )
    )
    assert set(re.findall(r"^ +make ([a-z-]+)", code, re.MULTILINE)) <= targets()
    assert set(re.findall(r"(?:bin/|^ +|  )dedup ([a-z]+)", code, re.MULTILINE)) <= commands()
    assert [name for name in re.findall(r"python -m ([\w.]+)", code) if not is_module(name)] == []


@pytest.mark.parametrize("document", [*DOCUMENTS, *ABOUT_DATA], ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    """Links between documents name a file that is there and a heading that it has."""
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if re.match(r"[a-z]+://", link):
            continue
        file, _, anchor = link.partition("#")
        target = document.parent / file if file else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert wrong == []


def rows_under(document: Path, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its own head."""
    _, _, rest = document.read_text(encoding="utf-8").partition(f"# {heading}\n")
    assert rest, f"{document.name} has no heading {heading}"
    table = re.search(r"^\|.*(?:\n\|.*)*", rest, re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].splitlines()[2:]]


def test_rooms_are_those_of_the_import_contract() -> None:
    """The rooms of the architecture, row by row, are the layers that imports are checked by."""
    assert [names_in(row[0]) for row in rows_under(ARCHITECTURE, "Rooms")] == layers()


def test_glossary_is_in_order_and_names_what_is_there() -> None:
    """Every term stands once, in the order of the alphabet, with at least one name that code or contract has."""
    rows = rows_under(GLOSSARY, "Glossary")
    terms = [row[0] for row in rows]
    assert terms == sorted(set(terms), key=str.casefold)
    nameless = [row[0] for row in rows if not names_in(row[1])]
    wrong = {row[0]: name for row in rows for name in names_in(row[1]) if is_wrong(name, GLOSSARY)}
    assert (nameless, wrong) == ([], {})


def words_to_avoid() -> Iterator[str]:
    """Those that have no other meaning anywhere."""
    for row in rows_under(GLOSSARY, "Words to avoid"):
        if "," not in row[0] and row[0] not in {"own", "marks", "learn", "telling", "survey"}:
            yield row[0]


def test_words_to_avoid_are_avoided() -> None:
    """A word that has been replaced stands in no document but in the table that says so."""
    for word in words_to_avoid():
        found = [path.name for path in DOCUMENTS if re.search(rf"\b{word}\b", prose(path), re.IGNORECASE)]
        assert found == ["glossary.md"], word


def test_the_kinds_of_the_architecture_are_those_of_the_model() -> None:
    """The table of kinds has every kind, in the order in which they are tried."""
    from dedup.model import MatchKind

    kinds = [name for row in rows_under(ARCHITECTURE, "What two texts share") for name in names_in(row[0])]
    assert kinds == [kind.name for kind in MatchKind]


def test_the_entries_of_the_architecture_are_those_of_the_state() -> None:
    """The tables of entries have every kind, with the sizes that rows have."""
    from dedup.state import entries

    tables = rows_under(ARCHITECTURE, "Entries")
    assert [name for row in tables for name in names_in(row[0])] == [kind.name for kind in entries.Kind]
    text = ARCHITECTURE.read_text(encoding="utf-8")
    sizes = {"ARRIVE": entries.ARRIVED, "VERIFIED": entries.LOOKED_UP, "REMOVE": entries.REMOVED}
    for kind, row in sizes.items():
        assert f"| `{kind}` | {row.itemsize} bytes" in text
    assert f"measures of {entries.MEASURES.itemsize} " in text
    assert f"decisions of {entries.DECISION.itemsize} " in text


WORDS = st.integers(0, 2**64 - 1)


@given(st.integers(1, 3), st.tuples(WORDS, WORDS, WORDS, WORDS))
def test_the_hash_of_the_architecture_is_that_of_the_digests(
    seed: int, words: tuple[int, int, int, int]
) -> None:
    """The Python that the architecture shows gives what the kernels give."""
    code = re.search(r"```python\n(.*?)```", ARCHITECTURE.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    shown: dict[str, Any] = {}
    exec(code[1], shown)
    kind, x, y, z = map(np.uint64, words)
    assert shown["H"](seed, *words) == int(base.hashed(seed, kind, x, y, z))
