"""Normalization and tokens of any script: normal forms, exact offsets, half words, and the reference's opinion."""

from __future__ import annotations

import time
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dedup.core.text import HALF, QUOTED, Tokens, tables, tokenize
from tests import oracle_text

SENTENCES = {
    "Latin": "Świętość: coopération, Ångström für Zürich",
    "Vietnamese": "Thủ tướng Việt Nam đã đến Huế",
    "Greek": "Ο πρωθυπουργός της Ελλάδας μίλησε ώς τη νύχτα",
    "Cyrillic": "Київ: їхній міністр сказав йому",
    "Armenian": "Երևանի քաղաքապետը խոսեց",
    "Hebrew": "שָׁלוֹם לָעוֹלָם כֻּלּוֹ",
    "Arabic": "قال رئيس الوزراء إنَّ المَدْرَسَةَ أُغلقت",
    "Urdu": "وزیرِ اعظم نے کہا کہ اُردو میں لکھا گیا",
    "Devanagari": "प्रधानमंत्री ने क़ानून पर हस्ताक्षर किए",
    "Bengali": "প্রধানমন্ত্রী বলেছেন যে কোনো বাড়ি নেই",
    "Tamil": "முதலமைச்சர் சென்னையில் பேசினார்",
    "Hangul": "대한민국 대통령은 오늘 말했다",
    "Han": "國家主席今天説：兩岸関係",
    "Kana": "ガンダムでぱぴぷぺぽ、ヴァイオリン",
    "Thai": "นายกรัฐมนตรีกล่าวว่าน้ำท่วม",
    "Tibetan": "བོད་ཀྱི་སྐད་ཡིག",
    "Myanmar": "မြန်မာနိုင်ငံ",
    "Ethiopic": "ጠቅላይ ሚኒስትሩ ተናገሩ",
}


def parts(text: str) -> list[tuple[str, str]]:
    """Every token's normal form with the stretch of the text that it stands in."""
    tokens = tokenize("", text)
    bounds = zip(tokens.words(), tokens.starts.tolist(), tokens.ends.tolist(), strict=True)
    return [(word, text[start - 1 : end - 1]) for word, start, end in bounds]


def words(text: str) -> list[str]:
    """The normal forms."""
    return tokenize("", text).words()


def described(tokens: Tokens, headline: int) -> list[oracle_text.Token]:
    """Tokens as the reference writes them, ``headline`` code points standing before the body."""
    return [
        oracle_text.Token(
            word, start - headline - 1, end - headline - 1, 1 if flag & HALF else 2, bool(flag & QUOTED)
        )
        for word, start, end, flag in zip(
            tokens.words(), tokens.starts.tolist(), tokens.ends.tolist(), tokens.flags.tolist(), strict=True
        )
    ]


