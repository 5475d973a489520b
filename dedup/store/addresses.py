"""Addresses of stores: one server, a service of Sentinel, or a cluster; each with or without TLS.

=========================================== ======================================================================
``redis://``, ``rediss://``                 ``[USER:PASSWORD@]HOST[:PORT][/NUMBER]``
``unix://``                               ``[USER:PASSWORD@]/PATH[?db=NUMBER]``
``redis+sentinel://``, with TLS ``rediss``  ``[USER:PASSWORD@]HOST[:PORT],HOST[:PORT],.../SERVICE[/NUMBER]``
``redis+cluster://``, with TLS ``rediss``   ``[USER:PASSWORD@]HOST[:PORT],HOST[:PORT],...``
=========================================== ======================================================================

Options follow after ``?``: those of redis-py's connections that concern TLS (``ssl_ca_certs``, ``ssl_certfile``,
``ssl_keyfile`` and others that begin so), user, database, name and keeping alive; of Sentinel's own user,
``sentinel_username`` and ``sentinel_password``. How bytes are sent and read is ours: options that would change it are
refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

import redis.exceptions
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, parse_url

SCHEMES: Final = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)
_PORTS: Final = {"sentinel": 26379, "cluster": 6379}
#: Options that Sentinel has under a name of its own.
_OF_SENTINEL: Final = ("sentinel_username", "sentinel_password")
#: Options that an address may have, beside those that begin with ``ssl_``.
_OPTIONS: Final = frozenset(
    {
        "client_name",
        "db",
        "password",
        "socket_connect_timeout",
        "socket_keepalive",
        "username",
        *_OF_SENTINEL,
    }
)


@dataclass(frozen=True, slots=True)
class Address:
    """An address, taken apart: ``kind`` is ``""`` for one server, ``sentinel`` or ``cluster``.

    ``options`` are those of a connection to a node that holds data, ``of_sentinel`` those of one to a Sentinel.
    """

    kind: str
    hosts: list[tuple[str, int]]
    options: dict[str, Any]
    of_sentinel: dict[str, Any] = field(default_factory=dict)
    service: str = ""

    @property
    def is_tls(self) -> bool:
        """Whether connections are encrypted."""
        return bool(self.options.get("connection_class") is SSLConnection)


def parse(url: str) -> Address:
    """Take an address apart.

    Raises:
        ValueError: it is malformed; the message says in what, and shows no password.
        TypeError: it has an option that there is not.
    """
    parts = urlsplit(url)
    scheme, _, kind = parts.scheme.partition("+")
    if parts.scheme not in SCHEMES:
        message = "there is no such scheme"
        raise ValueError(message)
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if not (name in _OPTIONS or name.startswith("ssl_")) or (name in _OF_SENTINEL and kind != "sentinel"):
            message = f"there is no option {name!r}"
            raise TypeError(message)
    if not kind:
        return _of_one(url, parts)
    hosts = _hosts(parts.netloc.rpartition("@")[2], _PORTS[kind])
    service, _, database = unquote(parts.path.strip("/")).partition("/")
    if kind == "sentinel" and not service:
        message = "an address of Sentinel ends with the name of its service, redis+sentinel://HOST:PORT/NAME"
        raise ValueError(message)
    if kind == "cluster" and service not in ("", "0"):
        message = "a cluster has no database but 0"
        raise ValueError(message)
    if database and not database.isdecimal():
        message = f"the database must be a number, not {database!r}"
        raise ValueError(message)
    query = parse_qsl(parts.query, keep_blank_values=True)
    user = parts.netloc.rpartition("@")[0]
    rest = urlencode([(name, value) for name, value in query if name not in _OF_SENTINEL])
    options = dict(parse_url(f"{scheme}://{user}{'@' if user else ''}-/{database or 0}?{rest}"))
    del options["host"]
    if kind == "cluster" and options.get("db"):
        message = "a cluster has no database but 0"
        raise ValueError(message)
    _check(options)
    of_sentinel = {name: value for name, value in options.items() if name.startswith("ssl_")}
    of_sentinel |= {n.removeprefix("sentinel_"): v for n, v in query if n in _OF_SENTINEL}
    return Address(kind=kind, hosts=hosts, options=options, of_sentinel=of_sentinel, service=service)


def _of_one(url: str, parts: SplitResult) -> Address:
    """The address of one server."""
    database = unquote(parts.path.strip("/"))
    if parts.scheme != "unix" and database and not database.isdecimal():  # redis-py takes 0 for it
        message = f"the database must be a number, not {database!r}"
        raise ValueError(message)
    options = dict(parse_url(url))
    _check(options)
    return Address(kind="", hosts=[], options=options)


def _hosts(location: str, default: int) -> list[tuple[str, int]]:
    found = []
    for each in location.split(","):
        host, colon, port = each.rpartition(":")
        if not colon or each.endswith("]"):
            host, port = each, ""
        host = host.removeprefix("[").removesuffix("]")
        if not host or (port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536)):
            message = "host or port is malformed"
            raise ValueError(message)
        found.append((host, int(port or default)))
    return found


def _check(options: dict[str, Any]) -> None:
    """Make a connection, which connects to nothing yet: that refuses what there is not."""
    kind: type[AbstractConnection] = options.get("connection_class", Connection)
    kind(**{name: value for name, value in options.items() if name != "connection_class"})


def wrong(url: str) -> str:
    """What is wrong with an address, "" where nothing is; it may hold a password and is not shown."""
    try:
        parse(url)
    except TypeError as error:
        return f"there is no option {str(error).rpartition(' ')[2]}"
    except redis.exceptions.RedisError as error:  # a value that an option of TLS has not
        return str(error).rstrip(".")
    except ValueError as error:
        text = str(error).rstrip(".")
        known = ("connection URL", "Sentinel", "database", "scheme")
        return text if any(word in text for word in known) else "host or port is malformed"
    except OSError as error:
        return f"a file that it names cannot be read: {error.strerror}"
    return ""
