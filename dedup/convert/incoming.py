"""Requests into values, checked against the limits of the settings: what a server reads.

Everything refused here is refused before anything is stored, with the field and the limit in the metadata.
An article refused is an :class:`~dedup.errors.InvalidArticle` (or LimitExceeded for its body), so that the
others of its batch go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from dedup.config import Settings
from dedup.convert.names import DEFAULT_COLLECTION, parse, parse_collection
from dedup.convert.values import rules, seconds
from dedup.core.article_rules import (
    FIELD_BYTES,
    FIRST_SECOND,
    LAST_SECOND,
    ArticleRules,
    check_field,
    check_version,
    parse_time,
    pubstatus_of,
)
from dedup.errors import DedupError, InvalidArgument, InvalidArticle, LimitExceeded, Reason
from dedup.model import Article, CollectionParameters, PubStatus
from dedup.sources.html import PLAIN_TEXT, body_text, media_type_of
from dedup.v1 import article_pb2
from dedup.v1 import dedup_service_pb2 as pb

#: Most matches that FindMatches returns, whatever the setting ``max_matches``.
FIND_MATCHES = 1_000
#: Articles in a page with bodies, so that it fits into a message.
FULL_PAGE = 32

_PROFILES = {
    pb.COLLECTION_PROFILE_UNSPECIFIED: "passages",
    pb.COLLECTION_PROFILE_PASSAGES: "passages",
    pb.COLLECTION_PROFILE_COPIES: "copies",
}
_NAMES = {"language": "language_code"}
#: Fields of limited length, by their names in the contract.
FIELDS = {_NAMES.get(field, field): field for field in FIELD_BYTES}

_TimeField = Literal["publish_time", "version_time"]


class _Paged(Protocol):
    page_size: int


class _HasEncoding(Protocol):
    offset_encoding: article_pb2.OffsetEncoding.ValueType


_AsksForMatches = (
    pb.IngestArticleRequest
    | pb.BatchIngestArticlesRequest
    | pb.StreamIngestArticlesRequest
    | pb.FindMatchesRequest
    | pb.GetArticleRequest
)


def collection_of(parent: str, *names: str) -> str:
    """The collection of a request: of ``parent``, else of the first name that is given, else the default."""
    if parent:
        return parse_collection(parent, "parent")
    for name in names:
        if name:
            return parse(name, "articles")[0]
    return DEFAULT_COLLECTION


def has_markup(messages: Iterable[article_pb2.Article]) -> bool:
    """Whether reading any of the articles takes long enough to do it in a thread."""
    return any(
        message.body_media_type and media_type_of(message.body_media_type) != PLAIN_TEXT
        for message in messages
    )


class Incoming:
    """Reads requests with the limits of ``settings``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rules = ArticleRules.of(settings)

    # -- articles -----------------------------------------------------------------------------------

    def article(self, message: article_pb2.Article, collection: str, *, id_required: bool = True) -> Article:
        """The article in ``message``; raises InvalidArticle or LimitExceeded."""
        article_id = self._article_id(message, collection)
        try:
            self._rules.check_id(article_id, required=id_required)
            return self._article(message, article_id)
        except DedupError as error:
            error.metadata.setdefault("article", article_id[:80])
            raise

    def _article(self, message: article_pb2.Article, article_id: str) -> Article:
        for called, field in FIELDS.items():
            check_field(field, getattr(message, called), called)
        body = message.body
        self._rules.check_body(body)
        if message.body_media_type:
            body = body_text(body, message.body_media_type)
            self._rules.check_body(body)
        published, is_date = _published(message)
        return Article(
            id=article_id,
            headline=message.headline,
            body=body,
            source=message.source,
            byline=message.byline,
            located=message.located,
            url=message.url,
            language=message.language_code,
            published=published,
            published_is_date=is_date,
            version=_version(message),
            version_time=_time(message, "version_time"),
            pubstatus=_pubstatus(message),
        )

    @staticmethod
    def _article_id(message: article_pb2.Article, collection: str) -> str:
        article_id = message.id
        if message.name:
            try:
                named_collection, named_id = parse(message.name, "articles", "article.name")
            except InvalidArgument as error:
                raise InvalidArticle(error.message, error.reason, **error.metadata) from None
            if named_collection != collection:
                raise InvalidArticle(
                    f"article.name is in collection {named_collection}, the request is for {collection}",
                    field="article.name",
                    value=message.name[:80],
                )
            if article_id and article_id != named_id:
                raise InvalidArticle(
                    "article.name and article.id do not agree", field="article.id", value=article_id[:80]
                )
            article_id = named_id
        return article_id

    def check_batch(self, count: int) -> None:
        """Raise LimitExceeded for a batch of too many articles."""
        limit = self._settings.max_batch_articles
        if count > limit:
            raise LimitExceeded(
                f"the batch has {count} articles, over the limit of {limit} (max_batch_articles)",
                Reason.BATCH_TOO_LARGE,
                field="articles",
                articles=count,
                limit=limit,
            )

    # -- other fields -------------------------------------------------------------------------------

    def page_size(self, message: _Paged, *, view: pb.ArticleView.ValueType | None = None) -> int:
        """Items in a page: the default for 0, at most the largest."""
        size = message.page_size
        if size < 0:
            raise InvalidArgument("page_size must not be negative", field="page_size", value=size)
        if view is not None and view not in pb.ArticleView.values():
            raise InvalidArgument(f"there is no view {view}", field="view", value=view)
        largest = FULL_PAGE if view == pb.ARTICLE_VIEW_FULL else self._settings.page_size_max
        return min(size or self._settings.page_size_default, largest)

    def max_matches(self, message: _AsksForMatches, largest: int = 0) -> int:
        """Most matches to return: ``max_matches`` of the settings where the request does not say."""
        default = self._settings.max_matches
        if not message.HasField("max_matches"):
            return default
        largest = largest or default
        if not 0 <= message.max_matches <= largest:
            raise InvalidArgument(
                f"max_matches must be from 0 to {largest}",
                field="max_matches",
                value=message.max_matches,
                limit=largest,
            )
        return message.max_matches


