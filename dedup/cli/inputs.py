"""Articles that a person names on the command line: files, standard input, or ids of stored articles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dedup.config import Settings
from dedup.core.article_rules import ArticleRules
from dedup.errors import DedupError, InvalidArgument
from dedup.model import Article
from dedup.sources import Line, open_source, read_jsonl
from dedup.sources.jsonl import STDIN, source_name
from dedup.sources.plain import read_text

_JSON_LINES = tuple(name + packed for name in (".jsonl", ".ndjson") for packed in ("", ".gz", ".zst"))


def read_input(path: str, settings: Settings) -> Iterator[Line]:
    """The articles in a file: JSON Lines, told by the name or a first ``{``, or else one text.

    Raises:
        OSError: the file cannot be opened.
        DedupError: it is a text, but not one that can be an article.

    """
    name = source_name(path)
    rules = ArticleRules.of(settings)
    with open_source(path) as stream:
        if path.endswith(_JSON_LINES) or stream.peek(1).startswith((b"{", b"\xef\xbb\xbf{")):
            yield from read_jsonl(stream, name, rules)
        else:
            yield Line(file=name, number=1, raw=b"", outcome=read_text(stream, name, rules))


def article_or_id(named: str, settings: Settings) -> Article | str:
    """The article in the file of that name if there is one, else ``named`` as the id of a stored article.

    Raises:
        DedupError: the file holds no article, or more than one.

    """
    if not named:
        raise InvalidArgument("name a file or an article; an empty name is neither")
    if named != STDIN and not _is_file(named):
        return named
    lines = list(read_input(named, settings))
    if len(lines) != 1:
        raise InvalidArgument(f"{source_name(named)} holds {len(lines)} articles; compare takes one a side")
    outcome = lines[0].outcome
    if isinstance(outcome, DedupError):
        raise InvalidArgument(f"{lines[0].place}: {outcome.message}")
    return outcome


def _is_file(named: str) -> bool:
    try:
        return Path(named).is_file()
    except OSError:  # an id may be longer than a file's name can be
        return False
