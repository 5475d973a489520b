"""Articles, matches, clusters and stories out; nothing here stores."""

# ruff: noqa: N802, ARG002 - gRPC gives the names and the arguments of methods

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from structlog.contextvars import bind_contextvars

from dedup.convert import outgoing
from dedup.convert.incoming import FIND_MATCHES, check_encoding, collection_of
from dedup.convert.names import Namer, parse, parse_collection
from dedup.errors import InvalidArgument, NotImplementedYet
from dedup.model import Article
from dedup.service.base import Methods, bind_work
from dedup.v1 import dedup_service_pb2 as pb


class ReadingMethods(Methods):
    """Find, compare, get and list."""

    async def FindMatches(self, request: pb.FindMatchesRequest, context: Any) -> pb.FindMatchesResponse:
        """What an article would match."""
        collection = collection_of(request.parent, request.article.name)
        max_matches = self._incoming.max_matches(request, FIND_MATCHES)
        check_encoding(request)
        article = await self._given(request.article, collection)
        bind_contextvars(collection=collection, article=article.id)
        result = await self._pipeline.find(collection, article, max_matches, same_story=request.same_story)
        bind_work([result])
        return outgoing.find_response(result, Namer(collection))

    async def CompareArticles(
        self, request: pb.CompareArticlesRequest, context: Any
    ) -> pb.CompareArticlesResponse:
        """Two articles, stored or given."""
        collection = collection_of(request.parent, request.article.name, request.other.name)
        check_encoding(request)
        bind_contextvars(collection=collection)
        a = await self._compared(request.article, collection, "article")
        b = await self._compared(request.other, collection, "other")
        bind_contextvars(article=_named(a), other=_named(b))
        result = await self._pipeline.compare(collection, a, b)
        bind_contextvars(verified=int(result.match is not None))
        return outgoing.comparison(result, Namer(collection))

    async def _compared(self, side: pb.ComparedArticle, collection: str, field: str) -> Article | str:
        subject = side.WhichOneof("subject")
        if subject == "article":
            return await self._given(side.article, collection)
        if subject is None:
            raise InvalidArgument(f"{field}: give the name of a stored article, or an article", field=field)
        return _within(side.name, collection, f"{field}.name")

    # -- articles and matches ---

    async def GetArticle(self, request: pb.GetArticleRequest, context: Any) -> pb.GetArticleResponse:
        """An article with its current matches."""
        collection, article_id = parse(request.name, "articles")
        max_matches = self._incoming.max_matches(request)
        check_encoding(request)
        bind_contextvars(collection=collection, article=article_id)
        names = Namer(collection)
        stored = await self._pipeline.get_article(collection, article_id)
        response = pb.GetArticleResponse(
            article=outgoing.stored_article(stored, names), offset_encoding=outgoing.CODE_POINTS
        )
        if max_matches:
            page = await self._pipeline.list_matches(
                collection, article_id=article_id, page_size=max_matches, page_token=""
            )
            outgoing.add_matches(page.items, names, response.matches)
            response.matches_truncated = bool(page.next_page_token)
        return response

    async def ListArticles(self, request: pb.ListArticlesRequest, context: Any) -> pb.ListArticlesResponse:
        """Articles in the order of their arrival."""
        collection = parse_collection(request.parent, "parent")
        bind_contextvars(collection=collection)
        size = self._incoming.page_size(request, view=request.view)
        page = await self._pipeline.list_articles(collection, page_size=size, page_token=request.page_token)
        names, body = Namer(collection), request.view == pb.ARTICLE_VIEW_FULL
        return pb.ListArticlesResponse(
            articles=[outgoing.stored_article(each, names, body=body) for each in page.items],
            next_page_token=page.next_page_token,
        )

    async def ListMatches(self, request: pb.ListMatchesRequest, context: Any) -> pb.ListMatchesResponse:
        """Verified matches, of a collection or of one article."""
        collection = collection_of(request.parent, request.article)
        article_id = _within(request.article, collection, "article") if request.article else None
        check_encoding(request)
        bind_contextvars(collection=collection, **({"article": article_id} if article_id is not None else {}))
        page = await self._pipeline.list_matches(
            collection,
            article_id=article_id,
            page_size=self._incoming.page_size(request),
            page_token=request.page_token,
        )
        names = Namer(collection)
        response = pb.ListMatchesResponse(
            next_page_token=page.next_page_token, offset_encoding=outgoing.CODE_POINTS
        )
        outgoing.add_matches(page.items, names, response.matches)
        return response

    # -- clusters and stories ---

    async def GetCluster(self, request: pb.GetClusterRequest, context: Any) -> pb.GetClusterResponse:
        """A cluster, also under an id merged away."""
        collection, cluster_id = parse(request.name, "clusters")
        bind_contextvars(collection=collection, cluster=cluster_id)
        cluster = await self._pipeline.get_cluster(collection, cluster_id)
        return pb.GetClusterResponse(cluster=outgoing.cluster(cluster, Namer(collection)))

    async def ListClusters(self, request: pb.ListClustersRequest, context: Any) -> pb.ListClustersResponse:
        """Clusters of at least a size."""
        collection = parse_collection(request.parent, "parent")
        bind_contextvars(collection=collection)
        if request.min_size < 0:
            raise InvalidArgument("min_size must not be negative", field="min_size", value=request.min_size)
        page = await self._pipeline.list_clusters(
            collection,
            min_size=request.min_size or 1,
            page_size=self._incoming.page_size(request),
            page_token=request.page_token,
        )
        names = Namer(collection)
        return pb.ListClustersResponse(
            clusters=[outgoing.cluster(each, names) for each in page.items],
            next_page_token=page.next_page_token,
        )

    async def ListClusterArticles(
        self, request: pb.ListClusterArticlesRequest, context: Any
    ) -> pb.ListClusterArticlesResponse:
        """Articles of a cluster."""
        collection, cluster_id = parse(request.parent, "clusters", "parent")
        bind_contextvars(collection=collection, cluster=cluster_id)
        size = self._incoming.page_size(request, view=request.view)
        page = await self._pipeline.list_cluster_articles(
            collection, cluster_id, page_size=size, page_token=request.page_token
        )
        names, body = Namer(collection), request.view == pb.ARTICLE_VIEW_FULL
        return pb.ListClusterArticlesResponse(
            articles=[outgoing.stored_article(each, names, body=body) for each in page.items],
            next_page_token=page.next_page_token,
        )

    async def GetStory(self, request: pb.GetStoryRequest, context: Any) -> pb.GetStoryResponse:
        """A story."""
        collection, story_id = parse(request.name, "stories")
        bind_contextvars(collection=collection, story=story_id)
        story = await self._pipeline.get_story(collection, story_id)
        return pb.GetStoryResponse(story=outgoing.story(story, Namer(collection)))

    async def ListStories(self, request: pb.ListStoriesRequest, context: Any) -> pb.ListStoriesResponse:
        """Stories of a collection."""
        collection = parse_collection(request.parent, "parent")
        bind_contextvars(collection=collection)
        page = await self._pipeline.list_stories(
            collection, page_size=self._incoming.page_size(request), page_token=request.page_token
        )
        names = Namer(collection)
        return pb.ListStoriesResponse(
            stories=[outgoing.story(each, names) for each in page.items],
            next_page_token=page.next_page_token,
        )

    def WatchClusters(
        self, request: pb.WatchClustersRequest, context: Any
    ) -> AsyncIterator[pb.WatchClustersResponse]:
        """Not in this release."""
        raise NotImplementedYet("WatchClusters is not in this release", method="WatchClusters")


def _named(side: Article | str) -> str:
    return side if isinstance(side, str) else side.id


def _within(name: str, collection: str, field: str) -> str:
    """The id in an article's name; raises InvalidArgument where it is in another collection."""
    named_collection, article_id = parse(name, "articles", field)
    if named_collection != collection:
        raise InvalidArgument(
            f"{field} is in collection {named_collection}, the request is for {collection}",
            field=field,
            value=name[:80],
        )
    return article_id
