"""Values into messages. Server and client write with the same functions.

Enumerations of the model have the numbers of the contract (a test compares them), so that a kind is copied,
not looked up. A :class:`dedup.convert.names.Namer` makes the names; ``None`` leaves a name empty.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from google.protobuf.timestamp_pb2 import Timestamp

from dedup import model
from dedup.convert.names import Namer, collection_name
from dedup.v1 import article_pb2, cluster_pb2
from dedup.v1 import dedup_service_pb2 as service_pb2

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

    Matches = RepeatedCompositeFieldContainer[article_pb2.Match]
    Passages = RepeatedCompositeFieldContainer[article_pb2.Passage]

CODE_POINTS = article_pb2.OFFSET_ENCODING_UNICODE_CODE_POINTS

_PROFILES = {
    "passages": service_pb2.COLLECTION_PROFILE_PASSAGES,
    "copies": service_pb2.COLLECTION_PROFILE_COPIES,
}
_CHANGES = {
    "merged": cluster_pb2.CLUSTER_CHANGE_KIND_MERGED,
    "split": cluster_pb2.CLUSTER_CHANGE_KIND_SPLIT,
}


def timestamp(seconds: float) -> Timestamp:
    """Unix seconds as a Timestamp, to the microsecond."""
    whole, microseconds = divmod(round(seconds * 1_000_000), 1_000_000)
    return Timestamp(seconds=whole, nanos=microseconds * 1000)


def _optional_timestamp(seconds: float | None) -> Timestamp | None:
    return None if seconds is None else timestamp(seconds)


def _date(seconds: float) -> str:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
    return moment.date().isoformat()


def article(value: model.Article, names: Namer | None = None, *, body: bool = True) -> article_pb2.Article:
    """An article; with ``names`` it is given its name beside its id, without ``body`` all but that.

    Raises UnicodeEncodeError where a string holds an unpaired surrogate, ValueError for numbers out of range.
    """
    message = article_pb2.Article(
        id=value.id,
        headline=value.headline,
        body=value.body if body else "",
        source=value.source,
        byline=value.byline,
        located=value.located,
        url=value.url,
        language_code=value.language,
        version=value.version,
        version_time=_optional_timestamp(value.version_time),
        pubstatus=cast("article_pb2.PubStatus.ValueType", int(value.pubstatus)),
    )
    if names is not None:
        message.name = names.article(value.id)
    if value.published is not None:
        if value.published_is_date:
            message.publish_date = _date(value.published)
        else:
            message.publish_time.MergeFrom(timestamp(value.published))
    return message


def _add_passages(passages: Iterable[model.Passage], field: Passages) -> None:
    add = field.add
    for passage in passages:
        add(
            start=passage.start,
            end=passage.end,
            other_start=passage.other_start,
            other_end=passage.other_end,
            words=passage.words,
            quoted=passage.quoted,
        )


def add_matches(values: Iterable[model.Match], names: Namer, field: Matches) -> None:
    """Write matches with their passages into ``field``: a message put into another is copied with all that is in it."""
    for value in values:
        _add_passages(value.passages, field.add(**_of_match(value, names)).passages)


def _of_match(value: model.Match, names: Namer) -> dict[str, Any]:
    """The fields of a match but for its passages."""
    return {
        "article": names.article(value.article),
        "other": names.article(value.other),
        "kind": int(value.kind),
        "jaccard": value.jaccard,
        "containment": value.containment,
        "other_containment": value.other_containment,
        "shared_words": value.shared_words,
        "quoted_words": value.quoted_words,
        "longest_unquoted_run": value.longest_unquoted_run,
        "other_carriers": [names.article(each) for each in value.other_carriers],
        "probability": value.probability,
        "similarity": value.similarity,
    }


def credit(value: model.Credit) -> article_pb2.Credit:
    """A credit of an agency."""
    return article_pb2.Credit(
        agency=value.agency,
        place=cast("article_pb2.CreditPlace.ValueType", int(value.place)),
        text=value.text,
        start=value.start,
        end=value.end,
        in_byline_field=value.in_byline_field,
    )


def decision(value: model.Decision | None, names: Namer) -> article_pb2.Decision | None:
    """A decision; None stays unset."""
    if value is None:
        return None
    return article_pb2.Decision(
        kind=cast("article_pb2.DecisionKind.ValueType", int(value.kind)),
        copies=names.article(value.copies),
        covered=value.covered,
        words_copied=value.words_copied,
        words_quoted=value.words_quoted,
        words_boilerplate=value.words_boilerplate,
        words_new=value.words_new,
    )


def cluster(value: model.Cluster, names: Namer) -> cluster_pb2.Cluster:
    """A cluster."""
    return cluster_pb2.Cluster(
        name=names.cluster(value.id),
        revision=value.revision,
        size=value.size,
        representative=names.article(value.representative),
        representative_reason=value.representative_reason,
        earliest=names.article(value.earliest),
        first_publish_time=_optional_timestamp(value.first_published),
        settled=value.settled,
        story=names.story(value.story),
        linked=[names.cluster(linked) for linked in value.linked],
        origin=cluster_pb2.Origin(
            origin=value.origin.name, confidence=value.origin.confidence, reason=value.origin.reason
        ),
        agencies=value.agencies,
    )


def story(value: model.Story, names: Namer) -> cluster_pb2.Story:
    """A story."""
    return cluster_pb2.Story(
        name=names.story(value.id),
        revision=value.revision,
        clusters=[names.cluster(cluster_id) for cluster_id in value.clusters],
        size=value.size,
        first_publish_time=_optional_timestamp(value.first_published),
        last_publish_time=_optional_timestamp(value.last_published),
        agencies=value.agencies,
        headline=value.headline,
    )


def stored_article(
    value: model.StoredArticle, names: Namer, *, body: bool = True
) -> article_pb2.StoredArticle:
    """An article as kept; without ``body`` the basic view."""
    return article_pb2.StoredArticle(
        article=article(value.article, names, body=body),
        arrival_number=value.number,
        arrival_time=timestamp(value.arrival_time),
        comparable=value.comparable,
        text_digest=value.text_digest,
        words=value.words,
        decision=decision(value.decision, names),
        cluster=names.cluster(value.cluster),
        story=names.story(value.story),
        representative=value.representative,
        credits=[credit(each) for each in value.credits],
        copies_of_text=[names.article(each) for each in value.copies_of_text],
    )


def write_ingest_response(
    value: model.IngestResult, names: Namer, max_matches: int, message: service_pb2.IngestArticleResponse
) -> None:
    """Write the answer to one article into an empty ``message``, with at most ``max_matches`` of its matches."""
    matches = value.matches[:max_matches]
    apart = service_pb2.IngestArticleResponse(
        name=names.article(value.id),
        outcome=cast("service_pb2.IngestOutcome.ValueType", int(value.outcome)),
        comparable=value.comparable,
        decision=decision(value.decision, names),
        arrival_number=value.number,
        arrival_time=timestamp(value.arrival_time) if value.number else None,
        cluster=None if value.cluster is None else cluster(value.cluster, names),
        affected_clusters=[
            cluster_pb2.ClusterChange(
                kind=_CHANGES[change.change],
                old_cluster=names.cluster(change.old),
                new_cluster=names.cluster(change.new),
            )
            for change in value.affected_clusters
        ],
        story=names.story(value.story),
        total_matches=value.total_matches,
        matches_truncated=value.matches_truncated or len(matches) < len(value.matches),
        credits=[credit(each) for each in value.credits],
        carriers=[names.article(each) for each in value.carriers],
        offset_encoding=CODE_POINTS,
    )
    message.MergeFrom(apart)
    add_matches(matches, names, message.matches)


def find_response(value: model.FindResult, names: Namer) -> service_pb2.FindMatchesResponse:
    """What an article would match."""
    message = service_pb2.FindMatchesResponse(
        comparable=value.comparable,
        total_matches=value.total_matches,
        matches_truncated=value.matches_truncated,
        credits=[credit(each) for each in value.credits],
        decision=decision(value.decision, names),
        offset_encoding=CODE_POINTS,
    )
    add_matches(value.matches, names, message.matches)
    return message


def comparison(value: model.Comparison, names: Namer) -> service_pb2.CompareArticlesResponse:
    """Two articles side by side."""
    message = service_pb2.CompareArticlesResponse(
        article=article(value.article, names),
        other=article(value.other, names),
        match=None if value.match is None else article_pb2.Match(**_of_match(value.match, names)),
        offset_encoding=CODE_POINTS,
    )
    if value.match is not None:
        _add_passages(value.match.passages, message.match.passages)
    _add_passages(value.passages, message.passages)
    return message


def exported_article(value: model.ExportedArticle, names: Namer) -> service_pb2.ExportedArticle:
    """One article of an export."""
    return service_pb2.ExportedArticle(
        name=names.article(value.id),
        text_digest=value.text,
        cluster=names.cluster(value.cluster),
        story=names.story(value.story),
        representative=value.representative,
        agencies=value.agencies,
    )


def parameters(value: model.CollectionParameters) -> service_pb2.CollectionParameters:
    """Parameters of a collection, every field set. Raises ValueError for an unknown profile."""
    if value.profile not in _PROFILES:
        raise ValueError(f"profile must be one of {', '.join(_PROFILES)}, not {value.profile!r}")
    return service_pb2.CollectionParameters(
        profile=_PROFILES[value.profile],
        shingle_size=value.shingle_size,
        window=value.window,
        permutations=value.permutations,
        seed=value.seed,
        band_threshold=value.band_threshold,
        landmarks=value.landmarks,
        minimum_words=value.minimum_words,
        match_window_days=value.match_window_days,
        story_span_days=value.story_span_days,
        keep_text=value.keep_text,
        same_story=value.same_story,
        rules=service_pb2.KindRules(**asdict(value.rules)),
    )


def collection(value: model.CollectionStatus) -> service_pb2.Collection:
    """A collection with its counters."""
    return service_pb2.Collection(
        name=collection_name(value.name),
        parameters=parameters(value.parameters),
        fingerprint=value.fingerprint,
        create_time=timestamp(value.created),
        statistics=service_pb2.CollectionStatistics(
            articles=value.articles,
            texts=value.texts,
            clusters=value.clusters,
            stories=value.stories,
            pending=value.pending,
            dirty=value.dirty,
            store_memory_bytes=value.store_memory_bytes,
            position=value.position,
            lag=value.lag,
            log_digest=value.log_digest,
            content_digest=value.content_digest,
            servers=value.servers,
            acks=value.acks,
            fsync=value.fsync,
        ),
    )
