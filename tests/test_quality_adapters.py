"""Readers of published corpora: small folders of invented texts in the published formats, and broken ones."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.quality import adapters
from bench.quality.adapters import READERS
from bench.quality.corpus_files import CorpusError
from bench.quality.datasets import Dataset, LabelSet, pair
from bench.quality.meter import meter
from dedup.model import Article

FERRY = "The ferry stood still for two hours off the harbor mouth before a tug brought it home."
BAKERY = "A bakery on Mill Lane has baked the longest loaf of the county, its owner said."


def day(year: int, month: int, number: int) -> float:
    """Midnight, as seconds."""
    return datetime(year, month, number, tzinfo=UTC).timestamp()


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """A file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def dump(path: Path, value: object) -> Path:
    """A JSON file."""
    return write(path, json.dumps(value))


def lines(path: Path, rows: list[dict[str, object]]) -> Path:
    """A JSON Lines file."""
    return write(path, "".join(json.dumps(row) + "\n" for row in rows))


def refusal(reader: str, folder: Path) -> CorpusError:
    """The error that a reader gives, of which the message names the file and the field."""
    with pytest.raises(CorpusError) as caught:
        READERS[reader](folder)
    assert str(caught.value).startswith(f"{caught.value.path}: {caught.value.field}: ")
    return caught.value


def by_id(data: Dataset) -> dict[str, Article]:
    """The articles of a data set; their ids differ, and every label is about two of them."""
    found = {article.id: article for article in data.articles}
    assert len(found) == len(data.articles)
    for labels in data.labels:
        assert all({p.a, p.b} <= set(found) and p.a.encode() < p.b.encode() for p in labels.pairs)
    return found


# -- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", READERS)
def test_a_folder_that_is_not_there_or_holds_nothing_known_is_refused(reader: str, tmp_path: Path) -> None:
    """The error names the folder."""
    error = refusal(reader, tmp_path / "nowhere")
    assert (error.path, error.field) == (tmp_path / "nowhere", "folder")
    write(tmp_path / "empty" / "notes.md", "nothing")
    error = refusal(reader, tmp_path / "empty")
    assert (error.path, error.field) == (tmp_path / "empty", "files")


@pytest.mark.parametrize(
    ("name", "advice"),
    [("set.pkl", "JSON"), ("set.pickle", "JSON"), ("set.parquet", "JSON Lines"), ("set.zip", "unpack")],
)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_never_opened_is_named(reader: str, name: str, advice: str, tmp_path: Path) -> None:
    """A pickle is not loaded, whatever it holds: the error says what to do instead."""
    path = write(tmp_path / name, "cos\nsystem\n")
    error = refusal(reader, tmp_path)
    assert (error.path, error.field) == (path, "format")
    assert advice in str(error)


# -- NEWS-COPY ------------------------------------------------------------------------------------

GAZETTE = "elm_gazette-Mar-14-1955-p-1"
COURIER = "oak_courier-Mar-15-1955-p-1"
HERALD = "ash_herald-front"


def news_copy_set(folder: Path) -> None:
    """Two scans of one story and a story of its own, as the published sets have them."""
    scan = {"headline": "FERRY LATE", "byline": "By A. Clerk", "article": FERRY, "bbox": [1.5, 2.0]}
    noisy = {"headline": None, "byline": "", "article": FERRY.replace("tug", "tng")}
    dump(folder / "1955_inf_data.json", {GAZETTE: scan, COURIER: noisy, HERALD: {"article": BAKERY}})
    dump(folder / "1955_gt.json", [[COURIER, GAZETTE], [GAZETTE, COURIER]])


def test_news_copy_reads_a_published_set(tmp_path: Path) -> None:
    """Articles by id with the date of the id, pairs once, and a cluster for every article."""
    news_copy_set(tmp_path)

    def scan(article_id: str, when: int, headline: str, body: str, byline: str = "") -> Article:
        """An article of March 1955."""
        dated = Article(article_id, headline, body, byline=byline, language="en", published_is_date=True)
        return replace(dated, published=day(1955, 3, when))

    assert adapters.news_copy(tmp_path) == Dataset(
        "news-copy",
        (
            scan(GAZETTE, 14, "FERRY LATE", FERRY, "By A. Clerk"),
            scan(COURIER, 15, "", FERRY.replace("tug", "tng")),
            Article(HERALD, "", BAKERY, language="en"),
        ),
        (
            LabelSet(
                "news-copy", "people", (pair(GAZETTE, COURIER, "same"),), frozenset({"same"}), frozenset()
            ),
        ),
        {GAZETTE: GAZETTE, COURIER: GAZETTE, HERALD: HERALD},
    )


