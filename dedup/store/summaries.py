"""Clusters and stories as stored: versioned msgpack arrays of :mod:`dedup.core.cluster_summary`'s records."""

from __future__ import annotations

from typing import Final

import msgspec

from dedup.core.cluster_summary import ClusterRecord, StoryRecord

_cluster_decoder: Final = msgspec.msgpack.Decoder(ClusterRecord)
_story_decoder: Final = msgspec.msgpack.Decoder(StoryRecord)
_encoder: Final = msgspec.msgpack.Encoder()


def encode(record: ClusterRecord | StoryRecord) -> bytes:
    """A record as stored."""
    return _encoder.encode(record)


def decode_cluster(raw: bytes) -> ClusterRecord:
    """A cluster as stored."""
    return _cluster_decoder.decode(raw)


def decode_story(raw: bytes) -> StoryRecord:
    """A story as stored."""
    return _story_decoder.decode(raw)
