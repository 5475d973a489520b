"""What the readers accept, what they refuse and with which words, and the lines that export writes."""

from __future__ import annotations

import builtins
import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dedup.core.article_rules import ArticleRules, parse_time
from dedup.errors import DedupError, InvalidArticle, LimitExceeded, Reason
from dedup.model import Article, ExportedArticle, Match, MatchKind, Passage, PubStatus
from dedup.sources import Line, open_source, read_jsonl, zstd
from dedup.sources import jsonl as jsonl_module
from dedup.sources.formats import article_fields, match_fields, to_line
from dedup.sources.html import body_text, extract_html
from dedup.sources.plain import read_text

PAGE = """<!DOCTYPE html><html><head><title>Ferry | The Harbor Post</title></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/sport">Sport</a></li></ul></nav>
<article><h1>Ferry returns to port</h1>
<p>The ferry <b>Northern Star</b> returned to port on Monday after its engine failed two miles off shore.</p>
<p>All ninety passengers were unhurt &amp; were given tea, the harbor master said in a short statement.</p>
<script>track("reader");</script></article>
<footer>Copyright The Harbor Post. All rights reserved.</footer></body></html>"""

FIELDS = [
    "id", "headline", "title", "body", "source", "byline", "located", "url", "language",
    "published", "version", "version_time", "pubstatus", "body_media_type",
]  # fmt: skip


def lines(data: bytes | str, **limits: int) -> list[Line]:
    """What the reader makes of ``data``."""
    raw = data.encode() if isinstance(data, str) else data
    return list(read_jsonl(io.BytesIO(raw), "feed.jsonl", ArticleRules(**limits)))


def one(data: bytes | str, **limits: int) -> Article | DedupError:
    """What the one line of ``data`` holds."""
    (line,) = lines(data, **limits)
    return line.outcome


def refused(data: bytes | str, **limits: int) -> str:
    """The reason why the one line of ``data`` is no article."""
    outcome = one(data, **limits)
    assert isinstance(outcome, DedupError), outcome
    assert "\n" not in outcome.message
    return outcome.message


def accepted(**fields: Any) -> Article:
    """The article of a line with an id, a body and ``fields``."""
    outcome = one(json.dumps({"id": "a", "body": "b", **fields}))
    assert isinstance(outcome, Article), outcome
    return outcome


def test_every_field_arrives() -> None:
    """All fields of the format reach the article; unknown ones are ignored, whatever they hold."""
    line = {
        "id": "x/1 ü",
        "headline": "Head",
        "body": "Body",
        "source": "The Harbor Post",
        "byline": "By A. Writer",
        "located": "Lisbon",
        "url": "https://example.org/1",
        "language": "en",
        "published": "2024-02-29T23:59:59.5+02:00",
        "version": 3,
        "version_time": "2024-03-01",
        "pubstatus": "withheld",
        "body_media_type": "text/plain; charset=utf-8",
        "unknown": ["\ud800", {"deep": None}],
    }
    assert one(json.dumps(line)) == Article(
        id="x/1 ü",
        headline="Head",
        body="Body",
        source="The Harbor Post",
        byline="By A. Writer",
        located="Lisbon",
        url="https://example.org/1",
        language="en",
        published=datetime(2024, 2, 29, 21, 59, 59, 500_000, tzinfo=UTC).timestamp(),
        published_is_date=False,
        version=3,
        version_time=datetime(2024, 3, 1, tzinfo=UTC).timestamp(),
        pubstatus=PubStatus.WITHHELD,
    )


def test_null_is_absent_and_title_is_a_headline() -> None:
    """A null field is the same as none, a null body is empty; ``title`` serves where headline is absent."""
    nothing = {name: None for name in FIELDS if name not in ("id", "title")}
    assert accepted(**nothing, title="T") == Article(id="a", headline="T")
    assert accepted(headline="H", title="T").headline == "H"
    assert accepted(headline="", title="T").headline == ""


def test_a_kill_needs_no_body() -> None:
    """Only a canceled article may come without a body."""
    killed = one('{"id": "a", "pubstatus": "canceled"}')
    assert isinstance(killed, Article)
    assert killed.pubstatus is PubStatus.CANCELED
    assert refused('{"id": "a"}') == "body is missing"