# -- normal forms ----------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SENTENCES)
def test_composed_and_decomposed_text_is_one_text(script: str) -> None:
    """NFC and NFD have equal tokens, and each token's offsets span the same characters in either."""
    composed = unicodedata.normalize("NFC", SENTENCES[script])
    decomposed = unicodedata.normalize("NFD", SENTENCES[script])
    assert words(composed) == words(decomposed)
    spans = [[unicodedata.normalize("NFD", raw) for _, raw in parts(text)] for text in (composed, decomposed)]
    assert spans[0] == spans[1]
    assert np.array_equal(tokenize("", composed).hashes, tokenize("", decomposed).hashes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # accents of their own code points: é is one character of the text or two
        ("née Cafe\u0301!", [("née", "née"), ("café", "Cafe\u0301")]),
        ("a\u0323\u0302 b", [("ậ", "a\u0323\u0302"), ("b", "b")]),
        ("q\u0301 x", [("q\u0301", "q\u0301"), ("x", "x")]),
        # case folding
        ("STRASSE Straße", [("strasse", "STRASSE"), ("strasse", "Straße")]),
        ("ΟΔΟΣ οδός", [("οδοσ", "ΟΔΟΣ"), ("οδόσ", "οδός")]),
        ("İzmir", [("i\u0307zmir", "İzmir")]),
        # compatibility: ligatures, full width, numerals, squared and superscript digits, letter-like symbols
        ("o\ufb03ce \ufb01n", [("office", "o\ufb03ce"), ("fin", "\ufb01n")]),
        ("ＡＢＣ　１２３", [("abc", "ＡＢＣ"), ("123", "１２３")]),
        ("Ⅻ m² K", [("xii", "Ⅻ"), ("m2", "m²"), ("k", "K")]),
        # decimal digits of other scripts
        (
            "٢٠٢٤ ۲۰۲۴ २०२४ ২০২৪ ๒๐๒๔ ２０２４",
            [("2024", w) for w in "٢٠٢٤ ۲۰۲۴ २०२४ ২০২৪ ๒๐๒๔ ２０２４".split()],
        ),
        # Arabic: presentation forms, kaf and yeh of all languages, tatweel, vowels and shadda
        ("ﻛﺘﺎﺏ", [("کتاب", "ﻛﺘﺎﺏ")]),
        ("كتاب کتاب", [("کتاب", "كتاب"), ("کتاب", "کتاب")]),
        ("علي على علی", [("علی", "علي"), ("علی", "على"), ("علی", "علی")]),
        ("كـتـاب", [("کتاب", "كـتـاب")]),
        ("مُحَمَّدٌ قال", [("محمد", "مُحَمَّد"), ("قال", "قال")]),
        ("مسأ\u064e", [("مسأ", "مسأ")]),
        ("مسا\u0654\u064e", [("مسأ", "مسا\u0654")]),
        # what cannot be seen neither breaks a word nor belongs to its end
        ("co\u00adop\u200berate\u200d", [("cooperate", "co\u00adop\u200berate")]),
        ("می\u200cخواهم", [("میخواهم", "می\u200cخواهم")]),
        ("\u202bעברית\u202c", [("עברית", "עברית")]),
        ("葛\U000e0100城", [("葛", "葛"), ("城", "城")]),
        ("a\ufeff\u2060b\ufe0f", [("ab", "a\ufeff\u2060b")]),
        # marks belong to the character before them, alone they are a token
        ("नी ति", [("नी", "नी"), ("ति", "ति")]),
        ("\u0301a", [("\u0301a", "\u0301a")]),
        # outside the basic plane
        ("𐐀𐐁 𝐁𝐨𝐥𝐝 𠮷野", [("𐐨𐐩", "𐐀𐐁"), ("bold", "𝐁𝐨𝐥𝐝"), ("𠮷", "𠮷"), ("野", "野")]),
        # everything else separates
        ("don't e-mail a.b", [(w, w) for w in "don t e mail a b".split()]),
        ("up😀down 👩‍👩‍👧 🇫🇷", [("up", "up"), ("down", "down")]),
        ("a\x00b\x1bc\x85d\u2028e", [(w, w) for w in "abcde"]),
        ("5 € = 5%", [("5", "5"), ("5", "5")]),
    ],
)
def test_normal_forms_and_where_they_stand(text: str, expected: list[tuple[str, str]]) -> None:
    """Each token's normal form, with exactly the code points of the text as received that made it."""
    assert parts(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("北京大学", ["北", "京", "大", "学"]),
        ("東京ガス", ["東", "京", "ガ", "ス"]),
        ("カ\u3099ス", ["ガ", "ス"]),
        ("ｶﾞｽ", ["ガ", "ス"]),
        ("時々〇", ["時", "々", "〇"]),
        ("น้ำ", ["น้", "ำ"]),
        ("ກຳ", ["ກ", "ຳ"]),
        ("ខ្មែរ", ["ខ្", "មែ", "រ"]),
        ("བོད", ["བོ", "ད"]),
        ("မြန်", ["မြ", "န်"]),
        ("〸〻", ["十", "〻"]),
    ],
)
def test_scripts_without_spaces_are_cut_at_every_character(text: str, expected: list[str]) -> None:
    """A character with its marks is a token and counts half a word."""
    tokens = tokenize("", text)
    assert tokens.words() == [unicodedata.normalize("NFKC", word) for word in expected]
    assert tokens.half_words() == len(expected)
    assert all(flag & HALF for flag in tokens.flags)


