"""What the server and the store say of themselves: metrics, statistics of commands, the slow log."""

from __future__ import annotations

import hashlib
import urllib.request
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import redis
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

#: Names that a counter of compared pairs may have; the first that the server has is read.
_CANDIDATES: Final = ("dedup_candidates", "dedup_comparisons", "dedup_verified_pairs", "dedup_compared_pairs")
#: How commands run that are scripts.
SCRIPT_COMMANDS: Final = ("evalsha", "eval", "fcall", "evalsha_ro", "fcall_ro", "eval_ro")


@dataclass(frozen=True, slots=True)
class Total:
    """How often something ran and how long in all, seconds."""

    times: float = 0.0
    seconds: float = 0.0

    def since(self, earlier: Total) -> Total:
        """What was added."""
        return Total(self.times - earlier.times, self.seconds - earlier.seconds)


#: Codes of calls that did not do what was asked.
_FAILED: Final = ("UNAVAILABLE", "INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")


def info(connection: redis.Redis, section: str) -> dict[str, Any]:
    """A section of INFO."""
    found: Any = connection.info(section)
    return dict(found)


def _families(port: int) -> list[Metric]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return list(text_string_to_metric_families(answer.read().decode()))


def failed_calls(port: int) -> dict[str, int]:
    """Calls that the server has answered with a failure, by method and code."""
    return {
        f"{sample.labels['method']} {sample.labels['code']}": int(sample.value)
        for family in _families(port)
        for sample in family.samples
        if sample.name == "dedup_calls_total" and sample.labels["code"] in _FAILED
    }


def read(port: int) -> dict[tuple[str, str], float]:
    """Samples of the server's metrics by name and value of their first label."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in _families(port)
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }


def stages(port: int) -> dict[str, Total]:
    """Every stage that the server has timed."""
    samples = read(port)
    return {
        label: Total(samples["dedup_stage_seconds_count", label], value)
        for (name, label), value in samples.items()
        if name == "dedup_stage_seconds_sum"
    }


def candidates(port: int) -> float | None:
    """Pairs looked at so far; None where the server does not count them."""
    samples = read(port)
    for wanted in _CANDIDATES:
        found = [
            value for (name, _), value in samples.items() if name in {wanted + "_total", wanted + "_sum"}
        ]
        if found:
            return sum(found)
    return None


def commands(store: redis.Redis) -> dict[str, Total]:
    """Statistics of commands since they were last reset."""
    return {
        name.removeprefix("cmdstat_"): Total(float(found["calls"]), float(found["usec"]) / 1e6)
        for name, found in info(store, "commandstats").items()
    }


def percentiles(store: redis.Redis, command: str) -> dict[str, float]:
    """Percentiles of the time of a command that the store keeps, microseconds."""
    found = info(store, "latencystats").get(f"latency_percentiles_usec_{command}", {})
    return {str(name): float(value) for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Slow:
    """One entry of the slow log; ``script`` is the name of a script, its hash, or "" for other commands."""

    command: str
    script: str
    microseconds: int


def watch_slow(store: redis.Redis, microseconds: int) -> None:
    """Log every command from now on that takes so long, and forget earlier ones."""
    store.config_set("slowlog-log-slower-than", microseconds)
    store.config_set("slowlog-max-len", 1_000_000)
    store.slowlog_reset()
    store.config_resetstat()


def slow(store: redis.Redis) -> list[Slow]:
    """The slow log, latest first."""
    entries: Any = store.slowlog_get(1_000_000)
    found = []
    names = _script_names()
    for entry in entries:
        words = entry["command"].decode(errors="replace").split(" ")
        command = words[0].lower()
        script = words[1] if command in SCRIPT_COMMANDS and len(words) > 1 else ""
        if command.startswith("eval") and not command.startswith("evalsha"):
            script = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        found.append(Slow(command, names.get(script, script[:12]), int(entry["duration"])))
    return found


def _script_names() -> dict[str, str]:
    """Names of our scripts by hash, as far as they are sent as ``common.lua`` and the file, or the file alone."""
    folder = files("dedup.store") / "scripts"
    if not folder.is_dir():
        return {}
    texts = {
        entry.name.removesuffix(".lua"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".lua")
    }
    common = texts.get("common", "")
    found = {}
    for name, text in texts.items():
        for sent in (text, common + text):
            found[hashlib.sha1(sent.encode(), usedforsecurity=False).hexdigest()] = name
    return found
