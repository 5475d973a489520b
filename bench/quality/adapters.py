"""Readers of four published corpora of duplicates and text reuse that may not be shipped.

Each reads the files as published from a folder that the user names. What a reader expects, and where that is
described, stands in its docstring; anything else is a :class:`CorpusError` that names the file and the field.
Pickles are never loaded, and archives are not unpacked.

The clusters of NEWS-COPY, CORE and SpotSigs cover every article: two articles of different clusters are no
duplicates. Those pairs are too many to list, so that the label sets of these corpora hold the duplicates
alone, and what is wrongly found has to be counted by the clusters.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from bench.quality.datasets import Dataset, LabelledPair, LabelSet, pair
from dedup.errors import InvalidArticle
from dedup.model import Article
from dedup.sources.html import extract_html


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


def _there(folder: Path) -> None:
    """Refuse a folder that is not there."""
    if not folder.is_dir():
        raise CorpusError(folder, "folder", "is not there")


def _find(folder: Path, pattern: str) -> list[Path]:
    """The files below ``folder`` with such a name, hidden ones left out."""
    return sorted(path for path in folder.rglob(pattern) if path.is_file() and not path.name.startswith("."))


def _missing(folder: Path, expected: str) -> CorpusError:
    """The error where nothing expected is in ``folder``: says what to do with what is there instead."""
    for path in _find(folder, "*"):
        if advice := _FOREIGN.get(path.suffix.lower()):
            return CorpusError(path, "format", advice)
    return CorpusError(folder, "files", f"expected {expected}")


def _only(paths: Sequence[Path], preferred: Sequence[str], folder: Path) -> Path:
    """The one of ``paths`` to read: the only one, or the only one with the first preferred name there is."""
    for names in ([path.name for path in paths], *([name] for name in preferred)):
        chosen = [path for path in paths if path.name in names]
        if len(chosen) == 1:
            return chosen[0]
    found = ", ".join(str(path.relative_to(folder)) for path in paths)
    raise CorpusError(folder, "files", f"more than one set is here, name the folder of one: {found}")


def _read(path: Path) -> str:
    """The text of a file in UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(path, "encoding", f"is not UTF-8 at byte {error.start}") from error
    except FileNotFoundError as error:
        raise CorpusError(path, "file", "is not there") from error


def _json(path: Path) -> Any:
    """What a JSON file holds."""
    try:
        return json.loads(_read(path))
    except json.JSONDecodeError as error:
        raise CorpusError(path, f"line {error.lineno}", f"is not JSON: {error.msg}") from error


@dataclass(frozen=True, slots=True)
class _Row:
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
        return _key(self, name, self.value(name))


def _key(row: _Row, name: str, value: object) -> str:
    """A name or number in the field ``name`` of ``row``, as a text."""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise row.error(name, f"must be a text or a whole number, not {value!r}")
    return str(value)


def _row(path: Path, where: str, value: object) -> _Row:
    """A record, which has to be an object."""
    if not isinstance(value, dict):
        raise CorpusError(path, where, f"must be an object, not {type(value).__name__}")
    return _Row(path, where, value)


