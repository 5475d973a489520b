"""A hash table of 42-bit keys to numbers, 8 bytes a slot, that grows a little with every insertion.

A key's *home* is its upper 32 bits scaled to the capacity, so slots lie (nearly) in the order of their keys. A slot
holds the value in its lower ``bits`` and, above, as many low bits of the key as fit: all 42 in a small table; of a
large one 32, since from where the slot lies its other 10 bits follow. Collisions go to the next slot (linear probing).

Growing copies nothing at once. A larger array stands beside the old one, and each insertion moves some slots over, from
the first on, whole runs at a time. Keys whose old home lies before the *cursor* are in the new array, the others in the
old one.

A place in the table is a slot of the new array, or ``-1 - slot`` of the old one.
"""

from __future__ import annotations

import numpy as np

from dedup.state.kernels.base import inline, jit

CAPACITY, BITS, OLD_CAPACITY, OLD_BITS, CURSOR, USED = 0, 1, 2, 3, 4, 5
META_SIZE = 6
#: Slots after the last home, so that nothing wraps around.
SLACK = 1 << 12
#: Capacity from which on 32 bits of a key tell it from its neighbors.
LARGE = 1 << 22
#: Slots moved with an insertion while the table grows.
STEP = 32
_S10, _S32 = np.uint64(10), np.uint64(32)
_ONE = np.uint64(1)


@inline
def home(key, capacity):
    """The slot where the search for a key begins."""
    return np.int64(((key >> _S10) * np.uint64(capacity)) >> _S32)


@inline
def _probe(slots, capacity, bits, key):
    """The slot of a key, or the empty one where it belongs."""
    shift = np.uint64(bits)
    tag = key & ((_ONE << (np.uint64(64) - shift)) - _ONE) if bits > 22 else key
    at = home(key, capacity)
    while slots[at] != 0 and slots[at] >> shift != tag:
        at += 1
    return at


@inline
def place_of(slots, before, meta, key):
    """The place of a key, or the empty one where it belongs."""
    if meta[OLD_CAPACITY] > 0 and home(key, meta[OLD_CAPACITY]) >= meta[CURSOR]:
        return -1 - _probe(before, meta[OLD_CAPACITY], meta[OLD_BITS], key)
    return _probe(slots, meta[CAPACITY], meta[BITS], key)


@inline
def value_at(slots, before, meta, place):
    """The value at a place, 0 where it is empty."""
    if place < 0:
        return np.int64(before[-1 - place] & ((_ONE << np.uint64(meta[OLD_BITS])) - _ONE))
    return np.int64(slots[place] & ((_ONE << np.uint64(meta[BITS])) - _ONE))


@inline
def put_at(slots, before, meta, place, key, value):
    """Put a value at the place of a key; whether the key is new."""
    if place < 0:
        array, at, bits = before, -1 - place, meta[OLD_BITS]
    else:
        array, at, bits = slots, place, meta[BITS]
    fresh = array[at] == 0
    shift = np.uint64(bits)
    tag = key & ((_ONE << (np.uint64(64) - shift)) - _ONE) if bits > 22 else key
    array[at] = tag << shift | np.uint64(value)
    if fresh:
        meta[USED] += 1
    return fresh


@inline
def find(slots, before, meta, key):
    """The value of a key, 0 where there is none."""
    return value_at(slots, before, meta, place_of(slots, before, meta, key))


@jit
def _key_of(slot, at, capacity, bits):
    """The key of what stands in a slot."""
    tag = slot >> np.uint64(bits)
    if bits <= 22:
        return tag
    # of the keys with these low bits, that with the last home that is not behind the slot; a home is rounded down,
    # so that the first slot of a group may count as one of the group before
    group = np.uint64(min(np.int64(1023), at * 1024 // capacity + 1))
    key = group << _S32 | tag
    while home(key, capacity) > at:
        group -= _ONE
        key = group << _S32 | tag
    return key


@jit
def advance(slots, before, meta, steps, dead, list_bit):
    """Move so many slots of the old array, and the rest of the run, over; whether the old array is empty now.

    Single texts that are ``dead`` (2: out of all lists) are left out where values are texts and lists, ``list_bit``.
    """
    capacity, bits = meta[OLD_CAPACITY], meta[OLD_BITS]
    at = meta[CURSOR]
    stop = min(before.size, at + steps)
    values = (_ONE << np.uint64(bits)) - _ONE
    old_list = np.uint64(1) << np.uint64(bits - 1)
    while at < before.size and (at < stop or before[at] != 0):
        slot = before[at]
        if slot != 0:
            key = _key_of(slot, at, capacity, bits)
            value = slot & values
            moved = np.int64(value)
            if list_bit:
                if value & old_list:
                    moved = np.int64(value ^ old_list) | (np.int64(1) << (meta[BITS] - 1))
                elif dead[moved] == 2:
                    before[at] = np.uint64(0)
                    meta[USED] -= 1
                    at += 1
                    continue
            to = _probe(slots, meta[CAPACITY], meta[BITS], key)
            shift = np.uint64(meta[BITS])
            tag = key & ((_ONE << (np.uint64(64) - shift)) - _ONE) if meta[BITS] > 22 else key
            slots[to] = tag << shift | np.uint64(moved)
            before[at] = np.uint64(0)
        at += 1
    if at >= before.size:
        meta[OLD_CAPACITY] = 0
        return True
    meta[CURSOR] = at + 1  # the slot before it is empty: no run crosses it
    return False
