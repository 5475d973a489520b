"""Messages into values: what a client reads. Messages of a server are trusted to be well formed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from dedup import model
from dedup.convert.names import last_id
from dedup.convert.status import from_status
from dedup.core.article_rules import parse_time
from dedup.errors import DedupError
from dedup.v1 import article_pb2, cluster_pb2
from dedup.v1 import dedup_service_pb2 as service_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROFILES = {
    service_pb2.COLLECTION_PROFILE_PASSAGES: "passages",
    service_pb2.COLLECTION_PROFILE_COPIES: "copies",
}
_CHANGES = {
    cluster_pb2.CLUSTER_CHANGE_KIND_MERGED: "merged",
    cluster_pb2.CLUSTER_CHANGE_KIND_SPLIT: "split",
}


def seconds(message: Timestamp) -> float:
    """A Timestamp as Unix seconds, to the microsecond: the double nearest to it."""
    return (message.seconds * 1_000_000 + message.nanos // 1000) / 1_000_000


def article(message: article_pb2.Article) -> model.Article:
    """An article of an answer; plain text."""
    published = None
    which = message.WhichOneof("published")
    if which == "publish_time":
        published = seconds(message.publish_time)
    elif which == "publish_date":
        published, _ = parse_time(message.publish_date)
    return model.Article(
        id=message.id,
        headline=message.headline,
        body=message.body,
        source=message.source,
        byline=message.byline,
        located=message.located,
        url=message.url,
        language=message.language_code,
        published=published,
        published_is_date=which == "publish_date",
        version=message.version if message.HasField("version") else None,
        version_time=seconds(message.version_time) if message.HasField("version_time") else None,
        pubstatus=model.PubStatus(message.pubstatus or model.PubStatus.USABLE),
    )


def _passages(messages: Iterable[article_pb2.Passage]) -> tuple[model.Passage, ...]:
    return tuple(
        model.Passage(
            start=each.start,
            end=each.end,
            other_start=each.other_start,
            other_end=each.other_end,
            words=each.words,
            quoted=each.quoted,
        )
        for each in messages
    )


def match(message: article_pb2.Match) -> model.Match:
    """A match with its passages."""
    return model.Match(
        article=last_id(message.article),
        other=last_id(message.other),
        kind=model.MatchKind(message.kind),
        jaccard=message.jaccard,
        containment=message.containment,
        other_containment=message.other_containment,
        shared_words=message.shared_words,
        quoted_words=message.quoted_words,
        longest_unquoted_run=message.longest_unquoted_run,
        passages=_passages(message.passages),
        other_carriers=tuple(map(last_id, message.other_carriers)),
        probability=message.probability,
        similarity=message.similarity,
    )


def _credits(messages: Iterable[article_pb2.Credit]) -> tuple[model.Credit, ...]:
    return tuple(
        model.Credit(
            agency=each.agency,
            place=model.CreditPlace(each.place),
            text=each.text,
            start=each.start,
            end=each.end,
            in_byline_field=each.in_byline_field,
        )
        for each in messages
    )


def decision(message: article_pb2.Decision) -> model.Decision:
    """A decision."""
    return model.Decision(
        kind=model.DecisionKind(message.kind),
        copies=last_id(message.copies),
        covered=message.covered,
        words_copied=message.words_copied,
        words_quoted=message.words_quoted,
        words_boilerplate=message.words_boilerplate,
        words_new=message.words_new,
    )


def cluster(message: cluster_pb2.Cluster) -> model.Cluster:
    """A cluster."""
    has_time = message.HasField("first_publish_time")
    origin = message.origin
    return model.Cluster(
        id=last_id(message.name),
        revision=message.revision,
        size=message.size,
        representative=last_id(message.representative),
        representative_reason=message.representative_reason,
        earliest=last_id(message.earliest),
        first_published=seconds(message.first_publish_time) if has_time else None,
        settled=message.settled,
        story=last_id(message.story) or None,
        linked=tuple(map(last_id, message.linked)),
        origin=model.Origin(origin.origin, origin.confidence, origin.reason),
        agencies=tuple(message.agencies),
    )


def story(message: cluster_pb2.Story) -> model.Story:
    """A story."""
    has_first, has_last = message.HasField("first_publish_time"), message.HasField("last_publish_time")
    return model.Story(
        id=last_id(message.name),
        revision=message.revision,
        clusters=tuple(map(last_id, message.clusters)),
        size=message.size,
        first_published=seconds(message.first_publish_time) if has_first else None,
        last_published=seconds(message.last_publish_time) if has_last else None,
        agencies=tuple(message.agencies),
        headline=message.headline,
    )


def stored_article(message: article_pb2.StoredArticle) -> model.StoredArticle:
    """An article as kept."""
    return model.StoredArticle(
        article=article(message.article),
        number=message.arrival_number,
        arrival_time=seconds(message.arrival_time),
        comparable=message.comparable,
        text_digest=message.text_digest,
        words=message.words,
        decision=decision(message.decision) if message.HasField("decision") else None,
        cluster=last_id(message.cluster) or None,
        story=last_id(message.story) or None,
        representative=message.representative,
        credits=_credits(message.credits),
        copies_of_text=tuple(map(last_id, message.copies_of_text)),
    )


def ingest_result(message: service_pb2.IngestArticleResponse) -> model.IngestResult:
    """The answer to one article."""
    return model.IngestResult(
        id=last_id(message.name),
        outcome=model.Outcome(message.outcome),
        comparable=message.comparable,
        decision=decision(message.decision) if message.HasField("decision") else None,
        number=message.arrival_number,
        arrival_time=seconds(message.arrival_time),
        cluster=cluster(message.cluster) if message.HasField("cluster") else None,
        affected_clusters=tuple(
            model.ClusterChange(_CHANGES[each.kind], last_id(each.old_cluster), last_id(each.new_cluster))
            for each in message.affected_clusters
        ),
        story=last_id(message.story) or None,
        matches=tuple(map(match, message.matches)),
        total_matches=message.total_matches,
        matches_truncated=message.matches_truncated,
        credits=_credits(message.credits),
        carriers=tuple(map(last_id, message.carriers)),
    )


def ingest_outcome(message: service_pb2.IngestArticleResult) -> model.IngestResult | DedupError:
    """What became of one article of a batch."""
    if message.WhichOneof("result") == "error":
        return from_status(message.error)
    return ingest_result(message.response)


def find_result(message: service_pb2.FindMatchesResponse) -> model.FindResult:
    """What an article would match."""
    return model.FindResult(
        comparable=message.comparable,
        matches=tuple(map(match, message.matches)),
        total_matches=message.total_matches,
        matches_truncated=message.matches_truncated,
        credits=_credits(message.credits),
        decision=decision(message.decision) if message.HasField("decision") else None,
    )


def comparison(message: service_pb2.CompareArticlesResponse) -> model.Comparison:
    """Two articles side by side."""
    return model.Comparison(
        article=article(message.article),
        other=article(message.other),
        match=match(message.match) if message.HasField("match") else None,
        passages=_passages(message.passages),
    )


def exported_article(message: service_pb2.ExportedArticle) -> model.ExportedArticle:
    """One article of an export."""
    return model.ExportedArticle(
        id=last_id(message.name),
        text=message.text_digest,
        cluster=last_id(message.cluster) or None,
        story=last_id(message.story) or None,
        representative=message.representative,
        agencies=tuple(message.agencies),
    )


def rules(message: service_pb2.KindRules) -> model.Rules:
    """Where the kinds begin, defaults where unset: a server may be older than the rules."""
    return model.Rules(**{field.name: value for field, value in message.ListFields()})


def parameters(message: service_pb2.CollectionParameters) -> model.CollectionParameters:
    """Parameters of a collection, as a server returns them: every field set, but rules perhaps."""
    return model.CollectionParameters(
        profile=_PROFILES[message.profile],
        shingle_size=message.shingle_size,
        window=message.window,
        permutations=message.permutations,
        seed=message.seed,
        band_threshold=message.band_threshold,
        landmarks=message.landmarks,
        minimum_words=message.minimum_words,
        match_window_days=message.match_window_days,
        story_span_days=message.story_span_days,
        keep_text=message.keep_text,
        rules=rules(message.rules),
        same_story=message.same_story,
    )


def collection(message: service_pb2.Collection) -> model.CollectionStatus:
    """A collection with its counters."""
    counters = message.statistics
    return model.CollectionStatus(
        name=last_id(message.name),
        parameters=parameters(message.parameters),
        fingerprint=message.fingerprint,
        articles=counters.articles,
        texts=counters.texts,
        clusters=counters.clusters,
        stories=counters.stories,
        pending=counters.pending,
        dirty=counters.dirty,
        store_memory_bytes=counters.store_memory_bytes,
        created=seconds(message.create_time),
        position=counters.position,
        lag=counters.lag,
        log_digest=counters.log_digest,
        content_digest=counters.content_digest,
        servers=counters.servers,
        acks=counters.acks,
        fsync=counters.fsync,
    )
