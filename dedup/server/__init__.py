"""The process that serves: :mod:`~dedup.server.app` puts it together, its interceptors wrap every call."""

from dedup.server.app import WATCH_SECONDS, background_server, run, running_server, serve

__all__ = ["WATCH_SECONDS", "background_server", "run", "running_server", "serve"]