@pytest.mark.parametrize(
    ("text", "expected", "is_date"),
    [
        ("1970-01-01", 0.0, True),
        ("1969-12-31", -86400.0, True),
        ("1970-01-01T00:00:00Z", 0.0, False),
        ("1970-01-01t00:00:01z", 1.0, False),
        ("1970-01-01 01:00:00+01:00", 0.0, False),
        ("1970-01-01T00:00:00-00:00", 0.0, False),
        ("1969-12-31T19:00:00.250-05:00", 0.25, False),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp(), False),
    ],
)
def test_times(text: str, expected: float, is_date: bool) -> None:
    """RFC 3339 with any offset, or a bare date, which is remembered as one."""
    assert parse_time(text) == (expected, is_date)
    article = accepted(published=text)
    assert (article.published, article.published_is_date) == (expected, is_date)


@pytest.mark.parametrize(
    "text",
    [
        "", "today", "26-FEB-1987 15:01:01.79", "2024-1-2", "2024-02-30", "20240101", "1704067200",
        "2024-01-01T00:00:00", "2024-01-01T24:00:00Z", "2024-01-01T00:00Z", "2024-01-01T00:00:00+25:00",
        "2024-01-01T00:00:61Z", " 2024-01-01", "2024-01-01\n", "0000-01-01", "٢٠٢٤-٠١-٠١",
    ],
)  # fmt: skip
def test_other_times_are_refused(text: str) -> None:
    """Anything else than RFC 3339 or YYYY-MM-DD is a reason, which names the field and shows the value."""
    reason = refused(json.dumps({"id": "a", "body": "b", "published": text}))
    assert reason.startswith("published ")
    assert repr(text) in reason


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), st.timezones())  # noqa: DTZ001
def test_times_agree_with_python(moment: datetime, zone: Any) -> None:
    """What ``datetime.isoformat`` writes is read back to the same second."""
    aware = moment.replace(tzinfo=zone)
    offset = aware.utcoffset()
    if offset is None or offset.total_seconds() % 60:
        return
    seconds, is_date = parse_time(aware.isoformat())
    assert seconds == pytest.approx(aware.timestamp(), abs=1e-3)
    assert not is_date


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "malformed JSON at column 2: expecting property name enclosed in double quotes"),
        ('{"id": "a", "body": "b"} x', "malformed JSON at column 26: extra data"),
        ('{"id": "a", "body": "b", "n": NaN}', "malformed JSON: NaN is not a JSON value"),
        ('{"id": "a", "body": "b", "n": ' + "9" * 5000 + "}", "malformed JSON: Exceeds the limit"),
        ("[" * 200_000, "malformed JSON: nested too deeply"),
        ("[1]", "not a JSON object but an array"),
        ('"a"', "not a JSON object but a string"),
        ("null", "not a JSON object but null"),
        ("true", "not a JSON object but a boolean"),
        ("1.5", "not a JSON object but a number"),
        ("{}", "id is missing"),
        ('{"id": null, "body": "b"}', "id is missing"),
        ('{"id": "", "body": "b"}', "id must not be empty"),
        ('{"id": 5, "body": "b"}', "id must be a string, not a number"),
        ('{"id": "a", "body": ["b"]}', "body must be a string, not an array"),
        ('{"id": "a", "body": "b", "headline": {}}', "headline must be a string, not an object"),
        ('{"id": "a", "body": "b", "title": false}', "title must be a string, not a boolean"),
        ('{"id": "a", "body": "b", "source": 1}', "source must be a string, not a number"),
        ('{"id": "a", "body": "b", "published": 1700000000}', "published must be a string, not a number"),
        ('{"id": "a", "body": "b", "version": "2"}', "version must be an integer, not a string"),
        ('{"id": "a", "body": "b", "version": 2.0}', "version must be an integer, not '2.0'"),
        ('{"id": "a", "body": "b", "version": true}', "version must be an integer, not a boolean"),
        ('{"id": "a", "body": "b", "version": -1}', "version must be from 0 to 9223372036854775807"),
        ('{"id": "a", "body": "b", "pubstatus": "gone"}',
         "pubstatus must be one of usable, withheld, canceled, not 'gone'"),
        ('{"id": "a", "body": "b", "body_media_type": "application/pdf"}',
         "body_media_type must be text/plain or text/html, not 'application/pdf'"),
        ('{"id": "a", "body": "x\\ud800y"}', "body holds an unpaired surrogate, U+D800, at character 2"),
        ('{"id": "\\udfff", "body": "b"}', "id holds an unpaired surrogate, U+DFFF, at character 1"),
        ('{"id": "a", "body": "b", "headline": "\\udc00"}', "headline holds an unpaired surrogate"),
        (b'{"id": "a", "body": "caf\xe9"}', "invalid UTF-8 at byte 25: 0xe9"),
        (b'{"id": "a", "body": "\xed\xa0\x80"}', "invalid UTF-8 at byte 22: 0xed"),
    ],
)  # fmt: skip
def test_bad_lines(line: bytes | str, reason: str) -> None:
    """Each fault of a line gets one sentence that names the field or the place in the line."""
    assert refused(line).startswith(reason)


