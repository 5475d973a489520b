"""The reference tokenizer: pure Python, one character at a time, sharing nothing with the package.

Lengths are kept in *half words*: a token is two of them, a token of a script without spaces is one. So
every threshold is compared exactly; lengths given in words are rounded down.

Choices where the definition leaves room, all of them rare in news text:

- Whether a character is a letter, mark or number is asked of the character itself; what NFKC makes of it
  keeps its letters, marks and numbers only. The result of casefold goes through NFKC again.
- The invisible characters that vanish include joiners, variation selectors and invisible operators, and
  the signs of recitation among the Arabic marks. A quotation mark looks past them at what stands beside it.
- Half-width Katakana and its voicing mark are one character, as they are in full width.
- What NFC changed in a run of characters begins and ends together.
- A token ends after its last character that was kept; a vowel sign dropped at its end is not part of it.
- A paragraph ends at a line feed, a carriage return or U+2029.
- Curly and straight double marks close each other. Any other mark inside a quotation is nested and changes
  nothing. A mark that usually closes opens only at the start of a word; a straight or left mark opens
  unless it can only close, and then closes its like; a straight mark that can only open, inside straight
  marks, starts afresh.
- A single mark that opens again before it was closed starts afresh. Single low marks and angles are marks
  between letters too: no word is spelled with them.
- A full-width or half-width mark is the same mark. Control characters are spaces.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

SHINGLE = 5

#: Inclusive code point ranges of the scripts that are written without spaces between words.
SPACELESS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x19E0, 0x19FF),  # Khmer symbols
    (0x2E80, 0x2FDF),  # Han radicals
    (0x3005, 0x3007),  # Han iteration mark, closing mark, zero
    (0x3021, 0x3029),  # Hangzhou numerals
    (0x3038, 0x303B),
    (0x3041, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # Han extension A
    (0x4E00, 0x9FFF),  # Han
    (0xA9E0, 0xA9FF),  # Myanmar extended B
    (0xAA60, 0xAA7F),  # Myanmar extended A
    (0xF900, 0xFAFF),  # Han compatibility
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1AFF0, 0x1B16F),  # Kana supplement and extensions
    (0x20000, 0x3FFFF),  # Han extensions B and later
)

#: Inclusive ranges of characters that vanish without breaking a word.
DROPPED = (
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),  # grapheme joiner
    (0x0610, 0x061A),  # Arabic honorifics and small marks
    (0x061C, 0x061C),  # Arabic letter mark
    (0x0640, 0x0640),  # tatweel
    (0x064B, 0x065F),  # Arabic short vowels
    (0x0670, 0x0670),
    (0x06D6, 0x06ED),  # signs of recitation
    (0x180E, 0x180E),
    (0x200B, 0x200F),  # zero-width space, joiners, direction marks
    (0x202A, 0x202E),  # embeddings and overrides
    (0x2060, 0x206F),  # word joiner, invisible operators, isolates
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFEFF, 0xFEFF),
    (0xE0100, 0xE01EF),  # variation selectors of ideographs
)

VOICING = "\uff9e\uff9f"  # half-width Katakana voicing marks

FOLDED = {0x064A: "\u06cc", 0x0649: "\u06cc", 0x0643: "\u06a9"}

#: Double marks, each with those that close it.
DOUBLE_MARKS = {
    '"': '"\uff02\u201d',
    "\uff02": '"\uff02\u201d',
    "\u201c": '\u201d"\uff02',
    "\u201e": '\u201c\u201d"\uff02',
    "\u201f": '\u201c\u201d"\uff02',
    "\u201d": "\u201d",
    "\u00ab": "\u00bb",
    "\u00bb": "\u00ab\u00bb",
    "\u300c": "\u300d\uff63",
    "\uff62": "\u300d\uff63",
    "\u300e": "\u300f",
    "\u301d": "\u301e\u301f",
}
STRAIGHT = '"\uff02'
USUALLY_CLOSING = "\u201d\u00bb"
MAY_CLOSE = STRAIGHT + "\u201c\u00ab"

#: Single marks that open, each with those that close it.
APOSTROPHES = "'\uff07"
SINGLE_MARKS = {
    "'": "'\uff07\u2019",
    "\uff07": "'\uff07\u2019",
    "\u2018": "\u2019'\uff07",
    "\u201a": "\u2018\u2019'\uff07",
    "\u2039": "\u203a",
}
#: Nothing between two letters: they spell words.
BETWEEN_LETTERS = APOSTROPHES + "\u2018\u2019"


@dataclass(frozen=True, slots=True)
class Token:
    """One normalized word or character; ``start`` and ``end`` are code points of the text as received."""

    text: str
    start: int
    end: int
    half_words: int
    quoted: bool


def is_spaceless(character: str) -> bool:
    """Whether ``character`` belongs to a script written without spaces."""
    point = ord(character)
    return any(low <= point <= high for low, high in SPACELESS)


def _composed(text: str) -> Iterator[tuple[str, int, int]]:
    """Every code point of NFC(text) with the half-open range of the code points it came from."""
    start = 0
    while start < len(text):
        end = start + 1
        while end < len(text) and _belongs(text[start:end], text[end]):
            end += 1
        piece = text[start:end]
        form = unicodedata.normalize("NFKC" if piece[1:] and piece[1] in VOICING else "NFC", piece)
        shortest, before, after = min(len(piece), len(form)), 0, 0
        while before < shortest and piece[before] == form[before]:
            before += 1
        while before + after < shortest and piece[-1 - after] == form[-1 - after]:
            after += 1
        for i, character in enumerate(form):
            if i < before:
                yield character, start + i, start + i + 1
            elif i < len(form) - after:
                yield character, start + before, end - after
            else:
                yield character, end - len(form) + i, end - len(form) + i + 1
        start = end


@functools.cache
def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


@functools.cache
def _belongs(piece: str, character: str) -> bool:
    """Whether NFC may treat ``character`` together with ``piece`` before it, or it voices half-width Katakana."""
    if character in VOICING:
        return "\uff66" <= piece[-1] <= "\uff9d"
    if unicodedata.combining(unicodedata.normalize("NFD", character)[0]):
        return True
    alone = unicodedata.normalize("NFC", piece) + unicodedata.normalize("NFC", character)
    return unicodedata.normalize("NFC", piece + character) != alone


def is_dropped(character: str) -> bool:
    """Whether ``character`` vanishes without breaking a word."""
    point = ord(character)
    return any(low <= point <= high for low, high in DROPPED)


@functools.cache
def _normalized(character: str) -> str | None:
    """What one code point of NFC text becomes; "" if it vanishes, None if it separates words."""
    if is_dropped(character):
        return ""
    if unicodedata.category(character)[0] not in "LMN":
        return None
    result = ""
    folded = unicodedata.normalize("NFKC", character).casefold()
    for part in unicodedata.normalize("NFKC", folded):
        digit = unicodedata.decimal(part, None)
        if digit is not None:
            result += str(digit)
        elif unicodedata.category(part)[0] in "LMN" and not is_dropped(part):
            result += FOLDED.get(ord(part), part)
    return result


def tokenize(text: str) -> list[Token]:
    """The tokens of ``text`` in order, with offsets into it and quotation flags."""
    text = "".join(" " if unicodedata.category(c) == "Cc" and c not in "\n\r" else c for c in text)
    quoted = quoted_characters(text)
    tokens: list[Token] = []
    run, run_start, run_end, run_spaceless = "", 0, 0, False

    def finish() -> None:
        nonlocal run
        if run:
            tokens.append(Token(run, run_start, run_end, 1 if run_spaceless else 2, quoted[run_start]))
        run = ""

    for character, start, end in _composed(text):
        kept = _normalized(character)
        if kept is None:
            finish()
        if not kept:
            continue
        starts_word = not _is_mark(character)
        spaceless = starts_word and is_spaceless(character) and not kept.isascii()
        if run and starts_word and (spaceless or run_spaceless):
            finish()
        if not run:
            run_start, run_spaceless = start, spaceless
        run += kept
        run_end = end
    finish()
    return tokens


def quoted_characters(text: str) -> list[bool]:
    """For every code point of ``text``, whether it stands inside a quotation."""
    flags: list[bool] = []
    for paragraph in re.split("([\n\r\u2029])", text):
        double, single = _inside_double(paragraph), _inside_single(paragraph)
        flags.extend(a or b for a, b in zip(double, single, strict=True))
    return flags


def _inside_double(paragraph: str) -> list[bool]:
    flags = [False] * len(paragraph)
    opened, start = "", 0
    for i, mark in enumerate(paragraph):
        if mark in DOUBLE_MARKS or opened:
            before, after = _beside(paragraph, i)
            only_opens = (before.isspace() or _is_opening(before)) and not after.isspace()
            only_closes = not before.isspace() and not _is_opening(before) and not _is_word(after)
            if not opened:
                if only_opens if mark in USUALLY_CLOSING else not (only_closes and mark in MAY_CLOSE):
                    opened, start = mark, i
            elif opened in STRAIGHT and mark in STRAIGHT and only_opens:
                start = i
            elif mark in DOUBLE_MARKS[opened] or (mark == opened == "\u201c" and only_closes):
                flags[start:i] = [True] * (i - start)
                opened = ""
    if opened:
        flags[start:] = [True] * (len(paragraph) - start)
    return flags


def _inside_single(paragraph: str) -> list[bool]:
    flags = [False] * len(paragraph)
    opened, start = "", 0
    for i, mark in enumerate(paragraph):
        before, after = _beside(paragraph, i)
        if mark in BETWEEN_LETTERS and _is_word(before) and _is_word(after):
            continue
        if opened and mark in SINGLE_MARKS[opened] and not before.isspace():
            flags[start:i] = [True] * (i - start)
            opened = ""
        elif mark in SINGLE_MARKS and (mark not in APOSTROPHES or (_is_word(after) and not _is_word(before))):
            opened, start = mark, i
    return flags


def _beside(paragraph: str, i: int) -> tuple[str, str]:
    """The visible characters on both sides; whatever is blank, a control character or missing is a space."""
    before = next((c for c in reversed(paragraph[:i]) if _normalized(c) != ""), " ")
    after = next((c for c in paragraph[i + 1 :] if _normalized(c) != ""), " ")
    left, right = unicodedata.normalize("NFC", before)[-1], unicodedata.normalize("NFC", after)[0]
    return (" " if _is_blank(left) else left), (" " if _is_blank(right) else right)


def _is_blank(character: str) -> bool:
    return unicodedata.category(character)[0] in "ZC"


def _is_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


def _is_opening(character: str) -> bool:
    """Opening brackets and dashes: a quotation may begin right after them."""
    return unicodedata.category(character) in ("Ps", "Pd", "Pc")


def half_words(tokens: Iterable[Token]) -> int:
    """Length of ``tokens`` in half words."""
    return sum(token.half_words for token in tokens)


def shingles(tokens: Sequence[Token], size: int = SHINGLE) -> set[tuple[str, ...]]:
    """The set of runs of ``size`` tokens."""
    return {tuple(t.text for t in tokens[i : i + size]) for i in range(len(tokens) - size + 1)}
