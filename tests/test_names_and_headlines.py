"""Ids, headlines and the order of equal bodies decide nothing: kinds, measures and decisions follow the bodies.

An editor writes a headline anew, and an id says nothing of an article. Once the carrier with the smallest id lent its
headline to all that carry its text, so that the id of a third article decided what ``find`` answered.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import replace
from typing import Any

import pytest

from dedup.live import Pipeline
from dedup.model import Article, Decision, DecisionKind, ExportedArticle, Match, MatchKind
from tests import data, flow

_RNG = random.Random(17)
SENTENCES = [f"{data.prose(_RNG, 14)}." for _ in range(30)]
STATEMENT = f"“{data.prose(_RNG, 20)}”"
WIRE = "\n".join([*SENTENCES[:6], STATEMENT, *SENTENCES[6:9], SENTENCES[2]])
PART = "\n".join([*SENTENCES[9:13], SENTENCES[2], *SENTENCES[3:5], *SENTENCES[13:15]])
QUOTES = "\n".join([*SENTENCES[15:20], STATEMENT])
ALONE = "\n".join(SENTENCES[20:25])
#: Bodies and outlets in order of arrival; ids and headlines are given to them anew each time.
ARRIVALS = (
    (WIRE, "Wire"), (WIRE, "Post"), (PART, "Ledger"), (ALONE, "Echo"), (PART, "Globe"), (WIRE, "Star"), (QUOTES, "Sun"),
    (ALONE, "Herald"), (QUOTES, "News"),
)  # fmt: skip
#: Its headline stands in one body, its own body shares a sentence of 14 words with another: nothing of weight.
DRAFT = Article("", SENTENCES[20], f"{data.prose(_RNG, 40)} {SENTENCES[0]} {data.prose(_RNG, 40)}", "Mail")
#: Headlines that copy a sentence of a body, of the draft, or a whole text; and none.
HEADLINES = [
    "",
    "Short",
    SENTENCES[0],
    SENTENCES[20],
    STATEMENT,
    DRAFT.body,
    f"{SENTENCES[15]} {SENTENCES[16]}",
    WIRE,
]

Shown = tuple[Any, ...]


def _arrivals(rng: random.Random) -> list[Article]:
    """The arrivals under other ids and headlines, with bodies and outlets in place."""
    names = rng.sample([f"{letter}{n}" for letter in "ABabÉü~" for n in range(9)], len(ARRIVALS))
    return [
        Article(name, rng.choice(HEADLINES), body, outlet, published=1.7e9 + number)
        for number, (name, (body, outlet)) in enumerate(zip(names, ARRIVALS, strict=True))
    ]


def _decided(decision: Decision | None, place: dict[str, int]) -> Shown:
    assert decision is not None
    words = decision.words_copied, decision.words_quoted, decision.words_boilerplate, decision.words_new
    return (decision.kind, place.get(decision.copies), decision.covered, *words)


def _measured(match: Match, articles: dict[str, Article]) -> Shown:
    """A match as its bodies see it: sides by their text, passages by their places in the bodies."""
    sides = [articles[match.article], articles[match.other]]
    shift = [len(side.headline) + 1 for side in sides]
    rows = [
        (
            (p.start - shift[0], p.end - shift[0]),
            (p.other_start - shift[1], p.other_end - shift[1]),
            p.words,
            p.quoted,
        )
        for p in match.passages
    ]
    shares = [match.containment, match.other_containment]
    if sides[1].body < sides[0].body:
        sides, shares = sides[::-1], shares[::-1]
        rows = sorted((theirs, mine, words, quoted) for mine, theirs, words, quoted in rows)
    lengths = match.shared_words, match.quoted_words, match.longest_unquoted_run
    measures = match.kind, match.jaccard, match.probability, *shares, *lengths
    return (sides[0].body, sides[1].body, *measures, tuple(rows))


async def _seen(pipeline: Pipeline, arrivals: list[Article], draft: Article) -> tuple[Shown, ...]:
    """Decisions by arrival, matches by their bodies, clusters, and what would be found for a draft."""
    name = f"names-{uuid.uuid4().hex[:8]}"
    place = {article.id: number for number, article in enumerate(arrivals)}
    decisions = []
    for article in arrivals:
        (answer,) = await flow.ingest(pipeline, name, [article])
        decisions.append(_decided(answer.decision, place))
    await flow.settled(pipeline, name)
    articles = {article.id: article for article in arrivals} | {draft.id: draft}
    matches: set[Shown] = set()
    clusters: dict[str | None, set[int]] = {}
    async for line in pipeline.export(name):
        if isinstance(line, ExportedArticle):
            clusters.setdefault(line.cluster, set()).add(place[line.id])
        else:
            matches.add(_measured(line, articles))
    found = await pipeline.find(name, draft)
    asked = _decided(found.decision, place), {_measured(match, articles) for match in found.matches}
    return tuple(decisions), tuple(sorted(matches)), tuple(sorted(map(sorted, clusters.values()))), asked


@pytest.mark.parametrize("seed", range(3))
async def test_ids_and_headlines_decide_nothing(pipeline: Pipeline, seed: int) -> None:
    """Nine arrivals of four bodies under other ids and headlines: everything but names and offsets stays the same."""
    rng = random.Random(seed)
    plain = [replace(article, headline="") for article in _arrivals(rng)]
    expected = await _seen(pipeline, plain, replace(DRAFT, headline=""))
    for _ in range(3):
        draft = replace(DRAFT, headline=rng.choice(HEADLINES))
        assert await _seen(pipeline, _arrivals(rng), draft) == expected
    assert {decision[0] for decision in expected[0]} == {
        DecisionKind.NEW,
        DecisionKind.COPY,
        DecisionKind.PARTIAL_COPY,
        DecisionKind.QUOTES_ONLY,
    }


async def test_the_order_of_equal_bodies_decides_nothing(pipeline: Pipeline) -> None:
    """Carriers of one text arrive in another order: decisions by arrival, kinds and measures stay the same."""
    rng = random.Random(4)
    seen = []
    for _ in range(3):
        arrivals = _arrivals(rng)
        for body in {article.body for article in arrivals}:
            places = [n for n, article in enumerate(arrivals) if article.body == body]
            turned = rng.sample(places, len(places))
            moved = [
                replace(arrivals[t], published=arrivals[n].published)
                for n, t in zip(places, turned, strict=True)
            ]
            for n, article in zip(places, moved, strict=True):
                arrivals[n] = article
        seen.append(await _seen(pipeline, arrivals, DRAFT))
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("third", ["a-third", "z-third"])
async def test_a_third_article_lends_no_headline(pipeline: Pipeline, collection: str, third: str) -> None:
    """Of a draft 14 words stand in a body, 14 more in the headline of another carrier: nothing, whatever its id."""
    draft = replace(DRAFT, body=f"{DRAFT.body} {SENTENCES[29]}")
    await flow.ingest(pipeline, collection, [Article("port-wire", "Port", WIRE, "Wire")])
    await flow.ingest(pipeline, collection, [Article(third, SENTENCES[29], WIRE, "Third")])
    found = await pipeline.find(collection, draft)
    assert found.matches == ()
    assert found.decision is not None
    assert (found.decision.kind, found.decision.words_new) == (DecisionKind.NEW, 108)


@pytest.mark.parametrize("empty", ["", " \n", "…", "<p></p>"])
async def test_a_headline_over_no_words_is_compared(pipeline: Pipeline, collection: str, empty: str) -> None:
    """An article without a body is a copy by its headline, in ingest, find and compare; offsets point into it."""
    flash = Article("flash", f"{SENTENCES[0]} {SENTENCES[1]}", empty, "Flash")
    await flow.ingest(pipeline, collection, [Article("twin", "", flash.headline, "Twin")])
    longer = Article("longer", "", f"{SENTENCES[4]} {flash.headline} {SENTENCES[5]}", "Longer")
    await flow.ingest(pipeline, collection, [longer])
    found = await pipeline.find(collection, flash)
    (answer,) = await flow.ingest(pipeline, collection, [flash])
    compared = (await pipeline.compare(collection, "flash", "longer")).match
    assert compared is not None
    assert compared.kind is MatchKind.EXCERPT
    for matches in (found.matches, answer.matches):
        assert [(match.other, match.kind) for match in matches] == [
            ("twin", MatchKind.EXACT),
            ("longer", MatchKind.EXCERPT),
        ]
        assert matches[1].passages == compared.passages
    (passage,) = compared.passages
    assert (passage.start, passage.end) == (0, len(flash.headline) - 1)
    assert longer.text[passage.other_start : passage.other_end] == flash.headline[:-1]
    assert answer.decision == found.decision
    assert answer.decision is not None
    assert (answer.decision.kind, answer.decision.copies, answer.decision.covered) == (
        DecisionKind.COPY,
        "twin",
        1.0,
    )
    assert (await pipeline.get_article(collection, "flash")).words == 28
