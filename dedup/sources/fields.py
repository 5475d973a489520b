"""One article from the fields of one JSON object: their types, each with a reason that names the field.

What values they may have is said by :mod:`dedup.core.article_rules`.
"""

from __future__ import annotations

from collections.abc import Mapping

from dedup.core.article_rules import ArticleRules, check_field, check_version, parse_time, pubstatus_of
from dedup.errors import InvalidArticle
from dedup.model import Article, PubStatus
from dedup.sources.html import body_text

_JSON_NAMES = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def article_from_fields(fields: Mapping[str, object], rules: ArticleRules) -> Article:
    """The article that ``fields`` describe.

    ``id`` is required, ``body`` too unless ``pubstatus`` is ``canceled``; ``headline`` may be called
    ``title``; null is the same as absent, except that a null ``body`` is an empty one; unknown fields are
    ignored. A body of text/html is held to the limit before and after extraction.

    Raises:
        InvalidArticle: a field is missing, of a wrong type, malformed or over its limit.
        LimitExceeded: the body is over its limit.

    """
    article_id = _string(fields, "id", required=True)
    rules.check_id(article_id)
    pubstatus = _pubstatus(fields)
    body = _string(fields, "body")
    if "body" not in fields and pubstatus is not PubStatus.CANCELED:
        raise InvalidArticle("body is missing", field="body")
    rules.check_body(body)
    media_type = _string(fields, "body_media_type")
    if media_type:
        body = body_text(body, media_type)
        rules.check_body(body)
    published, is_date = _time(fields, "published")
    version_time, _ = _time(fields, "version_time")
    return Article(
        id=article_id,
        headline=_limited(fields, "headline", "headline" if fields.get("headline") is not None else "title"),
        body=body,
        source=_limited(fields, "source"),
        byline=_limited(fields, "byline"),
        located=_limited(fields, "located"),
        url=_limited(fields, "url"),
        language=_limited(fields, "language"),
        published=published,
        published_is_date=is_date,
        version=_version(fields),
        version_time=version_time,
        pubstatus=pubstatus,
    )


def arrival_time_from_fields(fields: Mapping[str, object]) -> float | None:
    """Unix seconds of the field ``arrival_time``, None where it is absent or null.

    It says when the article was received. A service takes its own clock for that; a command that works on an
    archive has no other way to know.

    Raises:
        InvalidArticle: it is no time.

    """
    return _time(fields, "arrival_time")[0]


def _time(fields: Mapping[str, object], name: str) -> tuple[float | None, bool]:
    if fields.get(name) is None:
        return None, False
    return parse_time(_string(fields, name), name)


def _string(fields: Mapping[str, object], name: str, *, required: bool = False) -> str:
    """The string in field ``name``; "" when it is absent or null and not required."""
    value = fields.get(name)
    if value is None and not required:
        return ""
    if value is None:
        raise InvalidArticle(f"{name} is missing", field=name)
    if not isinstance(value, str):
        raise InvalidArticle(f"{name} must be a string, not {_JSON_NAMES[type(value)]}", field=name)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        found = f"U+{ord(value[error.start]):04X}"
        raise InvalidArticle(
            f"{name} holds an unpaired surrogate, {found}, at character {error.start + 1}", field=name
        ) from error
    return value


def _limited(fields: Mapping[str, object], name: str, called: str = "") -> str:
    """The string in a field of limited length; ``called`` is what the object calls it."""
    value = _string(fields, called or name)
    check_field(name, value, called)
    return value


def _version(fields: Mapping[str, object]) -> int | None:
    value = fields.get("version")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        shown = _short(str(value)) if isinstance(value, float) else _JSON_NAMES[type(value)]
        raise InvalidArticle(f"version must be an integer, not {shown}", field="version")
    check_version(value)
    return value


def _pubstatus(fields: Mapping[str, object]) -> PubStatus:
    value = _string(fields, "pubstatus")
    if not value and fields.get("pubstatus") is None:
        return PubStatus.USABLE
    return pubstatus_of(value)


def _short(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:40] + "…")
