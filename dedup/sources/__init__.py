"""Readers that turn what publishers hand over into articles, and the lines that ``export`` writes.

A reader never lets one bad record stop the rest: what it cannot read comes out as a value with the
place and the reason.
"""

from dedup.sources.jsonl import Line, Source, open_source, read_jsonl

__all__ = ["Line", "Source", "open_source", "read_jsonl"]
