"""Values of the model as plain JSON: what ``--json`` prints.

Field names are those of :mod:`dedup.model`, enumerations are lower-case names, times RFC 3339 in UTC;
matches and passages look as in ``matches.jsonl``.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dedup.errors import DedupError
from dedup.model import Article, Match, Passage
from dedup.sources.formats import match_fields, passage_fields, share

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_TIMES = {"published", "first_published", "last_published", "arrival_time", "created", "version_time"}


def to_fields(value: object) -> object:
    """``value`` made of dictionaries, lists, strings, numbers, booleans and None alone."""
    if isinstance(value, enum.Enum):
        return value.name.lower()
    if isinstance(value, Match):
        return match_fields(value)
    if isinstance(value, Passage):
        return passage_fields(value)
    if isinstance(value, DedupError):
        return {"error": value.reason.name, "message": value.message, "metadata": value.metadata}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_object(value)
    if isinstance(value, Mapping):
        return {str(key): to_fields(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_fields(item) for item in value]
    return share(value) if isinstance(value, float) else value


def to_object(value: DataclassInstance) -> dict[str, object]:
    """The fields of one value of the model."""
    return {
        field.name: _field(value, field.name)
        for field in dataclasses.fields(value)
        if field.name != "published_is_date"
    }


def _field(value: object, name: str) -> object:
    item = getattr(value, name)
    if name not in _TIMES or item is None:
        return to_fields(item)
    return time_text(item, is_date=isinstance(value, Article) and value.published_is_date)


def time_text(seconds: float, *, is_date: bool = False) -> str:
    """RFC 3339 in UTC, to the second or finer where the time is finer; a date alone where ``is_date``."""
    moment = datetime.fromtimestamp(seconds, UTC)
    if is_date:
        return moment.date().isoformat()
    return moment.isoformat().replace("+00:00", "Z")


def minute(seconds: float | None) -> str:
    """A time for people, ``2024-05-01 09:30``, in UTC; "" for none."""
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
