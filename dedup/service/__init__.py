"""The methods of the contract: validate, convert, call the pipeline, convert.

Errors are raised as :class:`dedup.errors.DedupError` and turned into a status by :mod:`dedup.server.interceptors`;
inside a batch each item has an outcome of its own. What the log line of a call should say is bound with
structlog's context variables, here and in the pipeline; no text of an article is.
"""

from dedup.service.collections import CollectionMethods
from dedup.service.ingest import IngestMethods
from dedup.service.reading import ReadingMethods

__all__ = ["DedupService"]


class DedupService(IngestMethods, ReadingMethods, CollectionMethods):
    """All methods. They answer from the pipeline given to ``start``; before that they are UNAVAILABLE."""
