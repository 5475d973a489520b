"""Every verb once: its method, its request, and how its answer is read. Both clients run these."""

# ruff: noqa: D103 - the verbs are documented where they are called from, in dedup.client.blocking

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dedup import model
from dedup.convert import outgoing, values
from dedup.convert.names import Namer, collection_name, last_id
from dedup.convert.status import from_status
from dedup.errors import DedupError, InvalidArgument, InvalidArticle, LimitExceeded, Reason
from dedup.model import Article, IngestResult
from dedup.v1 import article_pb2
from dedup.v1 import dedup_service_pb2 as pb

V = TypeVar("V")

#: Articles in a call of ``ingest_batch``; longer batches are sent in several.
BATCH_ARTICLES = 500
#: Batches of a stream that are sent ahead of their answers: as many as keep a server busy.
WINDOW = 16
#: Characters of text after which a batch is closed, so that it stays well below ``max_message_bytes``.
BATCH_CHARACTERS = 4 << 20
#: Largest article sent at all, bytes; the server's own limits are below it.
ARTICLE_BYTES = 32 << 20
PAGE_SIZE = 500


@dataclass(frozen=True, slots=True)
class Call(Generic[V]):
    """One call: ``read`` turns its answer into the value returned."""

    method: str
    request: Any
    read: Callable[[Any], V]


@dataclass(frozen=True, slots=True)
class Listing(Generic[V]):
    """A list fetched page by page: ``read`` turns a page into its items."""

    method: str
    request: Any
    read: Callable[[Any], Iterable[V]]

    def next_page(self, page: Any) -> bool:
        """Turn the request to the page after ``page``; False if that was the last."""
        self.request.page_token = page.next_page_token
        return bool(page.next_page_token)


def article_message(article: Article) -> article_pb2.Article:
    """An article as it is sent; raises InvalidArticle or LimitExceeded for what cannot be."""
    try:
        message = outgoing.article(article)
    except UnicodeEncodeError as error:
        field = _surrogate_field(article)
        raise InvalidArticle(
            f"{field} holds an unpaired surrogate, which is not Unicode text",
            field=field,
            article=repr(article.id),
        ) from error
    except (ValueError, OverflowError, TypeError) as error:
        raise InvalidArticle(f"the article cannot be sent: {error}", article=repr(article.id)) from error
    size = message.ByteSize()
    if size > ARTICLE_BYTES:
        raise LimitExceeded(
            f"the article has {size} bytes, over the limit of {ARTICLE_BYTES}",
            Reason.BODY_TOO_LARGE,
            article=article.id[:80],
            limit=ARTICLE_BYTES,
        )
    return message


def _surrogate_field(article: Article) -> str:
    for name in ("id", "headline", "body", "source", "byline", "located", "url", "language"):
        try:
            getattr(article, name).encode()
        except UnicodeEncodeError:
            return name
    return "article"


@dataclass(frozen=True, slots=True)
class Batch:
    """Articles sent together. ``refused`` are those, by position, that could not be sent."""

    articles: list[Article]
    messages: list[article_pb2.Article]
    refused: dict[int, DedupError]

    @classmethod
    def of(cls, articles: list[Article]) -> Batch:
        """Convert ``articles``; what cannot be sent is refused here and loses none of the others."""
        batch = cls(articles, [], {})
        for position, article in enumerate(articles):
            try:
                batch.messages.append(article_message(article))
            except DedupError as error:
                batch.refused[position] = error
        return batch

    def outcomes(self, results: Iterable[pb.IngestArticleResult]) -> list[IngestResult | DedupError]:
        """One outcome an article, in order, given the results of those sent."""
        answers = map(values.ingest_outcome, results)
        return [
            self.refused[position] if position in self.refused else next(answers)
            for position in range(len(self.articles))
        ]

    def acknowledged(self, answer: pb.StreamIngestArticlesResponse) -> list[IngestResult | DedupError]:
        """One outcome an article, given the answer to the batch in a stream."""
        if answer.HasField("error"):
            error = from_status(answer.error)
            return [self.refused.get(position, error) for position in range(len(self.articles))]
        return self.outcomes(answer.results)


def close_batch(articles: list[Article], characters: int, size: int) -> bool:
    """Whether a batch of so many characters is full at ``size`` articles."""
    return len(articles) >= size or characters >= BATCH_CHARACTERS


def text_size(article: Article) -> int:
    """Characters of an article that count for its batch."""
    return len(article.headline) + len(article.body)


def split(articles: Iterable[Article], size: int) -> Iterator[list[Article]]:
    """Cut ``articles`` into batches of at most ``size`` and about BATCH_CHARACTERS."""
    batch: list[Article] = []
    characters = 0
    for article in articles:
        batch.append(article)
        characters += text_size(article)
        if close_batch(batch, characters, size):
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def check_stream(batch_size: int, window: int) -> None:
    """Raise InvalidArgument for sizes that make no stream."""
    for name, number, largest in (("batch_size", batch_size, 1000), ("window", window, 64)):
        if not 1 <= number <= largest:
            raise InvalidArgument(f"{name} must be from 1 to {largest}, not {number}", field=name)


# -- articles ---------------------------------------------------------------------------------------


def ingest(article: Article, collection: str, max_matches: int | None) -> Call[IngestResult]:
    request = pb.IngestArticleRequest(
        parent=collection_name(collection), article=article_message(article), max_matches=max_matches
    )
    return Call("IngestArticle", request, values.ingest_result)


