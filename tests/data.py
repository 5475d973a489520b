"""Articles for tests: the story families of seeds/, real news where it lies beside the repository, generated ones."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from dedup.model import Article

ROOT = Path(__file__).resolve().parent.parent
SEEDS = ROOT / "seeds"
SHARED = ROOT.parent / "shared"
DAY = 86_400.0
#: When the reports of an event were published.
START = 1.7e9


def seconds(published: str) -> float | None:
    """Unix seconds of RFC 3339, a bare date, or the newswire's ``26-FEB-1987 15:01:01.79``; None for anything else."""
    text = published.strip()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = datetime.strptime(text[:11].strip(), "%d-%b-%Y").replace(tzinfo=UTC)
        except ValueError:
            return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def to_article(line: dict[str, object]) -> Article:
    """An article from a line of a seed or data file."""
    version = line.get("version")
    return Article(
        id=str(line["id"]),
        headline=str(line.get("headline") or ""),
        body=str(line.get("body") or ""),
        source=str(line.get("source") or ""),
        byline=str(line.get("byline") or ""),
        located=str(line.get("located") or ""),
        url=str(line.get("url") or ""),
        language=str(line.get("language") or ""),
        published=seconds(str(line.get("published") or "")),
        version=int(str(version)) if version is not None else None,
    )


@cache
def seeds() -> tuple[Article, ...]:
    """All lines of all families, in file order; a corrected version is a later line with the same id."""
    lines = [
        line
        for path in sorted(SEEDS.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return tuple(to_article(json.loads(line)) for line in lines)


@cache
def labels() -> tuple[dict[str, object], ...]:
    """The labels of every family."""
    return tuple(json.loads(path.read_text(encoding="utf-8")) for path in sorted(SEEDS.glob("*.labels.json")))


def beside(name: str) -> Path:
    """A file of real news; skips the test where it is missing, as it is for everybody who may not have that news."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(
            f"real news of others, which may not be shipped: no ../shared/{name} beside the repository"
        )
    return path


@cache
def shared(name: str) -> tuple[Article, ...]:
    """A set of real articles; skips the test where the data does not lie beside the repository."""
    path = beside(f"data/{name}.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return tuple(to_article(json.loads(line)) for line in lines)


def prose(rng: random.Random, words: int) -> str:
    """Text of invented words with the frequencies of language (Zipf)."""
    return " ".join(f"w{min(int(rng.paretovariate(0.6)), 5000)}x{rng.randrange(8)}" for _ in range(words))


def family(rng: random.Random, name: str, size: int) -> list[Article]:
    """Versions of one wire report: verbatim, trimmed, middle dropped, extended, rewritten lead, statement quoted."""
    paragraphs = [prose(rng, rng.randrange(25, 60)) for _ in range(6)]
    statement = f"“{prose(rng, 20)}”"
    wire = "\n".join([*paragraphs[:2], statement, *paragraphs[2:]])
    made = [Article(f"{name}-000", f"Wire {name}", wire, "Wire", published=1.6e9)]
    for number in range(1, size):
        body = rng.choice(
            [
                wire,
                "\n".join(paragraphs[:4]),
                "\n".join([*paragraphs[:2], *paragraphs[4:]]),
                wire + "\n" + prose(rng, 120),
                prose(rng, 40) + "\n" + "\n".join(paragraphs[1:4]),
                prose(rng, 120) + "\n" + statement,
                prose(rng, 100),
            ]
        )
        outlet = f"Outlet {rng.randrange(12)}"
        footer = f"\nSubscribe to {outlet} today and never miss the stories that matter in your part of the country."
        published = 1.6e9 + 3600 * number + 86400 * rng.randrange(9)
        made.append(
            Article(
                f"{name}-{number:03}", f"Story {number} of {name}", body + footer, outlet, published=published
            )
        )
    return made


def corpus(count: int, *, seed: int = 1) -> list[Article]:
    """``count`` generated articles: families, one of them with a hundred versions, and many with one footer."""
    rng = random.Random(seed)
    made = family(rng, "hot", min(100, count // 4))
    while len(made) < count:
        made += family(rng, f"f{len(made):05}", rng.randrange(2, 9))
    return made[:count]


def mixed(count: int) -> list[Article]:
    """The seeds and ``count`` real articles (generated where there are none), a hot footer and a large component."""
    if not (SHARED / "data").exists():
        return [*latest(seeds()), *corpus(count)]
    emergent, telegram = shared("emergent_2014"), shared("telegram_2019")
    wire, urdu = shared("reuters_1987"), shared("counter_urdu")
    repeating = [
        a for a in telegram if a.source in {"news.chosun.com", "theguardian.com", "diariodecuyo.com.ar"}
    ]
    part = count // 8
    chosen = [
        *repeating[:part],
        *telegram[:part],
        *emergent[: 2 * part],
        *wire[:part],
        *wire[9000 : 9000 + part],
        *urdu[:part],
    ]
    footer = " This footer of an invented outlet stands on each of its pages and asks every reader to subscribe today."
    for number, article in enumerate(emergent[2 * part : 2 * part + part // 2]):
        day = 1.5e9 + 86400 * (number % 9)
        chosen.append(
            replace(
                article,
                id=f"{article.id}-f",
                body=article.body + footer,
                source=f"Outlet {number % 7}",
                published=day,
            )
        )
    body = next(a.body for a in wire if len(a.body.split()) > 120)
    for number in range(part // 2):
        copied = body if number % 3 else f"{body} and {number} more words of its own stand here at the end"
        chosen.append(
            Article(f"copy-{number:04}", f"Headline {number}", copied, f"Carrier {number}", published=1.5e9)
        )
    return [*latest(seeds()), *chosen]


def latest(articles: tuple[Article, ...]) -> list[Article]:
    """The last line of every id."""
    return list({article.id: article for article in articles}.values())


def reports(seed: int, count: int, *, day: float = 0.0) -> list[Article]:
    """Reports of one event in words of their own, around the same names, numbers and terms in the same company."""
    rng = random.Random(seed)
    terms = [prose(rng, 3) for _ in range(40)]
    out = []
    for n in range(count):
        mine = " ".join(f"{term} {prose(rng, 4)}" for term in rng.sample(terms, 30))
        out.append(Article(f"e{seed}-{n}", "", mine, f"S{n}", published=START + day * DAY + n))
    return out