def parameters(message: pb.CollectionParameters) -> CollectionParameters:
    """Parameters of a new collection, defaults where unset; the pipeline checks their ranges."""
    profile = _PROFILES.get(message.profile)
    if profile is None:
        raise InvalidArgument(
            f"there is no profile {message.profile}", field="profile", value=message.profile
        )
    values = {field.name: value for field, value in message.ListFields()}
    return CollectionParameters(**{**values, "profile": profile, "rules": rules(message.rules)})


def check_encoding(message: _HasEncoding) -> None:
    """Raise InvalidArgument for an encoding of offsets that this server does not count."""
    if message.offset_encoding > article_pb2.OFFSET_ENCODING_UNICODE_CODE_POINTS:
        raise InvalidArgument(
            "offset_encoding must be UNICODE_CODE_POINTS",
            field="offset_encoding",
            value=message.offset_encoding,
        )


def _published(message: article_pb2.Article) -> tuple[float | None, bool]:
    which = message.WhichOneof("published")
    if which is None:
        return None, False
    if which == "publish_time":
        return _time(message, which), False
    published, is_date = parse_time(message.publish_date, which)
    if not is_date:
        raise InvalidArticle("publish_date must be a date, YYYY-MM-DD", field=which)
    return published, True


def _time(message: article_pb2.Article, field: _TimeField) -> float | None:
    if not message.HasField(field):
        return None
    value: Timestamp = getattr(message, field)
    if not (FIRST_SECOND <= value.seconds <= LAST_SECOND and 0 <= value.nanos < 1_000_000_000):
        raise InvalidArticle(f"{field} is not a time from the year 1 to 9999", field=field)
    return seconds(value)


def _version(message: article_pb2.Article) -> int | None:
    if not message.HasField("version"):
        return None
    check_version(message.version)
    return message.version


def _pubstatus(message: article_pb2.Article) -> PubStatus:
    return pubstatus_of(message.pubstatus) if message.pubstatus else PubStatus.USABLE
