"""Generated news, seeded, made in chunks that are never held together.

Words follow Zipf's law over a vocabulary of common English words and invented ones whose length grows with their
rank; stock phrases recur across unrelated articles as they do in news. An article has about 500 words in paragraphs
with punctuation and quoted statements, an outlet, a time, often an agency's dateline, and on every other outlet a
footer of site boilerplate. A quarter belongs to a story family: verbatim copies, trimmed, extended, rewritten leads,
a shared quotation. Families lie within one chunk (:data:`CHUNK` articles, two days), so that every chunk is made from
its number and the seed alone.

How often texts meet is set to what real news does: of 2,500 articles, each shares window minima with 0.9 earlier ones
of other outlets and 2.3 of its own outlet, the latter by boilerplate (English part of telegram_2019: 0.8 and 6.5;
emergent_2014: 4.6 and, without outlets, none).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dedup.model import Article

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

#: Articles made together, and articles a day.
CHUNK: Final = 2000
PER_DAY: Final = 1000
OUTLETS: Final = 400
#: Share of the articles that derive from another one of the chunk.
DERIVED: Final = 0.25
START: Final = 1_700_000_000

_VOCABULARY: Final = 60_000
_COMMON: Final = """the of to and a in for that is on said with was it at as by from he be has have an are its not
his were who they but will had would their been this which more one about after or up new also out when two there
over she last can people than year first all into her could we other time if government police president what years
no some them state million country him before minister city against company three most because week former
while between during world under day officials court since now news may only group made report public still such
through party national month being including any where those told how these against part market Monday Tuesday
Wednesday Thursday Friday council health security service water money school workers members plan law deal""".split()
_SYLLABLES: Final = """ba be bo bra ca ce cha co cre da de di do dra el en er fa fe fi for ga ge gra ha he in is ja
ka ke la le li lo ma me mi mo na ne ni no or pa pe pi por pra ra re ri ro sa se sha si so sta ta te ti to tra un va ve
vi vo wa we win ya za ze""".split()
_ENDINGS: Final = "n s r l t m d th ng ck rd nt".split()
_AGENCIES: Final = ("Reuters", "AP", "AFP", "dpa", "EFE")
_FORMS: Final = ("{} ", "{}, ", "{}. ", "{}.\n", "“{} ", "{},” ", "{}.”\n")
_PLAIN, _COMMA, _STOP, _END, _OPEN, _CLOSE, _CLOSE_END = range(7)
_CAPITAL: Final = len(_FORMS)


@dataclass(frozen=True, slots=True)
class Language:
    """Written forms of words by number, a table to draw numbers from, and stock phrases as runs of numbers."""

    forms: NDArray[Any]
    draw: NDArray[np.int32]
    phrases: tuple[NDArray[np.int32], ...]


@cache
def language() -> Language:
    """The language of all generated news; the same whatever the seed of the articles."""
    rng = np.random.default_rng(19_870_226)
    words = list(dict.fromkeys(_COMMON))
    known = set(words)
    drawn = rng.random((2 * _VOCABULARY, 5)).tolist()
    for long, *picks, end in drawn:
        count = min(1 + round(2.2 * long * (0.6 + len(words) / _VOCABULARY)), len(picks))
        word = "".join(_SYLLABLES[int(pick * len(_SYLLABLES))] for pick in picks[:count])
        word += _ENDINGS[int(end * len(_ENDINGS))]
        if word not in known and len(words) < _VOCABULARY:
            known.add(word)
            words.append(word)
    forms = [form.format(word) for form in _FORMS for word in words]
    forms += [form.format(word[0].upper() + word[1:]) for form in _FORMS for word in words]
    weights = 1.0 / (np.arange(_VOCABULARY) + 2.7)
    counts = np.maximum(1, np.round(weights / weights.sum() * (1 << 20))).astype(np.int64)
    draw = np.repeat(np.arange(_VOCABULARY, dtype=np.int32), counts)
    lengths = rng.integers(3, 10, 30_000)
    phrases = tuple(draw[rng.integers(0, len(draw), int(n))] for n in lengths)
    return Language(np.array(forms, dtype=object), draw, phrases)


def paragraphs(rng: Generator, count: int) -> list[str]:
    """``count`` paragraphs of 20 to 60 words, each ending with a line feed; one in five is a quoted statement."""
    lang = language()
    lengths = rng.integers(20, 61, count)
    total = int(lengths.sum())
    words = lang.draw[rng.integers(0, len(lang.draw), total)]
    ends = np.cumsum(lengths)
    starts = ends - lengths
    # a stock phrase in the midst of every fifth paragraph, some more often than others
    chosen = (len(lang.phrases) * rng.random(count) ** 2).astype(np.int64)
    for number in np.flatnonzero(rng.random(count) < 0.2):
        phrase = lang.phrases[chosen[number]]
        place = int(starts[number]) + 5
        words[place : place + len(phrase)] = phrase
    form = np.zeros(total, np.int64)
    dice = rng.random(total)
    form[dice < 0.05] = _COMMA
    stops = np.flatnonzero(dice > 0.955)
    form[stops] = _STOP
    quoted = rng.random(count) < 0.2
    form[starts[quoted]] = _OPEN
    form[ends - 1] = _END
    form[ends[quoted] - 1] = _CLOSE_END
    capital = np.zeros(total, bool)
    capital[starts] = True
    capital[stops[stops < total - 1] + 1] = True
    capital |= (dice > 0.2) & (dice < 0.24)  # names
    pieces = lang.forms[(form + capital * _CAPITAL) * _VOCABULARY + words].tolist()
    return ["".join(pieces[start:end]) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def outlet_footer(outlet: int) -> str:
    """The footer of an outlet, 20 to 60 words; every other outlet has none."""
    return "" if outlet % 2 else _footer(outlet)


@cache
def _footer(number: int, words: int = 0) -> str:
    rng = np.random.default_rng((7, number))
    lang = language()
    count = words or int(rng.integers(20, 61))
    drawn = lang.draw[rng.integers(0, len(lang.draw), count)]
    return "".join(lang.forms[drawn].tolist()).strip().capitalize() + "."


class _Chunk:
    """Articles made together; families lie within."""

    def __init__(self, seed: int, number: int, prefix: str) -> None:
        self.rng = np.random.default_rng((seed, number))
        self.first = number * CHUNK
        self.prefix = prefix
        self.originals = round(CHUNK * (1 - DERIVED))
        self.blocks: list[str] = []
        self.taken = 0

    def own(self, count: int) -> list[str]:
        """So many paragraphs that nobody else has."""
        if self.taken + count > len(self.blocks):
            self.blocks = paragraphs(self.rng, 4000)
            self.taken = 0
        self.taken += count
        return self.blocks[self.taken - count : self.taken]

    def texts(self) -> list[list[str]]:
        """Paragraphs of every text: originals, then what derives from them, in an order of arrival."""
        rng = self.rng
        sizes = rng.integers(8, 18, self.originals).tolist()
        made = [self.own(size) for size in sizes]
        derived = CHUNK - self.originals
        # few wires have many copies, most have one
        wires = (self.originals / 2 * rng.random(derived) ** 2).astype(np.int64).tolist()
        kinds = rng.random(derived).tolist()
        made += [self.derive(made[wire], kind) for wire, kind in zip(wires, kinds, strict=True)]
        return [made[i] for i in rng.permutation(CHUNK).tolist()]

    def derive(self, wire: list[str], kind: float) -> list[str]:
        """A version of ``wire``; ``kind`` in [0, 1) says which."""
        if kind < 0.25:
            return wire
        if kind < 0.5:
            return wire[: max(4, len(wire) * 2 // 3)]
        if kind < 0.65:
            return [*wire, *self.own(4)]
        if kind < 0.9:
            return [*self.own(4), *wire[2:6], *self.own(3)]
        quotes = [p for p in wire if p.startswith("“")][:1]
        return [*self.own(5), *quotes, *self.own(5)]

    def articles(self) -> list[Article]:
        """All of them."""
        rng = self.rng
        texts = self.texts()
        outlets = (OUTLETS * rng.random(CHUNK) ** 1.6).astype(np.int64).tolist()
        credited = rng.random(CHUNK).tolist()
        headlines = paragraphs(rng, CHUNK // 4)
        made = []
        for i, (blocks, outlet, luck) in enumerate(zip(texts, outlets, credited, strict=True)):
            number = self.first + i
            dateline = f"VALMERA ({_AGENCIES[outlet % 5]}) - " if luck < 0.2 else ""
            words = headlines[i % len(headlines)].split()[i % 4 * 3 : i % 4 * 3 + 9]
            made.append(
                Article(
                    id=f"{self.prefix}{number:08}",
                    headline=" ".join(words).strip("“”.,"),
                    body=dateline + "".join(blocks) + outlet_footer(outlet),
                    source=f"Outlet {outlet}",
                    language="en",
                    published=float(START + number * (86_400 // PER_DAY)),
                )
            )
        return made


def stream(count: int, *, seed: int = 1, prefix: str = "a") -> Iterator[Article]:
    """``count`` articles, made chunk by chunk; the same for the same seed, and the first of a longer stream."""
    for number in range(-(-count // CHUNK)):
        yield from _Chunk(seed, number, prefix).articles()[: count - number * CHUNK]


def articles(count: int, *, seed: int = 1, prefix: str = "a") -> list[Article]:
    """As :func:`stream`, all at once."""
    return list(stream(count, seed=seed, prefix=prefix))


def hot_story(copies: int, *, seed: int = 1) -> list[Article]:
    """One wire story of 14 paragraphs and its copies: each trimmed somewhere and with a few words changed."""
    rng = np.random.default_rng((seed, 5000))
    lang = language()
    wire = paragraphs(rng, 14)
    made = []
    for number in range(copies):
        first = int(rng.integers(0, 3)) if number else 0
        last = len(wire) - (int(rng.integers(0, 6)) if number else 0)
        words = "".join(wire[first:last]).split(" ")
        if number:
            places = rng.integers(0, len(words), 4).tolist()
            changed = lang.forms[lang.draw[rng.integers(0, len(lang.draw), 4)]].tolist()
            for place, word in zip(places, changed, strict=True):
                words[place] = word.strip()
        made.append(
            Article(
                id=f"hot{number:06}",
                headline=f"Story that everybody carries, number {number}",
                body=" ".join(words),
                source=f"Carrier {number % 400}",
                language="en",
                published=float(START + number * 20),
            )
        )
    return made


def boilerplate(count: int, *, seed: int = 1, outlets: int = 20, days: int = 30) -> Iterator[Article]:
    """Articles without families, each with the same footer of 80 words: a chain of outlets with one legal notice."""
    footer = _footer(1_000_001, 80)
    rng = np.random.default_rng((seed, 50_000))
    for start in range(0, count, 500):
        sizes = rng.integers(8, 18, 500)
        blocks = paragraphs(rng, int(sizes.sum()))
        taken = 0
        for i, size in enumerate(sizes.tolist()):
            number = start + i
            if number == count:
                return
            yield Article(
                id=f"foot{number:07}",
                headline=f"Local report number {number}",
                body="".join(blocks[taken : taken + size]) + footer,
                source=f"Chain {number % outlets}",
                language="en",
                published=float(START + number * 86_400 * days // count),
            )
            taken += size