def test_news_copy_takes_the_test_set_of_several(tmp_path: Path) -> None:
    """Its pairs lie in a file with a name of its own; without a test set the user has to choose."""
    news_copy_set(tmp_path / "evaluation")
    dump(tmp_path / "1948_inf_data.json", {"x": {"article": FERRY}})
    error = refusal("news-copy", tmp_path)
    assert error.field == "files"
    assert "1948_inf_data.json, evaluation/1955_inf_data.json" in str(error)
    dump(tmp_path / "test" / "test_inf_data.json", {"y": {"article": FERRY}, "z": {"article": FERRY}})
    dump(tmp_path / "test" / "full_test_gt.json", [["z", "y"]])
    data = adapters.news_copy(tmp_path)
    assert list(by_id(data)) == ["y", "z"]
    assert data.clusters == {"y": "y", "z": "y"}


def test_news_copy_reads_the_mirror(tmp_path: Path) -> None:
    """One record a line: every pair within a cluster is a pair of duplicates."""
    rows: list[dict[str, object]] = [
        {"id": GAZETTE, "idx": 0, "article": FERRY, "headline": None, "cluster": 0, "duplicates": [0, 1, 3]},
        {"id": None, "idx": 1, "article": FERRY, "cluster": 0},
        {"idx": 2, "article": BAKERY, "cluster": 2},
        {"idx": 3, "article": FERRY, "cluster": 0},
    ]
    lines(tmp_path / "test.jsonl", rows)
    data = adapters.news_copy(tmp_path)
    assert [(i, a.published) for i, a in by_id(data).items()] == [
        ("0", day(1955, 3, 14)),
        *((i, None) for i in "123"),
    ]
    assert data.clusters == {"0": "0", "1": "0", "2": "2", "3": "0"}
    assert set(data.labels[0].pairs) == {
        pair("0", "1", "same"),
        pair("0", "3", "same"),
        pair("1", "3", "same"),
    }
    lines(tmp_path / "test.jsonl", [*rows, rows[0]])
    assert refusal("news-copy", tmp_path).field == "line 5, idx"
    lines(tmp_path / "test.jsonl", [{"id": None, "article": FERRY, "cluster": 1}])
    assert refusal("news-copy", tmp_path).field == "line 1, id"
    lines(tmp_path / "test.jsonl", [{"idx": 1, "article": FERRY, "cluster": None}])
    assert refusal("news-copy", tmp_path).field == "line 1, cluster"


def test_news_copy_reads_labelled_pairs(tmp_path: Path) -> None:
    """Tables with tabs: equal texts are one article, and different ones are independent."""
    head = "\tText 1\tText 2\tLabel\n"
    quoted = '"Two\tcolumns ""here"""'
    write(tmp_path / "dev_set.csv", f"{head}0\t{FERRY}\t{BAKERY}\tdifferent\n1\t{FERRY}\t{quoted}\tsame\n")
    assert adapters.news_copy(tmp_path) == Dataset(
        "news-copy",
        (
            Article("text-1", body=FERRY, language="en"),
            Article("text-2", body=BAKERY, language="en"),
            Article("text-3", body='Two\tcolumns "here"', language="en"),
        ),
        (
            LabelSet(
                "dev",
                "people",
                (pair("text-1", "text-2", "different"), pair("text-1", "text-3", "same")),
                frozenset({"same"}),
                frozenset({"different"}),
            ),
        ),
    )
    write(tmp_path / "dev_set.csv", f"{head}0\t{FERRY}\t{BAKERY}\tmaybe\n")
    assert refusal("news-copy", tmp_path).field == "line 2, Label"
    write(tmp_path / "dev_set.csv", f"{head}0\t{FERRY}\n")
    assert refusal("news-copy", tmp_path).field == "line 2, Text 2"
    write(tmp_path / "dev_set.csv", f'{head}0\t"{FERRY}\n')
    assert "no row of a table" in str(refusal("news-copy", tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "field", "reason"),
    [
        ("1955_inf_data.json", '{"a": ', "line 1", "not JSON"),
        ("1955_inf_data.json", "[]", "file", "must be an object"),
        ("1955_inf_data.json", '{"a": {"byline": "By B."}}', "article a, article", "missing"),
        ("1955_inf_data.json", '{"a": {"article": 7}}', "article a, article", "must be a text"),
        ("1955_inf_data.json", '{"a": "text"}', "article a", "must be an object"),
        ("1955_gt.json", f'[["{GAZETTE}", "lost"]]', "pair 1", "names 'lost'"),
        ("1955_gt.json", f'[["{GAZETTE}"]]', "pair 1", "two ids"),
        ("1955_gt.json", "{}", "file", "list of pairs"),
    ],
)
def test_news_copy_refuses(name: str, content: str, field: str, reason: str, tmp_path: Path) -> None:
    """Broken sets, by the file and the place."""
    news_copy_set(tmp_path)
    path = write(tmp_path / name, content)
    error = refusal("news-copy", tmp_path)
    assert (error.path, error.field) == (path, field)
    assert reason in str(error)


