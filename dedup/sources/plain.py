"""One article from a text file: the first line is the headline, the rest the body."""

from __future__ import annotations

from typing import IO

from dedup.errors import InvalidArticle, LimitExceeded, Reason
from dedup.model import Article


def read_text(stream: IO[bytes], name: str, *, max_body_bytes: int = 1_048_576) -> Article:
    """The article in ``stream``, which is UTF-8, with an empty id; leading blank lines are skipped.

    Raises:
        InvalidArticle: the bytes are not UTF-8.
        LimitExceeded: there are more than fit into a body and a headline.

    """
    limit = 2 * max_body_bytes
    raw = stream.read(limit + 1)
    if len(raw) > limit:
        raise LimitExceeded(
            f"{name}: text is over the limit of {max_body_bytes} bytes for a body",
            Reason.BODY_TOO_LARGE,
            field="body",
            limit=max_body_bytes,
        )
    return text_article(raw, name, max_body_bytes=max_body_bytes)


def text_article(raw: bytes, name: str, *, max_body_bytes: int = 1_048_576) -> Article:
    """As :func:`read_text`, from bytes that were read already."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArticle(
            f"{name}: invalid UTF-8 at byte {error.start + 1}: not a text file", field="body"
        ) from error
    text = text.replace("\r\n", "\n").lstrip("\n")
    headline, _, body = text.partition("\n")
    size = len(body.encode())
    if size > max_body_bytes:
        raise LimitExceeded(
            f"{name}: body is {size} bytes, over the limit of {max_body_bytes}",
            Reason.BODY_TOO_LARGE,
            field="body",
            limit=max_body_bytes,
        )
    return Article(id="", headline=headline.strip(), body=body)
