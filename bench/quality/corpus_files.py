"""Reading the files of a published corpus, and what is wrong with them: a :class:`CorpusError` names file and field."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from bench.quality.datasets import Dataset, LabelledPair, LabelSet, pair
from dedup.model import Article


class CorpusError(ValueError):
    """A corpus is not as its reader expects it; the message begins with the file and the field."""

    def __init__(self, path: Path, field: str, reason: str) -> None:
        """``path`` and ``field`` are kept for whoever catches it."""
        super().__init__(f"{path}: {field}: {reason}")
        self.path = path
        self.field = field


# -- files ----------------------------------------------------------------------------------------

_PICKLE: Final = "is a pickle, which runs code when it is loaded; convert it to JSON and name that folder"
_ARCHIVE: Final = "is an archive; unpack it and name the folder"
#: What a file that no reader opens has to be made into, by the end of its name.
_FOREIGN: Final = {
    ".pkl": _PICKLE,
    ".pickle": _PICKLE,
    ".parquet": "is Parquet; convert it to JSON Lines (.jsonl), one record a line, in a folder of its own",
    ".zip": _ARCHIVE,
    ".gz": _ARCHIVE,
    ".tgz": _ARCHIVE,
}


def there(folder: Path) -> None:
    """Refuse a folder that is not there."""
    if not folder.is_dir():
        raise CorpusError(folder, "folder", "is not there")


def find(folder: Path, pattern: str) -> list[Path]:
    """The files below ``folder`` with such a name, hidden ones left out."""
    return sorted(path for path in folder.rglob(pattern) if path.is_file() and not path.name.startswith("."))


def missing(folder: Path, expected: str) -> CorpusError:
    """The error where nothing expected is in ``folder``: says what to do with what is there instead."""
    for path in find(folder, "*"):
        if advice := _FOREIGN.get(path.suffix.lower()):
            return CorpusError(path, "format", advice)
    return CorpusError(folder, "files", f"expected {expected}")


def only(paths: Sequence[Path], preferred: Sequence[str], folder: Path) -> Path:
    """The one of ``paths`` to read: the only one, or the only one with the first preferred name there is."""
    for names in ([path.name for path in paths], *([name] for name in preferred)):
        chosen = [path for path in paths if path.name in names]
        if len(chosen) == 1:
            return chosen[0]
    found = ", ".join(str(path.relative_to(folder)) for path in paths)
    raise CorpusError(folder, "files", f"more than one set is here, name the folder of one: {found}")


def read(path: Path) -> str:
    """The text of a file in UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(path, "encoding", f"is not UTF-8 at byte {error.start}") from error
    except FileNotFoundError as error:
        raise CorpusError(path, "file", "is not there") from error


def read_json(path: Path) -> Any:
    """What a JSON file holds."""
    try:
        return json.loads(read(path))
    except json.JSONDecodeError as error:
        raise CorpusError(path, f"line {error.lineno}", f"is not JSON: {error.msg}") from error


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file, with the words that say where it stands."""

    path: Path
    where: str
    fields: Mapping[str, Any]

    def error(self, name: str, reason: str) -> CorpusError:
        """The error about one field of the record."""
        return CorpusError(self.path, f"{self.where}, {name}", reason)

    def value(self, name: str) -> Any:
        """A field that has to be there."""
        if name not in self.fields:
            raise self.error(name, "is missing")
        return self.fields[name]

    def text(self, name: str) -> str:
        """A text that has to be there; null is an empty one."""
        value = self.value(name)
        if value is not None and not isinstance(value, str):
            raise self.error(name, f"must be a text, not {type(value).__name__}")
        return value or ""

    def optional(self, name: str) -> str:
        """A text that may be absent."""
        return self.text(name) if name in self.fields else ""

    def key(self, name: str) -> str:
        """A name or number that identifies something, as a text."""
        return to_key(self, name, self.value(name))


def to_key(row: Row, name: str, value: object) -> str:
    """A name or number in the field ``name`` of ``row``, as a text."""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise row.error(name, f"must be a text or a whole number, not {value!r}")
    return str(value)


def to_row(path: Path, where: str, value: object) -> Row:
    """A record, which has to be an object."""
    if not isinstance(value, dict):
        raise CorpusError(path, where, f"must be an object, not {type(value).__name__}")
    return Row(path, where, value)


def json_lines(path: Path) -> Iterator[Row]:
    """The records of a JSON Lines file, without blank lines."""
    for number, line in enumerate(read(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise CorpusError(path, f"line {number}", f"is not JSON: {error.msg}") from error
        yield to_row(path, f"line {number}", value)


def day(value: str, form: str) -> float | None:
    """Midnight of a date as seconds; None where ``value`` is no date of that form."""
    try:
        return datetime.strptime(value, form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


# -- clusters -------------------------------------------------------------------------------------


def components(ids: Iterable[str], pairs: Iterable[LabelledPair]) -> dict[str, str]:
    """Clusters of articles that pairs join, named by the member that comes first in ``ids``."""
    parents = {one: one for one in ids}
    order = {one: number for number, one in enumerate(parents)}

    def root(one: str) -> str:
        """The member that stands for the cluster of ``one`` so far."""
        while parents[one] != one:
            parents[one] = parents[parents[one]]
            one = parents[one]
        return one

    for p in pairs:
        first, second = sorted((root(p.a), root(p.b)), key=order.__getitem__)
        parents[second] = first
    return {one: root(one) for one in parents}


def within(clusters: Mapping[str, str], label: str) -> tuple[LabelledPair, ...]:
    """Every pair of two members of one cluster."""
    members: dict[str, list[str]] = defaultdict(list)
    for one, cluster in clusters.items():
        members[cluster].append(one)
    return tuple(pair(x, y, label) for group in members.values() for x, y in combinations(group, 2))


def duplicates(
    name: str, by: str, articles: Iterable[Article], pairs: tuple[LabelledPair, ...], clusters: dict[str, str]
) -> Dataset:
    """A corpus of which all duplicates are known."""
    labels = LabelSet(name, by, pairs, frozenset(p.label for p in pairs), frozenset())
    return Dataset(name, tuple(articles), (labels,), clusters)
