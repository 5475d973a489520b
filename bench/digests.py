"""What a collection holds as sorted lines and their digests, without a name or number that the service gives.

An *aspect* is a list of lines, each a JSON array; its digest is XXH3-128 over them in order. Two runs agree in an
aspect exactly where the digests are equal, and the lines say where they do not. Lines name articles by id and texts
by the digest of their body; they hold no text.

What ``articles.jsonl`` and ``matches.jsonl`` show, whoever wrote them:

``texts``
    every article with its text.
``matches``
    every pair of texts, the one with the smaller digest first: kind, Jaccard, both containments, shared and quoted
    words, probability; shares have the six digits of the files.
``passages``
    the passages of every pair, and the articles whose offsets they are.
``partition``
    every cluster as the ids of its articles, and which of them represent it.
``stories``
    every story as the ids of its articles.
``credits``
    every article with the agencies that it credits.

What only the service tells:

``measures``
    as ``matches``, with nine digits and the longest unquoted run.
``clusters``
    what a cluster says of itself, and which clusters it is linked to. Left out are clusters of one article that are
    linked to none and in no story: which of them are listed depends on what they stood with before.
``earliest``
    which article of every cluster of two and more came first.
``decisions``
    the answer to every article that was sent: outcome and decision.

The last two depend on the order in which the articles came. The others were the same for both directions of every data
set of :mod:`bench.goldens`, but for one line: of Reuters at 72774bb, r-917 keeps a link to r-10933 that the other side
gave up, as their match weakened when boilerplate became known and one end alone was settled again. In the reverse order
neither has it.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Final

import xxhash

from dedup.model import Cluster, Decision, ExportedArticle, IngestResult, Match
from dedup.sources.formats import ARTICLES_FILE, MATCHES_FILE, article_fields, match_fields

#: How the names of counts begin that come from the answers and not from an export.
OF_ANSWERS: Final = ("outcomes: ", "decisions: ")
#: Digits of shares that the files do not round.
DIGITS: Final = 9

Fields = Mapping[str, Any]
Lines = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Export:
    """The lines of ``articles.jsonl`` and ``matches.jsonl``, parsed, in any order."""

    articles: Sequence[Fields]
    matches: Sequence[Fields]

    @classmethod
    def read(cls, folder: Path) -> Export:
        """The two files in a folder. Raises OSError."""
        return cls(_rows(folder / ARTICLES_FILE), _rows(folder / MATCHES_FILE))

    @classmethod
    def of(cls, items: Iterable[ExportedArticle | Match]) -> Export:
        """What a client's ``export`` yields."""
        articles, matches = [], []
        for item in items:
            if isinstance(item, ExportedArticle):
                articles.append(article_fields(item))
            else:
                matches.append(match_fields(item))
        return cls(articles, matches)

    def texts(self) -> dict[str, str]:
        """The digest of the body of every article."""
        return {each["id"]: each["text"] for each in self.articles}

    def groups(self, kind: str) -> dict[str, list[str]]:
        """The sorted ids in each ``cluster`` or ``story``, by its name."""
        members: dict[str, list[str]] = defaultdict(list)
        for each in self.articles:
            if each[kind] is not None:
                members[each[kind]].append(each["id"])
        return {name: sorted(ids) for name, ids in members.items()}


def _rows(path: Path) -> list[Fields]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def of_files(export: Export) -> Lines:
    """The aspects that an export shows."""
    texts = export.texts()
    chosen = {each["id"] for each in export.articles if each["representative"]}
    clusters = export.groups("cluster").values()
    return {
        "texts": _sorted([each["id"], each["text"]] for each in export.articles),
        "matches": _sorted(_match(each, texts) for each in export.matches),
        "passages": _sorted(_passages(each, texts) for each in export.matches),
        "partition": _sorted([ids, [each for each in ids if each in chosen]] for ids in clusters),
        "stories": _sorted(export.groups("story").values()),
        "credits": _sorted([each["id"], each["agencies"]] for each in export.articles if each["agencies"]),
    }


def _match(match: Fields, texts: Mapping[str, str]) -> list[Any]:
    sides = [
        (texts[match["article"]], float(match["containment"])),
        (texts[match["other"]], float(match["other_containment"])),
    ]
    (low, low_share), (high, high_share) = sorted(sides)
    shares = [float(match["jaccard"]), low_share, high_share]
    words = [match["shared_words"], match["quoted_words"]]
    return [low, high, match["kind"], *shares, *words, float(match["probability"])]