def test_mixed_scripts_count_halves_and_wholes() -> None:
    """Words of letters and digits count one, characters half, digits inside such a script are whole words."""
    tokens = tokenize("", "iPhone在2024年๒๐ข้อ 서울")
    assert tokens.words() == ["iphone", "在", "2024", "年", "20", "ข้", "อ", "서울"]
    assert [2 - (int(flag) & HALF) for flag in tokens.flags] == [2, 1, 2, 1, 2, 1, 1, 2]
    assert tokens.half_words() == 12


@pytest.mark.parametrize("hangul", ["한국어", "각"])
def test_hangul_is_words_however_it_is_composed(hangul: str) -> None:
    """Syllables and conjoining jamo are the same letters; words are separated by spaces."""
    jamo = unicodedata.normalize("NFD", hangul)
    assert parts(f"{jamo} {hangul}") == [(hangul, jamo), (hangul, hangul)]
    assert tokenize("", jamo).half_words() == 2


# -- sizes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " ", "\n\n", "…!?—", "\u200b\u00ad", "\x00", "😀"])
def test_a_text_without_words_has_no_tokens(text: str) -> None:
    """Nothing, blanks, punctuation, invisible characters and pictures alone."""
    tokens = tokenize("", text)
    assert len(tokens) == 0
    assert tokens.words() == []
    assert tokens.half_words() == 0


@pytest.mark.parametrize("letter", ["x", "é", "e\u0301", "ﷺ", "𝐱"])
def test_a_token_of_any_length_is_one_token(letter: str) -> None:
    """100,000 letters without a break, whatever they fold to."""
    text = letter * 100_000
    tokens = tokenize("", text)
    assert (tokens.starts.tolist(), tokens.ends.tolist()) == ([1], [1 + len(text)])
    assert len(tokens) == 1
    assert tokens.words()[0].startswith(words(letter)[0])


def test_a_letter_under_a_heap_of_marks_is_quickly_read() -> None:
    """Half a million marks on one letter, out of their order: sorting them all would take minutes."""
    tokenize("", "a\u0301\u0323")
    started = time.perf_counter()
    tokens = tokenize("", "a" + "\u0301\u0323" * 250_000 + " end")
    assert time.perf_counter() - started < 10
    assert len(tokens) == 2
    assert (tokens.starts.tolist(), tokens.ends.tolist()) == ([1, 500_003], [500_002, 500_006])


def test_unpaired_surrogates_are_refused() -> None:
    """They are no text; the edges turn them away before."""
    with pytest.raises(UnicodeEncodeError):
        tokenize("", "a \ud800 b")


# -- headline and body -----------------------------------------------------------------------------


def test_offsets_count_from_the_headline() -> None:
    """One line feed stands between headline and body, also where the headline is empty."""
    tokens = tokenize("Été 2024", "Les été\u0301s")
    assert tokens.words() == words("Les été\u0301s")
    assert (tokens.starts.tolist(), tokens.ends.tolist()) == ([9, 13], [12, 18])
    assert tokenize("", "one two").starts.tolist() == [1, 5]


@given(st.text(max_size=30), st.text(max_size=60), st.text(max_size=30))
def test_the_body_reads_the_same_under_every_headline(headline: str, body: str, other: str) -> None:
    """Words, flags and digest of a body do not depend on the headline, and its offsets only shift."""
    if not words(body):
        body += "word"
    a, b = tokenize(headline, body), tokenize(other, body)
    assert a.words() == b.words() == words(body)
    assert np.array_equal(a.flags, b.flags)
    for left, right in ((a.starts, b.starts), (a.ends, b.ends)):
        assert np.array_equal(left - len(headline), right - len(other))
    assert a.body_digest() == b.body_digest() == tokenize("", body).body_digest()


@pytest.mark.parametrize("body", ["", " \n", "…!?—", "\x00", "<p></p>", "\u200b"])
@given(headline=st.text(max_size=60))
def test_a_headline_over_no_words_is_the_body(body: str, headline: str) -> None:
    """It has the words, flags and digest that it would have as a body, at its own offsets."""
    alone, meant = tokenize(headline, body), tokenize("", headline)
    assert alone.words() == meant.words()
    assert np.array_equal(alone.flags, meant.flags)
    assert np.array_equal(alone.starts, meant.starts - 1)
    assert np.array_equal(alone.ends, meant.ends - 1)
    assert alone.body_digest() == meant.body_digest()


