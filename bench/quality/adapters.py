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
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from bench.quality import corpus_files as files
from bench.quality.datasets import Dataset, LabelledPair, LabelSet, pair
from bench.quality.meter import meter
from dedup.errors import InvalidArticle
from dedup.model import Article
from dedup.sources.html import extract_html

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
    files.there(folder)
    if sets := files.find(folder, "*_inf_data.json"):
        return _news_copy_set(files.only(sets, ["test_inf_data.json"], folder))
    if lines := files.find(folder, "*.jsonl"):
        return _news_copy_lines(files.only(lines, ["test.jsonl"], folder))
    if tables := files.find(folder, "*_set.csv"):
        return _news_copy_tables(tables)
    raise files.missing(folder, "*_inf_data.json with *_gt.json, *.jsonl, or *_set.csv")


def _news_copy_article(article_id: str, row: files.Row, scan: str) -> Article:
    """An article of NEWS-COPY, with the date that the name of its scan holds."""
    published = files.day("-".join(scan.split("-")[-5:-2]), "%b-%d-%Y")
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
    data = files.to_row(path, "file", files.read_json(path)).fields
    articles = [
        _news_copy_article(name, files.to_row(path, f"article {name}", fields), name)
        for name, fields in data.items()
    ]
    listed = files.read_json(truth)
    if not isinstance(listed, list):
        raise files.CorpusError(truth, "file", f"must be a list of pairs, not {type(listed).__name__}")
    pairs: dict[LabelledPair, None] = {}
    for number, ids in enumerate(listed, 1):
        where = f"pair {number}"
        if not isinstance(ids, list) or len(ids) != 2 or ids[0] == ids[1]:
            raise files.CorpusError(truth, where, f"must be a list of two ids, not {ids!r}")
        for each in ids:
            if not isinstance(each, str) or each not in data:
                raise files.CorpusError(truth, where, f"names {each!r}, which is no article of {path.name}")
        pairs[pair(ids[0], ids[1], "same")] = None
    clusters = files.components(data, pairs)
    return files.duplicates("news-copy", "people", articles, tuple(pairs), clusters)


def _news_copy_lines(path: Path) -> Dataset:
    """The articles of the mirror, with their clusters."""
    articles: dict[str, Article] = {}
    clusters: dict[str, str] = {}
    for row in files.json_lines(path):
        name = "idx" if "idx" in row.fields else "id"
        article_id = row.key(name)
        if article_id in articles:
            raise row.error(name, f"{article_id!r} stands twice")
        articles[article_id] = _news_copy_article(article_id, row, row.optional("id"))
        clusters[article_id] = row.key("cluster")
    return files.duplicates(
        "news-copy", "people", articles.values(), files.within(clusters, "same"), clusters
    )


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


def _tab_table(path: Path) -> Iterator[files.Row]:
    """The rows of a table with tabs, by the names in its first line."""
    table = csv.DictReader(io.StringIO(files.read(path)), delimiter="\t", strict=True)
    try:
        for fields in table:
            yield files.Row(
                path,
                f"line {table.line_num}",
                {k: v for k, v in fields.items() if k is not None and v is not None},
            )
    except csv.Error as error:
        raise files.CorpusError(path, f"line {table.line_num}", f"is no row of a table: {error}") from error


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
    files.there(folder)
    lines = files.find(folder, "*.jsonl")
    if not lines:
        raise files.missing(folder, "Ground_Truth_data.jsonl or train.jsonl")
    path = files.only(lines, ["Ground_Truth_data.jsonl", "train.jsonl"], folder)
    articles: dict[str, Article] = {}
    rows: dict[str, files.Row] = {}
    for row in files.json_lines(path):
        core_id = row.key("core_id")
        if core_id in rows:
            raise row.error("core_id", f"{core_id!r} stands twice")
        if row.value("cat") not in _CORE_KINDS:
            raise row.error("cat", f"must be one of {', '.join(_CORE_KINDS)}, not {row.value('cat')!r}")
        articles[core_id] = Article(
            core_id, headline=_core_text(row, "title"), body=_core_text(row, "abstract")
        )
        rows[core_id] = files.Row(
            path, row.where, {name: row.value(name) for name in ("cat", "labelled_duplicates")}
        )
    pairs = tuple(dict.fromkeys(_core_pairs(rows)))
    return files.duplicates("core", "DOI", articles.values(), pairs, files.components(rows, pairs))


def _core_text(row: files.Row, what: str) -> str:
    """Title or abstract: the original where there is one, else the processed."""
    original = f"original_{what}"
    return row.text(original if original in row.fields else f"processed_{what}")


def _core_pairs(rows: Mapping[str, files.Row]) -> Iterator[LabelledPair]:
    """The duplicates that the documents list; most pairs come twice."""
    for core_id, row in rows.items():
        listed = row.value("labelled_duplicates") or []
        if not isinstance(listed, list):
            raise row.error("labelled_duplicates", f"must be a list, not {type(listed).__name__}")
        for each in listed:
            other = files.to_key(row, "labelled_duplicates", each)
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
    files.there(folder)
    if importlib.util.find_spec("trafilatura") is None:
        raise files.CorpusError(
            folder, "page", "extracting text needs the extra 'html': pip install 'dedup[html]'"
        )
    inner = folder / "GoldSetOfDuplicates"
    root = inner if inner.is_dir() else folder
    groups = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not groups:
        raise files.missing(folder, "one folder a cluster, with HTML files")
    articles: list[Article] = []
    clusters: dict[str, str] = {}
    for group in groups:
        pages = [path for path in sorted(group.iterdir()) if path.is_file() and _is_page(path)]
        if not pages:
            raise files.CorpusError(group, "cluster", "holds no page")
        for path in pages:
            article = _page(path)
            articles.append(article)
            clusters[article.id] = group.name
    return files.duplicates(
        "spotsigs", "people", articles, files.within(clusters, "near_duplicate"), clusters
    )


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
        raise files.CorpusError(path, "page", "is not HTML")
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


#: The readers by the name that the command line takes.
READERS: Final[dict[str, Callable[[Path], Dataset]]] = {
    "news-copy": news_copy,
    "core": core,
    "spotsigs": spotsigs,
    "meter": meter,
}
