"""Which words stand inside quotation marks: the pairs of many languages, apostrophes, paragraphs, marks left open."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.core.text import QUOTED, tokenize


def quoted(text: str) -> str:
    """The words inside quotation marks, joined by spaces."""
    tokens = tokenize("", text)
    return " ".join(word for word, flag in zip(tokens.words(), tokens.flags, strict=True) if flag & QUOTED)


PAIRS = [
    ("“", "”"),  # English, Chinese
    ('"', '"'),
    ("＂", "＂"),
    ("„", "“"),  # German
    ("„", "”"),  # Polish, Hungarian
    ("‟", "”"),
    ("”", "”"),  # Swedish, Finnish
    ("«", "»"),  # French, Arabic, Russian
    ("« ", " »"),
    ("«\u00a0", "\u00a0»"),
    ("»", "«"),  # Danish, German books
    ("»", "»"),  # Finnish books
    ("「", "」"),  # Japanese
    ("｢", "｣"),
    ("『", "』"),
    ("〝", "〞"),
    ("〝", "〟"),
    ("‘", "’"),
    ("‚", "‘"),
    ("‹", "›"),
    ("'", "'"),
    ("＇", "＇"),
]


@pytest.mark.parametrize(("opening", "closing"), PAIRS)
def test_every_pair_of_marks(opening: str, closing: str) -> None:
    """What a pair encloses is quoted, at the start, in the middle and at the end of a paragraph, twice over."""
    one, two, three, four = (f"{opening}{said}{closing}" for said in ("one two", "four", "six", "seven"))
    text = f"{one} three {two}, five ({three}) {four}"
    assert quoted(text) == "one two four six seven"


@pytest.mark.parametrize(
    ("opening", "closing"), [("「", "」"), ("『", "』"), ("“", "”"), ("«", "»"), ("〝", "〟")]
)
def test_marks_without_spaces_around_them(opening: str, closing: str) -> None:
    """Scripts without spaces write marks right beside their letters."""
    assert quoted(f"他说{opening}你好{closing}然后走了") == "你 好"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # nested: the inner marks change nothing
        ("“one ‘two’ three” four", "one two three"),
        ("“one “two” three", "one two"),
        ("「一『二』三」四", "一 二 三"),
        ("«un „deux“ trois» quatre", "un deux trois"),
        ("he said ‘one “two” three’ four", "one two three"),
        # curly and straight marks close each other
        ('“one two" three', "one two"),
        ('"one two” three', "one two"),
        ('„one two" three', "one two"),
        # an apostrophe is no mark: between letters, before a shortened word, after a genitive
        ("don't say it’s o’clock", ""),
        ("the workers' union and the boys’ choir", ""),
        ("rock 'n roll in the '90s", ""),
        ("l'homme d’affaires qu'on dit", ""),
        ("‘tis the season", ""),
        ("'it's not the workers' fault' he said", "it s not the workers"),
        ("‘it’s not fair’ he said", "it s not fair"),
        # a single quotation left open is none, a double one runs to the end of its paragraph
        ("he said 'one two three", ""),
        ("he said ‘one two three", ""),
        ("he said “one two three", "one two three"),
        ('he said "one two three', "one two three"),
        ("he said «one two three", "one two three"),
        ("「一二三", "一 二 三"),
        # a mark that starts a word inside straight marks begins afresh: the one before was never closed
        ('a 6" nail and "one two" three', "one two"),
        ('"one two" three "four" five "six', "one two four six"),
        # marks that can only close open nothing
        ("one” two three", ""),
        ("one» two three", ""),
        ('one" two three', ""),
        # brackets and dashes may stand before an opening mark
        ("he said—“one two”—and left", "one two"),
        ('he said ("one two") and left', "one two"),
        ("[«one two»]", "one two"),
        # invisible characters beside a mark are looked past
        ("say \u200b“\u200eone\u200f” two", "one"),
        ("don\u200b't go", ""),
        # control characters are spaces
        ('\x00"one"\x00 two', "one"),
    ],
)
def test_which_words_are_quoted(text: str, expected: str) -> None:
    """The cases that decide between quotation, apostrophe and nothing."""
    assert quoted(text) == expected


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\u2029"])
@pytest.mark.parametrize("mark", ["“", '"', "«", "「", "„", "‘", "'"])
def test_every_paragraph_starts_anew(mark: str, newline: str) -> None:
    """A mark left open reaches no further than its paragraph, and a later mark closes nothing of it."""
    after = f"{newline}three four{newline}“five” six"
    expected = "" if mark in "‘'" else "one two "
    assert quoted(f"{mark}one two{after}") == expected + "five"


def test_a_headline_does_not_quote_the_body() -> None:
    """What a headline leaves open ends with it."""
    tokens = tokenize("He said “it is over", "and left” the room")
    assert [bool(flag & QUOTED) for flag in tokens.flags] == [False] * 4


def test_a_quotation_of_several_paragraphs() -> None:
    """Printed with an opening mark at every paragraph and one closing mark at the end."""
    assert quoted("“one two\n“three four\n“five six” seven") == "one two three four five six"


@given(st.integers(1, 9))
def test_an_odd_number_of_straight_marks(count: int) -> None:
    """Straight marks pair up from the left; the odd one at the end quotes the rest of its paragraph alone."""
    text = " ".join(f'x{i} "y{i}"' for i in range(count)) + ' tail "open to the end\nnext paragraph'
    assert quoted(text) == " ".join([*(f"y{i}" for i in range(count)), "open to the end"])


WORDS = st.lists(st.sampled_from("one two three four don't it’s Été 北京".split()), min_size=1, max_size=5)


@given(st.lists(st.tuples(WORDS, WORDS, st.sampled_from(PAIRS)), min_size=1, max_size=5))
def test_well_formed_quotations_are_read_exactly(
    sentences: list[tuple[list[str], list[str], tuple[str, str]]],
) -> None:
    """However many quotations of whatever pairs follow each other, each quotes its own words and nothing else."""
    expected: list[bool] = []
    text = ""
    for outside, inside, (opening, closing) in sentences:
        text += f"{' '.join(outside)}: {opening}{' '.join(inside)}{closing}. "
        for words, flag in ((outside, False), (inside, True)):
            expected += [flag] * len(tokenize("", " ".join(words)))
    assert [bool(flag & QUOTED) for flag in tokenize("", text).flags] == expected