def _json_lines(path: Path) -> Iterator[_Row]:
    """The records of a JSON Lines file, without blank lines."""
    for number, line in enumerate(_read(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise CorpusError(path, f"line {number}", f"is not JSON: {error.msg}") from error
        yield _row(path, f"line {number}", value)


def _day(value: str, form: str) -> float | None:
    """Midnight of a date as seconds; None where ``value`` is no date of that form."""
    try:
        return datetime.strptime(value, form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


# -- clusters -------------------------------------------------------------------------------------


def _components(ids: Iterable[str], pairs: Iterable[LabelledPair]) -> dict[str, str]:
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


def _within(clusters: Mapping[str, str], label: str) -> tuple[LabelledPair, ...]:
    """Every pair of two members of one cluster."""
    members: dict[str, list[str]] = defaultdict(list)
    for one, cluster in clusters.items():
        members[cluster].append(one)
    return tuple(pair(x, y, label) for group in members.values() for x, y in combinations(group, 2))


def _duplicates(
    name: str, by: str, articles: Iterable[Article], pairs: tuple[LabelledPair, ...], clusters: dict[str, str]
) -> Dataset:
    """A corpus of which all duplicates are known."""
    labels = LabelSet(name, by, pairs, frozenset(p.label for p in pairs), frozenset())
    return Dataset(name, tuple(articles), (labels,), clusters)


# -- NEWS-COPY ------------------------------------------------------------------------------------


def news_copy(folder: Path) -> Dataset:
    """NEWS-COPY (Silcock, D'Amico-Wong, Yang and Dell, ICLR 2023): front pages of 1920 to 1977, read by OCR.

    Three forms are read, the first of them that ``folder`` holds:

    - ``<set>_inf_data.json``, an object of articles by id with ``article``, ``byline`` and ``headline``,
      beside ``<set>_gt.json`` or ``full_<set>_gt.json``, a list of pairs of ids. As in the published test and
      evaluation sets; read so by ``rule_based/rule_based_utils.py``, ``neural/neural_eval.py`` and
      ``utils.py`` of the authors' repository dell-research-harvard/NEWS-COPY, the file names after
      ``archive/utils/news_copy.py`` of ChenghaoMou/text-dedup. The test set is taken where there are several.
    - ``*.jsonl``, one article a line with ``article``, ``cluster`` and ``idx`` (or ``id``): the records of
      the mirror chenghao/NEWS-COPY-eval on Hugging Face (its card lists the fields), which has them as
      Parquet.
    - ``train_set.csv`` and ``dev_set.csv``, tables with tabs and the columns ``Text 1``, ``Text 2`` and
      ``Label`` (same, different): labelled pairs of texts without ids, clusters or dates.

    The date of an article is taken from its id (``...-Mar-14-1955-...-...``) where it stands there.
    """
    _there(folder)
    if sets := _find(folder, "*_inf_data.json"):
        return _news_copy_set(_only(sets, ["test_inf_data.json"], folder))
    if lines := _find(folder, "*.jsonl"):
        return _news_copy_lines(_only(lines, ["test.jsonl"], folder))
    if tables := _find(folder, "*_set.csv"):
        return _news_copy_tables(tables)
    raise _missing(folder, "*_inf_data.json with *_gt.json, *.jsonl, or *_set.csv")


def _news_copy_article(article_id: str, row: _Row, scan: str) -> Article:
    """An article of NEWS-COPY, with the date that the name of its scan holds."""
    published = _day("-".join(scan.split("-")[-5:-2]), "%b-%d-%Y")
    return Article(
        article_id,
        headline=row.optional("headline"),
        body=row.text("article"),
        byline=row.optional("byline"),
        language="en",
        published=published,
        published_is_date=published is not None,
    )


def _news_copy_set(path: Path) -> Dataset:
    """The articles of a published set, and the pairs of the file beside it."""
    stem = path.name.removesuffix("_inf_data.json")
    truths = [path.with_name(f"{prefix}{stem}_gt.json") for prefix in ("", "full_")]
    truth = next((each for each in truths if each.exists()), truths[0])
    data = _row(path, "file", _json(path)).fields
    articles = [
        _news_copy_article(name, _row(path, f"article {name}", fields), name) for name, fields in data.items()
    ]
    listed = _json(truth)
    if not isinstance(listed, list):
        raise CorpusError(truth, "file", f"must be a list of pairs, not {type(listed).__name__}")
    pairs: dict[LabelledPair, None] = {}
    for number, ids in enumerate(listed, 1):
        where = f"pair {number}"
        if not isinstance(ids, list) or len(ids) != 2 or ids[0] == ids[1]:
            raise CorpusError(truth, where, f"must be a list of two ids, not {ids!r}")
        for each in ids:
            if not isinstance(each, str) or each not in data:
                raise CorpusError(truth, where, f"names {each!r}, which is no article of {path.name}")
        pairs[pair(ids[0], ids[1], "same")] = None
    clusters = _components(data, pairs)
    return _duplicates("news-copy", "people", articles, tuple(pairs), clusters)


def _news_copy_lines(path: Path) -> Dataset:
    """The articles of the mirror, with their clusters."""
    articles: dict[str, Article] = {}
    clusters: dict[str, str] = {}
    for row in _json_lines(path):
        name = "idx" if "idx" in row.fields else "id"
        article_id = row.key(name)
        if article_id in articles:
            raise row.error(name, f"{article_id!r} stands twice")
        articles[article_id] = _news_copy_article(article_id, row, row.optional("id"))
        clusters[article_id] = row.key("cluster")
    return _duplicates("news-copy", "people", articles.values(), _within(clusters, "same"), clusters)


def _news_copy_tables(paths: Iterable[Path]) -> Dataset:
    """The labelled pairs of the training sets, one label set a table; equal texts are one article."""
    numbers: dict[str, str] = {}
    labels: list[LabelSet] = []
    for path in paths:
        pairs: dict[LabelledPair, None] = {}
        for row in _tab_table(path):
            one, other = (
                numbers.setdefault(row.text(c), f"text-{len(numbers) + 1}") for c in ("Text 1", "Text 2")
            )
            label = {"1": "same", "0": "different"}.get(row.text("Label"), row.text("Label"))
            if label not in {"same", "different"}:
                raise row.error("Label", f"must be same or different, not {label!r}")
            if one != other:
                pairs[pair(one, other, label)] = None
        name = path.name.removesuffix("_set.csv")
        labels.append(LabelSet(name, "people", tuple(pairs), frozenset({"same"}), frozenset({"different"})))
    articles = tuple(Article(number, body=text, language="en") for text, number in numbers.items())
    return Dataset("news-copy", articles, tuple(labels))


def _tab_table(path: Path) -> Iterator[_Row]:
    """The rows of a table with tabs, by the names in its first line."""
    table = csv.DictReader(io.StringIO(_read(path)), delimiter="\t", strict=True)
    try:
        for fields in table:
            yield _Row(
                path,
                f"line {table.line_num}",
                {k: v for k, v in fields.items() if k is not None and v is not None},
            )
    except csv.Error as error:
        raise CorpusError(path, f"line {table.line_num}", f"is no row of a table: {error}") from error


# -- CORE -----------------------------------------------------------------------------------------

_CORE_KINDS: Final = ("exact_dup", "near_exact_dup", "non_dup")


def core(folder: Path) -> Dataset:
    """CORE's deduplication data set of 2020 (Gyawali, Anastasiou and Knoth, LREC 2020): titles, abstracts.

    Expects ``Ground_Truth_data.jsonl`` of the published archive ``deduplication_dataset_2020``, or
    ``train.jsonl`` of its mirror pinecone/core-2020-05-10-deduplication on Hugging Face, or the only
    ``*.jsonl`` in ``folder``. Each line is a document with ``core_id``, ``original_title`` and
    ``original_abstract`` (or ``processed_title`` and ``processed_abstract``), ``cat`` (exact_dup,
    near_exact_dup, non_dup) and ``labelled_duplicates``, a list of core_ids. The fields are described in the
    example "Document Deduplication" of pinecone.io and read so by ``tests/benchmark_core.py`` of
    ChenghaoMou/text-dedup. Documents of one group of duplicates have one DOI: these labels were not given by
    people. A pair is an exact_dup where both documents are called that, else a near_exact_dup.
    """
    _there(folder)
    lines = _find(folder, "*.jsonl")
    if not lines:
        raise _missing(folder, "Ground_Truth_data.jsonl or train.jsonl")
    path = _only(lines, ["Ground_Truth_data.jsonl", "train.jsonl"], folder)
    articles: dict[str, Article] = {}
    rows: dict[str, _Row] = {}
    for row in _json_lines(path):
        core_id = row.key("core_id")
        if core_id in rows:
            raise row.error("core_id", f"{core_id!r} stands twice")
        if row.value("cat") not in _CORE_KINDS:
            raise row.error("cat", f"must be one of {', '.join(_CORE_KINDS)}, not {row.value('cat')!r}")
        articles[core_id] = Article(
            core_id, headline=_core_text(row, "title"), body=_core_text(row, "abstract")
        )
        rows[core_id] = _Row(
            path, row.where, {name: row.value(name) for name in ("cat", "labelled_duplicates")}
        )
    pairs = tuple(dict.fromkeys(_core_pairs(rows)))
    return _duplicates("core", "DOI", articles.values(), pairs, _components(rows, pairs))


def _core_text(row: _Row, what: str) -> str:
    """Title or abstract: the original where there is one, else the processed."""
    original = f"original_{what}"
    return row.text(original if original in row.fields else f"processed_{what}")


def _core_pairs(rows: Mapping[str, _Row]) -> Iterator[LabelledPair]:
    """The duplicates that the documents list; most pairs come twice."""
    for core_id, row in rows.items():
        listed = row.value("labelled_duplicates") or []
        if not isinstance(listed, list):
            raise row.error("labelled_duplicates", f"must be a list, not {type(listed).__name__}")
        for each in listed:
            other = _key(row, "labelled_duplicates", each)
            if other not in rows or other == core_id:
                raise row.error(
                    "labelled_duplicates", f"names {other!r}, which is no other document of the file"
                )
            kinds = {row.fields["cat"], rows[other].fields["cat"]}
            if "non_dup" in kinds:
                raise row.error("labelled_duplicates", f"names {other!r}, but one of the two is a non_dup")
            yield pair(core_id, other, "exact_dup" if kinds == {"exact_dup"} else "near_exact_dup")


# -- SpotSigs -------------------------------------------------------------------------------------

#: Files that a browser saves beside a page.
_NOT_PAGES: Final = frozenset({".css", ".js", ".jpg", ".jpeg", ".gif", ".png", ".ico", ".swf", ".db"})


def spotsigs(folder: Path) -> Dataset:
    """The gold set of SpotSigs (Theobald, Siddharth and Paepcke, SIGIR 2008): 2,160 pages in 68 clusters.

    Expects one folder a cluster with its pages as HTML (``Smoking/original.htm``, ``Smoking/s1.htm``), in
    ``folder`` or in ``GoldSetOfDuplicates`` below it; hidden files and images are passed over. The layout is
    that which ``src/lsh/utilities.py`` and ``src/gooseUtilities.py`` of vverroios/AdaptiveLSH read. The
    headline is the title of the page, the body its article text as the service extracts it, or all of its
    visible text where none is found. Pages are UTF-8 or else Windows-1252, whatever they say of themselves.
    """
    _there(folder)
    if importlib.util.find_spec("trafilatura") is None:
        raise CorpusError(folder, "page", "extracting text needs the extra 'html': pip install 'dedup[html]'")
    inner = folder / "GoldSetOfDuplicates"
    root = inner if inner.is_dir() else folder
    groups = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not groups:
        raise _missing(folder, "one folder a cluster, with HTML files")
    articles: list[Article] = []
    clusters: dict[str, str] = {}
    for group in groups:
        pages = [path for path in sorted(group.iterdir()) if path.is_file() and _is_page(path)]
        if not pages:
            raise CorpusError(group, "cluster", "holds no page")
        for path in pages:
            article = _page(path)
            articles.append(article)
            clusters[article.id] = group.name
    return _duplicates("spotsigs", "people", articles, _within(clusters, "near_duplicate"), clusters)


def _is_page(path: Path) -> bool:
    """Whether a file of a cluster is a page, by its name."""
    return not path.name.startswith(".") and path.suffix.lower() not in _NOT_PAGES


def _page(path: Path) -> Article:
    """The article of a page."""
    raw = path.read_bytes()
    try:
        html = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        html = raw.decode("cp1252", errors="replace")
    if not re.search(r"<[a-zA-Z]", html):
        raise CorpusError(path, "page", "is not HTML")
    seen = _Visible.of(html)
    try:
        body = extract_html(html)
    except InvalidArticle:
        body = seen.text
    return Article(f"{path.parent.name}/{path.name}", headline=seen.title, body=body, language="en")


class _Visible(HTMLParser):
    """The title and the visible text of a page, without scripts and styles; tags in a line leave no trace."""

    _HIDDEN: Final = frozenset({"script", "style", "noscript"})
    _BLOCKS: Final = frozenset({"p", "div", "br", "li", "tr", "td", "h1", "h2", "h3", "h4", "body", "title"})

    def __init__(self) -> None:
        """Nothing seen yet."""
        super().__init__()
        self._inside: list[str] = []
        self._pieces: list[str] = []
        self._titles: list[str] = []

    @classmethod
    def of(cls, html: str) -> _Visible:
        """What can be seen of ``html``."""
        parser = cls()
        with contextlib.suppress(AssertionError):  # what the parser makes of a broken marked section
            parser.feed(html)
            parser.close()
        return parser

    @property
    def title(self) -> str:
        """The title, on one line."""
        return " ".join("".join(self._titles).split())

    @property
    def text(self) -> str:
        """The text, a line for every block."""
        lines = (" ".join(line.split()) for line in "".join(self._pieces).split("\n"))
        return "\n".join(line for line in lines if line)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remembers that a script, a style or the title begins."""
        del attrs
        if tag in self._HIDDEN or tag == "title":
            self._inside.append(tag)
        if tag in self._BLOCKS:
            self._pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """Forgets it again."""
        if tag in self._inside:
            del self._inside[self._inside.index(tag) :]
        if tag in self._BLOCKS:
            self._pieces.append("\n")

    def handle_data(self, data: str) -> None:
        """Keeps text where it belongs."""
        if self._inside:
            if self._inside[-1] == "title":
                self._titles.append(data)
        else:
            self._pieces.append(data.replace("\n", " "))


# -- METER ----------------------------------------------------------------------------------------

_DERIVATIONS: Final = {"wholly_derived": "wholly", "partially_derived": "partially", "non_derived": "non"}
_LISTED: Final = re.compile(
    r"/?(?:meter_corpus/)?(PA|newspapers)/rawtexts/([^/]+)/([^/]+)/([^/]+)/([^/]+)\.txt"
)
#: Lines of a wire page that are no text: rules, and the line with time, date and page.
_FURNITURE: Final = re.compile(r"\s*(?:-{5,}|\d\d:\d\d \d\d/\d\d/\d\d: Page\b.*)\s*")
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
    _there(folder)
    root = next((r for r in (folder, folder / "meter_corpus") if (r / "file_index").is_dir()), None)
    if root is None:
        raise _missing(folder, "file_index (the plain text or SGML version; the TEI version is not read)")
    wire: dict[str, list[_Story]] = defaultdict(list)
    stories: dict[_Story, str] = {}
    domains = [root / "file_index" / name for name in ("courts", "showbiz")]
    for domain in (found := [path for path in domains if path.is_dir()]):
        lists = sorted(domain.glob("PA_*_files.txt"))
        if not lists:
            raise CorpusError(domain, "files", "expected PA_*_files.txt")
        for story in dict.fromkeys(s for each in lists for s in _listed(each, "PA")):
            wire[story.event].append(story)
        for name, label in _DERIVATIONS.items():
            for story in _listed(domain / f"{name}.txt", "newspapers"):
                if stories.setdefault(story, label) != label:
                    raise CorpusError(
                        domain / f"{name}.txt", story.name, f"is also listed as {stories[story]}"
                    )
    if not found:
        raise CorpusError(root / "file_index", "files", "expected courts or showbiz")
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
        return _day(self.event.split("/")[1], "%d.%m.%y")

    def text(self, root: Path) -> str:
        """The words, from the plain text or else from the SGML version."""
        plain = root / self.side / "rawtexts" / self.event / f"{self.name}.txt"
        marked = root / self.side / "annotated" / self.event / f"{self.name}.sgml"
        path = plain if plain.exists() else marked
        if not path.exists():
            raise CorpusError(plain, "file", "is listed in file_index, but not there")
        text = _PARAGRAPH_END.sub("", path.read_text(encoding="latin-1"))
        if path == marked:
            text = _sgml_text(path, text)
        return "\n".join(line for line in text.split("\n") if not _FURNITURE.fullmatch(line)).strip()


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
        raise CorpusError(path, "meterdocument", "is missing")
    return "".join(parser.pieces)


def _listed(path: Path, side: str) -> Iterator[_Story]:
    """The texts of one ``side`` (PA, newspapers) that an index lists."""
    if not path.exists():
        raise CorpusError(path, "file", "is not there")
    for number, line in enumerate(path.read_text(encoding="latin-1").split("\n"), 1):
        if not (entry := line.strip()):
            continue
        parts = _LISTED.fullmatch(entry)
        if parts is None or parts[1] != side or ".." in parts.groups():
            raise CorpusError(path, f"line {number}", f"is no text of {side}/rawtexts: {entry!r}")
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
READERS: Final[dict[str, Callable[[Path], Dataset]]] = {
    "news-copy": news_copy,
    "core": core,
    "spotsigs": spotsigs,
    "meter": meter,
}
