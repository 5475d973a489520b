"""Client of a dedup server, for threads and for asyncio; values in, values out, no wire types.

::

    from dedup.client import DedupClient
    from dedup.model import Article

    with DedupClient("127.0.0.1:7700") as client:
        result = client.ingest(Article(id="a1", headline="...", body="...", source="The Daily Example"))
        print(result.decision.kind.name, [match.other for match in result.matches])

A call that fails raises a :class:`dedup.errors.DedupError` of the class that the server raised, with its
reason and metadata. Where nothing answers, that is :class:`dedup.errors.StoreUnavailable`, after a few tries
within about two seconds. Every call may be repeated: ingest and delete are idempotent.
"""

from dedup.client.aio import AsyncDedupClient
from dedup.client.blocking import DedupClient

__all__ = ["AsyncDedupClient", "DedupClient"]
