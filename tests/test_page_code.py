"""Code of a page is no text: what counts as code, what does not, and what becomes of it."""

from __future__ import annotations

import pytest

from dedup.core.markup import LONGEST_BLOCK, code_spans
from dedup.core.text import tokenize
from dedup.core.verify import ComparableText, comparable, verify
from dedup.model import MatchKind

STYLE = "@media only screen and (min-width : 400px) {.sidebar { display: none; }}"
SCRIPT = "slot_size = '300x250'; slot_place = \"top\"; slot_color = 00ff00; ads.queue.push('slot', 7);"


def left(text: str) -> str:
    """What is left of a text as words."""
    return " ".join(tokenize("", text).words())


@pytest.mark.parametrize(
    "code",
    [
        STYLE,
        SCRIPT,
        "a.more:hover { color: red }",
        "#top{margin:0}",
        "<!-- begin banner\n\nnothing to see -->",
        "<script async>let shown = false; show(shown)</script>",
        "<STYLE>p {x: y}</STYLE>",
        '<a href="https://example.org/?id=5&amp;x=y" class="more">',
        "</p><br/>",
        "function (d, s) { d.load(s); if (s) { d.go(); } }",
        '{"@type": "NewsArticle", "name": {"first": "one"}}',
    ],
)
def test_code_is_no_word(code: str) -> None:
    """Everything of it vanishes, nothing beside it does, and offsets are those of the text as received."""
    assert left(f"The minister said {code} on Monday") == "the minister said on monday"
    tokens = tokenize("Head", f"before {code} after")
    text = f"Head\nbefore {code} after"
    assert [text[s:e] for s, e in zip(tokens.starts, tokens.ends, strict=True)] == ["before", "after"]


@pytest.mark.parametrize(
    "text",
    [
        "He wrote a < b and c > d; so did she (twice);",
        "The set {one, two, three} was shown to {nobody}",
        "Note {Editor's note: see below} and more",
        "x = 5 and y = 7, said the teacher",
        "the minister(s); the king(s);",
        "an unclosed <!-- comment and an unclosed { brace; stay",
        "Quelle: <Reuters> meldet",
        "}} stray braces; are = nothing",
        "https://example.org/?a=b and https://example.org/?c=d are addresses",
    ],
)
def test_prose_is_no_code(text: str) -> None:
    """Signs that code uses too do not make code."""
    assert code_spans(text) == []


def test_a_long_block_is_text() -> None:
    """Braces around half an article are a slip of the pen."""
    assert code_spans("{" + "word; " * (LONGEST_BLOCK // 6 + 1) + "}") == []


def test_ends_of_lines_survive() -> None:
    """A quotation left open ends with its paragraph, also where the paragraph ends inside code."""
    quoted = [bool(flag & 2) for flag in tokenize("", '"left open <!--\n--> not quoted any more').flags]
    assert quoted == [True, True, False, False, False, False]


def test_two_articles_that_share_only_code_have_nothing_in_common() -> None:
    """And they did when their code was words."""

    def ready(body: str) -> ComparableText:
        tokens = tokenize("", body)
        return comparable(tokens, tokens.body_digest(), 5)

    first = "A school in the hills opened again after the winter storms had closed its road."
    second = "Fishermen at the northern port landed twice as much herring as in the year before."
    code = f"\n{SCRIPT} {STYLE}\n"
    assert verify(ready(first + code), ready(second + code)).kind is None
    bare = code.translate(str.maketrans("{};=<>", "      "))
    assert verify(ready(first + bare), ready(second + bare)).kind is MatchKind.REWRITE


def test_hostile_signs_end() -> None:
    """Openings without end, nested braces and long runs: found spans stay inside the text."""
    for text in ("<!--" * 20_000, "{" * 50_000 + "}" * 50_000, "{;" * 30_000 + "}" * 30_000, "<a " * 40_000):
        assert all(0 <= start < end <= len(text) for start, end in code_spans(text))
    assert len(code_spans("{;" * 100 + "}" * 100)) == 100
    assert left("before " + "{;" * 30_000 + "inside" + "}" * 30_000 + " after") == "before after"