def test_code_and_quotation_do_not_reach_from_the_headline_into_the_body() -> None:
    """Marks and braces that a headline leaves open change nothing in the body."""
    body = "it is over} and left” the room --> now"
    for headline in ("He said “", "a { b: c", "<!-- x", "<script>"):
        tokens = tokenize(headline, body)
        assert (tokens.words(), tokens.flags.tolist()) == (words(body), tokenize("", body).flags.tolist())


@given(st.text(max_size=40), st.text(max_size=40))
@example("one two", "onetwo")
@example("一二", "一 二")
def test_the_digest_tells_texts_apart(x: str, y: str) -> None:
    """Digests are equal exactly where the token sequences of the bodies are."""
    a, b = tokenize("", x), tokenize("", y)
    assert (a.body_digest() == b.body_digest()) == (a.words() == b.words())


# -- the reference ---------------------------------------------------------------------------------

LETTERS = st.text(
    st.sampled_from(
        "aZéßİıﬁΣςЖйאָيىكکـَّ٣۳अकी़กำน้北々ガｶﾞ가ᄀᆨ𐐀𝐁Ⅻ½²ﷺﱞ\u0301\u0323\u0f73\u200b\u00ad\ufe0f\U000e0100 .-\x00\n"
    )
)
MARKS = st.text(st.sampled_from("\"＂“”„‟«»「」｢｣『』〝〞〟'＇‘’‚‹›ab北 \n\u2029(—,.\u200b"), max_size=40)
ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.one_of(ANYTHING, LETTERS, MARKS, st.tuples(MARKS, ANYTHING, LETTERS).map("".join)))
@settings(max_examples=1500)
def test_tokens_are_those_of_the_reference(text: str) -> None:
    """Normal forms, offsets, half words and quotation flags of arbitrary text."""
    tokens = tokenize("", text)
    assert described(tokens, 0) == oracle_text.tokenize(text)
    assert tokens.half_words() == oracle_text.half_words(oracle_text.tokenize(text))


@pytest.mark.parametrize("pattern", ["a{}b", "北{}京", "e{}\u0301", "\u0301{}", "\u0645{}\u064e", "“{}” x"])
def test_every_code_point_is_read_as_the_reference_reads_it(pattern: str) -> None:
    """All of the basic plane and samples above it, between letters, characters and marks, one a line."""
    sampled = [*range(0x3500), *range(0x9FF0, 0xAC80), *range(0xD7A0, 0xD800), *range(0xE000, 0x10000, 3)]
    sampled += [*range(0xF900, 0x10000), *range(0x10000, 0x20000, 7), 0x2F800, 0xE0001, 0xE0100, 0xF0000]
    lines = [pattern.format(chr(code)) for code in sampled]
    text = "\n".join(lines)
    assert described(tokenize("", text), 0) == oracle_text.tokenize(text)


def test_a_text_that_can_be_composed_holds_a_code_point_that_says_so() -> None:
    """Texts are composed only where one of these stands in them: every decomposition, and every mark after a letter."""
    doubtful = tables().doubtful
    for code in (code for code in range(0x110000) if not 0xD800 <= code < 0xE000):
        char = chr(code)
        for text in (char, unicodedata.normalize("NFD", char), f"a{char}", f"a{char}\u0301"):
            if not unicodedata.is_normalized("NFC", text):
                assert any(doubtful[ord(c)] for c in text), hex(code)


@given(st.one_of(ANYTHING, LETTERS))
@settings(max_examples=300)
def test_a_token_cut_out_of_its_text_is_the_same_token(text: str) -> None:
    """The text between the offsets of a token normalizes to that token, and offsets ascend without overlap."""
    tokens = tokenize("", text)
    for word, raw in parts(text):
        assert "".join(words(raw)) == word
    assert (tokens.starts < tokens.ends).all()
    assert (tokens.ends[:-1] <= tokens.starts[1:]).all()