def test_news_copy_refuses_a_set_without_pairs_and_other_encodings(tmp_path: Path) -> None:
    """The file that should be there is named."""
    news_copy_set(tmp_path)
    (tmp_path / "1955_gt.json").unlink()
    assert refusal("news-copy", tmp_path).path == tmp_path / "1955_gt.json"
    path = write(tmp_path / "1955_inf_data.json", '{"a": {"article": "café"}}', "latin-1")
    error = refusal("news-copy", tmp_path)
    assert (error.path, error.field) == (path, "encoding")


# -- CORE -----------------------------------------------------------------------------------------


def document(core_id: object, cat: str, duplicates: list[str] | None, **other: object) -> dict[str, object]:
    """A document as the published file has it."""
    title = {"original_title": f"Loaves {core_id}", "processed_title": "loaves"}
    texts = {"original_abstract": BAKERY, "processed_abstract": BAKERY.lower()}
    return {
        "core_id": core_id,
        "doi": "10.1/x",
        **title,
        **texts,
        "cat": cat,
        "labelled_duplicates": duplicates,
        **other,
    }


def test_core_reads_documents(tmp_path: Path) -> None:
    """Original title and abstract, listed duplicates as pairs and clusters, the weaker of two categories."""
    rows: list[dict[str, object]] = [
        document("11", "exact_dup", ["12"]),
        document(12, "exact_dup", ["11", "13"]),
        document("13", "near_exact_dup", ["12"]),
        document("14", "non_dup", []),
        {
            "core_id": "15",
            "processed_title": "ferries",
            "processed_abstract": None,
            "cat": "non_dup",
            "labelled_duplicates": None,
        },
    ]
    lines(tmp_path / "deduplication_dataset_2020" / "Ground_Truth_data.jsonl", rows)
    write(tmp_path / "sample.jsonl", "{}")
    write(tmp_path / "__MACOSX" / "._Ground_Truth_data.jsonl", "x")
    assert adapters.core(tmp_path) == Dataset(
        "core",
        (
            *(Article(i, f"Loaves {i}", BAKERY) for i in ("11", "12", "13", "14")),
            Article("15", "ferries", ""),
        ),
        (
            LabelSet(
                "core",
                "DOI",
                (pair("11", "12", "exact_dup"), pair("12", "13", "near_exact_dup")),
                frozenset({"exact_dup", "near_exact_dup"}),
                frozenset(),
            ),
        ),
        {"11": "11", "12": "11", "13": "11", "14": "14", "15": "15"},
    )


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ({"cat": "non_dup"}, "line 2, core_id", "missing"),
        (document(True, "non_dup", []), "line 2, core_id", "whole number"),
        (document("1", "non_dup", []), "line 2, core_id", "twice"),
        (document("2", "maybe", []), "line 2, cat", "exact_dup, near_exact_dup, non_dup"),
        (document("2", "exact_dup", ["3"]), "line 2, labelled_duplicates", "names '3'"),
        (document("2", "exact_dup", ["2"]), "line 2, labelled_duplicates", "names '2'"),
        (document("2", "exact_dup", ["1"]), "line 2, labelled_duplicates", "non_dup"),
        (document("2", "exact_dup", None, labelled_duplicates="1"), "line 2, labelled_duplicates", "list"),
        (
            document("2", "non_dup", [], original_abstract=["a"]),
            "line 2, original_abstract",
            "must be a text",
        ),
        ({"core_id": "2", "cat": "non_dup", "original_title": ""}, "line 2, processed_abstract", "missing"),
    ],
)
def test_core_refuses(row: dict[str, object], field: str, reason: str, tmp_path: Path) -> None:
    """Broken documents, by their line and field."""
    path = lines(tmp_path / "train.jsonl", [document("1", "non_dup", []), row])
    error = refusal("core", tmp_path)
    assert (error.path, error.field) == (path, field)
    assert reason in str(error)