def test_a_pair_of_surrogates_is_a_character() -> None:
    """An escaped pair is the character it stands for, as JSON says."""
    article = one(r'{"id": "a", "body": "\ud83d\ude00"}')
    assert isinstance(article, Article)
    assert article.body == "\U0001f600"


def test_limits_name_themselves() -> None:
    """Limits count bytes of UTF-8, and an article exactly at its limit is accepted."""
    over = one('{"id": "a", "body": "ééx"}', max_body_bytes=4)
    assert isinstance(over, LimitExceeded)
    assert over.message == "body is 5 bytes, over the limit of 4 (max_body_bytes)"
    assert (over.reason, over.metadata) == (
        Reason.BODY_TOO_LARGE,
        {"field": "body", "bytes": "5", "limit": "4"},
    )
    assert isinstance(one('{"id": "a", "body": "éé"}', max_body_bytes=4), Article)
    assert (
        refused('{"id": "éé", "body": ""}', max_id_bytes=3)
        == "id is 4 bytes, over the limit of 3 (max_id_bytes)"
    )
    assert isinstance(one('{"id": "éé", "body": ""}', max_id_bytes=4), Article)


def test_control_characters_are_accepted() -> None:
    """Escaped or not, control characters arrive as they are; the core reads them as spaces."""
    raw = b'{"id": "a", "body": "a\x00b\\u0007c\td"}'
    assert isinstance(article := one(raw), Article)
    assert article.body == "a\x00b\x07c\td"


def test_places_count_every_line() -> None:
    """Blank lines are skipped but counted; a byte order mark, CRLF and a missing last newline do no harm."""
    data = b'\xef\xbb\xbf{"id": "a", "body": ""}\r\n\n   \nnonsense\n{"id": "b", "body": ""}'
    found = lines(data)
    assert [(line.place, isinstance(line.outcome, Article)) for line in found] == [
        ("feed.jsonl:1", True),
        ("feed.jsonl:4", False),
        ("feed.jsonl:5", True),
    ]
    assert found[1].raw == b"nonsense"


