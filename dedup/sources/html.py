"""Article text out of an HTML page, by trafilatura where the extra ``html`` is installed.

Markup is never tokenized as text: what cannot be extracted is refused.
"""

from __future__ import annotations

import logging

from dedup.errors import InvalidArticle, Reason

#: Media types of a body that is plain text already.
PLAIN_TEXT = "text/plain"
#: Media type of a body that :func:`extract_html` takes.
HTML = "text/html"


def media_type_of(value: str) -> str:
    """The bare media type of a Content-Type value: lower case, without parameters; "" is plain text."""
    return value.partition(";")[0].strip().lower() or PLAIN_TEXT


def extract_html(html: str) -> str:
    """The article's own text: one paragraph a line, without navigation, comments and other boilerplate.

    Raises:
        InvalidArticle: reason UNSUPPORTED_MEDIA_TYPE, when the extra is not installed or when there is no
            article text to be found in ``html``.

    """
    try:
        from trafilatura import extract  # noqa: PLC0415 - optional, and slow to import
    except ImportError as error:
        raise InvalidArticle(
            "body is text/html, which needs the extra 'html': pip install 'dedup[html]'",
            Reason.UNSUPPORTED_MEDIA_TYPE,
            field="body_media_type",
        ) from error
    # Without a handler of its own trafilatura's remarks on bad markup would go to standard error.
    logging.getLogger("trafilatura").addHandler(logging.NullHandler())
    text = extract(html, include_comments=False, output_format="txt")
    if not isinstance(text, str) or not text.strip():
        raise InvalidArticle(
            "no article text could be extracted from the text/html body",
            Reason.UNSUPPORTED_MEDIA_TYPE,
            field="body_media_type",
        )
    return text


def body_text(body: str, media_type: str) -> str:
    """``body`` as plain text, given its media type; an empty body stays empty.

    Raises:
        InvalidArticle: reason UNSUPPORTED_MEDIA_TYPE, for any type but text/plain and text/html, and
            where :func:`extract_html` does.

    """
    bare = media_type_of(media_type)
    if bare == PLAIN_TEXT or (bare == HTML and not body.strip()):
        return body
    if bare == HTML:
        return extract_html(body)
    raise InvalidArticle(
        f"body_media_type must be text/plain or text/html, not {bare!r}",
        Reason.UNSUPPORTED_MEDIA_TYPE,
        field="body_media_type",
    )
