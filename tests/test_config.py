"""Settings: each option once, from flags, environment and file, and one sentence when one is wrong."""

from __future__ import annotations

import io
import json
import logging
import socket
import urllib.request
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from dedup import observability
from dedup.config import Settings, load_settings, split_address
from dedup.errors import InvalidArgument


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No option of the machine that runs the tests counts."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"DEDUP_{name.upper()}", raising=False)


def test_defaults() -> None:
    """Without options: the embedded store, on this machine only, every acknowledged write on disk."""
    settings = load_settings()
    assert settings.listen == "127.0.0.1:7700"
    assert settings.embedded
    assert settings.fsync == "always"
    assert settings.data_dir.name == "dedup"
    assert settings.max_body_bytes == 1024 * 1024
    assert settings.max_message_bytes == 64 * 1024 * 1024
    assert settings.threads >= 1


def test_flags_before_environment_before_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag wins over the environment, the environment over the file; a flag not given does not count."""
    file = tmp_path / "dedup.toml"
    file.write_text('listen = "127.0.0.1:1"\nmax_matches = 1\nlog_level = "error"\n')
    monkeypatch.setenv("DEDUP_CONFIG_FILE", str(file))
    monkeypatch.setenv("DEDUP_LISTEN", "127.0.0.1:2")
    monkeypatch.setenv("DEDUP_MAX_MATCHES", "2")
    settings = load_settings(max_matches=3, listen=None)
    assert (settings.max_matches, settings.listen, settings.log_level) == (3, "127.0.0.1:2", "error")


def test_file_named_by_a_flag(tmp_path: Path) -> None:
    """The file may be named by a flag."""
    file = tmp_path / "dedup.toml"
    file.write_text("workers = 3\n")
    assert load_settings(config_file=file).threads == 3


@pytest.mark.parametrize(
    ("flags", "field"),
    [
        ({"listen": "7700"}, "listen"),
        ({"listen": "localhost:99999"}, "listen"),
        ({"listen": "::1:7700"}, "listen"),
        ({"store": "http://localhost"}, "store"),
        ({"max_batch_articles": 0}, "max_batch_articles"),
        ({"workers": "many"}, "workers"),
        ({"acks": -1}, "acks"),
        ({"store_answer_seconds": 0}, "store_answer_seconds"),
        ({"fsync": "never"}, "fsync"),
        ({"no_such_option": 1}, "no_such_option"),
    ],
)
def test_wrong_option_is_one_sentence(flags: dict[str, object], field: str) -> None:
    """The error names the option."""
    with pytest.raises(InvalidArgument) as caught:
        load_settings(**flags)
    assert caught.value.metadata == {"field": field}
    assert field in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("content", [None, "listen = ", "no_such_option = 1", b"\xff"])
def test_wrong_file_is_one_sentence(tmp_path: Path, content: str | bytes | None) -> None:
    """A file that is missing, is no TOML or has an unknown option is refused."""
    file = tmp_path / "dedup.toml"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidArgument) as caught:
        load_settings(config_file=file)
    assert "\n" not in caught.value.message


def test_password_is_not_shown() -> None:
    """The password of a store stands in no message, log line or representation."""
    settings = load_settings(store="rediss://reader:opensesame@store.example:6380/0")
    assert settings.store_shown == "rediss://reader:***@store.example:6380/0"
    assert "opensesame" not in repr(settings)
    for url in ("http://reader:opensesame@h", "redis://opensesame@[::1", "redis://u:opensesame\u2100@h:1/0"):
        with pytest.raises(InvalidArgument) as caught:
            load_settings(store=url)
        assert "opensesame" not in caught.value.message


@pytest.mark.parametrize(
    ("store", "shown"),
    [
        ("unix:///run/s.sock?db=1&password=opensesame", "unix:///run/s.sock?db=1&password=***"),
        ("unix://u:opensesame@/run/s.sock", "unix://u:***@/run/s.sock"),
        ("redis://h/0?password=opensesame", "redis://h/0?password=***"),
        ("redis://h/0?pass%77ord=opensesame", "redis://h/0?pass%77ord=***"),
        ("rediss://h?ssl_certfile=c&ssl_password=opensesame", "rediss://h?ssl_certfile=c&ssl_password=***"),
        (
            "redis+sentinel://u:opensesame@a:1,b/wire/2?sentinel_password=opensesame",
            "redis+sentinel://u:***@a:1,b/wire/2?sentinel_password=***",
        ),
        ("redis+cluster://:opensesame@a:1,b:2", "redis+cluster://:***@a:1,b:2"),
        ("redis+cluster://a:1,b:2", "redis+cluster://a:1,b:2"),
        ("unix:///run/s.sock?db=1", "unix:///run/s.sock?db=1"),
    ],
)
def test_passwords_of_every_kind_of_address(store: str, shown: str) -> None:
    """Wherever a password stands in an address, three stars are shown for it."""
    assert load_settings(store=store).store_shown == shown


def test_replicas_and_time_limit_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default one replica where there is any, and ten seconds; 0 replicas and other seconds can be asked for."""
    assert (load_settings().acks, load_settings().store_answer_seconds) == (None, 10)
    assert load_settings(acks=0, store_answer_seconds=3).acks == 0
    monkeypatch.setenv("DEDUP_ACKS", "2")
    monkeypatch.setenv("DEDUP_STORE_ANSWER_SECONDS", "4")
    assert (load_settings().acks, load_settings().store_answer_seconds) == (2, 4)


@given(host=st.sampled_from(["localhost", "10.0.0.1", "[::1]", "news.example"]), port=st.integers(0, 65535))
def test_address_splits(host: str, port: int) -> None:
    """HOST:PORT splits into its two parts; an IPv6 address keeps its brackets."""
    assert split_address(f"{host}:{port}") == (host, port)


def test_stage_times_a_block_even_if_it_raises() -> None:
    """What a stage took shows up under its name, in the metrics and in the totals."""
    before = observability.stage_totals().get("test_block", observability.StageTotal(0, 0.0))
    with observability.stage("test_block"):
        pass
    with pytest.raises(ZeroDivisionError), observability.stage("test_block"):
        _ = 1 / 0
    after = observability.stage_totals()["test_block"]
    assert after.times == before.times + 2
    assert after.seconds > before.seconds


def test_metrics_are_served() -> None:
    """Prometheus gets the metrics of this package; a stop frees the port."""
    observability.ARTICLES.labels("created").inc()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            observability.serve_metrics("127.0.0.1", port)
    stop = observability.serve_metrics("127.0.0.1", port)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        page = answer.read().decode()
    stop()
    with socket.create_server(("127.0.0.1", port)):
        pass
    assert 'dedup_articles_total{outcome="created"}' in page


def test_logs_of_everyone_are_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """In JSON, our events and those of libraries are one object a line; below the level nothing is logged."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    output = io.StringIO()
    monkeypatch.setattr("sys.stderr", output)
    try:
        observability.configure_logging("json", "info")
        observability.get_logger().info("call", method="Ingest", article="ü")
        observability.get_logger().debug("not shown")
        logging.getLogger("library").warning("from %s", "elsewhere")
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()
    ours, theirs = map(json.loads, output.getvalue().splitlines())
    assert (ours["event"], ours["method"], ours["article"], ours["level"]) == ("call", "Ingest", "ü", "info")
    assert (theirs["event"], theirs["level"]) == ("from elsewhere", "warning")
