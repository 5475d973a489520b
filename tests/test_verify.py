# ruff: noqa: E501
"""Tokens, passages and kinds against the brute force of tests/oracle.py, which shares no code with the package."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.core.text import HALF, QUOTED, tokenize
from dedup.core.verify import ComparableText, comparable, to_passages, verify
from dedup.core.verify_pair import verify_pair
from dedup.model import Article, MatchKind, Rules
from tests import data, oracle

PIECES = st.sampled_from(
    ["one ", "two ", "three ", "four ", "“", "”", '"', "'", "’", "«", "»", "「", "」", "„", "\n", "don't ", "北", "京",
     "é", "e\u0301", "ﬁ", "Ⅻ", "٣", "ـ", "ي", "ی", "\u200b", "\u00ad", "，", ". ", "- ", "กำ", "한글 ", "😀", "𐐀", "\x00"]
)  # fmt: skip


def ready(headline: str, body: str) -> ComparableText:
    """A text ready to be verified."""
    tokens = tokenize(headline, body)
    return comparable(tokens, tokens.body_digest(), 5)


@given(st.lists(PIECES, max_size=60).map("".join))
@settings(max_examples=300, deadline=None)
def test_tokens_are_those_of_the_reference(text: str) -> None:
    """Normal forms, offsets, half words and quotation flags, for any mixture of scripts and marks."""
    tokens = tokenize("", text)
    expected = oracle.tokenize("\n" + text)
    assert tokens.words() == [t.text for t in expected]
    assert [(int(s), int(e)) for s, e in zip(tokens.starts, tokens.ends, strict=True)] == [
        (t.start, t.end) for t in expected
    ]
    assert [bool(f & QUOTED) for f in tokens.flags] == [t.quoted for t in expected]
    assert tokens.half_words() == oracle.half_words(expected)


def test_one_text_in_many_encodings() -> None:
    """Decomposed accents, full width, presentation forms, Arabic and Urdu letters, invisible characters: equal tokens."""
    same = [
        ("Café Zürich", "Cafe\u0301 Zu\u0308rich"),
        ("ABC 123", "ＡＢＣ １２３"),
        ("کراچی", "كراچي"),
        ("کتاب", "كـتـاب"),
        ("٢٠٢٤", "2024"),
        ("office", "o\ufb03ce"),
        ("cooperate", "co\u00adop\u200berate"),
        ("ガ", "ｶﾞ"),
    ]
    for left, right in same:
        assert tokenize(left, "").words() == tokenize(right, "").words()


def test_long_tokens_and_empty_texts() -> None:
    """A token of 100,000 characters is one token; nothing is no token."""
    tokens = tokenize("", "x" * 100_000)
    assert len(tokens) == 1
    assert int(tokens.ends[0] - tokens.starts[0]) == 100_000
    assert len(tokenize("", "")) == 0
    assert tokenize("", "北京").half_words() == 2
    assert all(f & HALF for f in tokenize("", "北京").flags)


def _versions(rng: random.Random) -> tuple[str, str]:
    sentences = [" ".join(f"w{rng.randrange(60)}" for _ in range(rng.randrange(4, 16))) for _ in range(12)]
    sentences += [
        "“" + " ".join(f"q{rng.randrange(30)}" for _ in range(14)) + "”",
        "北京大学生前来应聘校长" * 2,
    ]
    left, right = sentences[:], rng.sample(sentences, k=rng.randrange(4, len(sentences)))
    right.insert(rng.randrange(len(right)), " ".join(f"n{rng.randrange(99)}" for _ in range(20)))
    if rng.random() < 0.5:  # one of them prints statements without marks
        right = [sentence if rng.random() < 0.5 else sentence.strip("“”") for sentence in right]
    return ".\n".join(left), ".\n".join(right)


@given(st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_passages_and_measures_are_those_of_the_reference(seed: int) -> None:
    """Trimmed, shuffled and extended versions: the same tiles, measures and kind, and offsets that slice to equal words."""
    left, right = _versions(random.Random(seed))
    a, b = oracle.OracleArticle("a", "Some headline", left), oracle.OracleArticle("b", "Another", right)
    expected = oracle.compare(a, b)
    own, other = ready(a.headline, a.body), ready(b.headline, b.body)
    pair = verify_pair(own, b, other)
    evidence = pair.evidence
    found = to_passages(evidence, own.tokens, other.tokens, query_first=pair.first)
    assert [(p.start, p.end, p.other_start, p.other_end) for p in found] == sorted(
        (p.start, p.end, p.other_start, p.other_end) for p in expected.passages
    )
    assert (evidence.shared, evidence.quoted) == (expected.shared_half_words, expected.quoted_half_words)
    assert evidence.jaccard == pytest.approx(expected.jaccard)
    assert pair.containment == pytest.approx(expected.containment)
    assert pair.other_containment == pytest.approx(expected.other_containment)
    assert (evidence.kind.name.lower() if evidence.kind else None) == oracle.kind_of(expected)
    text, other_text = f"{a.headline}\n{a.body}", f"{b.headline}\n{b.body}"
    for p in found:
        assert (
            tokenize("", text[p.start : p.end]).words()
            == tokenize("", other_text[p.other_start : p.other_end]).words()
        )


@given(st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_no_side_and_no_headline_decides_what_two_texts_share(seed: int) -> None:
    """Passages of one length that stand in many places: the same ones from either side, under any headlines."""
    rng = random.Random(seed)
    pool = [f"{data.prose(rng, 7)}." for _ in range(4)] + [f"“{data.prose(rng, 7)}”"]
    bodies = ["\n".join(rng.choices(pool, k=rng.randrange(2, 9))) for _ in range(2)]
    if rng.random() < 0.2:  # one text, of which one carrier quotes less
        bodies[1] = bodies[0].replace("“", "", 1)
    headlines = ["", data.prose(rng, 5), bodies[0], bodies[1]]
    found = set()
    for left, right in itertools.product(headlines, headlines):
        a, b = Article("a", left, bodies[0]), Article("b", right, bodies[1])
        own, other = ready(a.headline, a.body), ready(b.headline, b.body)
        there, back = verify_pair(own, b, other), verify_pair(other, a, own)
        assert (there.containment, there.other_containment) == (back.other_containment, back.containment)
        for pair, texts in ((there, (own, other)), (back, (other, own))):
            shown = to_passages(pair.evidence, texts[0].tokens, texts[1].tokens, query_first=pair.first)
            shifts = (len(left) + 1, len(right) + 1)[:: 1 if pair is there else -1]
            spans = [(p.start - shifts[0], p.other_start - shifts[1], p.words, p.quoted) for p in shown]
            if pair is back:
                spans = sorted((y, x, words, quoted) for x, y, words, quoted in spans)
            e = pair.evidence
            measures = e.kind, e.jaccard, e.shared, e.quoted, e.unquoted_words, e.trigrams, e.trigram_share
            found.add((*measures, e.min_coverage, tuple(spans)))
    assert len(found) == 1


def test_texts_without_words_equal_nothing() -> None:
    """Two texts of no words have equal digests, and share nothing."""
    nothing = ready("", "…"), ready("?", "")
    assert nothing[0].digest == nothing[1].digest
    assert verify_pair(nothing[0], Article("b"), nothing[1]).evidence.kind is None


def test_seed_pairs_have_their_kinds() -> None:
    """Every labeled pair of seeds/ that boilerplate does not decide has one of its kinds."""
    articles = {a.id: a for a in data.latest(data.seeds())}
    checked = 0
    for family in data.labels():
        boilerplate = {i for i, about in family["articles"].items() if about.get("boilerplate")}  # type: ignore[attr-defined]
        for pair in family["pairs"]:  # type: ignore[attr-defined]
            x, y = sorted((pair["article"], pair["other"]))
            if {x, y} & boilerplate or articles[x].source == articles[y].source:
                continue
            kind = verify(
                ready(articles[x].headline, articles[x].body), ready(articles[y].headline, articles[y].body)
            ).kind
            assert (kind.name.lower() if kind else None) in (pair["kinds"] or [None]), (x, y, kind)
            checked += 1
    assert checked > 200


def test_what_one_of_two_texts_quotes_is_somebodys_words() -> None:
    """A letter printed whole by one outlet without marks and quoted by another: SHARED_QUOTE, not REWRITE."""
    rng = random.Random(4)
    letter, before, after = data.prose(rng, 60), data.prose(rng, 100), data.prose(rng, 150)
    printed, quoting = ready("One", f"{before}\n{letter}"), ready("Two", f"{after}\n“{letter}”")
    found = verify(printed, quoting)
    assert found.kind is MatchKind.SHARED_QUOTE
    assert (found.shared, found.quoted, found.longest_unquoted) == (120, 120, 0)
    assert verify(printed, ready("Two", f"{after}\n{letter}")).kind is MatchKind.REWRITE


def test_half_of_a_text_is_copied_whatever_one_of_them_puts_between_marks() -> None:
    """A text of which another has most words, between marks: REWRITE; quoted in both it stays SHARED_QUOTE."""
    rng = random.Random(5)
    said, rest, around = data.prose(rng, 90), data.prose(rng, 60), data.prose(rng, 300)
    assert (
        verify(ready("One", f"{said}\n{rest}"), ready("Two", f"{around}\n“{said}”")).kind is MatchKind.REWRITE
    )
    both = verify(ready("One", f"“{said}”\n{rest}"), ready("Two", f"{around}\n“{said}”"))
    assert both.kind is MatchKind.SHARED_QUOTE


def test_a_text_with_every_sixth_word_exchanged_is_a_rewrite() -> None:
    """Runs too short for passages, but for one: what tells it are runs of three words; quoted ones do not count."""
    words = data.prose(random.Random(6), 150).split(" ")
    edited = " ".join(word if i < 8 or i % 6 else f"other{i}" for i, word in enumerate(words))
    found = verify(ready("", " ".join(words)), ready("", edited))
    assert (found.kind, found.shared, found.longest_unquoted) == (MatchKind.REWRITE, 24, 24)
    assert found.trigrams == 10 + 3 * 23
    assert found.trigram_share == pytest.approx(found.trigrams / 148)
    strict = Rules(rewrite_trigram_share=0.6)
    assert verify(ready("", " ".join(words)), ready("", edited), strict).kind is None
    quoted = verify(ready("", " ".join(words)), ready("", f"“{edited}”"))
    assert (quoted.kind, quoted.trigrams) == (MatchKind.SHARED_QUOTE, 0)


def test_boilerplate_is_no_evidence() -> None:
    """Tokens that may not be used break passages and leave nothing behind."""
    body = " ".join(f"w{i}" for i in range(40))
    own, plain = tokenize("", "a b c " + body), ready("", "d e f " + body)
    usable = np.ones(len(own), np.bool_)
    usable[20] = False
    cut = verify(comparable(own, b"1", 5, usable), plain)
    assert [row[2] for row in cut.rows.tolist()] == [17, 22]
    usable[:] = False
    assert verify(comparable(own, b"1", 5, usable), plain).kind is None


def test_repetitive_texts_stay_cheap() -> None:
    """Two texts of one repeated word and two periodic ones are tiled although every word equals thousands of others."""
    for unit in ("word ", "alpha beta gamma "):
        evidence = verify(ready("", unit * 30_000), ready("", unit * 20_000))
        assert evidence.kind == MatchKind.EXCERPT
