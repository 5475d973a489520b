"""Errors a caller can act on, without a word of gRPC, Redis or any other wire.

::

    DedupError
    ├── InvalidArticle        one article cannot be accepted; names the field and the limit
    ├── InvalidArgument       a request field other than an article's is wrong
    ├── LimitExceeded         a size or count is over a stated limit
    ├── NotFound              no such collection, article, cluster or story
    ├── AlreadyExists         the collection exists
    ├── ParametersMismatch    the stored index was built with other parameters
    ├── StoreUnavailable      the store is down, loading, read-only or out of memory
    ├── DataDirectoryLocked   another process uses the embedded store's directory
    └── NotImplementedYet     part of the contract, not of this release

Each carries ``reason``, a member of :class:`Reason` with the same name as the ``ErrorReason`` of the
contract, and ``metadata``, strings that name the field, the limit or the resource.
"""

from __future__ import annotations

import enum


class Reason(enum.Enum):
    """Machine-readable reasons; the names are those of ``dedup.v1.ErrorReason``."""

    INVALID_FIELD = enum.auto()
    BODY_TOO_LARGE = enum.auto()
    BATCH_TOO_LARGE = enum.auto()
    UNSUPPORTED_MEDIA_TYPE = enum.auto()
    INVALID_PAGE_TOKEN = enum.auto()
    COLLECTION_NOT_FOUND = enum.auto()
    ARTICLE_NOT_FOUND = enum.auto()
    CLUSTER_NOT_FOUND = enum.auto()
    STORY_NOT_FOUND = enum.auto()
    COLLECTION_EXISTS = enum.auto()
    PARAMETERS_MISMATCH = enum.auto()
    STORE_UNAVAILABLE = enum.auto()
    STORE_OUT_OF_MEMORY = enum.auto()
    DATA_DIRECTORY_LOCKED = enum.auto()
    NOT_IMPLEMENTED = enum.auto()
    INTERNAL = enum.auto()
    LOG_DIVERGED = enum.auto()
    TOO_MANY_UNDER_WAY = enum.auto()


class DedupError(Exception):
    """Base of every error this package raises on purpose.

    ``message`` is one sentence for a person, ``reason`` one word for a program, ``metadata`` the
    field, limit or resource it is about. Of this class itself only where nothing more can be said: a fault of
    ours, in the server's log under ``metadata["error_id"]`` where a server answered it.
    """

    default_reason = Reason.INTERNAL

    def __init__(self, message: str, reason: Reason | None = None, **metadata: object) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata = {key: str(value) for key, value in metadata.items()}


class InvalidArticle(DedupError):
    """One article cannot be accepted; the rest of its batch is not affected."""

    default_reason = Reason.INVALID_FIELD


class InvalidArgument(DedupError):
    """A field of a request is missing, malformed or out of range."""

    default_reason = Reason.INVALID_FIELD


class LimitExceeded(DedupError):
    """A body, a batch or an identifier is over its limit."""

    default_reason = Reason.BODY_TOO_LARGE


class NotFound(DedupError):
    """The named resource does not exist."""

    default_reason = Reason.ARTICLE_NOT_FOUND


class AlreadyExists(DedupError):
    """The resource to create exists."""

    default_reason = Reason.COLLECTION_EXISTS


class ParametersMismatch(DedupError):
    """The index in the store was built with parameters this server does not have."""

    default_reason = Reason.PARAMETERS_MISMATCH


class StoreUnavailable(DedupError):
    """The store cannot serve now; the call may be tried again."""

    default_reason = Reason.STORE_UNAVAILABLE


class DataDirectoryLocked(DedupError):
    """Another process holds the lock on the embedded store's data directory."""

    default_reason = Reason.DATA_DIRECTORY_LOCKED


class NotImplementedYet(DedupError):
    """The contract has it; this release does not."""

    default_reason = Reason.NOT_IMPLEMENTED
