"""Collections as a whole: create, get, list, delete, export."""

# ruff: noqa: N802, ARG002 - gRPC gives the names and the arguments of methods

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from structlog.contextvars import bind_contextvars

from dedup.convert import outgoing
from dedup.convert.incoming import parameters as read_parameters
from dedup.convert.names import Namer, parse_collection
from dedup.model import ExportedArticle
from dedup.service.base import Methods
from dedup.v1 import dedup_service_pb2 as pb

#: Records and passages in one message of an export, about.
EXPORT_WEIGHT = 2_000


class CollectionMethods(Methods):
    """ExportCollection, CreateCollection, GetCollection, ListCollections, DeleteCollection."""

    async def ExportCollection(
        self, request: pb.ExportCollectionRequest, context: Any
    ) -> AsyncIterator[pb.ExportCollectionResponse]:
        """Articles, then matches, many in a message."""
        collection = parse_collection(request.name)
        bind_contextvars(collection=collection)
        names = Namer(collection)
        part, weight = pb.ExportCollectionResponse(offset_encoding=outgoing.CODE_POINTS), 0
        async for record in self._pipeline.export(collection):
            if isinstance(record, ExportedArticle):
                part.articles.append(outgoing.exported_article(record, names))
                weight += 1
            else:
                outgoing.add_matches([record], names, part.matches)
                weight += 1 + len(record.passages)
            if weight >= EXPORT_WEIGHT:
                yield part
                part, weight = pb.ExportCollectionResponse(offset_encoding=outgoing.CODE_POINTS), 0
        if weight:
            yield part

    async def CreateCollection(
        self, request: pb.CreateCollectionRequest, context: Any
    ) -> pb.CreateCollectionResponse:
        """A collection with parameters of its own."""
        name = parse_collection(request.name, default=None)
        bind_contextvars(collection=name)
        parameters = read_parameters(request.parameters)
        status = await self._pipeline.create_collection(name, parameters)
        return pb.CreateCollectionResponse(collection=outgoing.collection(status))

    async def GetCollection(self, request: pb.GetCollectionRequest, context: Any) -> pb.GetCollectionResponse:
        """A collection with its statistics."""
        name = parse_collection(request.name)
        bind_contextvars(collection=name)
        status = await self._pipeline.get_collection(name)
        return pb.GetCollectionResponse(collection=outgoing.collection(status))

    async def ListCollections(
        self, request: pb.ListCollectionsRequest, context: Any
    ) -> pb.ListCollectionsResponse:
        """Collections by name."""
        page = await self._pipeline.list_collections(
            page_size=self._incoming.page_size(request), page_token=request.page_token
        )
        return pb.ListCollectionsResponse(
            collections=[outgoing.collection(each) for each in page.items],
            next_page_token=page.next_page_token,
        )

    async def DeleteCollection(
        self, request: pb.DeleteCollectionRequest, context: Any
    ) -> pb.DeleteCollectionResponse:
        """Delete a collection with everything in it."""
        name = parse_collection(request.name, default=None)
        bind_contextvars(collection=name)
        await self._pipeline.delete_collection(name)
        return pb.DeleteCollectionResponse()
