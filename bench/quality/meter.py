"""The METER corpus: agency copy and the newspaper stories made of it, see :func:`meter`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from bench.quality import corpus_files as files
from bench.quality.datasets import Dataset, LabelledPair, LabelSet, pair
from dedup.model import Article

_DERIVATIONS: Final = {"wholly_derived": "wholly", "partially_derived": "partially", "non_derived": "non"}
_LISTED: Final = re.compile(
    r"/?(?:meter_corpus/)?(PA|newspapers)/rawtexts/([^/]+)/([^/]+)/([^/]+)/([^/]+)\.txt"
)
#: Lines of a wire page that are no text: rules, and the line with time, date and page.
_BOILERPLATE: Final = re.compile(r"\s*(?:-{5,}|\d\d:\d\d \d\d/\d\d/\d\d: Page\b.*)\s*")
#: A wire page ends its paragraphs with this.
_PARAGRAPH_END: Final = re.compile(r"<[ \t\r]*$", re.MULTILINE)


def meter(folder: Path) -> Dataset:
    """The METER corpus (Gaizauskas et al. 2001; Clough et al., ACL 2002): PA copy and newspaper stories.

    Expects the plain text or the SGML version, in ``folder`` or in ``meter_corpus`` below it: for the domains
    courts and showbiz the lists ``file_index/<domain>/PA_*_files.txt``, ``wholly_derived.txt``,
    ``partially_derived.txt`` and ``non_derived.txt``, whose lines name
    ``meter_corpus/newspapers/rawtexts/<domain>/<date>/<catchline>/<name>_<newspaper>.txt`` (and ``PA`` in
    place of ``newspapers``), and those texts in Latin-1, or the same under ``annotated`` as ``.sgml``. The
    layout is described on nlp.shef.ac.uk/meter; a copy, and a program that reads it, stand in ``t/`` of
    AbeHandler/text-plagiarism. The TEI version is not read.

    People judged a newspaper story against all that PA sent under its catchline that day. Those pages are
    therefore one article, ``PA/<domain>/<date>/<catchline>``, in the order of the list. Stories without PA
    copy have no label.
    """
    files.there(folder)
    root = next((r for r in (folder, folder / "meter_corpus") if (r / "file_index").is_dir()), None)
    if root is None:
        raise files.missing(
            folder, "file_index (the plain text or SGML version; the TEI version is not read)"
        )
    wire: dict[str, list[_Story]] = defaultdict(list)
    stories: dict[_Story, str] = {}
    domains = [root / "file_index" / name for name in ("courts", "showbiz")]
    for domain in (found := [path for path in domains if path.is_dir()]):
        lists = sorted(domain.glob("PA_*_files.txt"))
        if not lists:
            raise files.CorpusError(domain, "files", "expected PA_*_files.txt")
        for story in dict.fromkeys(s for each in lists for s in _listed(each, "PA")):
            wire[story.event].append(story)
        for name, label in _DERIVATIONS.items():
            for story in _listed(domain / f"{name}.txt", "newspapers"):
                if stories.setdefault(story, label) != label:
                    raise files.CorpusError(
                        domain / f"{name}.txt", story.name, f"is also listed as {stories[story]}"
                    )
    if not found:
        raise files.CorpusError(root / "file_index", "files", "expected courts or showbiz")
    return _meter(root, wire, stories)


@dataclass(frozen=True, slots=True)
class _Story:
    """A text that an index lists."""

    side: str
    event: str
    name: str

    @property
    def published(self) -> float | None:
        """The day, from the folder."""
        return files.day(self.event.split("/")[1], "%d.%m.%y")

    def text(self, root: Path) -> str:
        """The words, from the plain text or else from the SGML version."""
        plain = root / self.side / "rawtexts" / self.event / f"{self.name}.txt"
        marked = root / self.side / "annotated" / self.event / f"{self.name}.sgml"
        path = plain if plain.exists() else marked
        if not path.exists():
            raise files.CorpusError(plain, "file", "is listed in file_index, but not there")
        text = _PARAGRAPH_END.sub("", path.read_text(encoding="latin-1"))
        if path == marked:
            text = _sgml_text(path, text)
        return "\n".join(line for line in text.split("\n") if not _BOILERPLATE.fullmatch(line)).strip()


class _Words(HTMLParser):
    """What stands between the tags."""

    def __init__(self) -> None:
        """Nothing read yet."""
        super().__init__()
        self.tags: set[str] = set()
        self.pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes which tags there are."""
        del attrs
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        """Keeps the text."""
        self.pieces.append(data)


def _sgml_text(path: Path, text: str) -> str:
    """The words of a text of the SGML version."""
    parser = _Words()
    parser.feed(text)
    parser.close()
    if "meterdocument" not in parser.tags:
        raise files.CorpusError(path, "meterdocument", "is missing")
    return "".join(parser.pieces)


def _listed(path: Path, side: str) -> Iterator[_Story]:
    """The texts of one ``side`` (PA, newspapers) that an index lists."""
    if not path.exists():
        raise files.CorpusError(path, "file", "is not there")
    for number, line in enumerate(path.read_text(encoding="latin-1").split("\n"), 1):
        if not (entry := line.strip()):
            continue
        parts = _LISTED.fullmatch(entry)
        if parts is None or parts[1] != side or ".." in parts.groups():
            raise files.CorpusError(path, f"line {number}", f"is no text of {side}/rawtexts: {entry!r}")
        yield _Story(side, "/".join(parts.groups()[1:4]), parts[5])


def _meter(root: Path, wire: Mapping[str, Sequence[_Story]], stories: Mapping[_Story, str]) -> Dataset:
    """The articles of both sides, and a label for every story of which PA has copy."""
    articles: list[Article] = []
    events: dict[str, str] = {}
    pairs: list[LabelledPair] = []

    def add(article_id: str, source: str, texts: Sequence[_Story]) -> None:
        """One article of all ``texts``."""
        day = texts[0].published
        body = "\n\n".join(text.text(root) for text in texts)
        articles.append(
            Article(
                article_id,
                body=body,
                source=source,
                language="en",
                published=day,
                published_is_date=day is not None,
            )
        )
        events[article_id] = texts[0].event

    for event, pages in wire.items():
        add(f"PA/{event}", "PA", pages)
    for story, label in stories.items():
        article_id = f"newspapers/{story.event}/{story.name}"
        add(article_id, story.name.rpartition("_")[2] if "_" in story.name else "", [story])
        if story.event in wire:
            pairs.append(pair(f"PA/{story.event}", article_id, label))
    labels = LabelSet(
        "derivation", "people", tuple(pairs), frozenset({"wholly", "partially"}), frozenset({"non"})
    )
    return Dataset("meter", tuple(articles), (labels,), stories=events)


#: The readers by the name that the command line takes.