def test_an_endless_line_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line over the limit is refused, kept only in part, and the next line is read as usual."""
    monkeypatch.setattr(jsonl_module, "MAX_LINE_BYTES", 1200)
    fits = '{"id": "a", "body": "' + "x" * 1000 + '"}'
    found = lines("y" * 5000 + "\n" + fits + "\n" + "z" * 1200 + "\n" + "z" * 1201)
    assert [line.number for line in found] == [1, 2, 3, 4]
    assert isinstance(found[1].outcome, Article)
    assert str(found[2].outcome).startswith("malformed JSON")  # exactly at the limit
    assert len(found[2].raw) == 1200
    for line in (found[0], found[3]):
        assert str(line.outcome) == "line is over the limit of 1200 bytes"
        assert len(line.raw) == 1000


def skippable(data: bytes) -> bytes:
    """A frame of zstd behind one that readers leave out, as parallel compressors write them."""
    return b"\x5a\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"\n{}" + zstandard.compress(data)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress, skippable])
def test_packing_is_told_by_content(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """A file is unpacked when its bytes are gzip or zstd, whatever its name; members and frames follow each other."""
    data = [b'{"id": "a", "body": "1"}\n', b"", b'{"id": "b", "body": "2"}\n{"id": "c", ', b'"body": "3"}']
    path = tmp_path / "feed.jsonl"
    path.write_bytes(b"".join(map(pack, data)))
    read: list[int] = []
    with open_source(str(path), read.append) as stream:
        found = [line.outcome for line in read_jsonl(stream, str(path))]
    assert found == [Article(id="a", body="1"), Article(id="b", body="2"), Article(id="c", body="3")]
    assert sum(read) == path.stat().st_size


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-20],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2] + b"\xff" * 60 + data[len(data) // 2 + 60 :],
        lambda data: data[:-6] + b"\x00" + data[-5:],
        lambda data: data + b"and more",
    ],
)
def test_damaged_data_is_a_value(
    tmp_path: Path, pack: Callable[[bytes], bytes], damage: Callable[[bytes], bytes]
) -> None:
    """What stands before the damage is read; the damage is a line of its own; nothing is raised."""
    text = "".join(json.dumps({"id": str(i), "body": str(i**9) * 20}) + "\n" for i in range(4000)).encode()
    path = tmp_path / "feed.packed"
    packed = (
        zstandard.ZstdCompressor(write_checksum=True).compress(text)
        if pack is not gzip.compress
        else pack(text)
    )
    path.write_bytes(damage(packed))
    with open_source(str(path)) as stream:
        *good, last = read_jsonl(stream, "feed")
    assert isinstance(good[0].outcome, Article)
    assert isinstance(last.outcome, InvalidArticle)
    name = "gzip" if pack is gzip.compress else "zstd"
    assert last.outcome.message.startswith(f"damaged {name} data, reading stops here: ")
    assert "\n" not in last.outcome.message
    assert last.number > len(good)


def test_the_window_of_zstd_is_bounded(tmp_path: Path) -> None:
    """A frame may ask for as much memory as ``zstd -d`` gives it, and no more."""
    path, line = tmp_path / "feed.zst", b'{"id": "a", "body": ""}\n'
    for log, fits in ((27, True), (28, False)):
        parameters = zstandard.ZstdCompressionParameters(window_log=log)
        frame = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        path.write_bytes(frame.compress(line) + frame.flush())
        with open_source(str(path)) as stream:
            (found,) = read_jsonl(stream, "feed")
        assert isinstance(found.outcome, Article) == fits
    assert str(found.outcome) == (
        "zstd data asks for a window of more than 134217728 bytes, reading stops here"
    )


def test_little_zstd_that_becomes_much(tmp_path: Path) -> None:
    """A file of 8 KB that unpacks to a line of 256 MB is refused, and never held."""
    path = tmp_path / "bomb"
    frame = zstandard.ZstdCompressor(level=1).compressobj()
    path.write_bytes(b"".join(frame.compress(b"x" * (1 << 20)) for _ in range(256)) + frame.flush())
    with path.open("rb") as file:
        reader = zstd.ZstdReader(file)
        largest = 0
        while reader.read(1 << 16):
            largest = max(largest, len(reader._ready))
    assert largest <= 32 << 20
    with open_source(str(path)) as stream:
        (found,) = read_jsonl(stream, "bomb")
    assert isinstance(found.outcome, LimitExceeded)


def test_arrival_times_are_read_where_they_are_asked_for() -> None:
    """``arrival_time`` is held to the rules of every time; who does not ask for it does not see it."""
    data = b"".join(
        json.dumps({"id": "a", "body": "b", **fields}).encode() + b"\n"
        for fields in (
            {"arrival_time": "1970-01-01T00:00:01.5Z"},
            {"arrival_time": "1970-01-02"},
            {"arrival_time": None},
            {},
            {"arrival_time": "noon"},
            {"arrival_time": 12},
        )
    )
    found = list(read_jsonl(io.BytesIO(data), "feed", arrival_times=True))
    assert [line.arrival_time for line in found] == [1.5, 86400.0, None, None, None, None]
    assert [isinstance(line.outcome, Article) for line in found] == [True] * 4 + [False] * 2
    assert str(found[4].outcome).startswith("arrival_time must be an RFC 3339 time")
    assert str(found[5].outcome) == "arrival_time must be a string, not a number"
    assert [line.outcome for line in lines(data)] == [Article(id="a", body="b")] * 6


class Dying(io.BytesIO):
    """A file on a disk that fails after its first line."""

    def readline(self, size: int | None = -1) -> bytes:
        """One line, once."""
        if self.tell():
            raise OSError(5, "Input/output error")
        return super().readline(size)


def test_a_read_error_is_a_value() -> None:
    """An I/O error in the middle of a file ends the file with one reason."""
    found = list(read_jsonl(Dying(b'{"id": "a", "body": ""}\nmore\n'), "feed"))
    assert [str(line.outcome) for line in found[1:]] == ["reading stops here: Input/output error"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """``-`` is standard input, and the first line comes out before the second one is written."""
    import os
    import sys

    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb", buffering=0) as feed:

        class Stdin:
            buffer: IO[bytes] = source

        monkeypatch.setattr(sys, "stdin", Stdin)
        feed.write(b'{"id": "a", "body": ""}\n')
        with open_source("-") as stream:
            articles = read_jsonl(stream, "<stdin>")
            assert next(articles).outcome == Article(id="a")
            feed.write(b'{"id": "b", "body": ""}\n')
            assert next(articles).outcome == Article(id="b")
            feed.close()
            assert list(articles) == []


@pytest.mark.parametrize(
    "data", [b"", b"\x1f", b"\x1f\x8b", b"{", b"\x28\xb5\x2f", b"\x28\xb5\x2f\xfd", b"\x5a\x2a\x4d\x18"]
)
def test_tiny_files(tmp_path: Path, data: bytes) -> None:
    """Empty and cut files give no article and no exception."""
    path = tmp_path / "tiny"
    path.write_bytes(data)
    with open_source(str(path)) as stream:
        assert not [line for line in read_jsonl(stream, "tiny") if isinstance(line.outcome, Article)]


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    """Whatever the bytes, every outcome is an article or a reason in one line of valid text."""
    for line in lines(data):
        if isinstance(line.outcome, DedupError):
            assert "\n" not in line.outcome.message
            line.outcome.message.encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first draw builds hypothesis's tables
@given(st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_no_fields_raise_but_on_purpose(fields: dict[str, object]) -> None:
    """Any JSON object is an article, or an error that names a field of the format."""
    outcome = one(json.dumps(fields))
    if isinstance(outcome, Article):
        assert outcome.id == fields["id"]
    else:
        assert outcome.metadata["field"] in FIELDS
        assert outcome.message.startswith(outcome.metadata["field"])


def test_html_is_extracted() -> None:
    """A body of text/html becomes the article's own paragraphs, without markup, scripts and navigation."""
    article = accepted(body=PAGE, body_media_type="Text/HTML; charset=utf-8")
    assert "The ferry Northern Star returned to port on Monday" in article.body
    assert "unhurt & were given tea" in article.body
    for boilerplate in ("<p>", "track(", "Sport", "All rights reserved"):
        assert boilerplate not in article.body


