"""What both clients share about a channel: its options, its retries, its errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2  # type: ignore[import-untyped]

from dedup.convert.status import DETAILS_KEY, from_code, from_status
from dedup.errors import DedupError, StoreUnavailable

DEFAULT_TARGET = "127.0.0.1:7700"
SERVICE = "dedup.v1.DedupService"
#: How often, with these waits in seconds, a stream is opened again before its error is raised.
RECONNECT_WAITS = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)

#: Retries on UNAVAILABLE and the replicas behind a name in turn.
SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": SERVICE}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}


def channel_options(extra: Sequence[tuple[str, Any]] = ()) -> list[tuple[str, Any]]:
    """Options of a channel; ``extra`` ones win."""
    ours: list[tuple[str, Any]] = [
        ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
        ("grpc.enable_retries", 1),
        # The server bounds its answers; a batch of 1,000 with their passages is over gRPC's default of 4 MiB.
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.max_pings_without_data", 0),
        # A server that comes up again is found within two seconds, not within two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
    return list({**dict(ours), **dict(extra)}.items())  # of two of one name gRPC would take the first


def error_of(error: grpc.RpcError, target: str) -> DedupError:
    """The error that a failed call stands for."""
    status: Any = error  # every RpcError raised by a call is a grpc.Call as well
    for key, value in status.trailing_metadata() or ():
        if key == DETAILS_KEY:
            try:
                return from_status(status_pb2.Status.FromString(value))
            except DecodeError:
                break
    code: grpc.StatusCode = status.code()
    number: int = code.value[0]
    details = status.details() or code.name
    if code is grpc.StatusCode.UNAVAILABLE:
        return StoreUnavailable(
            f"no dedup server answers at {target}: {details}", code=code.name, target=target
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return StoreUnavailable(f"{target} did not answer in time", code=code.name, target=target)
    return from_code(number, details, target=target)


def is_unavailable(error: grpc.RpcError) -> bool:
    """Whether the same call may succeed a little later."""
    status: Any = error
    return bool(status.code() is grpc.StatusCode.UNAVAILABLE)
