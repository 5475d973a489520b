"""Failures of a store as errors of ours: one sentence each, with the command where the store refused one."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import Final

import redis.exceptions
from redis.asyncio.sentinel import MasterNotFoundError

from dedup.errors import Reason, StoreUnavailable


class CollectionGone(StoreUnavailable):
    """The collection is no longer in the store: another server deleted it, or the store is new."""


class Retired(StoreUnavailable):
    """An incarnation may append no more: another server took its work over, or nobody knows what it appended."""


class MayYetCome(Retired):
    """What was refused may yet be appended, as an earlier copy of it is under way: what it names has to stay."""


class LogDiverged(StoreUnavailable):
    """The store has lost entries that this server wrote."""

    default_reason = Reason.LOG_DIVERGED


class UnknownFormat(StoreUnavailable):
    """An entry or a page is of a format that this release does not read."""


class TooFewReplicas(redis.exceptions.RedisError):
    """What was written stands on a node, and too few replicas said in time that they have it."""


#: What cannot be read from a message: the sentence for errors that begin with a word of the store's.
_SENTENCES: Final[dict[str, str]] = {
    "LOADING": "the store is loading its data",
    "READONLY": "the store is a read-only replica",
    "MISCONF": "the store cannot write to its disk and refuses {command}",
    "NOREPLICAS": "the store refuses {command}: it has too few replicas",
    "BUSY": "the store is busy with a script",
    "CLUSTERDOWN": "the cluster is down: some of its slots are served by no node",
    "TRYAGAIN": "the cluster is moving the keys that {command} needs",
    "MASTERDOWN": "the store is a replica that has lost its master",
    "MOVED": "the store is a node of a cluster: its address begins with redis+cluster://",
    "ASK": "the cluster is moving the key that {command} needs",
    "UNBLOCKED": "the store became a replica",
}
_OURS: Final[dict[str, Callable[[], StoreUnavailable]]] = {
    "OOM": lambda: StoreUnavailable(
        "the store is out of memory and refuses writes", Reason.STORE_OUT_OF_MEMORY
    ),
    "NOCOLLECTION": lambda: CollectionGone("the collection was deleted meanwhile"),
    "RETIRED": lambda: Retired("this server was silent for too long and another one took over; try again"),
    "GAP": lambda: LogDiverged("the store lost entries of this server; the log is read again, try again"),
    "FINGERPRINT": lambda: StoreUnavailable("the collection was made with other parameters; try again"),
}
#: How a store names the command that a user may not run.
_REFUSED: Final = re.compile(r"run the '([^']+)' command")
_CREDENTIALS: Final = re.compile(
    r"username-password|\b(?:auth|authentication|authenticated|password)\b", re.IGNORECASE
)
#: Of stores before Redis 7: command, part of the message, sentence.
_TOO_OLD: Final = (
    (
        "SCRIPT LOAD",
        "#",
        "the store is too old: it refuses scripts with #!lua (Redis 7 or Valkey is needed)",
    ),
    ("SET", "syntax", "the store is too old: it refuses SET with NX and GET (Redis 7 or Valkey is needed)"),
)
_WORDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (redis.exceptions.BusyLoadingError, "LOADING"),
    (redis.exceptions.ReadOnlyError, "READONLY"),
    (redis.exceptions.OutOfMemoryError, "OOM"),
    (redis.exceptions.MasterDownError, "MASTERDOWN"),
    (redis.exceptions.ClusterDownError, "CLUSTERDOWN"),
    (redis.exceptions.TryAgainError, "TRYAGAIN"),
    (redis.exceptions.MovedError, "MOVED"),
    (redis.exceptions.AskError, "ASK"),
    (redis.exceptions.NoPermissionError, "NOPERM"),
    (redis.exceptions.NoScriptError, "NOSCRIPT"),
    (redis.exceptions.AuthenticationError, "NOAUTH"),
)


def word_of(error: BaseException) -> str:
    """The word that a store's error begins with; redis-py takes some off and makes a class of them."""
    for kind, word in _WORDS:
        if isinstance(error, kind):
            return word
    word = str(error).partition(" ")[0]
    return word if word.isupper() and word != "ERR" else ""


def translate(error: BaseException, command: str = "", seconds: float = 0.0) -> StoreUnavailable:
    """The error to raise for a failure of the store, of ``command``, or of nothing that came in ``seconds``."""
    if isinstance(error, StoreUnavailable):
        return error
    if isinstance(error, TooFewReplicas):
        return StoreUnavailable(str(error))
    if isinstance(error, MasterNotFoundError):  # redis-py's text is long, and shows every option
        service = str(error).partition(" : ")[0].removeprefix("No master found for ")
        return StoreUnavailable(f"the store does not answer: no Sentinel names a master of {service}")
    word = word_of(error)
    if word in _OURS:
        return _OURS[word]()
    shown = command or "a command"
    if word in _SENTENCES:
        return StoreUnavailable(_SENTENCES[word].format(command=shown))
    text = " ".join(str(error).removeprefix("ERR ").split()).rstrip(".")
    return StoreUnavailable(_in_words(error, word, shown, text, seconds))


def _in_words(error: BaseException, word: str, command: str, text: str, seconds: float) -> str:
    if word == "NOPERM" or text.startswith("ACL failure"):
        named = _REFUSED.search(text)
        shown = named[1].replace("|", " ").upper() if named else command
        return f"the store does not let this user run {shown}: {text}"
    if word in ("NOAUTH", "WRONGPASS") or _CREDENTIALS.search(text):
        return f"the store refuses the credentials: {text}"
    if "unknown command" in text.lower():
        return f"the store has no command {command}: {text}"
    for refused, part, sentence in _TOO_OLD:
        if command == refused and part in text:
            return sentence
    if isinstance(error, redis.exceptions.ResponseError):
        return f"the store refuses {command}: {text}"
    if isinstance(error, TimeoutError | asyncio.TimeoutError | redis.exceptions.TimeoutError):
        within = f" within {seconds:g} s" if seconds else ""
        return f"the store did not answer {command}{within}"
    if isinstance(error, ssl.SSLError) or "SSL" in text or "certificate" in text:
        return f"no TLS connection to the store: {text}"
    return f"the store does not answer: {text or type(error).__name__}"
