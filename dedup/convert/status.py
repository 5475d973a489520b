"""Errors on the wire: ``google.rpc.Status`` with one ``google.rpc.ErrorInfo``.

``domain`` is ``dedup.v1``, ``reason`` a name of ``dedup.v1.ErrorReason`` without its prefix. The class of an
error decides its code, and a client gets an error of the same class back.
"""

from __future__ import annotations

from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2  # type: ignore[import-untyped]

from dedup import errors
from dedup.errors import DedupError, Reason

DOMAIN = "dedup.v1"
INTERNAL = "INTERNAL"
#: Key of the trailing metadata in which gRPC carries a google.rpc.Status.
DETAILS_KEY = "grpc-status-details-bin"

_CODES: dict[type[DedupError], int] = {
    errors.InvalidArticle: code_pb2.INVALID_ARGUMENT,
    errors.InvalidArgument: code_pb2.INVALID_ARGUMENT,
    errors.LimitExceeded: code_pb2.RESOURCE_EXHAUSTED,
    errors.NotFound: code_pb2.NOT_FOUND,
    errors.AlreadyExists: code_pb2.ALREADY_EXISTS,
    errors.ParametersMismatch: code_pb2.FAILED_PRECONDITION,
    errors.StoreUnavailable: code_pb2.UNAVAILABLE,
    errors.DataDirectoryLocked: code_pb2.FAILED_PRECONDITION,
    errors.NotImplementedYet: code_pb2.UNIMPLEMENTED,
}

_CLASSES: dict[Reason, type[DedupError]] = {
    Reason.INVALID_FIELD: errors.InvalidArgument,
    Reason.BODY_TOO_LARGE: errors.LimitExceeded,
    Reason.BATCH_TOO_LARGE: errors.LimitExceeded,
    Reason.UNSUPPORTED_MEDIA_TYPE: errors.InvalidArticle,
    Reason.INVALID_PAGE_TOKEN: errors.InvalidArgument,
    Reason.COLLECTION_NOT_FOUND: errors.NotFound,
    Reason.ARTICLE_NOT_FOUND: errors.NotFound,
    Reason.CLUSTER_NOT_FOUND: errors.NotFound,
    Reason.STORY_NOT_FOUND: errors.NotFound,
    Reason.COLLECTION_EXISTS: errors.AlreadyExists,
    Reason.PARAMETERS_MISMATCH: errors.ParametersMismatch,
    Reason.STORE_UNAVAILABLE: errors.StoreUnavailable,
    Reason.STORE_OUT_OF_MEMORY: errors.StoreUnavailable,
    Reason.LOG_DIVERGED: errors.StoreUnavailable,
    Reason.TOO_MANY_UNDER_WAY: errors.LimitExceeded,
    Reason.DATA_DIRECTORY_LOCKED: errors.DataDirectoryLocked,
    Reason.NOT_IMPLEMENTED: errors.NotImplementedYet,
}

#: For calls that failed without an ErrorInfo of ours: refused by gRPC itself, or by something in between.
_CLASSES_BY_CODE: dict[int, tuple[type[DedupError], Reason]] = {
    code_pb2.INVALID_ARGUMENT: (errors.InvalidArgument, Reason.INVALID_FIELD),
    code_pb2.RESOURCE_EXHAUSTED: (errors.LimitExceeded, Reason.BATCH_TOO_LARGE),
    code_pb2.UNAVAILABLE: (errors.StoreUnavailable, Reason.STORE_UNAVAILABLE),
    code_pb2.DEADLINE_EXCEEDED: (errors.StoreUnavailable, Reason.STORE_UNAVAILABLE),
    code_pb2.UNIMPLEMENTED: (errors.NotImplementedYet, Reason.NOT_IMPLEMENTED),
}

# Trailing metadata is limited to 8 KiB by most peers.
_MESSAGE_CHARACTERS = 1000
_METADATA_CHARACTERS = 600


def code_of(error: DedupError) -> int:
    """Number of the status code of an error."""
    return next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), code_pb2.INTERNAL)


def to_status(error: DedupError) -> status_pb2.Status:
    """An error as a status with its reason and metadata."""
    metadata = dict(error.metadata)
    if isinstance(error, errors.InvalidArticle):
        metadata.setdefault("article", "")  # tells it from an InvalidArgument
    return make_status(code_of(error), error.message, error.reason.name, metadata)


def make_status(code: int, message: str, reason: str, metadata: dict[str, str]) -> status_pb2.Status:
    """A status with one ErrorInfo."""
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN)
    for key, value in metadata.items():
        info.metadata[key] = value[:_METADATA_CHARACTERS]
    packed = any_pb2.Any()
    packed.Pack(info)
    return status_pb2.Status(code=code, message=message[:_MESSAGE_CHARACTERS], details=[packed])


def from_status(status: status_pb2.Status) -> DedupError:
    """The error that a status stands for, of the class that was raised in the server."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if (
            detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)
            and detail.Unpack(info)
            and info.domain == DOMAIN
        ):
            break
    else:
        return from_code(status.code, status.message)
    reason = Reason.__members__.get(info.reason)
    if reason is None:
        return from_code(status.code, status.message, **info.metadata)
    kind = _CLASSES.get(reason, DedupError)
    if kind is errors.InvalidArgument and "article" in info.metadata:
        kind = errors.InvalidArticle
    return kind(status.message, reason, **info.metadata)


def from_code(code: int, message: str, **metadata: str) -> DedupError:
    """The error for a call that failed with a code alone; ``metadata["code"]`` names it."""
    name = code_pb2.Code.Name(code_pb2.Code.ValueType(code))
    kind, reason = _CLASSES_BY_CODE.get(code, (DedupError, _INTERNAL_REASON))
    return kind(message or name, reason, **{"code": name, **metadata})


_INTERNAL_REASON = Reason.__members__.get(INTERNAL, Reason.STORE_UNAVAILABLE)
