"""One article from a text file: the first line is the headline, the rest the body."""

from __future__ import annotations

import io

from dedup.core.article_rules import DEFAULT_ARTICLE_RULES, ArticleRules
from dedup.errors import InvalidArticle, LimitExceeded
from dedup.model import Article


def read_text(stream: io.BufferedIOBase, name: str, rules: ArticleRules = DEFAULT_ARTICLE_RULES) -> Article:
    """The article in ``stream``, which is UTF-8, with an empty id; leading blank lines are skipped.

    Raises:
        InvalidArticle: the bytes are not UTF-8.
        LimitExceeded: the body is over its limit.

    """
    most = 2 * rules.max_body_bytes
    raw = stream.read(most + 1)
    try:
        text = raw.decode("utf-8-sig", "ignore" if len(raw) > most else "strict")
    except UnicodeDecodeError as error:
        raise InvalidArticle(
            f"{name}: not a text file: invalid UTF-8 at byte {error.start + 1}", field="body"
        ) from error
    headline, _, body = text.replace("\r\n", "\n").lstrip("\n").partition("\n")
    size = len(raw) if len(raw) > most else len(body.encode())  # of more than is read, at least so many
    if size > rules.max_body_bytes:
        over = rules.body_too_large(size)
        raise LimitExceeded(f"{name}: {over.message}", over.reason, **over.metadata)
    return Article(id="", headline=headline.strip(), body=body)
