"""One article from the fields of one JSON object: types, times and limits, each with a reason that names it.

Times are RFC 3339 (https://www.rfc-editor.org/rfc/rfc3339, section 5.6) or a bare date, YYYY-MM-DD, which
stands for midnight UTC and is remembered as a date. Anything else is refused rather than guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

from dedup.errors import InvalidArticle, LimitExceeded, Reason
from dedup.model import Article, PubStatus
from dedup.sources.html import body_text

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_DATE_TIME = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(\.\d+)?(?:[Zz]|([+-])(\d{2}):(\d{2}))", re.ASCII
)
_MAX_VERSION = 2**63 - 1
_PUBSTATUS = {status.name.lower(): status for status in PubStatus}
_JSON_NAMES = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def article_from_fields(
    fields: Mapping[str, object], *, max_body_bytes: int = 1_048_576, max_id_bytes: int = 512
) -> Article:
    """The article that ``fields`` describe.

    ``id`` is required, ``body`` too unless ``pubstatus`` is ``canceled``; ``headline`` may be called
    ``title``; null is the same as absent, except that a null ``body`` is an empty one; unknown fields are
    ignored. Limits are in bytes of UTF-8. A body of text/html is held to the limit before and after
    extraction.

    Raises:
        InvalidArticle: a field is missing, of a wrong type, malformed or over its limit.
        LimitExceeded: the body is over ``max_body_bytes``.

    """
    article_id = _string(fields, "id", required=True)
    if not article_id:
        raise InvalidArticle("id must not be empty", field="id")
    if len(article_id.encode()) > max_id_bytes:
        raise InvalidArticle(
            f"id is {len(article_id.encode())} bytes, over the limit of {max_id_bytes}",
            field="id",
            limit=max_id_bytes,
        )
    pubstatus = _pubstatus(fields)
    body = _string(fields, "body")
    if "body" not in fields and pubstatus is not PubStatus.CANCELED:
        raise InvalidArticle("body is missing", field="body")
    _check_body(body, max_body_bytes)
    media_type = _string(fields, "body_media_type")
    published, is_date = _time(fields, "published")
    version_time, _ = _time(fields, "version_time")
    return Article(
        id=article_id,
        headline=_string(fields, "headline" if fields.get("headline") is not None else "title"),
        body=body_text(body, media_type),
        source=_string(fields, "source"),
        byline=_string(fields, "byline"),
        located=_string(fields, "located"),
        url=_string(fields, "url"),
        language=_string(fields, "language"),
        published=published,
        published_is_date=is_date,
        version=_version(fields),
        version_time=version_time,
        pubstatus=pubstatus,
    )


def parse_time(value: str, field: str = "time") -> tuple[float, bool]:
    """Unix seconds of an RFC 3339 time or a bare date, and whether it was a date.

    Raises:
        InvalidArticle: it is neither, or no such day or time exists.

    """
    date = _DATE.fullmatch(value)
    match = date or _DATE_TIME.fullmatch(value)
    if match is None:
        raise InvalidArticle(
            f"{field} must be an RFC 3339 time with its offset or a date YYYY-MM-DD, not {_short(value)}",
            field=field,
        )
    try:
        if date:
            year, month, day = map(int, date.groups())
            return datetime(year, month, day, tzinfo=UTC).timestamp(), True
        return _seconds(match), False
    except (ValueError, OverflowError) as error:
        raise InvalidArticle(f"{field} is no such day or time: {_short(value)}", field=field) from error


def _seconds(match: re.Match[str]) -> float:
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    zone = UTC
    if sign:
        if int(offset_hours) > 23 or int(offset_minutes) > 59:
            raise ValueError(match[0])
        offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes))
        zone = timezone(-offset if sign == "-" else offset)
    leap = second == 60  # a leap second counts as the second before it, as POSIX time has none
    moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=zone)
    return moment.timestamp() + float(fraction or 0)


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


def _version(fields: Mapping[str, object]) -> int | None:
    value = fields.get("version")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        shown = _short(str(value)) if isinstance(value, float) else _JSON_NAMES[type(value)]
        raise InvalidArticle(f"version must be an integer, not {shown}", field="version")
    if not 0 <= value <= _MAX_VERSION:
        raise InvalidArticle(f"version must be from 0 to {_MAX_VERSION}", field="version", limit=_MAX_VERSION)
    return value


def _pubstatus(fields: Mapping[str, object]) -> PubStatus:
    value = _string(fields, "pubstatus")
    if not value and fields.get("pubstatus") is None:
        return PubStatus.USABLE
    if value not in _PUBSTATUS:
        raise InvalidArticle(
            f"pubstatus must be one of {', '.join(_PUBSTATUS)}, not {_short(value)}", field="pubstatus"
        )
    return _PUBSTATUS[value]


def _check_body(body: str, limit: int) -> None:
    size = len(body.encode())
    if size > limit:
        raise LimitExceeded(
            f"body is {size} bytes, over the limit of {limit}",
            Reason.BODY_TOO_LARGE,
            field="body",
            limit=limit,
        )


def _short(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:40] + "…")
