"""Texts at the limits: very short, without spaces, of several scripts, from right to left, made to be slow."""

from __future__ import annotations

import random

import numpy as np
import pytest

from dedup.core.align import MINIMUM_WORDS
from dedup.core.kernels import OCCURRENCES, tiling
from dedup.core.text import tokenize
from dedup.core.verify import comparable
from dedup.live import Pipeline
from dedup.model import Article, DecisionKind, Match, MatchKind, Outcome
from tests import data, flow

#: Half words of text that the runs of two texts may have for each half word of both, see :mod:`dedup.core.align`.
CONSTANT = 2 * OCCURRENCES

# Two sentences a pair: what both articles have, and what only the second one adds.
SCRIPTS = {
    "Han": (
        "市政府昨天宣布北岸老桥将在明年春天之前关闭维修所有公共汽车改走隧道居民可以在码头免费乘坐渡轮",
        "商会担心冬季生意受损。",
    ),
    "Thai": (
        "เทศบาลประกาศเมื่อวานนี้ว่าสะพานเก่าฝั่งเหนือจะปิดซ่อมจนถึงฤดูใบไม้ผลิปีหน้า",
        "พ่อค้ากังวลเรื่องรายได้",
    ),
    "Arabic": (
        (
            "أعلنت بلدية المدينة أمس أن الجسر القديم على الضفة الشمالية سيغلق للصيانة حتى الربيع المقبل وأن الحافلات "
            "ستسير عبر النفق الجديد مجانا طوال هذه المدة"
        ),
        "ويخشى التجار على دخلهم.",
    ),
    "Hebrew": (
        (
            "העירייה הודיעה אתמול כי הגשר הישן בגדה הצפונית ייסגר לשיפוצים עד האביב הבא וכי כל האוטובוסים יעברו דרך "
            "המנהרה החדשה ללא תשלום בתקופה הזאת"
        ),
        "הסוחרים חוששים להכנסותיהם.",
    ),
    "Latin, Cyrillic and Han": (
        (
            "The mayor of Нижний Порт said yesterday that the 北岸大桥 bridge will stay closed until spring while "
            "движение идёт через новый тоннель and the ferry is free for 所有居民 of the town"
        ),
        "Merchants are worried.",
    ),
}


async def _second(pipeline: Pipeline, collection: str, first: str, second: str) -> tuple[Match, ...]:
    """The matches of the second of two articles."""
    articles = [Article("first", "", first, "One"), Article("second", "", second, "Two")]
    for article in articles:
        (answer,) = await flow.ingest(pipeline, collection, [article])
    return answer.matches


@pytest.mark.parametrize("words", [0, 1, 4, 11])
async def test_below_the_least_words_nothing_is_compared(
    pipeline: Pipeline, collection: str, words: int
) -> None:
    """An item of fewer than twelve words is kept and listed, told not comparable, and matches nothing."""
    body = " ".join(f"word{i}" for i in range(words))
    for name in ("first", "second"):
        (answer,) = await flow.ingest(pipeline, collection, [Article(name, "", body, name)])
        assert (answer.outcome, answer.comparable, answer.matches) == (Outcome.NOT_COMPARABLE, False, ())
    state = await flow.state(pipeline, collection)
    assert [article for article, _, _ in state.articles] == ["first", "second"]
    assert not state.matches


async def test_an_item_of_one_sentence(pipeline: Pipeline, collection: str) -> None:
    """Twelve words are enough to be found: verbatim as EXACT, inside a longer report as an EXCERPT of it."""
    sentence = "Ferries between both banks stopped this morning because of thick fog over water."
    rng = random.Random(3)
    longer = f"{data.prose(rng, 40)}\n{sentence}\n{data.prose(rng, 40)}"
    articles = [
        Article("a", "", sentence, "A"),
        Article("b", "", sentence, "B"),
        Article("c", "", longer, "C"),
    ]
    answers = [(await flow.ingest(pipeline, collection, [article]))[0] for article in articles]
    assert answers[0].decision is not None
    assert answers[0].decision.kind is DecisionKind.NEW
    assert [match.kind for match in answers[1].matches] == [MatchKind.EXACT]
    assert {match.kind for match in answers[2].matches} == {MatchKind.EXCERPT}
    assert {match.other_containment for match in answers[2].matches} == {1.0}


@pytest.mark.parametrize("script", SCRIPTS)
async def test_scripts(pipeline: Pipeline, collection: str, script: str) -> None:
    """Whatever the script: verbatim is EXACT, with a sentence more an EXCERPT, with offsets of what is shared."""
    shared, more = SCRIPTS[script]
    (exact,) = await _second(pipeline, collection, shared, shared)
    assert exact.kind is MatchKind.EXACT
    extended = f"{more} {shared} {more} {more} {more}"
    (answer,) = await flow.ingest(pipeline, collection, [Article("third", "", extended, "Three")])
    for match in answer.matches:
        assert match.kind in (MatchKind.NEAR_DUPLICATE, MatchKind.EXCERPT)
        assert match.other_containment == 1.0
        (passage,) = match.passages
        assert f"\n{extended}"[passage.start : passage.end] == shared
        assert f"\n{shared}"[passage.other_start : passage.other_end] == shared
    assert answer.matches


def _pathological() -> dict[str, tuple[str, str]]:
    rng = random.Random(11)
    stems = [f"u{i}" for i in range(40)]
    blocks = [f"{stem} " + "w " * 60 for stem in stems * 32]
    few = " ".join(rng.choice("abc") for _ in range(30_000))
    return {
        "one word": ("word " * 40_000, "word " * 30_000),
        "one phrase": ("alpha beta gamma " * 14_000, "alpha beta gamma " * 9_000),
        "two words by chance": (few, few[::-1]),
        "blocks in another order": ("".join(rng.sample(blocks, len(blocks))), "".join(blocks)),
        "halves of one": (
            "a b c d e f g h " * 4000 + "x y " * 4000,
            "x y " * 4000 + "a b c d e f g h " * 4000,
        ),
    }


@pytest.mark.parametrize(("name", "texts"), _pathological().items())
def test_verification_is_linear(name: str, texts: tuple[str, str]) -> None:
    """The runs that alignment walks are no more than the stated constant times both texts, whatever repeats itself."""
    del name
    x, y = (comparable(tokenize("", text), b"", 5).units for text in texts)
    keys, head, following = tiling._seed_table(tiling._shingles(x, tiling.SEED, tiling.BLOCKED))
    at, slots, meeting = tiling._meeting_seeds(y, keys, tiling._sieve(keys))
    runs, count = tiling._maximal_runs(
        x, y, at, slots, meeting, keys, head, following, True, 2 * MINIMUM_WORDS
    )
    assert count
    assert int(runs[:count, 2].astype(np.int64).sum()) <= CONSTANT * (x.size + y.size)
    assert meeting <= y.size
