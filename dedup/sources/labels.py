"""Labelled pairs from JSON Lines: which articles are copies of which, as somebody judged them.

A line is one JSON object with ``article`` and ``other`` (ids) and either ``copied`` (true or false) or
``kind``: exact, near_duplicate, excerpt and rewrite are copied; shared_quote, same_story and none are not.
Other fields are ignored.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

from dedup.errors import DedupError, InvalidArgument
from dedup.model import COPY_KINDS, LabelledPair, MatchKind
from dedup.sources.jsonl import read_objects

#: Every kind that a label may give, and whether it means copied.
LABEL_KINDS = {kind.name.lower(): kind in COPY_KINDS for kind in MatchKind} | {
    "same_story": False,
    "none": False,
}


def read_labels(stream: io.BufferedIOBase, name: str) -> list[LabelledPair]:
    """The pairs of ``stream`` in order, each once; ``name`` is the file's name in errors.

    Raises:
        InvalidArgument: a line holds no label, or a pair is labelled both ways; names file and line.

    """
    found: dict[frozenset[str], LabelledPair] = {}
    for number, _, fields in read_objects(stream):
        place = f"{name}:{number}"
        if isinstance(fields, DedupError):
            raise InvalidArgument(f"{place}: {fields.message}", field="line")
        try:
            label = _label(fields, place)
        except InvalidArgument as error:
            raise InvalidArgument(f"{place}: {error.message}", field=error.metadata["field"]) from error
        pair = frozenset((label.article, label.other))
        before = found.setdefault(pair, label)
        if before.copied != label.copied:
            raise InvalidArgument(
                f"{place}: {label.article[:80]!r} and {label.other[:80]!r} are labelled as "
                f"{_word(copied=label.copied)}, but at {before.place} as {_word(copied=before.copied)}",
                field="copied",
            )
    return list(found.values())


def _label(fields: Mapping[str, object], place: str) -> LabelledPair:
    label = LabelledPair(
        article=_id(fields, "article"), other=_id(fields, "other"), copied=_copied(fields), place=place
    )
    if label.article == label.other:
        raise InvalidArgument("article and other are the same", field="other")
    return label


def _word(*, copied: bool) -> str:
    return "copied" if copied else "not copied"


def _id(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if value is None:
        raise InvalidArgument(f"{name} is missing", field=name)
    if not isinstance(value, str) or not value:
        raise InvalidArgument(f"{name} must be the id of an article, a string", field=name)
    return value


def _copied(fields: Mapping[str, object]) -> bool:
    copied, kind = fields.get("copied"), fields.get("kind")
    if copied is None and kind is None:
        raise InvalidArgument("neither copied nor kind is given", field="copied")
    if copied is not None and not isinstance(copied, bool):
        raise InvalidArgument("copied must be true or false", field="copied")
    if kind is None:
        return bool(copied)
    means = LABEL_KINDS.get(kind) if isinstance(kind, str) else None
    if means is None:
        raise InvalidArgument(f"kind must be one of {', '.join(LABEL_KINDS)}", field="kind")
    if copied is not None and copied != means:
        raise InvalidArgument(
            f"kind {kind} is {_word(copied=means)}, but copied says otherwise", field="kind"
        )
    return means
