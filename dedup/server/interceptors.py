"""Around every call: one log line, metrics, and errors as typed statuses.

The line says method, code, milliseconds and what the method bound (collection, article, cluster, outcome,
candidates compared, matches verified; articles and refused ones of a batch), never text of an article. What
is raised on purpose keeps its reason; anything else is INTERNAL with an id that stands in the log beside the
traceback, and the server lives on.
"""

from __future__ import annotations

import asyncio
import time
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, status_pb2  # type: ignore[import-untyped]
from structlog.contextvars import clear_contextvars

from dedup.convert.status import DETAILS_KEY, INTERNAL, make_status, to_status
from dedup.errors import DedupError, InvalidArgument
from dedup.observability import CALL_SECONDS, CALLS, get_logger

_SERVICE = "/dedup.v1.DedupService/"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


Q = TypeVar("Q")
A = TypeVar("A")
_Handler: TypeAlias = "grpc.RpcMethodHandler[Q, A]"


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Logs, measures and answers errors of every method of a server."""

    def __init__(self) -> None:
        self._handlers: dict[str, _Handler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler[Q, A] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler[Q, A] | None:
        """The handler of the method, wrapped; made once a method."""
        name = handler_call_details.method
        if name not in self._handlers:
            handler = await continuation(handler_call_details)
            if handler is None:  # unknown: answered UNIMPLEMENTED
                return None
            self._handlers[name] = _wrap(handler, _Observer(name))
        return self._handlers[name]


class _Undecodable:
    """Stands for a request that is not the message it should be."""

    def __init__(self, error: DecodeError) -> None:
        self._error = error

    def refuse(self) -> NoReturn:
        raise InvalidArgument(
            "the request is not a valid message of this method (strings must be UTF-8)",
            field="request",
            error=self._error,
        )


def _wrap(handler: Any, observer: _Observer) -> _Handler[Any, Any]:
    """``handler`` with its four possible shapes kept."""
    codec = {
        "request_deserializer": _lenient(handler.request_deserializer),
        "response_serializer": handler.response_serializer,
    }
    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(_streaming(handler.stream_stream, observer), **codec)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(_streaming(handler.unary_stream, observer), **codec)
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler(_single(handler.stream_unary, observer), **codec)
    return grpc.unary_unary_rpc_method_handler(_single(handler.unary_unary, observer), **codec)


def _lenient(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    # Raised here, gRPC would answer INTERNAL without saying why.
    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError as error:
            return _Undecodable(error)

    return read


async def _checked(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        if isinstance(request, _Undecodable):
            request.refuse()
        yield request


def _check(request: Any) -> Any:
    if isinstance(request, _Undecodable):
        request.refuse()
    return _checked(request) if isinstance(request, AsyncIterator) else request


def _single(method: Callable[[Any, Any], Awaitable[Any]], observer: _Observer) -> Callable[..., Any]:
    async def call(request: Any, context: Any) -> Any:
        started = observer.begin()
        try:
            response = await method(_check(request), context)
        except BaseException as error:
            await observer.fail(started, error, context)
            raise
        observer.end(started, grpc.StatusCode.OK)
        return response

    return call


def _streaming(method: Callable[[Any, Any], AsyncIterator[Any]], observer: _Observer) -> Callable[..., Any]:
    async def call(request: Any, context: Any) -> AsyncIterator[Any]:
        started = observer.begin()
        try:
            async for response in method(_check(request), context):
                yield response
        except BaseException as error:
            await observer.fail(started, error, context)
            raise
        observer.end(started, grpc.StatusCode.OK)

    return call


class _Observer:
    """Says what became of the calls of one method."""

    def __init__(self, method: str) -> None:
        ours = method.startswith(_SERVICE)
        self._method = method.removeprefix(_SERVICE) if ours else method
        self._level = "info" if ours else "debug"  # health checks come every few seconds
        self._seconds = CALL_SECONDS.labels(self._method)

    def begin(self) -> float:
        clear_contextvars()
        return time.perf_counter()

    def end(self, started: float, code: grpc.StatusCode, **facts: object) -> None:
        elapsed = time.perf_counter() - started
        self._seconds.observe(elapsed)
        CALLS.labels(self._method, code.name).inc()
        level = "error" if code is grpc.StatusCode.INTERNAL else self._level
        log = getattr(get_logger(), level)
        log("call", method=self._method, code=code.name, ms=round(elapsed * 1000, 2), **facts)

    async def fail(self, started: float, error: BaseException, context: Any) -> None:
        """Log and end the call with the status of ``error``; returns only where gRPC ends it itself."""
        if isinstance(error, DedupError):
            status = to_status(error)
            code = _CODES[status.code]
            self.end(started, code, reason=error.reason.name, error=error.message)
            await _abort(context, code, status)
        if isinstance(error, grpc.aio.AbortError):
            self.end(started, _CODES.get(context.code(), grpc.StatusCode.UNKNOWN))
        elif isinstance(error, asyncio.CancelledError | GeneratorExit):
            self.end(started, grpc.StatusCode.CANCELLED)
        elif isinstance(error, Exception):
            error_id = uuid.uuid4().hex[:12]
            # Formatted here: what a renderer adds to a traceback may be the values of variables.
            trace = "".join(traceback.format_exception(error))
            self.end(started, grpc.StatusCode.INTERNAL, error_id=error_id, exception=trace)
            message = f"internal error {error_id}; the log of the server has more"
            status = make_status(code_pb2.INTERNAL, message, INTERNAL, {"error_id": error_id})
            await _abort(context, grpc.StatusCode.INTERNAL, status)


async def _abort(context: Any, code: grpc.StatusCode, status: status_pb2.Status) -> NoReturn:
    await context.abort(code, status.message, ((DETAILS_KEY, status.SerializeToString()),))
    raise AssertionError("abort raises")
