"""Small collections in which everything happens: histories of made-up articles, drawn by Hypothesis.

A body is a word salad of passages of a dozen words. With :data:`SMALL` some dozen articles have equal bodies of several
outlets, excerpts, merged wires, statements, hot lists, footers that become boilerplate and cease to be it, versions,
kills and deletes, articles without source, time or body, and bodies that are too short. Only :func:`crowd` has lists of
a hundred texts. Whoever stands for an id depends on the order of its own operations alone, so that
:func:`reordered` histories and the :func:`survivors_in_any_order` have the same content.
"""

from __future__ import annotations

import functools
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hypothesis import strategies as st

from bench.oracle.content import DAY
from bench.oracle.fold import PlainFold, Survivor
from bench.oracle.package import Article, CollectionParameters, PubStatus, Rules

#: Midnight of the first day.
START: Final = 1_600_041_600.0
#: Everything small: three texts are landmarks, six words in common a posting, eight words a text.
SMALL: Final = CollectionParameters(
    shingle_size=3,
    window=4,
    landmarks=3,
    minimum_words=8,
    story_span_days=6,
    rules=Rules(
        rewrite_words=10,
        rewrite_run=8,
        rewrite_half_run=10,
        quote_words=8,
        quote_passage=6,
        rewrite_trigrams=10,
    ),
)
#: Parameters under which the same articles make other lists, pairs or edges.
VARIANTS: Final = {
    "small": SMALL,
    "window": replace(SMALL, match_window_days=3),
    "many landmarks": replace(SMALL, landmarks=9),
    "two landmarks": replace(SMALL, landmarks=2, story_span_days=1),
    "without text": replace(SMALL, keep_text=False),
    "copies": replace(SMALL, profile="copies", band_threshold=0.4),
    "as it comes": CollectionParameters(),
}
#: Parameters for :func:`crowd`: four landmarks open its long lists.
CROWDED: Final = replace(SMALL, landmarks=8)

_VOCABULARY: Final = 60
_LAST_DAY: Final = 11


@dataclass(frozen=True, slots=True)
class Arrive:
    """Articles that arrive together, kills among them."""

    articles: tuple[Article, ...]
    now: float


@dataclass(frozen=True, slots=True)
class Remove:
    """A delete."""

    id: str


Operation = Arrive | Remove


# -- bodies ------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4096)
def passage(name: str, words: int = 12) -> str:
    """A passage of words that is always the same under its name."""
    rng = random.Random(name)
    return " ".join(f"word{rng.randrange(_VOCABULARY)}" for _ in range(words))


def _wire(family: int) -> list[str]:
    """Four paragraphs, the second a statement."""
    parts = [passage(f"wire {family} {part}") for part in range(4)]
    return [parts[0], f"“{parts[1]}”", *parts[2:]]


#: What a body is made of: of a family's wire w, another wire o and passages of its own, named by salt.
_SHAPES: Final[dict[str, Callable[[list[str], list[str], list[str]], list[str]]]] = {
    "copy": lambda w, _, __: w,
    "with other marks": lambda w, _, __: [f"“{w[0]}”", *w[1:]],
    "excerpt": lambda w, _, __: w[:2],
    "end": lambda w, _, __: w[2:],
    "extended": lambda w, _, own: [*w, own[0]],
    "merged": lambda w, o, __: [*w[:2], *o[2:]],
    "rewritten": lambda w, _, own: [own[0], w[0], own[1], w[3]],
    "paragraph": lambda w, _, own: [*own, w[2]],
    "statement": lambda w, _, own: [own[0], w[1], own[1]],
    "alone": lambda _, __, own: own,
    "short": lambda w, _, __: [w[0][:30]],
    "none": lambda _, __, ___: [],
}
_FOOTERS: Final = ("", "", "outlet", "outlet", "chain")


def body(shape: str, family: int, salt: int, footer: str = "") -> str:
    """A body of some shape, with the footer named."""
    parts = _SHAPES[shape](_wire(family), _wire(family + 1), [passage(f"own {salt} {n}") for n in range(2)])
    return "\n".join([*parts, passage(f"footer {footer}")] if footer and parts else parts)


# -- histories ---------------------------------------------------------------------------------------

_SHAPE: Final = st.sampled_from(list(_SHAPES))
_FAMILY: Final = st.sampled_from((0, 0, 0, 1, 2))
_SALT: Final = st.integers(0, 30)
_FOOTER: Final = st.sampled_from(_FOOTERS)
_OUTLET: Final = st.sampled_from((1, 1, 1, 2, 3, 4, 0))
_DAY: Final = st.sampled_from((*range(_LAST_DAY + 1), None))
_SECOND: Final = st.sampled_from((0.0, 3600.0, 86399.5))
_VERSION: Final = st.sampled_from((None, None, None, 1, 2, 3))
_VERSION_TIME: Final = st.sampled_from((None, None, None, START, START + 1))
_STEP: Final = st.sampled_from((*["new"] * 12, "again", "later version", "retitled", "kill", "remove"))
_PAUSE: Final = st.sampled_from((None, None, None, 60.0, 7200.0, 2.0 * DAY))


@st.composite
def articles(draw: st.DrawFn, id: str) -> Article:
    """An article of this id; where its body is empty its headline may be the body of another."""
    shape, outlet, day = draw(_SHAPE), draw(_OUTLET), draw(_DAY)
    footer = draw(_FOOTER)
    source = f"Outlet {outlet}" if outlet else ""
    text = body(shape, draw(_FAMILY), draw(_SALT), source if footer == "outlet" else footer)
    return Article(
        id,
        headline=body("excerpt", 0, 0).replace("\n", " ") if shape == "none" else f"Headline of {id}",
        body=text,
        source=source,
        published=None if day is None else START + day * DAY + draw(_SECOND),
        version=draw(_VERSION),
        version_time=draw(_VERSION_TIME),
    )