def _passages(match: Fields, texts: Mapping[str, str]) -> list[Any]:
    article, other = match["article"], match["other"]
    own, their = ["start", "end"], ["other_start", "other_end"]
    if texts[other] < texts[article]:
        article, other, own, their = other, article, their, own
    fields = (*own, *their, "words", "quoted")
    passages = sorted([each[name] for name in fields] for each in match["passages"])
    return [texts[article], texts[other], article, other, passages]


def measures(matches: Iterable[Match], texts: Mapping[str, str]) -> list[str]:
    """The aspect ``measures``; ``texts`` gives the digest of the body of each article."""
    rows = []
    for match in matches:
        fields = {
            **match_fields(match),
            "jaccard": _share(match.jaccard),
            "containment": _share(match.containment),
            "other_containment": _share(match.other_containment),
            "probability": _share(match.probability),
        }
        rows.append([*_match(fields, texts), match.longest_unquoted_run])
    return _sorted(rows)


def clusters(described: Iterable[Cluster], members: Mapping[str, list[str]]) -> list[str]:
    """The aspect ``clusters``; ``members`` are the sorted ids of the articles of every cluster, by its name."""
    return _sorted(
        [
            members[each.id],
            [each.representative, each.representative_reason, each.first_published],
            [each.origin.name, _share(each.origin.confidence), each.origin.reason],
            list(each.agencies),
            sorted(members[name] for name in each.linked),
        ]
        for each in described
        if each.size > 1 or each.linked or each.story
    )


def earliest(described: Iterable[Cluster], members: Mapping[str, list[str]]) -> list[str]:
    """The aspect ``earliest``; ``members`` as for :func:`clusters`."""
    return _sorted([members[each.id], each.earliest] for each in described if each.size > 1)


def decisions(answers: Iterable[IngestResult]) -> list[str]:
    """The aspect ``decisions``."""
    return _sorted([each.id, each.outcome.name.lower(), _decision(each.decision)] for each in answers)


def _decision(decision: Decision | None) -> list[Any] | None:
    if decision is None:
        return None
    kind, copies, covered, *words = astuple(decision)
    return [kind.name.lower(), copies, _share(covered), *words]


def _share(value: float) -> float:
    return round(float(value), DIGITS) + 0.0


def _sorted(rows: Iterable[object]) -> list[str]:
    return sorted(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)


def digest(lines: Iterable[str]) -> str:
    """XXH3-128 of lines, each with its end, in hexadecimal."""
    state = xxhash.xxh3_128()
    for line in lines:
        state.update(line.encode() + b"\n")
    return state.hexdigest()


def counts(export: Export) -> dict[str, int]:
    """What a person compares first where digests differ."""
    sizes = [len(ids) for ids in export.groups("cluster").values()]
    kinds = Counter(str(each["kind"]) for each in export.matches)
    return {
        "articles": len(export.articles),
        "comparable": sum(sizes),
        "texts": len({each["text"] for each in export.articles if each["cluster"] is not None}),
        "matches": len(export.matches),
        **{f"matches: {kind}": kinds[kind] for kind in sorted(kinds)},
        "passages": sum(len(each["passages"]) for each in export.matches),
        "clusters of two and more": sum(size > 1 for size in sizes),
        "largest cluster": max(sizes, default=0),
        "stories": len(export.groups("story")),
        "articles with credits": sum(bool(each["agencies"]) for each in export.articles),
    }


def counts_of_answers(answers: Iterable[IngestResult]) -> dict[str, int]:
    """How many articles had which outcome and which decision."""
    found: Counter[str] = Counter()
    for each in answers:
        found[f"outcomes: {each.outcome.name.lower()}"] += 1
        found[f"decisions: {each.decision.kind.name.lower() if each.decision else 'none'}"] += 1
    return dict(sorted(found.items()))


def differing(before: Iterable[str], after: Iterable[str]) -> list[str]:
    """Lines that one side has and the other has not, ``-`` before and ``+`` after, beside one another."""
    old, new = Counter(before), Counter(after)
    lines = [(line, "-") for line in (old - new).elements()] + [
        (line, "+") for line in (new - old).elements()
    ]
    return [f"{sign} {line}" for line, sign in sorted(lines)]


def save(lines: Sequence[str], path: Path) -> None:
    """Keep the lines of an aspect."""
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))


def saved(path: Path) -> list[str]:
    """The lines that :func:`save` kept. Raises OSError."""
    return gzip.decompress(path.read_bytes()).decode().split("\n")[:-1]
