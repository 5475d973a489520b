"""Every key and byte layout of the store. Nothing else in the project spells a key.

``TAG`` is one of 16 hash tags, by the name of a collection: a script finds what it needs on one node of a cluster, and
one blocking read follows all logs of a tag.

==================================== ====== ===========================================================================
``dedup:collections``                set    names, for listing; whether there is a collection says its own key
``dedup:{TAG}:c:NAME``               hash   a collection's own key: ``d`` what it was made with, written once: the line
                                            ``EPOCH:FINGERPRINT``, and JSON;
                                            ``p`` position and ``n`` nonce of the last entry of its log;
                                            ``i<incarnation>`` counter and position of a server's last entry, or
                                            ``retired``; ``g`` the last page number reserved;
                                            ``w<incarnation>:<first>`` pages reserved at a time; ``x`` how many records
                                            of those that are gone have been erased
``dedup:{TAG}:l:NAME:EPOCH``         stream the log: entry ``<position>-0`` with one field ``e``, its nonce and that of
                                            the entry before (16 bytes each) and the bytes of the entry
``dedup:{TAG}:z:NAME:EPOCH:NUMBER``  string a dictionary that records are compressed with
``dedup:r:NAME:EPOCH:PAGE``          string a page of records; pages are spread over a cluster
``dedup:{TAG}:g:NAME:EPOCH``         hash   the own key of a deleted collection, until all its keys are gone
``dedup:{TAG}:gone``                 set    ``NAME:EPOCH`` of such collections
``dedup:h:INCARNATION``              string a sign of life of a server; expires
``dedup:{TAG}:b:INCARNATION``        stream a server's bell: wakes its blocking read; expires
==================================== ====== ===========================================================================

A *nonce* is the incarnation of the server that wrote an entry and the entry's number among those, 8 bytes each. A
collection that is made again under its name has another epoch, so nothing of the old one is met again.

The number of a record, 64 bits, says where it lies: page in the upper 40, then 12 bits each for where in the page it
begins and how long it is, in units of 16 bytes. 0 and 0 stand for a page that is one record. 0 is no record: pages
count from 1. A record begins with one byte of format and three of its length; zeros are what was erased.
"""

from __future__ import annotations

import struct
from typing import Final

import xxhash

#: Format of everything above; part of the fingerprint.
LAYOUT_VERSION: Final = 6

COLLECTIONS: Final = "dedup:collections"
#: What an index of the layout before this one has under the prefix of its first partition.
OLD_PARAMETERS: Final = "dedup:{{{name}:0}}:m"
TAGS: Final = 16
NONCE: Final = struct.Struct("<QQ")
#: Field of an entry of a log, and bytes of the two nonces before the entry.
ENTRY: Final = b"e"
CHAIN_BYTES: Final = 2 * NONCE.size
#: Parts of the number of a record.
PAGE_SHIFT: Final = 24
PLACE_SHIFT: Final = 12
PLACE_MASK: Final = (1 << PLACE_SHIFT) - 1
UNIT: Final = 16


def tag(name: str) -> str:
    """The hash tag of a collection."""
    return f"{{{xxhash.xxh3_64_intdigest(name.encode()) % TAGS:x}}}"


def own(name: str) -> str:
    """A collection's own key."""
    return f"dedup:{tag(name)}:c:{name}"


def log(name: str, epoch: str) -> str:
    """Its log."""
    return f"dedup:{tag(name)}:l:{name}:{epoch}"


def dictionary(name: str, epoch: str, number: int) -> str:
    """A dictionary."""
    return f"dedup:{tag(name)}:z:{name}:{epoch}:{number}"


def page(name: str, epoch: str, number: int) -> str:
    """A page of records."""
    return f"dedup:r:{name}:{epoch}:{number}"


def gone(name: str, epoch: str) -> str:
    """The own key of a deleted collection."""
    return f"dedup:{tag(name)}:g:{name}:{epoch}"


def all_gone(hash_tag: str) -> str:
    """Deleted collections under a tag that still have keys."""
    return f"dedup:{hash_tag}:gone"


def tags() -> list[str]:
    """Every hash tag."""
    return [f"{{{number:x}}}" for number in range(TAGS)]


def scratch(name: str, part: str) -> str:
    """A key for trying what a store can do."""
    return f"dedup:{{check-{name}}}:{part}"


def sign_of_life(incarnation: int) -> str:
    """A server's sign of life."""
    return f"dedup:h:{incarnation}"


def bell(hash_tag: str, incarnation: int) -> str:
    """A server's bell under a tag."""
    return f"dedup:{hash_tag}:b:{incarnation}"
