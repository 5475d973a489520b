"""The surroundings of a mention that the patterns look at: the line it stands on and the running text.

Every pattern sees at most :data:`REACH` characters beside the name, so that a text of any size and shape
costs a bounded amount for each mention.
"""

from __future__ import annotations

from dataclasses import dataclass

from dedup.core.provenance.agencies import Mention

#: Characters looked at on either side of a mention.
REACH = 120
#: Bylines and loose datelines are looked for in this much of the body.
OPENING = 1200
_SHORTEST_REPORT = 60  # less text than this after a line is no report that the line could be the byline of


@dataclass(slots=True)
class Around:
    """A mention with its surroundings: the line it stands on and the running text."""

    mention: Mention
    name: str
    before: str  # on the same line, at most REACH characters
    after: str
    left: str  # running text, newlines included
    right: str
    in_headline: bool
    opening: bool  # in the first OPENING characters of the body
    late: bool  # in the second half of the body
    last_line: bool  # no text worth a report follows

    @property
    def whole_line(self) -> bool:
        """Whether before, name and after are the whole line."""
        return len(self.before) < REACH and len(self.after) < REACH


def around(text: str, body: int, mention: Mention) -> Around:
    """The surroundings of ``mention`` in ``text``, whose body starts at ``body``."""
    start, end = mention.start, mention.end
    left = text[max(0, start - REACH) : start].replace("\xa0", " ")
    right = text[end : end + REACH].replace("\xa0", " ")
    before = left[left.rfind("\n") + 1 :]
    stop = right.find("\n")
    after = right if stop < 0 else right[:stop]
    size = len(text)
    return Around(
        mention=mention,
        name=text[start:end],
        before=before,
        after=after,
        left=left,
        right=right,
        in_headline=start < body,
        opening=body <= start < body + OPENING,
        late=2 * (start - body) > size - body,
        last_line=size - end - len(after) < _SHORTEST_REPORT,
    )
