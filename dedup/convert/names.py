"""Resource names: ``collections/{collection}`` and, below it, articles, clusters and stories.

Ids are any UTF-8 and are percent-encoded as RFC 3986 says: letters, digits and ``-._~`` stand, every other
byte becomes ``%XX``. Reading is lenient towards characters that need not have been encoded.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote, unquote_to_bytes

from dedup.errors import InvalidArgument

Kind = Literal["articles", "clusters", "stories"]

DEFAULT_COLLECTION = "default"
COLLECTION_PATTERN = "[a-z0-9][a-z0-9_-]{0,62}"

_collection = re.compile(COLLECTION_PATTERN)
_plain = re.compile(r"[A-Za-z0-9._~-]*")
_stray_percent = re.compile(r"%(?![0-9A-Fa-f]{2})")


def encode_id(identifier: str) -> str:
    """An id as it stands in a name."""
    return identifier if _plain.fullmatch(identifier) else quote(identifier, safe="")


def decode_id(segment: str, field: str = "name") -> str:
    """The id in a segment of a name; raises InvalidArgument where the encoding is broken."""
    if "%" not in segment:
        return segment
    if _stray_percent.search(segment):
        raise InvalidArgument(
            f"{field}: a % in a name must be followed by two hexadecimal digits", field=field
        )
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidArgument(
            f"{field}: the percent-encoded bytes of the id are not UTF-8", field=field
        ) from None


def check_collection(collection: str, field: str = "name") -> str:
    """``collection`` if it is a well-formed id of a collection; raises InvalidArgument."""
    if not _collection.fullmatch(collection):
        raise InvalidArgument(
            f"{field}: a collection is named by 1 to 63 of a-z, 0-9, _ and -, the first a letter or a digit",
            field=field,
            value=collection[:80],
        )
    return collection


def collection_name(collection: str) -> str:
    """``collections/{collection}``."""
    return f"collections/{collection}"


def parse_collection(name: str, field: str = "name", default: str | None = DEFAULT_COLLECTION) -> str:
    """The collection of ``collections/{collection}``; an empty name is ``default``, None: not allowed."""
    if not name and default is not None:
        return default
    prefix, slash, collection = name.partition("/")
    if prefix != "collections" or not slash:
        raise InvalidArgument(f"{field}: expected collections/{{collection}}", field=field, value=name[:80])
    return check_collection(collection, field)


class Namer:
    """Makes the names of one collection: an empty id or None makes an empty name."""

    __slots__ = ("_articles", "_clusters", "_stories", "collection")

    def __init__(self, collection: str) -> None:
        self.collection = collection
        self._articles = f"collections/{collection}/articles/"
        self._clusters = f"collections/{collection}/clusters/"
        self._stories = f"collections/{collection}/stories/"

    def article(self, identifier: str) -> str:
        """Name of an article."""
        return self._articles + encode_id(identifier) if identifier else ""

    def cluster(self, identifier: str | None) -> str:
        """Name of a cluster."""
        return self._clusters + encode_id(identifier) if identifier else ""

    def story(self, identifier: str | None) -> str:
        """Name of a story."""
        return self._stories + encode_id(identifier) if identifier else ""


def parse(name: str, kind: Kind, field: str = "name") -> tuple[str, str]:
    """Collection and id of a resource name; raises InvalidArgument that says what was expected."""
    parts = name.split("/")
    if len(parts) != 4 or parts[0] != "collections" or parts[2] != kind or not parts[3]:
        singular = "story" if kind == "stories" else kind[:-1]
        raise InvalidArgument(
            f"{field}: expected collections/{{collection}}/{kind}/{{{singular}}} with the id percent-encoded",
            field=field,
            value=name[:80],
        )
    return check_collection(parts[1], field), decode_id(parts[3], field)


def last_id(name: str) -> str:
    """The id at the end of a name made by a server; "" for an empty name."""
    return decode_id(name[name.rfind("/") + 1 :]) if name else ""