def test_core_refuses_lines_that_are_no_objects(tmp_path: Path) -> None:
    """Neither JSON nor an object."""
    write(tmp_path / "train.jsonl", "\n{,}\n")
    assert refusal("core", tmp_path).field == "line 2"
    write(tmp_path / "train.jsonl", "[1]\n")
    assert "must be an object" in str(refusal("core", tmp_path))


# -- SpotSigs -------------------------------------------------------------------------------------


def page(title: str, *paragraphs: str) -> str:
    """A news page with its boilerplate."""
    body = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return (
        f"<html><head><title>{title}</title><style>p {{ color: red }}</style></head><body>"
        f"<div><a href='/'>Home</a> <a href='/sport'>Sport</a></div><article>{body}</article>"
        "<script>track('page')</script></body></html>"
    )


def test_spotsigs_reads_clusters_of_pages(tmp_path: Path) -> None:
    """One folder a cluster: article text and title of every page, in UTF-8 or Windows-1252."""
    root = tmp_path / "GoldSetOfDuplicates"
    story = (FERRY, "Nobody was hurt, the harbor master told reporters who had waited on the quay all night.")
    write(root / "Ferry" / "original.htm", page("Ferry\n late", *story))
    write(
        root / "Ferry" / "s1.htm",
        page("Late ferry – The Post", *story, "“Café open”, said a sign."),
        "cp1252",
    )
    write(
        root / "Loaf" / "original.html",
        page("A loaf", BAKERY, "It measured ninety feet and fed a whole school."),
    )
    write(root / "Loaf" / ".DS_Store", "x")
    write(root / "Loaf" / "photo.JPG", "x")
    write(root / ".svn" / "entries", "x")
    data = adapters.spotsigs(tmp_path)
    found = by_id(data)
    assert {i: a.headline for i, a in found.items()} == {
        "Ferry/original.htm": "Ferry late",
        "Ferry/s1.htm": "Late ferry – The Post",
        "Loaf/original.html": "A loaf",
    }
    assert found["Ferry/original.htm"].body.split("\n") == list(story)
    assert "“Café open”" in found["Ferry/s1.htm"].body
    assert data.labels == (
        LabelSet(
            "spotsigs",
            "people",
            (pair("Ferry/original.htm", "Ferry/s1.htm", "near_duplicate"),),
            frozenset({"near_duplicate"}),
            frozenset(),
        ),
    )
    assert data.clusters == {
        "Ferry/original.htm": "Ferry",
        "Ferry/s1.htm": "Ferry",
        "Loaf/original.html": "Loaf",
    }
    assert data.stories == {}


def test_spotsigs_keeps_the_visible_text_where_no_article_is_found(tmp_path: Path) -> None:
    """A line for every block, without scripts and title; markup that no parser takes ends the text."""
    short = "<title>T</title><script>x()</script><footer><p>Two <b>words</b></p>\n<br>more</footer>"
    write(tmp_path / "Short" / "a.htm", short)
    write(tmp_path / "Short" / "b.htm", f"{short}<![broken[ lost")
    for article in adapters.spotsigs(tmp_path).articles:
        assert (article.headline, article.body.split("\n")) == ("T", ["Two words", "more"])


