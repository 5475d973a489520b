r"""Normalize and tokenize text of any script, keeping offsets and tracking quotation marks.

The text of an article is its body. Its headline takes no part in anything that is indexed, compared or counted: an
editor writes it anew where everything else is copied. Only an article whose body has no word has its headline for a
body.

A *token* (a *word* in every definition of this project) is a maximal run of letters, marks and numbers
(Unicode general categories L, M, N). In scripts written without spaces (Han, kana, Thai, Lao, Khmer,
Myanmar, Tibetan) every character with its marks is a token and counts half a word. Tokens are compared in a
normal form:

1. Normalization Form C (UAX #15), so that composed and decomposed accents are one thing;
2. each code point through NFKC and full case folding (presentation forms, ligatures, full-width letters);
3. decimal digits of any script become ASCII digits; Arabic kaf and yeh take one form in all languages;
4. Arabic short vowels and tatweel, zero-width characters, soft hyphens and bidirectional controls vanish
   without breaking a word.

Code of the page (:mod:`dedup.core.markup`) is no word: it reads as spaces.

Offsets are code points of ``headline + "\n" + body`` as received, half-open. Control characters read as spaces.

Quotation marks: a token is *quoted* when it stands inside a pair of marks. The state starts anew at every
paragraph (newline). Pairs are those of the languages that use them; a straight mark opens or closes by what
stands beside it. An apostrophe between letters is no mark; a single quotation counts only once it is closed;
a double one left open runs to the end of its paragraph, as multi-paragraph quotations are printed.

``NORMALIZER_VERSION`` is part of every index's fingerprint: change it with any change of the rules above.
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray

from dedup.core import kernels
from dedup.core.markup import code_spans

NORMALIZER_VERSION: Final = 3

#: Bits of ``Tokens.flags``.
HALF: Final = 1
QUOTED: Final = 2

_LETTER: Final = np.uint64(127)
_LIMIT: Final = 0x110000
#: Code points with properties beyond the defaults end here (CJK extension J); the rest are separators.
_ASSIGNED: Final = 0x33480
_CLOSING_JAMO: Final = (*range(0x1160, 0x1200), *range(0xD7B0, 0xD800))
_HALFWIDTH: Final = frozenset(map(chr, range(0xFF66, 0xFF9E)))
_VOICING: Final = frozenset("\uff9e\uff9f")  # half-width Katakana has them as letters
_MARKS_IN_ONE: Final = frozenset("\u0f73\u0f75\u0f81")  # Tibetan: no marks themselves, they decompose to two
_LONGEST_SEGMENT: Final = 32

_WITHOUT_SPACES: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x19E0, 0x19FF),
    (0x3005, 0x3007),  # iteration mark, closing mark, zero
    (0x3021, 0x3029),  # Hangzhou numerals
    (0x3038, 0x303B),
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xA9E0, 0xA9FF),
    (0xAA60, 0xAA7F),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1AFF0, 0x1B16F),
    (0x20000, 0x33479),
)
_DROPPED: Final = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x0610, 0x061A),
    (0x061C, 0x061C),
    (0x0640, 0x0640),
    (0x064B, 0x065F),
    (0x0670, 0x0670),
    (0x06D6, 0x06ED),
    (0x180E, 0x180E),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xE0100, 0xE01EF),  # variation selectors of ideographs
)
_LETTER_FOLDS: Final = {0x064A: 0x06CC, 0x0649: 0x06CC, 0x0643: 0x06A9}
#: Every quotation mark, with how it opens and closes.
QUOTE_MARKS: Final = {
    '"': kernels.Q_STRAIGHT,
    "\N{FULLWIDTH QUOTATION MARK}": kernels.Q_STRAIGHT,
    "'": kernels.Q_APOSTROPHE,
    "\N{FULLWIDTH APOSTROPHE}": kernels.Q_APOSTROPHE,
    "\N{LEFT DOUBLE QUOTATION MARK}": kernels.Q_LEFT,
    "\N{RIGHT DOUBLE QUOTATION MARK}": kernels.Q_RIGHT,
    "\N{DOUBLE LOW-9 QUOTATION MARK}": kernels.Q_LOW,
    "\N{DOUBLE HIGH-REVERSED-9 QUOTATION MARK}": kernels.Q_LOW,
    "\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}": kernels.Q_GUILLEMET_LEFT,
    "\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}": kernels.Q_GUILLEMET_RIGHT,
    "\N{LEFT CORNER BRACKET}": kernels.Q_CORNER_LEFT,
    "\N{RIGHT CORNER BRACKET}": kernels.Q_CORNER_RIGHT,
    "\N{HALFWIDTH LEFT CORNER BRACKET}": kernels.Q_CORNER_LEFT,
    "\N{HALFWIDTH RIGHT CORNER BRACKET}": kernels.Q_CORNER_RIGHT,
    "\N{LEFT WHITE CORNER BRACKET}": kernels.Q_WHITE_CORNER_LEFT,
    "\N{RIGHT WHITE CORNER BRACKET}": kernels.Q_WHITE_CORNER_RIGHT,
    "\N{REVERSED DOUBLE PRIME QUOTATION MARK}": kernels.Q_PRIME_LEFT,
    "\N{DOUBLE PRIME QUOTATION MARK}": kernels.Q_PRIME_RIGHT,
    "\N{LOW DOUBLE PRIME QUOTATION MARK}": kernels.Q_PRIME_RIGHT,
    "\N{LEFT SINGLE QUOTATION MARK}": kernels.Q_SINGLE_LEFT,
    "\N{RIGHT SINGLE QUOTATION MARK}": kernels.Q_SINGLE_RIGHT,
    "\N{SINGLE LOW-9 QUOTATION MARK}": kernels.Q_SINGLE_LOW,
    "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}": kernels.Q_ANGLE_LEFT,
    "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}": kernels.Q_ANGLE_RIGHT,
}


@dataclass(frozen=True, slots=True)
class CharacterTables:
    """Properties by code point: ``kind`` (see kernels), ``quote``, and folding as slices of ``folded``.

    ``letters`` are what ASCII letters and digits fold to, ``doubtful`` tells which may stand in a text that is not NFC.
    """

    kind: NDArray[np.uint8]
    quote: NDArray[np.uint8]
    fold_start: NDArray[np.uint32]
    fold_length: NDArray[np.uint8]
    folded: NDArray[np.uint32]
    letters: NDArray[np.uint8]
    doubtful: NDArray[np.bool_]


class Tokens(msgspec.Struct, frozen=True, gc=False):
    """The tokens of one text; every array has shape (n,) except ``utf8``.

    ``hashes`` uint64 of the normal form; ``starts``, ``ends`` int32 code points of the article as received;
    ``flags`` uint8 of HALF and QUOTED; ``utf8`` the normal forms joined by single spaces, in which token i is
    ``utf8[byte_starts[i]:byte_ends[i]]``. Where ``is_reduced``, hashes and ``utf8`` are of seven bits a token, see
    :meth:`reduced`.
    """

    hashes: NDArray[np.uint64]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    flags: NDArray[np.uint8]
    utf8: NDArray[np.uint8]
    byte_starts: NDArray[np.int32]
    byte_ends: NDArray[np.int32]
    is_reduced: bool = False

    def __len__(self) -> int:
        return len(self.hashes)

    def words(self) -> list[str]:
        """The normal forms as strings (for tests and display; not for hot paths)."""
        raw = self.utf8.tobytes()
        return [raw[s:e].decode() for s, e in zip(self.byte_starts, self.byte_ends, strict=True)]

    def body_digest(self) -> bytes:
        """16 bytes, XXH3-128 of the normalized body: equal digests are equal texts."""
        return xxhash.xxh3_128_digest(self.utf8.data)

    def reduced(self) -> Tokens:
        """The same tokens as far as seven bits each can tell them apart: what a collection without text compares.

        Everything made of them can be made again from :meth:`letters` and flags. Two words of news agree by chance
        once in fifty times, runs of six, the shortest passage, practically never.
        """
        return of_letters(self.letters(), self.flags, self.starts, self.ends)

    def letters(self) -> NDArray[np.uint8]:
        """Seven bits of each token's hash, uint8 of shape (n,); the reduced form keeps these."""
        return self.utf8[::2].copy() if self.is_reduced else (self.hashes & _LETTER).astype(np.uint8)

    def half_words(self) -> int:
        """Length in half words."""
        return 2 * len(self) - int(np.count_nonzero(self.flags & HALF))

    def half_words_of(self, chosen: NDArray[np.bool_]) -> int:
        """Length in half words of the tokens chosen, bool of shape (n,)."""
        return int(kernels.length(self.flags, chosen))


