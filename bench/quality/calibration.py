"""How well the probability of a match is calibrated: fitted again, cross-validated, and held against silver labels."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from bench.quality.datasets import Dataset
from bench.report import Cell, Grid, Part, Plot
from dedup.core.probability import EXACT, WEIGHTS
from dedup.core.text import tokenize
from dedup.core.tuning import wilson
from dedup.core.verify import ComparableText, comparable
from dedup.core.verify_pair import verify_pair
from dedup.model import DEFAULT_RULES, Article, MatchKind

#: Whose labels the weights are fitted to, and whose they are held against.
PEOPLE: Final = frozenset({"people", "reading"})
SILVER: Final = frozenset({"silver"})
FOLDS: Final = 10
#: Weight of half the squared weights in the fit; the intercept is free.
PENALTY: Final = 1.0
_BINS: Final = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 1.0)
_SHINGLE_SIZE: Final = 5


@dataclass(frozen=True, slots=True)
class Labelled:
    """Labelled pairs that are matches, each array of shape (pairs,): measures, label, whether bodies are equal."""

    words: NDArray[np.float64]
    shares: NDArray[np.float64]
    copied: NDArray[np.bool_]
    exact: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.copied)

    def chosen(self, which: NDArray[np.bool_]) -> Labelled:
        """Some of them."""
        return Labelled(self.words[which], self.shares[which], self.copied[which], self.exact[which])


def labelled(data: Sequence[Dataset], by: frozenset[str]) -> Labelled:
    """The pairs labelled copied or not by these that verification calls a match; boilerplate is not known here."""
    rows = []
    for each in data:
        articles = {article.id: article for article in each.articles}
        ready: dict[str, ComparableText] = {}
        for labels in each.labels:
            for pair in labels.pairs if labels.by in by else ():
                if pair.label not in labels.copied | labels.independent:
                    continue
                other = articles[pair.b]
                a, b = _ready(articles[pair.a], ready), _ready(other, ready)
                found = verify_pair(a, other, b, DEFAULT_RULES).evidence
                if found.kind is not None:
                    words = (found.shared - found.quoted) / 2
                    is_exact = found.kind is MatchKind.EXACT
                    rows.append((words, found.trigram_share, pair.label in labels.copied, is_exact))
    columns = np.array(rows, np.float64).reshape(-1, 4).T
    return Labelled(columns[0], columns[1], columns[2] > 0, columns[3] > 0)


def _ready(article: Article, ready: dict[str, ComparableText]) -> ComparableText:
    if article.id not in ready:
        tokens = tokenize(article.headline, article.body)
        ready[article.id] = comparable(tokens, tokens.body_digest(), _SHINGLE_SIZE)
    return ready[article.id]


def _features(pairs: Labelled) -> NDArray[np.float64]:
    return np.stack([np.ones(len(pairs)), np.log1p(pairs.words), pairs.shares], axis=1)


def fit(pairs: Labelled) -> tuple[float, ...]:
    """Weights of the largest penalized likelihood, as :data:`dedup.core.probability.WEIGHTS`."""
    features, copied = _features(pairs), pairs.copied.astype(np.float64)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logit = features @ weights
        penalized = np.concatenate([[0.0], weights[1:]])
        value = np.logaddexp(0, logit).sum() - copied @ logit + PENALTY / 2 * penalized @ penalized
        return float(value), features.T @ (expit(logit) - copied) + PENALTY * penalized

    return tuple(minimize(loss, np.zeros(3), jac=True, method="L-BFGS-B").x.tolist())


def said(pairs: Labelled, weights: Sequence[float]) -> NDArray[np.float64]:
    """What :func:`dedup.core.probability.probability` says of each pair with these weights."""
    found: NDArray[np.float64] = expit(_features(pairs) @ np.array(weights))
    return np.where(pairs.exact, np.maximum(found, EXACT), found)


def crossed(pairs: Labelled, seed: int) -> NDArray[np.float64]:
    """What is said of each pair by weights that were fitted without its fold."""
    fold = np.random.default_rng(seed).permutation(len(pairs)) % FOLDS
    out = np.zeros(len(pairs))
    for k in range(FOLDS):
        out[fold == k] = said(pairs.chosen(fold == k), fit(pairs.chosen(fold != k)))
    return out


def part(data: Sequence[Dataset]) -> Part | None:
    """Tables and the reliability plot; None where too little is labelled."""
    people, silver = labelled(data, PEOPLE), labelled(data, SILVER)
    if len(people) < FOLDS or len(set(people.copied.tolist())) < 2:
        return None
    answers = [("people and reading, cross-validated", people, crossed(people, 1))]
    if len(silver):
        answers.append(("silver, as shipped", silver, said(silver, WEIGHTS)))
    rows: list[tuple[Cell, ...]] = []
    lines: dict[str, dict[float, float]] = {}
    for name, pairs, probabilities in answers:
        for low, high in itertools.pairwise(_BINS):
            inside = (low <= probabilities) & ((probabilities < high) | (high == 1.0))
            count, copied = int(inside.sum()), int(pairs.copied[inside].sum())
            if count:
                interval = "{:.2f} to {:.2f}".format(*wilson(copied, count))
                mean = float(probabilities[inside].mean())
                rows.append((name, f"{low:g} to {high:g}", count, mean, copied / count, interval))
                lines.setdefault(name, {})[round(50 * (low + high))] = 100 * copied / count
    common = sorted(set.intersection(*(set(line) for line in lines.values())))
    plot = Plot(
        "reliability",
        "Probability of a match: of pairs said to be copy with x %, how many are",
        "copied, %",
        tuple(common),
        {
            **{name: tuple(line[x] for x in common) for name, line in lines.items()},
            "perfect": tuple(float(x) for x in common),
        },
        "probability, %, middle of the bin",
    )
    columns = ("labels", "probability", "pairs", "mean said", "copied", "95 % interval")
    scores = tuple(
        (name, len(pairs), *_scores(probabilities, pairs.copied)) for name, pairs, probabilities in answers
    )
    fitted = ", ".join(f"{weight:.2f}" for weight in fit(people))
    shipped = ", ".join(f"{weight:.2f}" for weight in WEIGHTS)
    return Part(
        "calibration",
        {"matches labelled by people or reading": len(people), "silver": len(silver)},
        (
            Grid("reliability", columns, tuple(rows)),
            Grid("scores", ("labels", "pairs", "Brier", "Brier of the base rate", "log loss"), scores),
        ),
        {"fitted": fit(people), "shipped": WEIGHTS},
        (plot,),
        (f"weights fitted now: {fitted}; shipped: {shipped}",),
    )


def _scores(probabilities: NDArray[np.float64], copied: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Brier score (1950), that of saying the share of copies of every pair, and mean log loss."""
    truth = copied.astype(np.float64)
    loss = -(truth * np.log(probabilities) + (1 - truth) * np.log1p(-probabilities)).mean()
    base = float(truth.mean())
    return float(((probabilities - truth) ** 2).mean()), base * (1 - base), float(loss)