@pytest.mark.parametrize("html", ["plain words", "<script>x</script>", "<", "\x00", "<html></html>"])
def test_html_without_an_article_is_refused(html: str) -> None:
    """Where nothing can be extracted the body is refused, never taken for text."""
    with pytest.raises(InvalidArticle) as caught:
        extract_html(html)
    assert caught.value.reason is Reason.UNSUPPORTED_MEDIA_TYPE


def test_empty_html_is_an_empty_body() -> None:
    """An empty body needs no extraction: it is stored and not comparable, as any empty one."""
    assert body_text("", "text/html") == ""


def test_html_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without trafilatura a text/html body is refused with what to install."""
    import_ = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("trafilatura"):
            raise ImportError(name)
        return import_(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InvalidArticle, match=r"pip install 'dedup\[html\]'") as caught:
        extract_html(PAGE)
    assert caught.value.reason is Reason.UNSUPPORTED_MEDIA_TYPE


def test_a_text_file() -> None:
    """The first line is the headline, the rest the body, offsets into the rest unchanged."""
    article = read_text(io.BytesIO("\n\nHead \r\nOne.\n\nTwo ü.\n".encode()), "a.txt")
    assert article == Article(id="", headline="Head", body="One.\n\nTwo ü.\n")
    with pytest.raises(InvalidArticle, match=r"a\.txt: not a text file: invalid UTF-8 at byte 1"):
        read_text(io.BytesIO(b"\xff\xd8\xff"), "a.txt")
    for size in (11, 1000):
        with pytest.raises(LimitExceeded, match=r"a\.txt: .* limit of 10"):
            read_text(io.BytesIO(b"h\n" + b"b" * size), "a.txt", ArticleRules(max_body_bytes=10))


def test_export_lines() -> None:
    """The lines of export, byte for byte: keys in the order of the format, text unescaped, six digits."""
    article = ExportedArticle(
        id='ü"', text="0123", cluster="c1", story=None, representative=True, agencies=("AFP",)
    )
    assert to_line(article_fields(article)) == (
        '{"id":"ü\\"","text":"0123","cluster":"c1","story":null,"representative":true,"agencies":["AFP"]}'
    )
    match = Match(
        article="a",
        other="b",
        kind=MatchKind.NEAR_DUPLICATE,
        jaccard=1 / 3,
        containment=1.0,
        other_containment=0.1 + 0.2,
        shared_words=40,
        quoted_words=3,
        longest_unquoted_run=20,
        passages=(Passage(1, 9, 2, 10, 40, 3),),
        probability=0.75,
    )
    assert to_line(match_fields(match)) == (
        '{"article":"a","other":"b","kind":"near_duplicate","jaccard":0.333333,"containment":1.0,'
        '"other_containment":0.3,"shared_words":40,"quoted_words":3,"probability":0.75,"passages":[{"start":1,"end":9,'
        '"other_start":2,"other_end":10,"words":40,"quoted":3}]}'
    )
