"""Between the contract and the values of :mod:`dedup.model`, in both directions, in this one place.

========== ===================================================================================
names      ``collections/{collection}/articles/{article}`` and the like, ids percent-encoded
status     :class:`dedup.errors.DedupError` and ``google.rpc.Status`` with ``ErrorInfo``
incoming   what a server reads: requests into values, checked against the limits
outgoing   values into messages, used by server and client
values     messages into values, what a client reads
========== ===================================================================================

The server imports names, status, incoming and outgoing; the client names, status, outgoing and values.
"""
