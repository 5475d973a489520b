"""Every key and byte layout of the index. Nothing else in the project spells a key.

One partition of one collection lives under one prefix with a hash tag, ``dedup:{name:0}:``, so that a script
finds all it needs on one node of a cluster. After the prefix:

========== ======== ================================================================================
``m``      hash     parameters, fingerprint, time of creation
``#``      hash     counters: ``a`` articles numbered, ``t`` texts and clusters numbered, ``s`` stories
                    numbered, ``articles`` and ``texts`` alive, ``seq`` events, and for each table T below
                    ``Tk`` its buckets and ``Te`` its entries; ``z`` the dictionary to write payloads with
``n<i>``   hash     names: 12 bytes of XXH3-128 of the article id -> article number (``<i>``: 4 bytes, big-endian)
``d<i>``   hash     digests: 16 bytes of the normalized body -> text number
``p<i>``   hash     postings: the last 4 of 6 bytes -> the number of the only text in decimals, or ``P`` and 4 bytes
                    a text, up to 16; then ``L`` and a key of its own
``w<i>``   hash     word pairs, where the collection has them: 6 bytes of pair and span of days -> texts, 4 bytes
                    each, up to 16; then ``L`` and a key of its own. A dead text stays and is passed over
``y<w>``   string   texts of a word pair, 4 bytes each, up to ``SAME_EVENT``, common.lua
``l<p>``   string   a long posting list, 4 bytes a text
``m<p>``   string   landmarks of a hot posting list: 8 bytes of digest + text, ascending
``a<n>``   string   article record: HEAD, DECISION, length and bytes of the id, payload
``t<t>``   hash     text: ``d`` digest, ``v`` revision, ``i`` smallest id, ``c`` carriers (that of ``i``
                    first), ``f`` boilerplate postings, ``k`` cluster, ``ev`` sequence of its last eviction
                    as a landmark, ``p`` outlet and time that its neighbors' boilerplate was last
                    reckoned with (absent: as its first carrier has them), ``w`` sequence of the last
                    commit of its edges, ``x`` dead
``x<t>``   string   record that a dead text's postings are taken from
``z<z>``   string   dictionaries that payloads of records are compressed with
``e<t>``   hash     edges: other text (4 bytes) -> EDGE, the same bytes on both sides
``c<c>``   string   cluster; only where it has several articles, links or a story
``s<s>``   string   story
``pending`` ``dirty`` ``recheck`` ``prune`` ``dead``   sorted sets: work to finish, see dedup/live
``clusters`` ``stories``   sorted sets of ids
``lease``  string   who settles
========== ======== ================================================================================

The tables grow by linear hashing, one bucket at a time, so that buckets keep the store's compact
encoding at any size (up to ``LOAD`` entries on average, common.lua). Numbers are little-endian. ``HEAD``,
``DECISION``, ``CARRIER``, ``EDGE`` are also spelled in common.lua; a test compares them.
"""

from __future__ import annotations

import struct
from typing import Final

#: Format of everything above; part of the fingerprint.
LAYOUT_VERSION: Final = 5

COLLECTIONS: Final = "dedup:collections"

#: text, flags, content hash, version (big-endian) or NO_VERSION, version time or -1, arrival (ms), digest of the body.
HEAD: Final = struct.Struct("<II8s8sdd16s")
#: What stands for a version that was not given; versions end below it.
NO_VERSION: Final = b"\xff" * 8
#: kind, article it copies or 0, share covered, words copied, quoted, boilerplate, new.
DECISION: Final = struct.Struct("<BIdIIII")
#: article, source hash, publication time (Unix s), flags, words, credits (up to 5 agencies of 12 bits).
CARRIER: Final = struct.Struct("<IQdBIQ")
#: kind, unquoted and quoted half words, containment of the text with the smaller number, of the other, least share
#: covered.
EDGE: Final = struct.Struct("<BIIddd")
#: The same after the number of the other text, as edges.lua answers.
EDGE_FROM: Final = struct.Struct("<IBIIddd")

FLAG_COMPARABLE: Final = 1
FLAG_TOMBSTONE: Final = 2
FLAG_DECIDED: Final = 4

#: Carrier flags: the publisher gave a time; the outlet is the agency whose index + 1 stands in the upper bits.
CARRIER_DATED: Final = 1

POSTING_BYTES: Final = 6


def prefix(collection: str, partition: int = 0) -> str:
    """Prefix of every key of one partition of a collection."""
    return f"dedup:{{{collection}:{partition}}}:"
