"""One article from a text file: the first line is the headline, the rest the body."""

from __future__ import annotations

import io

from dedup.errors import InvalidArticle, LimitExceeded, Reason
from dedup.model import Article


def read_text(stream: io.BufferedIOBase, name: str, *, max_body_bytes: int = 1_048_576) -> Article:
    """The article in ``stream``, which is UTF-8, with an empty id; leading blank lines are skipped.

    Raises:
        InvalidArticle: the bytes are not UTF-8.
        LimitExceeded: the body is over ``max_body_bytes``, in bytes of UTF-8.

    """
    raw = stream.read(2 * max_body_bytes + 1)
    try:
        text = raw.decode("utf-8-sig", "ignore" if len(raw) > 2 * max_body_bytes else "strict")
    except UnicodeDecodeError as error:
        raise InvalidArticle(
            f"{name}: not a text file: invalid UTF-8 at byte {error.start + 1}", field="body"
        ) from error
    headline, _, body = text.replace("\r\n", "\n").lstrip("\n").partition("\n")
    if len(raw) > 2 * max_body_bytes or len(body.encode()) > max_body_bytes:
        raise LimitExceeded(
            f"{name}: body is over the limit of {max_body_bytes} bytes",
            Reason.BODY_TOO_LARGE,
            field="body",
            limit=max_body_bytes,
        )
    return Article(id="", headline=headline.strip(), body=body)