def ingest_batch(
    batch: Batch, collection: str, max_matches: int | None
) -> Call[list[IngestResult | DedupError]]:
    request = pb.BatchIngestArticlesRequest(
        parent=collection_name(collection), articles=batch.messages, max_matches=max_matches
    )
    return Call("BatchIngestArticles", request, lambda answer: batch.outcomes(answer.results))


def stream_request(
    sequence: int, batch: Batch, collection: str, max_matches: int | None
) -> pb.StreamIngestArticlesRequest:
    return pb.StreamIngestArticlesRequest(
        sequence=sequence,
        parent=collection_name(collection),
        articles=batch.messages,
        max_matches=max_matches,
    )


def find(article: Article, collection: str, max_matches: int, *, same_story: bool) -> Call[model.FindResult]:
    request = pb.FindMatchesRequest(
        parent=collection_name(collection),
        article=article_message(article),
        max_matches=max_matches,
        same_story=same_story,
    )
    return Call("FindMatches", request, values.find_result)


def compare(a: Article | str, b: Article | str, collection: str) -> Call[model.Comparison]:
    request = pb.CompareArticlesRequest(
        parent=collection_name(collection),
        article=_compared(a, collection),
        other=_compared(b, collection),
    )
    return Call("CompareArticles", request, values.comparison)


def _compared(article: Article | str, collection: str) -> pb.ComparedArticle:
    if isinstance(article, str):
        return pb.ComparedArticle(name=Namer(collection).article(article))
    return pb.ComparedArticle(article=article_message(article))


def get_article(article_id: str, collection: str) -> Call[model.StoredArticle]:
    request = pb.GetArticleRequest(name=Namer(collection).article(article_id), max_matches=0)
    return Call("GetArticle", request, lambda answer: values.stored_article(answer.article))


def delete_article(article_id: str, collection: str) -> Call[tuple[str, ...]]:
    request = pb.DeleteArticleRequest(name=Namer(collection).article(article_id))
    return Call("DeleteArticle", request, lambda answer: tuple(map(last_id, answer.carriers)))


def list_articles(collection: str, *, with_body: bool) -> Listing[model.StoredArticle]:
    request = pb.ListArticlesRequest(
        parent=collection_name(collection), page_size=PAGE_SIZE, view=_view(with_body=with_body)
    )
    return Listing("ListArticles", request, lambda page: map(values.stored_article, page.articles))


def _view(*, with_body: bool) -> pb.ArticleView.ValueType:
    return pb.ARTICLE_VIEW_FULL if with_body else pb.ARTICLE_VIEW_BASIC


def list_matches(article_id: str | None, collection: str) -> Listing[model.Match]:
    request = pb.ListMatchesRequest(
        parent=collection_name(collection),
        article=Namer(collection).article(article_id or ""),
        page_size=PAGE_SIZE,
    )
    return Listing("ListMatches", request, lambda page: map(values.match, page.matches))


# -- clusters and stories ---------------------------------------------------------------------------


def get_cluster(cluster_id: str, collection: str) -> Call[model.Cluster]:
    request = pb.GetClusterRequest(name=Namer(collection).cluster(cluster_id))
    return Call("GetCluster", request, lambda answer: values.cluster(answer.cluster))


def list_clusters(min_size: int, collection: str) -> Listing[model.Cluster]:
    request = pb.ListClustersRequest(
        parent=collection_name(collection), min_size=min_size, page_size=PAGE_SIZE
    )
    return Listing("ListClusters", request, lambda page: map(values.cluster, page.clusters))


def list_cluster_articles(
    cluster_id: str, collection: str, *, with_body: bool
) -> Listing[model.StoredArticle]:
    request = pb.ListClusterArticlesRequest(
        parent=Namer(collection).cluster(cluster_id), page_size=PAGE_SIZE, view=_view(with_body=with_body)
    )
    return Listing("ListClusterArticles", request, lambda page: map(values.stored_article, page.articles))


def get_story(story_id: str, collection: str) -> Call[model.Story]:
    request = pb.GetStoryRequest(name=Namer(collection).story(story_id))
    return Call("GetStory", request, lambda answer: values.story(answer.story))


def list_stories(collection: str) -> Listing[model.Story]:
    request = pb.ListStoriesRequest(parent=collection_name(collection), page_size=PAGE_SIZE)
    return Listing("ListStories", request, lambda page: map(values.story, page.stories))


# -- collections ------------------------------------------------------------------------------------


def export(collection: str) -> pb.ExportCollectionRequest:
    return pb.ExportCollectionRequest(name=collection_name(collection))


def exported(part: pb.ExportCollectionResponse) -> Iterator[model.ExportedArticle | model.Match]:
    yield from map(values.exported_article, part.articles)
    yield from map(values.match, part.matches)


def create_collection(name: str, parameters: model.CollectionParameters) -> Call[model.CollectionStatus]:
    try:
        message = outgoing.parameters(parameters)
    except (ValueError, OverflowError, TypeError) as error:
        raise InvalidArgument(str(error), field="parameters") from error
    request = pb.CreateCollectionRequest(name=collection_name(name), parameters=message)
    return Call("CreateCollection", request, lambda answer: values.collection(answer.collection))


def get_collection(name: str) -> Call[model.CollectionStatus]:
    request = pb.GetCollectionRequest(name=collection_name(name))
    return Call("GetCollection", request, lambda answer: values.collection(answer.collection))


def list_collections() -> Listing[model.CollectionStatus]:
    request = pb.ListCollectionsRequest(page_size=PAGE_SIZE)
    return Listing("ListCollections", request, lambda page: map(values.collection, page.collections))


def delete_collection(name: str) -> Call[None]:
    request = pb.DeleteCollectionRequest(name=collection_name(name))
    return Call("DeleteCollection", request, lambda _: None)