@functools.cache
def tables() -> CharacterTables:
    """The character tables, built once from Python's Unicode database."""
    kind = np.zeros(_LIMIT, np.uint8)
    quote = np.zeros(_LIMIT, np.uint8)
    start = np.zeros(_LIMIT, np.uint32)
    length = np.zeros(_LIMIT, np.uint8)
    folded: list[int] = []
    kind[_ASSIGNED:] = kernels.K_SPACE
    for low, high in _DROPPED:
        kind[low : high + 1] = kernels.K_IGNORED
    for code in range(_ASSIGNED):
        char = chr(code)
        kind[code] = k = _kind(code, unicodedata.category(char))
        if k in (kernels.K_WORD, kernels.K_CHARACTER, kernels.K_MARK):
            form = _fold(char)
            start[code], length[code] = len(folded), len(form)
            folded.extend(map(ord, form))
            if not form:  # Arabic vowels in presentation forms
                kind[code] = kernels.K_IGNORED
    for mark, q in QUOTE_MARKS.items():
        quote[ord(mark)] = q
    letters = np.zeros(0x80, np.uint8)
    for ascii_code in np.flatnonzero(kind[:0x80] == kernels.K_WORD).tolist():
        letters[ascii_code] = folded[start[ascii_code]]
    return CharacterTables(
        kind=kind,
        quote=quote,
        fold_start=start,
        fold_length=length,
        folded=np.array(folded, np.uint32),
        letters=letters,
        doubtful=_doubtful(),
    )


