"""What an article may be: sizes, versions, statuses and times, the same for a call, a file and a bulk run.

Sizes are bytes of UTF-8. Times are RFC 3339 (https://www.rfc-editor.org/rfc/rfc3339, section 5.6) or a bare date,
YYYY-MM-DD, which stands for midnight UTC and is remembered as a date. Anything else is refused rather than guessed
at. Every error names the field, and the limit where there is one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, Protocol, Self

from dedup.errors import InvalidArticle, LimitExceeded, Reason
from dedup.model import PubStatus

#: Largest size of the fields that have no setting of their own.
FIELD_BYTES: Final = {
    "headline": 65_536,
    "source": 2_048,
    "byline": 2_048,
    "located": 2_048,
    "url": 8_192,
    "language": 64,
}
MAX_VERSION: Final = 2**63 - 1
#: Times are from the year 1 to 9999, in Unix seconds.
FIRST_SECOND: Final = -62_135_596_800
LAST_SECOND: Final = 253_402_300_799

_PUBSTATUS: Final = {status.name.lower(): status for status in PubStatus}
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_DATE_TIME = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(\.\d+)?(?:[Zz]|([+-])(\d{2}):(\d{2}))", re.ASCII
)


class Limits(Protocol):
    """Settings that say how large an article may be."""

    @property
    def max_body_bytes(self) -> int:
        """Largest body."""

    @property
    def max_id_bytes(self) -> int:
        """Longest id."""


@dataclass(frozen=True, slots=True)
class ArticleRules:
    """The sizes that are settings of a service."""

    #: Largest body, before and after its text is taken out of markup.
    max_body_bytes: int = 1_048_576
    #: Longest id.
    max_id_bytes: int = 512

    @classmethod
    def of(cls, settings: Limits) -> Self:
        """What settings say."""
        return cls(max_body_bytes=settings.max_body_bytes, max_id_bytes=settings.max_id_bytes)

    def check_id(self, article_id: str, *, required: bool = True) -> None:
        """Raise InvalidArticle for an id that is too long, or ``required`` and empty."""
        if required and not article_id:
            raise InvalidArticle("id must not be empty", field="id")
        if size := _over(article_id, self.max_id_bytes):
            raise InvalidArticle(
                f"id is {size} bytes, over the limit of {self.max_id_bytes} (max_id_bytes)",
                field="id",
                bytes=size,
                limit=self.max_id_bytes,
            )

    def check_body(self, body: str) -> None:
        """Raise LimitExceeded for a body that is too large."""
        if size := _over(body, self.max_body_bytes):
            raise self.body_too_large(size)

    def body_too_large(self, size: int) -> LimitExceeded:
        """The error for a body of so many bytes."""
        return LimitExceeded(
            f"body is {size} bytes, over the limit of {self.max_body_bytes} (max_body_bytes)",
            Reason.BODY_TOO_LARGE,
            field="body",
            bytes=size,
            limit=self.max_body_bytes,
        )


#: What holds where nothing else is set.
DEFAULT_ARTICLE_RULES: Final = ArticleRules()


def check_field(name: str, value: str, called: str = "") -> None:
    """Raise InvalidArticle for a field of :data:`FIELD_BYTES` that is too long; ``called`` is its name in the error."""
    if size := _over(value, FIELD_BYTES[name]):
        field = called or name
        raise InvalidArticle(
            f"{field} is {size} bytes, over the limit of {FIELD_BYTES[name]}",
            field=field,
            bytes=size,
            limit=FIELD_BYTES[name],
        )


def check_version(version: int) -> None:
    """Raise InvalidArticle for a version that is out of range."""
    if not 0 <= version <= MAX_VERSION:
        raise InvalidArticle(f"version must be from 0 to {MAX_VERSION}", field="version", limit=MAX_VERSION)


def pubstatus_of(value: str | int) -> PubStatus:
    """The status of this name or number; raises InvalidArticle where there is none."""
    for name, status in _PUBSTATUS.items():
        if value in (name, int(status)):
            return status
    shown = _short(value) if isinstance(value, str) else value
    raise InvalidArticle(f"pubstatus must be one of {', '.join(_PUBSTATUS)}, not {shown}", field="pubstatus")


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


def _over(text: str, limit: int) -> int:
    """Bytes of ``text`` if they are more than ``limit``, else 0; encodes only where that can be."""
    if len(text) * 4 <= limit:
        return 0
    size = len(text.encode())
    return size if size > limit else 0


def _short(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:40] + "…")
