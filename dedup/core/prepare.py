"""An article made ready for the index: text, tokens, sketch, credits. Compiled; runs in worker threads."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from dedup.core import kernels
from dedup.core.provenance import credits as find_credits
from dedup.core.same_event import word_pairs
from dedup.core.sketch import Sketch, SketchParameters, sketch
from dedup.core.text import Tokens, tokenize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from dedup.model import Article, CollectionParameters, Credit

    Stage = Callable[[str], AbstractContextManager[object]]


_NO_PAIRS: Final = np.empty(0, np.uint64)


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """Everything that depends on the article and the collection's parameters alone.

    ``sketch`` is None where the body is too short to compare; ``pairs``, as in :mod:`dedup.core.same_event`, are empty
    where the collection does not ask for them.
    """

    article: Article
    tokens: Tokens
    digest: bytes
    sketch: Sketch | None
    words: int
    credits: tuple[Credit, ...]
    pairs: NDArray[np.uint64] = msgspec.field(default_factory=lambda: _NO_PAIRS)

    @property
    def comparable(self) -> bool:
        """Whether the body is long enough to be compared."""
        return self.sketch is not None


def prepare(article: Article, parameters: CollectionParameters) -> Prepared:
    """Tokenize, sketch and look for credits."""
    return prepare_each([article], parameters)[0]


def prepare_each(
    articles: Sequence[Article], parameters: CollectionParameters, stage: Stage = nullcontext
) -> list[Prepared]:
    """The same for many; ``stage`` times each step, by its name."""
    with stage("tokenize"):
        read = [_read(article, parameters) for article in articles]
    with stage("sketch"):
        how = SketchParameters.of(parameters)
        sketches = [
            _sketched(tokens, parameters, how) if long_enough else (None, _NO_PAIRS)
            for tokens, _, long_enough in read
        ]
    with stage("credits"):
        return [
            Prepared(
                article=article,
                tokens=tokens,
                digest=digest,
                sketch=sketched,
                words=tokens.half_words() // 2,
                credits=find_credits(article),
                pairs=pairs,
            )
            for article, (tokens, digest, _), (sketched, pairs) in zip(articles, read, sketches, strict=True)
        ]


def _read(article: Article, parameters: CollectionParameters) -> tuple[Tokens, bytes, bool]:
    """Tokens as the collection keeps them, the digest of the body, and whether it is long enough to compare."""
    tokens = tokenize(article.headline, article.body)
    long_enough = tokens.half_words() >= 2 * parameters.minimum_words
    digest = tokens.body_digest()
    return tokens if parameters.keep_text else tokens.reduced(), digest, long_enough


def _sketched(
    tokens: Tokens, parameters: CollectionParameters, how: SketchParameters
) -> tuple[Sketch, NDArray[np.uint64]]:
    sketched = sketch(tokens, how)
    if not parameters.same_story:
        return sketched, _NO_PAIRS
    units, *_ = kernels.units_of(tokens.hashes, tokens.flags, np.ones(len(tokens), np.bool_))
    return sketched, word_pairs(units)


def read_body(headline: str, body: str, parameters: CollectionParameters) -> Tokens:
    """The tokens that an article is compared by, as its collection keeps them."""
    tokens = tokenize(headline, body)
    return tokens if parameters.keep_text else tokens.reduced()