def _doubtful() -> NDArray[np.bool_]:
    """Code points that decompose, compose with what is before them, or change places (UAX #15, quick check)."""
    out = np.zeros(_LIMIT, np.bool_)
    for code in range(_ASSIGNED):
        char = chr(code)
        out[code] = unicodedata.combining(char) or not unicodedata.is_normalized("NFC", char)
    out[[ord(char) for char in _trailing() | _VOICING]] = True
    return out


@functools.cache
def _codes(ranges: tuple[tuple[int, int], ...]) -> frozenset[int]:
    return frozenset(code for low, high in ranges for code in range(low, high + 1))


def _inside(code: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return code in _codes(ranges)


def _kind(code: int, category: str) -> int:
    if code in (0x0A, 0x0D, 0x2029):
        return kernels.K_NEWLINE
    if _inside(code, _DROPPED):
        return kernels.K_IGNORED
    major = category[0]
    if major == "M":
        return kernels.K_MARK
    if major in "LN":
        without_spaces = _inside(code, _WITHOUT_SPACES) and category != "Nd"
        return kernels.K_CHARACTER if without_spaces else kernels.K_WORD
    if major in "ZC":
        return kernels.K_SPACE
    return kernels.K_OPENING if category in ("Ps", "Pd", "Pc") else kernels.K_OTHER


def _fold(char: str) -> str:
    form = char
    if (
        not unicodedata.is_normalized("NFKC", char) or char.casefold() != char
    ):  # most are a form of themselves
        form = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", char).casefold())
    out = []
    for c in form:
        digit = unicodedata.digit(c, None) if unicodedata.category(c) == "Nd" else None
        code = _LETTER_FOLDS.get(ord(c), ord(c)) if digit is None else ord("0") + digit
        if unicodedata.category(c)[0] in "LMN" and not _inside(code, _DROPPED):
            out.append(chr(code))
    return "".join(out)


@functools.cache
def _trailing() -> frozenset[str]:
    """Starters that may compose with the character before them (NFC_QC=Maybe)."""
    found = set(map(chr, _CLOSING_JAMO))
    for code in range(_ASSIGNED):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            found.add(chr(int(parts[1], 16)))
    return frozenset(found)


def _compose(text: str) -> tuple[str, NDArray[np.int32], NDArray[np.int32]]:
    """NFC of ``text`` by segments, and where in ``text`` every code point of it begins and ends.

    What NFC changed in a segment begins and ends together. A segment is cut after ``_LONGEST_SEGMENT`` code
    points (UAX #15 allows 30 marks to a letter in its Stream-Safe Text Format): putting n marks in order takes
    time in n squared.
    """
    out: list[str] = []
    begins: list[int] = []
    stops: list[int] = []
    i, n = 0, len(text)
    while i < n:
        j = i + 1
        while j < n and j - i < _LONGEST_SEGMENT and _continues(text[i:j], text[j]):
            j += 1
        segment = text[i:j]
        form = unicodedata.normalize("NFKC" if segment[1:2] in _VOICING else "NFC", segment)
        head, tail = (j - i, 0) if form == segment else _equal_ends(form, segment)
        changed = len(form) - head - tail
        begins += [*range(i, i + head), *[i + head] * changed, *range(j - tail, j)]
        stops += [*range(i + 1, i + head + 1), *[j - tail] * changed, *range(j - tail + 1, j + 1)]
        out.append(form)
        i = j
    return "".join(out), np.array(begins, np.int32), np.array(stops, np.int32)


def _equal_ends(x: str, y: str) -> tuple[int, int]:
    """How many code points two strings share at the start, and then at the end."""
    most = min(len(x), len(y))
    head = next((k for k in range(most) if x[k] != y[k]), most)
    tail = next((k for k in range(most - head) if x[-1 - k] != y[-1 - k]), most - head)
    return head, tail


def _continues(segment: str, char: str) -> bool:
    """Whether NFC may change ``char`` or what is before it because they stand together."""
    if unicodedata.combining(char) or char in _MARKS_IN_ONE:
        return True
    if char in _VOICING:
        return segment[-1] in _HALFWIDTH
    if char not in _trailing():
        return False
    return unicodedata.normalize("NFC", segment + char) != unicodedata.normalize("NFC", segment) + char


def _needs_composing(text: str) -> bool:
    return not unicodedata.is_normalized("NFC", text) or "\uff9e" in text or "\uff9f" in text


@functools.cache
def _letter_hashes() -> NDArray[np.uint64]:
    return np.array([xxhash.xxh3_64_intdigest(bytes([letter])) for letter in range(128)], np.uint64)


def of_letters(
    letters: NDArray[np.uint8],
    flags: NDArray[np.uint8],
    starts: NDArray[np.int32] | None = None,
    ends: NDArray[np.int32] | None = None,
) -> Tokens:
    """Reduced tokens; without places their offsets are all 0."""
    hashes, utf8, begins, stops = kernels.spell(letters, _letter_hashes())
    if starts is None or ends is None:
        starts = ends = np.zeros(len(letters), np.int32)
    return Tokens(
        hashes=hashes,
        starts=starts,
        ends=ends,
        flags=flags,
        utf8=utf8,
        byte_starts=begins,
        byte_ends=stops,
        is_reduced=True,
    )


def _blanked(points: NDArray[np.uint32], spans: list[tuple[int, int]]) -> NDArray[np.uint32]:
    """The code points with spaces in place of those of ``spans``; ends of lines stay."""
    edges = np.zeros(len(points) + 1, np.int32)
    for start, end in spans:
        edges[start] += 1
        edges[end] -= 1
    inside = np.cumsum(edges[:-1]) > 0
    return np.where(inside & (points != ord("\n")), np.uint32(ord(" ")), points)


def tokenize(headline: str, body: str) -> Tokens:
    r"""The tokens that an article is compared by: those of its body, or of its headline where the body has none.

    Offsets count the code points of ``headline + "\n" + body`` either way.

    Raises:
        UnicodeEncodeError: the text holds an unpaired surrogate; callers refuse those at the edge.
    """
    tokens = _tokenize(body, len(headline) + 1)
    return tokens if len(tokens) or not headline else _tokenize(headline, 0)


def _tokenize(text: str, offset: int) -> Tokens:
    """The tokens of a text before which ``offset`` code points stand."""
    t = tables()
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    others, size, doubt = (
        (0, 0, False) if text.isascii() else kernels.beyond_ascii(points, t.fold_length, t.doubtful)
    )
    begins = stops = None
    if doubt and _needs_composing(text):
        text, begins, stops = _compose(text)
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        others, size, _ = kernels.beyond_ascii(points, t.fold_length, t.doubtful)
    if code := code_spans(text):
        points = _blanked(points, code)
    hashes, spans, flags, utf8 = kernels.tokenize(
        points, others, size, t.kind, t.quote, t.letters, t.fold_start, t.fold_length, t.folded
    )
    starts, ends, byte_starts, byte_ends = spans
    if begins is not None and stops is not None:
        starts, ends = begins[starts], stops[ends - 1]
    starts += offset
    ends += offset
    return Tokens(
        hashes=hashes,
        starts=starts,
        ends=ends,
        flags=flags,
        utf8=utf8,
        byte_starts=byte_starts,
        byte_ends=byte_ends,
    )
