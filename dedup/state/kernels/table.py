"""A hash table of 42-bit keys to numbers, 6 or 8 bytes a slot, that grows a little with every insertion.

A key's *home* is its upper 32 bits scaled to the capacity. Keys stand in ascending order, none before its home: a key
goes before the first larger one from its home on, and what follows moves up to the next empty slot (ordered linear
probing: Amble and Knuth 1974). So no key stands far from its home, even in a table that is nearly full, and a key that
is not there is missed early.

A slot holds the value in its lower bits and, above, as many low bits of the key as fit, its *tag*. Where a slot lies
says the rest: the slots between two keys of the same tag, a *period*, are many more than any key is away from its home.
Tags are therefore compared as signed differences, modulo the period. That holds for keys that are mixed well: at 0.85
of the slots, some 30 slots is the farthest in millions, and 150 have a chance of 1 to 10^20.

Growing copies nothing at once. A larger array stands beside the old one, and each insertion moves some slots over, from
the first on, whole runs at a time. Keys whose old home lies before the *cursor* are in the new array, the others in the
old one.

Slots are bytes (uint8); ``meta`` int64 (META_SIZE,).
"""

from __future__ import annotations

import numpy as np

from dedup.state.kernels.base import inline, jit
from dedup.state.kernels.memory import load, move, prefetch, store_2, store_4, store_8

#: Places in ``meta``. Of the table: slots, bytes of a slot, bits of a tag. The same of the array that it grows out of.
#: The cursor, keys, and how far from its home a key was put at most.
CAPACITY, WIDTH, TAG, OLD_CAPACITY, OLD_WIDTH, OLD_TAG, CURSOR, USED, FARTHEST = range(9)
META_SIZE = 9
#: Slots after the last home, so that nothing wraps around.
SLACK = 1 << 9
#: Bits of a tag that hold all of a key, and the sign of a difference.
ALL = 43
#: A period has at least so many slots.
PERIOD = 300
#: From so many slots away from a home on a table is not to be trusted.
TOO_FAR = 140
#: Slots moved with an insertion while the table grows.
STEP = 64
#: Bytes after the last slot that may be read.
BEYOND = 8
_S10, _S32, _S64 = np.uint64(10), np.uint64(32), np.uint64(64)
_ONE = np.uint64(1)


@inline
def home(key, capacity):
    """The slot where the search for a key begins."""
    return np.int64(((key >> _S10) * np.uint64(capacity)) >> _S32)


@inline
def _slot(slots, at, width):
    """A slot, its tag in the highest bits; 0 where it is empty."""
    return load(slots, at * width) << np.uint64(64 - 8 * width)


@inline
def _set(slots, at, width, slot):
    """Write a slot."""
    if width == 8:
        store_8(slots, at * 8, slot)
    else:
        store_4(slots, at * 6, slot >> np.uint64(16))
        store_2(slots, at * 6 + 4, slot >> np.uint64(48))


@inline
def _probe(slots, capacity, width, bits, key):
    """The slot where a key is, or belongs; what is there, minus the key: below ``1 << (64 - bits)`` if it is there."""
    wanted = key << np.uint64(64 - bits)
    at = home(key, capacity)
    slot = _slot(slots, at, width)
    while slot != 0 and np.int64(slot - wanted) < 0:
        at += 1
        slot = _slot(slots, at, width)
    return at, slot - wanted if slot != 0 else ~np.uint64(0)


@inline
def _find(slots, capacity, width, bits, key):
    _, more = _probe(slots, capacity, width, bits, key)
    return np.int64(more >> np.uint64(64 - 8 * width)) if more < _ONE << np.uint64(64 - bits) else np.int64(0)


@inline
def _is_old(meta, key):
    return meta[OLD_CAPACITY] > 0 and home(key, meta[OLD_CAPACITY]) >= meta[CURSOR]


@inline
def find(slots, before, meta, key):
    """The value of a key, 0 where there is none."""
    if _is_old(meta, key):
        return _find(before, meta[OLD_CAPACITY], meta[OLD_WIDTH], meta[OLD_TAG], key)
    return _find(slots, meta[CAPACITY], meta[WIDTH], meta[TAG], key)


@inline
def fetch(slots, before, meta, key):
    """Have the memory fetched that the search for a key begins with: two cache lines."""
    old = _is_old(meta, key)
    at = home(key, meta[OLD_CAPACITY]) * meta[OLD_WIDTH] if old else home(key, meta[CAPACITY]) * meta[WIDTH]
    array = before if old else slots
    prefetch(array, at)
    prefetch(array, at + 64)


@jit
def _put(slots, capacity, width, bits, key, value, meta):
    at, more = _probe(slots, capacity, width, bits, key)
    fresh = more >= _ONE << np.uint64(64 - bits)
    if fresh:
        end = at
        while _slot(slots, end, width) != 0:
            end += 1
        if end > at:
            move(slots, (at + 1) * width, at * width, (end - at) * width)
        meta[FARTHEST] = max(meta[FARTHEST], at - home(key, capacity))
        meta[USED] += 1
    _set(slots, at, width, key << np.uint64(64 - bits) | np.uint64(value) << np.uint64(64 - 8 * width))


@jit
def put(slots, before, meta, key, value):
    """Set the value of a key, which is not 0."""
    if _is_old(meta, key):
        _put(before, meta[OLD_CAPACITY], meta[OLD_WIDTH], meta[OLD_TAG], key, value, meta)
    else:
        _put(slots, meta[CAPACITY], meta[WIDTH], meta[TAG], key, value, meta)


@jit
def advance(slots, before, meta, steps, dead, with_dead):
    """Move so many slots of the old array, and the rest of the run, over; whether the old array is empty now.

    ``with_dead``: even values are twice a text, and those of ``dead`` texts (2: out of all lists) are left out.
    """
    capacity, width, bits = meta[CAPACITY], meta[WIDTH], np.uint64(64 - meta[TAG])
    old_capacity, old_width, old_bits = meta[OLD_CAPACITY], meta[OLD_WIDTH], np.uint64(64 - meta[OLD_TAG])
    size = old_capacity + min(SLACK, old_capacity)
    shift, old_shift = np.uint64(64 - 8 * width), np.uint64(64 - 8 * old_width)
    values = (_ONE << (old_bits - old_shift)) - _ONE
    period = ~np.uint64(0) >> old_bits
    keys_of_slot = np.float64(1 << 42) / old_capacity
    at, to, first = meta[CURSOR], np.int64(-1), True
    stop = min(size, at + steps)
    while at < size:
        slot = _slot(before, at, old_width)
        if slot == 0 and at >= stop:
            break
        # of the keys with this tag the last one before one that has its home a little behind the slot
        last = np.uint64(min(at + PERIOD // 2, old_capacity) * keys_of_slot)
        key = last - ((last - (slot >> old_bits)) & period)
        value = (slot >> old_shift) & values
        if with_dead and slot != 0 and value & _ONE == 0 and dead[value >> _ONE] == 2:
            meta[USED] -= 1
            slot = np.uint64(0)
        here = max(to + 1, home(key, capacity))
        if first and slot != 0:
            while _slot(slots, here, width) != 0:  # all that is there has a smaller key
                here += 1
            first = False
        if slot != 0:
            _set(slots, here, width, key << bits | value << shift)
            to = here
        at += 1
    if at >= size:
        meta[OLD_CAPACITY] = 0
        return True
    meta[CURSOR] = at + 1  # the slot before it is empty: no run crosses it
    return False