@st.composite
def histories(draw: st.DrawFn, least: int = 10, most: int = 60) -> list[Operation]:
    """Operations on a collection, in the order of its log: ``least`` to ``most`` articles, kills and deletes."""
    history: list[Operation] = []
    batch: list[Article] = []
    sent: dict[str, Article] = {}
    now = START + 5 * DAY
    for number in range(draw(st.integers(least, most))):
        step = draw(_STEP)
        if step == "new" or not sent:
            # ids compare by their bytes
            batch.append(draw(articles(f"{'Zaäé'[number % 4]}{number}")))
        else:
            id = draw(st.sampled_from(sorted(sent)))
            if step == "remove":
                history += _arriving(batch, now)
                history.append(Remove(id))
                continue
            batch.append(_delivered_again(draw, step, sent[id]))
        if batch[-1].pubstatus == PubStatus.USABLE:
            sent[batch[-1].id] = batch[-1]
        pause = draw(_PAUSE)
        if pause is not None:
            history += _arriving(batch, now)
            now += pause
    return [*history, *_arriving(batch, now)]


def _delivered_again(draw: st.DrawFn, step: str, article: Article) -> Article:
    version, version_time = draw(_VERSION), draw(_VERSION_TIME)
    if step == "kill":
        return kill(article.id, version, version_time)
    if step == "later version":
        return draw(articles(article.id))
    if step == "retitled":
        source = f"Outlet {draw(_OUTLET)}"
        article = replace(article, headline="Another headline", source=source, published=None)
    return replace(article, version=version, version_time=version_time)


def kill(id: str, version: int | None = None, version_time: float | None = None) -> Article:
    """The message that takes an article back."""
    return Article(id, pubstatus=PubStatus.CANCELED, version=version, version_time=version_time)


def _arriving(batch: list[Article], now: float) -> list[Operation]:
    """The batch as an operation, if there is anything in it; it is empty then."""
    made: list[Operation] = [Arrive(tuple(batch), now)] if batch else []
    batch.clear()
    return made


def crowd(rng: random.Random) -> list[Operation]:
    """Two lists of more than a hundred texts: a wire's, of two days, and a notice's, of a month; then many removals.

    With :data:`CROWDED` the notice is boilerplate of all until the removals.
    """
    made = []
    salt = rng.randrange(1000)
    for number in range(210):
        wire, notice = number < 108, number >= 102
        parts = [passage(f"crowd {salt} {number}")]
        parts += _wire(7)[: 2 + number % 3] if wire else []
        parts += [passage("notice")] if notice else []
        day = rng.randrange(2 if wire else 30)
        source = f"Outlet {number % 70}"
        made.append(Article(f"c{number}", body="\n".join(parts), source=source, published=START + day * DAY))
    removed = [*rng.sample(range(102), 9), *rng.sample(range(108, 210), 10)]
    rng.shuffle(made)
    batches = [tuple(made[start : start + 20]) for start in range(0, len(made), 20)]
    arrivals = [Arrive(batch, START + 40 * DAY + n) for n, batch in enumerate(batches)]
    return [*arrivals, *(Remove(f"c{number}") for number in removed)]


# -- the same survivors ------------------------------------------------------------------------------


def replay(history: Iterable[Operation], parameters: CollectionParameters = SMALL) -> PlainFold:
    """The plain fold after a history."""
    fold = PlainFold(parameters)
    for operation in history:
        if isinstance(operation, Remove):
            fold.remove(operation.id)
        else:
            fold.arrive(operation.articles, operation.now)
    return fold


def reordered(history: Iterable[Operation], rng: random.Random) -> list[Operation]:
    """The same operations in another order and other batches; those of one id stay in theirs, each at its time."""
    by_id: dict[str, list[Operation]] = defaultdict(list)
    for operation in history:
        if isinstance(operation, Remove):
            by_id[operation.id].append(operation)
        else:
            for article in operation.articles:
                by_id[article.id].append(Arrive((article,), operation.now))
    turns = [id for id, operations in by_id.items() for _ in operations]
    rng.shuffle(turns)
    waiting = {id: iter(operations) for id, operations in by_id.items()}
    return _batched([next(waiting[id]) for id in turns], rng)


def survivors_in_any_order(survivors: Iterable[Survivor], rng: random.Random) -> list[Operation]:
    """The survivors alone, each arriving at its time."""
    arrivals: list[Operation] = [Arrive((s.article,), s.arrived) for s in survivors]
    rng.shuffle(arrivals)
    return _batched(arrivals, rng)


def _batched(operations: Sequence[Operation], rng: random.Random) -> list[Operation]:
    """Neighbors that arrive at one time put together, mostly."""
    out: list[Operation] = []
    for operation in operations:
        last = out[-1] if out else None
        together = _joined(last, operation) if rng.random() < 0.8 else None
        if together is None:
            out.append(operation)
        else:
            out[-1] = together
    return out


def _joined(last: Operation | None, operation: Operation) -> Arrive | None:
    """Two arrivals as one, if they are that and at one time."""
    if isinstance(last, Arrive) and isinstance(operation, Arrive) and last.now == operation.now:
        return Arrive((*last.articles, *operation.articles), last.now)
    return None
