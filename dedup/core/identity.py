"""What an article is known by: hashes of what was sent, and of its outlet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xxhash

if TYPE_CHECKING:
    from dedup.model import Article


def content_hash(article: Article) -> bytes:
    """8 bytes over everything the publisher sent but version and status: equal means redelivered."""
    fields = (
        article.headline,
        article.body,
        article.source,
        article.byline,
        article.located,
        article.url,
        article.language,
        repr(article.published),
        repr(article.published_is_date),
    )
    return xxhash.xxh3_64_digest("\x1f".join(fields).encode())


def source_hash(article: Article) -> int:
    """64 bits of the outlet; an article without one counts as an outlet of its own."""
    name = "s" + article.source if article.source else "a" + article.id
    return xxhash.xxh3_64_intdigest(name.encode())
