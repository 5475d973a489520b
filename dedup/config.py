"""Every option, once: from flags, the environment (``DEDUP_`` and the name) and a TOML file, in that order.

Limits that callers can meet carry the names they have in the comments of the contract. Sizes are bytes,
times are in the unit of the name.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

import platformdirs
from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from dedup.errors import InvalidArgument

#: The value of ``store`` that means a private Valkey process in ``data_dir``.
EMBEDDED = "embedded"

_STORE_SCHEMES = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)
_HIDDEN = "***"


def split_address(address: str) -> tuple[str, int]:
    """``HOST:PORT`` or ``[IPV6]:PORT`` as host and port; raises ValueError otherwise."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        message = f"{address!r} is not HOST:PORT with a port from 0 to 65535"
        raise ValueError(message)
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        message = f"{address!r}: an IPv6 address is written in brackets, [::1]:7700"
        raise ValueError(message)
    return host, int(port)


def _check_address(value: str) -> str:
    if not value.startswith("unix:"):
        split_address(value)
    return value


def _check_optional_address(value: str) -> str:
    if value:
        split_address(value)
    return value


def _check_store(value: str) -> str:
    """Messages do not show the address: it may hold a password."""
    if value == EMBEDDED:
        return value
    try:
        scheme = urlsplit(value).scheme
    except ValueError:
        message = "the address is malformed"
        raise ValueError(message) from None
    if scheme not in _STORE_SCHEMES:
        schemes = ", ".join(f"{name}://" for name in _STORE_SCHEMES)
        message = f"must be 'embedded' or an address that begins with one of {schemes}"
        raise ValueError(message)
    return value


def _without_password(option: str) -> str:
    """An option of an address, ``NAME=VALUE``, fit to be shown."""
    name, equals, _ = option.partition("=")
    return f"{name}{equals}{_HIDDEN}" if "password" in unquote(name) else option


Positive = Annotated[int, Field(gt=0)]
NotNegative = Annotated[int, Field(ge=0)]


class Settings(BaseSettings):
    """What a server runs with; frozen once loaded. Use :func:`load_settings` for errors a person can read."""

    model_config = SettingsConfigDict(env_prefix="DEDUP_", extra="forbid", frozen=True)

    config_file: Path | None = Field(None, description="TOML file with options under these names")

    # -- where ------------------------------------------------------------------------------------
    listen: Annotated[str, AfterValidator(_check_address)] = Field(
        "127.0.0.1:7700", description="HOST:PORT the service answers on, or unix:PATH"
    )
    metrics_listen: Annotated[str, AfterValidator(_check_optional_address)] = Field(
        "", description="HOST:PORT for Prometheus metrics; empty: none"
    )
    store: Annotated[str, AfterValidator(_check_store)] = Field(
        EMBEDDED,
        repr=False,
        description="'embedded', or an address: redis://HOST:PORT/NUMBER, rediss:// with TLS, unix://PATH, "
        "redis+sentinel://HOST:PORT,HOST:PORT/SERVICE, redis+cluster://HOST:PORT,HOST:PORT",
    )
    acks: NotNegative | None = Field(
        None,
        description="replicas that must have an entry before it is answered; by default 1 where there are any",
    )
    store_answer_seconds: Positive = Field(
        10, description="longest that the store may take for an answer, replicas and failover included"
    )
    data_dir: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("dedup", appauthor=False),
        description="directory of the embedded store",
    )
    fsync: Literal["always", "everysec"] = Field(
        "always",
        description="when the embedded store writes to disk: before it acknowledges, or every second",
    )

    # -- limits that callers can meet ---------------------------------------------------------------
    max_body_bytes: Positive = Field(1 << 20, description="largest body of an article, UTF-8 bytes")
    max_id_bytes: Positive = Field(512, description="longest id, UTF-8 bytes")
    max_batch_articles: Positive = Field(1000, description="most articles in one request")
    max_message_bytes: Positive = Field(64 << 20, description="largest request or response, bytes")
    max_matches: Positive = Field(
        50, description="most matches in one answer; the total is given beside them"
    )
    page_size_default: Positive = Field(50, description="items in a page when the request does not say")
    page_size_max: Positive = Field(1000, description="most items in a page")

    # -- the flow -----------------------------------------------------------------------------------
    batching_articles: Positive = Field(64, description="articles put together in one call of the store")
    batching_milliseconds: NotNegative = Field(2, description="longest wait for others to put together with")
    settle_wait_milliseconds: NotNegative = Field(250, description="longest an answer waits for its cluster")
    recovery_seconds: Positive = Field(
        15, description="age at which another server takes over unfinished work"
    )
    only_server: bool = Field(
        False,
        description="no other server uses the store: what earlier ones left is taken over at once; set for 'embedded'",
    )
    text_cache_articles: NotNegative = Field(40_000, description="articles whose tokens are kept in memory")
    workers: NotNegative = Field(0, description="threads for the kernels; 0: one a core")
    kernel_cache_dir: str = Field(
        "", description="where compiled kernels are kept; empty: beside the code, or in the user's cache"
    )
    shutdown_grace_seconds: NotNegative = Field(
        10, description="how long calls may go on after a stop signal"
    )

    # -- logs ---------------------------------------------------------------------------------------
    log_format: Literal["console", "json"] = Field("console", description="for people or for programs")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level logged")

    @property
    def embedded(self) -> bool:
        """True when the store is a private process of this server."""
        return self.store == EMBEDDED

    @property
    def store_shown(self) -> str:
        """``store`` without its passwords, for messages and logs."""
        parts = urlsplit(self.store)
        shown = parts._replace(query="&".join(map(_without_password, parts.query.split("&"))))
        if parts.password is not None:
            location = parts.netloc.rpartition("@")[2]
            shown = shown._replace(netloc=f"{parts.username or ''}:{_HIDDEN}@{location}")
        if shown == parts:
            return self.store
        whole = urlunsplit(shown)
        return whole if "://" in whole else whole.replace(":", "://", 1)  # unix: has no host

    @property
    def threads(self) -> int:
        """``workers``, with 0 resolved to the cores this process may use."""
        if self.workers:
            return self.workers
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then environment, then the file named by either."""
        del dotenv_settings, file_secret_settings
        named = init_settings().get("config_file") or env_settings().get("config_file")
        values = _read_file(Path(named)) if named else {}
        return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=values)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise InvalidArgument(
            f"the settings file {path} cannot be read: {error.strerror}", field="config_file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(
            f"the settings file {path} is not TOML: {error}", field="config_file"
        ) from error


def load_settings(**flags: object) -> Settings:
    """Settings from ``flags`` (None: not given), the environment and the file; raises InvalidArgument.

    The message is one sentence that names the option and what is wrong with it.
    """
    options: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        option = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise InvalidArgument(f"option {option}: {reason}", field=option) from None