def test_spotsigs_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster without pages, a page that is none, and no extraction of text."""
    write(tmp_path / "Ferry" / ".hidden", "x")
    error = refusal("spotsigs", tmp_path)
    assert (error.path, error.field) == (tmp_path / "Ferry", "cluster")
    path = write(tmp_path / "Ferry" / "original.htm", "ferry stood still two hours")
    error = refusal("spotsigs", tmp_path)
    assert (error.path, error.field) == (path, "page")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert "dedup[html]" in str(refusal("spotsigs", tmp_path))


# -- METER ----------------------------------------------------------------------------------------

NAMED = "courts/12.07.99/ferry"
RULE = "-" * 40


def wire_page(text: str) -> str:
    """A page as PA sends it."""
    return (
        f"  {RULE}\n\n      15:51 12/07/99: Page 1 (HHH) COURTS Ferry\n  {RULE}\nFERRY LATE<\n{text}<\nend<\n"
    )


def sgml(side: str, text: str) -> str:
    """A text of the SGML version."""
    return (
        f'<!DOCTYPE meterdocument SYSTEM "meter.dtd" [\n]>\n\n<meterdocument \tfilename="/x" '
        f'newspaper="{side}" domain="courts" date="12.07.99" catchline="ferry">\n\n'
        f"<body>\n{text}\n</body>\n</meterdocument>\n"
    )


def meter_index(root: Path, **lists: str) -> None:
    """The lists of one domain, with two pages of PA and three stories."""
    stem = f"meter_corpus/newspapers/rawtexts/{NAMED}/ferry"
    sent = f"/meter_corpus/PA/rawtexts/{NAMED}/ferry"
    told = {
        "PA_court_files": f"{sent}2.txt\r\n{sent}1.txt\n",
        "wholly_derived": f"{stem}7_sun.txt\n{stem}7_sun.txt \n\n",
        "partially_derived": f"{stem}8_times.txt\n",
        "non_derived": "meter_corpus/newspapers/rawtexts/courts/someday/loaf/loaf9_mail.txt\n",
    }
    for name, text in (told | lists).items():
        write(root / "file_index" / "courts" / f"{name}.txt", text)
    write(root / "file_index" / "courts" / "non_derived.txt.bak", "old")
    write(root / "file_index" / "courts" / "PA_files.txt", "../PA/courts/12.07.99/ferry/ferry1.txt")


def meter_texts(root: Path) -> None:
    """The plain texts that these lists name."""
    write(
        root / "PA" / "rawtexts" / NAMED / "ferry1.txt",
        wire_page("Fares of £2 & more\nwere refunded."),
        "latin-1",
    )
    write(root / "PA" / "rawtexts" / NAMED / "ferry2.txt", wire_page(FERRY))
    write(root / "newspapers" / "rawtexts" / NAMED / "ferry7_sun.txt", f"\n{FERRY}\n")
    write(root / "newspapers" / "rawtexts" / NAMED / "ferry8_times.txt", "A ferry was late < again, say two.")
    write(root / "newspapers" / "rawtexts" / "courts" / "someday" / "loaf" / "loaf9_mail.txt", BAKERY)


def expected_meter() -> Dataset:
    """What both versions hold."""
    body = f"FERRY LATE\n{FERRY}\nend\n\nFERRY LATE\nFares of £2 & more\nwere refunded.\nend"
    when = day(1999, 7, 12)
    wire, sun, times = f"PA/{NAMED}", f"newspapers/{NAMED}/ferry7_sun", f"newspapers/{NAMED}/ferry8_times"
    loaf = "newspapers/courts/someday/loaf/loaf9_mail"

    def dated(article_id: str, text: str, source: str) -> Article:
        """An article of that day."""
        return Article(
            article_id, body=text, source=source, language="en", published=when, published_is_date=True
        )

    return Dataset(
        "meter",
        (
            dated(wire, body, "PA"),
            dated(sun, FERRY, "sun"),
            dated(times, "A ferry was late < again, say two.", "times"),
            Article(loaf, body=BAKERY, source="mail", language="en"),
        ),
        (
            LabelSet(
                "derivation",
                "people",
                (pair(wire, sun, "wholly"), pair(wire, times, "partially")),
                frozenset({"wholly", "partially"}),
                frozenset({"non"}),
            ),
        ),
        stories={wire: NAMED, sun: NAMED, times: NAMED, loaf: "courts/someday/loaf"},
    )


def test_meter_reads_plain_texts(tmp_path: Path) -> None:
    """Pages of PA are one article a catchline; a story without PA copy has no label; some have no date."""
    meter_index(tmp_path / "meter_corpus")
    meter_texts(tmp_path / "meter_corpus")
    assert meter(tmp_path) == expected_meter()
    assert meter(tmp_path / "meter_corpus") == expected_meter()


def test_meter_reads_marked_texts(tmp_path: Path) -> None:
    """The SGML version holds the same words between its tags."""
    meter_index(tmp_path)
    meter_texts(tmp_path / "plain")
    for path in sorted((tmp_path / "plain").rglob("*.txt")):
        text = path.read_text(encoding="latin-1")
        side, _, *rest = path.relative_to(tmp_path / "plain").with_suffix(".sgml").parts
        first, last = text[:12], text[12:]
        marked = f'<Verbatim PAsource="" >{first}</Verbatim><Rewrite PAsource="">{last}</Rewrite>'
        body = f"<unclassified>\n{text}\n</unclassified>" if side == "PA" else marked
        write(tmp_path.joinpath(side, "annotated", *rest), sgml(side, body), "latin-1")
    assert meter(tmp_path) == expected_meter()


def test_meter_labels_independent_stories(tmp_path: Path) -> None:
    """A story that is not derived, though PA had the same one."""
    meter_texts(tmp_path)
    own = f"meter_corpus/newspapers/rawtexts/{NAMED}/ferry8_times.txt\n"
    meter_index(tmp_path, partially_derived="", non_derived=own)
    (labels,) = meter(tmp_path).labels
    assert [p.label for p in labels.pairs] == ["wholly", "non"]


@pytest.mark.parametrize(
    ("lists", "name", "field", "reason"),
    [
        ({"wholly_derived": "ferry7_sun.txt\n"}, "wholly_derived.txt", "line 1", "newspapers/rawtexts"),
        (
            {"wholly_derived": f"\nmeter_corpus/PA/rawtexts/{NAMED}/ferry1.txt\n"},
            "wholly_derived.txt",
            "line 2",
            "newspapers/rawtexts",
        ),
        (
            {"wholly_derived": "meter_corpus/newspapers/rawtexts/courts/../../x_sun.txt\n"},
            "wholly_derived.txt",
            "line 1",
            "newspapers/rawtexts",
        ),
        (
            {"non_derived": f"meter_corpus/newspapers/rawtexts/{NAMED}/ferry7_sun.txt\n"},
            "non_derived.txt",
            "ferry7_sun",
            "also listed as wholly",
        ),
    ],
)
def test_meter_refuses_lists(
    lists: dict[str, str], name: str, field: str, reason: str, tmp_path: Path
) -> None:
    """Lines that name no text of the corpus, and a story of two kinds."""
    meter_index(tmp_path, **lists)
    meter_texts(tmp_path)
    error = refusal("meter", tmp_path)
    assert (error.path, error.field) == (tmp_path / "file_index" / "courts" / name, field)
    assert reason in str(error)


def test_meter_refuses_what_is_missing(tmp_path: Path) -> None:
    """Texts, lists and domains that should be there, the marked text that is none, and the TEI version."""
    meter_index(tmp_path)
    meter_texts(tmp_path)
    text = tmp_path / "newspapers" / "rawtexts" / NAMED / "ferry7_sun.txt"
    text.unlink()
    error = refusal("meter", tmp_path)
    assert (error.path, error.field) == (text, "file")
    marked = write(tmp_path / "newspapers" / "annotated" / NAMED / "ferry7_sun.sgml", "<p>Late</p>")
    error = refusal("meter", tmp_path)
    assert (error.path, error.field) == (marked, "meterdocument")
    index = tmp_path / "file_index" / "courts"
    for name in ("non_derived.txt", "PA_court_files.txt"):
        (index / name).unlink()
        error = refusal("meter", tmp_path)
        assert error.path in {index, index / name}
    index.rename(index.with_name("sports"))
    assert refusal("meter", tmp_path).path == tmp_path / "file_index"
    write(tmp_path / "tei" / "12.07.99.xml", "<TEI/>")
    assert "TEI" in str(refusal("meter", tmp_path / "tei"))


def test_every_reader_is_named() -> None:
    """As the command line names them."""
    named: dict[str, Callable[[Path], Dataset]] = {
        "news-copy": adapters.news_copy,
        "core": adapters.core,
        "spotsigs": adapters.spotsigs,
        "meter": meter,
    }
    assert named == READERS
