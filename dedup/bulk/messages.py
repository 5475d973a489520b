"""What the command and its workers send one another, beside calls of tasks and their answers."""

from __future__ import annotations

from typing import Final

import msgspec

from dedup.core.article_rules import ArticleRules
from dedup.model import CollectionParameters

#: The first message of every worker.
READY: Final = "ready"


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What all workers have in common; ``files`` are open ones, for lines, texts and words."""

    parameters: CollectionParameters
    rules: ArticleRules
    files: list[int]


class Failure:
    """The answer of a call that raised an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error
