"""Servers of the real code on a store of a few dicts, in time that a scheduler decides."""
