"""The composition root: settings -> store -> pipeline -> server; health, reflection, signals.

The address is bound and health answers NOT_SERVING before the store is opened, so that an occupied port is
noticed at once and a load balancer can wait for a store that loads. Health is SERVING while the store answers
with equal parameters. A stop signal makes it NOT_SERVING, lets calls end within ``shutdown_grace_seconds``,
and then closes pipeline and store, in this order.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from dedup.config import Settings, split_address
from dedup.errors import DedupError, InvalidArgument, StoreUnavailable
from dedup.live import Pipeline
from dedup.observability import configure_logging, get_logger, serve_metrics
from dedup.server.interceptors import CallInterceptor
from dedup.service import DedupService
from dedup.store.connection import wrong_address
from dedup.store.embedded import EmbeddedValkey
from dedup.v1 import dedup_service_pb2 as pb
from dedup.v1.dedup_service_pb2_grpc import add_DedupServiceServicer_to_server

SERVICE = pb.DESCRIPTOR.services_by_name["DedupService"].full_name
T = TypeVar("T")

#: Seconds between two questions to the store, and how long one may take.
WATCH_SECONDS = 1.0
WATCH_TIMEOUT = 2.0

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

OpenPipeline = Callable[[Settings], Awaitable[Pipeline]]

#: What an address looks like that names several hosts.
_FORMS = {
    "sentinel": "redis+sentinel://HOST:PORT,HOST:PORT/SERVICE",
    "cluster": "redis+cluster://HOST:PORT,HOST:PORT",
}


def server_options(settings: Settings) -> list[tuple[str, int]]:
    """Options of the gRPC server."""
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", -1),  # answers are cut to fit by the service
        ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a partner
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        # Clients find new replicas when their connections age; calls under way have an hour to end.
        ("grpc.max_connection_age_ms", 30 * 60_000),
        ("grpc.max_connection_age_grace_ms", 60 * 60_000),
    ]


class _Server:
    """The gRPC server with its health, before and after there is a pipeline."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.draining = False
        self._grpc = grpc.aio.server(interceptors=[CallInterceptor()], options=server_options(settings))
        self.service = DedupService(settings)
        add_DedupServiceServicer_to_server(self.service, self._grpc)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        reflection.enable_server_reflection(
            (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._grpc
        )

    async def listen(self) -> str:
        """Bind and answer health; returns the address, with the port chosen where 0 was asked for."""
        address = self._settings.listen
        _check_free(address)
        await self.set_health(serving=False)
        try:
            port = self._grpc.add_insecure_port(address)
        except RuntimeError as error:
            raise _cannot_listen(address, str(error)) from error
        await self._grpc.start()
        return address if address.startswith("unix:") else f"{split_address(address)[0]}:{port}"

    async def set_health(self, *, serving: bool) -> None:
        for name in ("", SERVICE):
            await self._health.set(name, _SERVING if serving else _NOT_SERVING)

    async def drain(self) -> None:
        """Take no more calls and wait for those under way, as long as the settings allow."""
        self.draining = True
        await self._health.enter_graceful_shutdown()
        self.service.stop()
        await self._grpc.stop(self._settings.shutdown_grace_seconds)

    async def abandon(self) -> None:
        """Stop at once; nothing happens if it has stopped."""
        await self._grpc.stop(None)


def _check_free(address: str) -> None:
    """Raise InvalidArgument, in words of our own, where ``address`` cannot be bound."""
    if address.startswith("unix:"):
        return
    host, port = split_address(address)
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, place in found:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(place)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        why = "the address is in use" if in_use else error.strerror or str(error)
        raise _cannot_listen(address, why) from error


def _cannot_listen(address: str, why: str) -> InvalidArgument:
    return InvalidArgument(f"cannot listen on {address}: {why}", field="listen", value=address)


@asynccontextmanager
async def running_server(
    settings: Settings, *, open_pipeline: OpenPipeline = Pipeline.open
) -> AsyncIterator[str]:
    """A server for the block, ready at its start; gives the address it answers on, ``HOST:PORT``.

    Raises InvalidArgument for an address that cannot be bound, DataDirectoryLocked, StoreUnavailable and
    ParametersMismatch for the store. A port of 0 takes a free one.
    """
    _check_store(settings)
    server = _Server(settings)
    async with AsyncExitStack() as stack:
        address = await server.listen()
        stack.push_async_callback(server.abandon)
        if settings.metrics_listen:
            stack.callback(_serve_metrics(settings.metrics_listen))
        if settings.embedded:
            store = EmbeddedValkey(settings.data_dir, fsync=settings.fsync)
            url = await _start(store)
            stack.push_async_callback(asyncio.to_thread, store.stop)
            settings = settings.model_copy(update={"store": url, "only_server": True})
        pipeline = await _open(open_pipeline, settings)
        stack.push_async_callback(pipeline.close)
        server.service.start(pipeline)
        await server.set_health(serving=True)
        watcher = asyncio.create_task(_watch(server, pipeline))
        try:
            yield address
        finally:
            watcher.cancel()
            await server.drain()


def _check_store(settings: Settings) -> None:
    """Raise InvalidArgument where the address of the store is none; it may hold a password and is not shown."""
    if settings.embedded:
        return
    if wrong := wrong_address(settings.store):
        kind = urlsplit(settings.store).scheme.partition("+")[2]
        form = _FORMS.get(kind, "redis://HOST:PORT/NUMBER")
        raise InvalidArgument(f"option store: not the address of a store, {form}: {wrong}", field="store")


async def _open(open_pipeline: OpenPipeline, settings: Settings) -> Pipeline:
    """The pipeline; that its store cannot serve is said with the address, which some failures lack."""
    try:
        return await open_pipeline(settings)
    except StoreUnavailable as error:
        place = urlsplit(settings.store)
        path = place.path if place.scheme == "unix" else ""
        if any(part and part in error.message for part in (place.hostname, path)):
            raise
        message = f"{error.message} ({settings.store_shown})"
        raise StoreUnavailable(message, error.reason, **error.metadata) from error


async def _start(store: EmbeddedValkey) -> str:
    """Start the store; if canceled meanwhile, stop it again."""
    starting = asyncio.ensure_future(asyncio.to_thread(store.start))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(DedupError):
            await starting
        await asyncio.to_thread(store.stop)
        raise


def _serve_metrics(address: str) -> Callable[[], None]:
    host, port = split_address(address)
    try:
        return serve_metrics(host, port)
    except OSError as error:
        raise InvalidArgument(
            f"cannot answer metrics on {address}: {error.strerror or error}", field="metrics_listen"
        ) from error


async def _watch(server: _Server, pipeline: Pipeline) -> None:
    """Keep health in step with the store."""
    serving = True
    while not server.draining:  # a cancellation can get lost in the client of the store
        await asyncio.sleep(WATCH_SECONDS)
        answers = await _answers(pipeline)
        if answers is not serving and not server.draining:
            serving = answers
            await server.set_health(serving=serving)
            get_logger().warning("the store answers again" if serving else "the store does not answer")


async def _answers(pipeline: Pipeline) -> bool:
    try:
        async with asyncio.timeout(WATCH_TIMEOUT):
            return await pipeline.ready()
    except Exception:  # noqa: BLE001 - whatever it is, the store does not answer
        return False


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; a second signal does not wait for calls under way."""
    ready, stop = asyncio.Event(), asyncio.Event()
    main = asyncio.create_task(_serve_until(stop, ready, settings))

    def on_signal() -> None:
        if stop.is_set() or not ready.is_set():
            main.cancel()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    try:
        await main
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _settle_garbage_collection() -> None:
    """What has been loaded stays: leave it out of collections, and collect after more than 700 new objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def _event_loop() -> Callable[[Coroutine[Any, Any, None]], None]:
    """What runs the server: uvloop, which takes a sixth off its processor time, where there is one."""
    if sys.platform == "win32":
        return asyncio.run
    import uvloop  # noqa: PLC0415 - not there on Windows

    run: Callable[[Coroutine[Any, Any, None]], None] = uvloop.run
    return run


async def _serve_until(stop: asyncio.Event, ready: asyncio.Event, settings: Settings) -> None:
    log = get_logger()
    async with running_server(settings) as address:
        _settle_garbage_collection()
        ready.set()
        log.info("serving", address=address, store=settings.store_shown)
        await stop.wait()
        log.info("stopping", grace_seconds=settings.shutdown_grace_seconds)
    log.info("stopped")


def run(settings: Settings) -> int:
    """Serve in this process until a signal; the exit status. What prevents it is said in one line."""
    configure_logging(settings.log_format, settings.log_level)
    try:
        _event_loop()(serve(settings))
    except DedupError as error:
        print(f"dedup: {error.message}", file=sys.stderr)  # noqa: T201 - for whoever started it
        return 1
    return 0


@contextmanager
def background_server(settings: Settings, *, open_pipeline: OpenPipeline = Pipeline.open) -> Iterator[str]:
    """As :func:`running_server`, in a thread of its own: for programs that are not asynchronous."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="dedup-server", daemon=True)
    thread.start()

    def wait_for(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    server = running_server(settings, open_pipeline=open_pipeline)
    try:
        address = wait_for(server.__aenter__())
        try:
            yield address
        finally:
            wait_for(server.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
