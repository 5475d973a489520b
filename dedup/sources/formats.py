"""The lines of ``articles.jsonl`` and ``matches.jsonl``, which ``export`` writes and others rely on.

Keys stand in a fixed order, text is not escaped, numbers between 0 and 1 are rounded to six digits: the
same values always give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from dedup.model import ExportedArticle, Match, MatchKind, Passage

_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
#: Names of the two files.
ARTICLES_FILE, MATCHES_FILE = "articles.jsonl", "matches.jsonl"


def to_line(value: Mapping[str, object]) -> str:
    """One JSON object without its line end."""
    return _encode(value)


def article_fields(article: ExportedArticle) -> dict[str, object]:
    """The fields of one line of ``articles.jsonl``."""
    return {
        "id": article.id,
        "text": article.text,
        "cluster": article.cluster,
        "story": article.story,
        "representative": article.representative,
        "agencies": list(article.agencies),
    }


def match_fields(match: Match) -> dict[str, object]:
    """The fields of one line of ``matches.jsonl``."""
    return {
        "article": match.article,
        "other": match.other,
        "kind": match.kind.name.lower(),
        "jaccard": share(match.jaccard),
        "containment": share(match.containment),
        "other_containment": share(match.other_containment),
        "shared_words": match.shared_words,
        "quoted_words": match.quoted_words,
        "probability": share(match.probability),
        **({"similarity": share(match.similarity)} if match.kind is MatchKind.SAME_STORY else {}),
        "passages": [passage_fields(passage) for passage in match.passages],
    }


def passage_fields(passage: Passage) -> dict[str, int]:
    """One passage of a match, with its offsets in code points."""
    return {
        "start": passage.start,
        "end": passage.end,
        "other_start": passage.other_start,
        "other_end": passage.other_end,
        "words": passage.words,
        "quoted": passage.quoted,
    }


def share(value: float) -> float:
    """A number in [0, 1] as it is written: six digits, never a negative zero."""
    return round(float(value), 6) + 0.0
