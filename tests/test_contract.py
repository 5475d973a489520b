"""The contract: generated code, lint, breaking changes, and that comments, enumerations and values agree."""

from __future__ import annotations

import dataclasses
import enum
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from google.rpc import code_pb2  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup import errors, model
from dedup.config import load_settings
from dedup.convert import incoming, names, outgoing, status, values
from dedup.core import parameters
from dedup.core.article_rules import FIELD_BYTES
from dedup.errors import DedupError, InvalidArgument, Reason
from dedup.v1 import article_pb2, cluster_pb2, error_reason_pb2
from dedup.v1 import dedup_service_pb2 as pb

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
PROTOS = {path.name: path.read_text() for path in sorted((PROTO / "dedup" / "v1").glob("*.proto"))}


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """``proto/generate.py`` as a module."""
    spec = importlib.util.spec_from_file_location("generate", PROTO / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def described(generator: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A descriptor set of the contract with its comments."""
    path: Path = tmp_path_factory.mktemp("contract") / "contract.binpb"
    generator.describe(path, comments=True)
    return path


def buf(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run buf; it needs no network for a descriptor set."""
    return subprocess.run(
        [Path(sys.executable).parent / "buf", *map(str, arguments), "--config", PROTO / "buf.yaml"],
        check=False,
        capture_output=True,
        text=True,
    )


# -- files ------------------------------------------------------------------------------------------


def test_generated_code_is_that_of_the_contract(generator: ModuleType, tmp_path: Path) -> None:
    """Generating again gives the committed files, byte for byte; nothing else is among them."""
    generator.generate(tmp_path)
    new = {path.name: path.read_bytes() for path in (tmp_path / "dedup" / "v1").iterdir()}
    committed = {path.name: path.read_bytes() for path in (ROOT / "dedup" / "v1").glob("*.py*")}
    assert sorted(new) == sorted(committed)
    assert [name for name in new if new[name] != committed[name]] == []


def test_contract_passes_lint(described: Path) -> None:
    """Buf finds nothing to say with its STANDARD and COMMENTS rules: everything is commented."""
    result = buf("lint", described)
    assert (result.returncode, result.stdout) == (0, "")


def test_lint_is_alive(described: Path, tmp_path: Path) -> None:
    """The same command finds a bad name and a comment that is missing, so that its silence means something."""
    contract = descriptor_pb2.FileDescriptorSet.FromString(described.read_bytes())
    for file in contract.file:
        if file.name == "dedup/v1/cluster.proto":
            file.message_type[0].field[0].name = "BadName"
            for place in file.source_code_info.location:
                if list(place.path) == [4, 0]:  # the first message
                    place.ClearField("leading_comments")
    spoiled = tmp_path / "spoiled.binpb"
    spoiled.write_bytes(contract.SerializeToString())
    result = buf("lint", spoiled)
    assert result.returncode != 0
    assert "lower_snake_case" in result.stdout
    assert 'Message "Cluster" should have a non-empty comment' in result.stdout


def test_contract_breaks_nobody(described: Path, generator: ModuleType) -> None:
    """Compared with the released contract nothing was removed, renumbered or retyped."""
    result = buf("breaking", described, "--against", generator.BASELINE)
    assert (result.returncode, result.stdout) == (0, "")


# -- comments and code ------------------------------------------------------------------------------


def number(text: str) -> float:
    """A number as comments write it."""
    return float(text.replace(",", ""))


def test_comments_state_the_limits_of_the_settings() -> None:
    """A number that stands in a comment beside the name of a setting is its default."""
    defaults = load_settings()
    stated = re.findall(r"`(\w+)` \((?:default )?([\d,]+)( MiB)?\)", "\n".join(PROTOS.values()))
    assert {name for name, _, _ in stated} == {
        "max_batch_articles", "max_body_bytes", "max_matches", "max_message_bytes", "page_size_default",
        "page_size_max",
    }  # fmt: skip
    for name, value, unit in stated:
        assert number(value) * (1 << 20 if unit else 1) == getattr(defaults, name), name


def test_comments_state_the_limits_of_fields() -> None:
    """The comment of each field of an article says its limit."""
    article = PROTOS["article.proto"].split("message StoredArticle")[0]
    for field, limited in incoming.FIELDS.items():
        limit = FIELD_BYTES[limited]
        comment = re.search(rf"((?: +//.*\n)+) +string {field} =", article)
        assert comment, field
        assert f"{limit:,} bytes" in comment[1], field
    assert f"1 to {load_settings().max_id_bytes} bytes" in article
    assert f"at most {incoming.FULL_PAGE} articles" in PROTOS["dedup_service.proto"]
    assert f"0 to {incoming.FIND_MATCHES:,}. Unset" in PROTOS["dedup_service.proto"]


def test_comments_state_the_parameters() -> None:
    """Ranges and defaults of a collection's parameters are those that are checked and used."""
    text = PROTOS["dedup_service.proto"].split("message CollectionParameters {")[1].split("\n}")[0]
    defaults = model.CollectionParameters()
    for comment, field in re.findall(r"((?: +//.*\n)+) +optional \w+ (\w+) =", text):
        default = re.search(r"Default ([\d.,]+|true|false)\.\n", comment)
        assert default, field
        if default[1] in ("true", "false"):
            assert getattr(defaults, field) is (default[1] == "true")
            continue
        assert number(default[1]) == getattr(defaults, field), field
        if field != "band_threshold":
            least, most = parameters.RANGES[field]
            assert re.search(rf"\b{least:,} to {most:,}\b", comment.replace("\n  //", "")), field


def test_enumerations_have_the_numbers_of_the_model() -> None:
    """A member of the model and its counterpart in the contract have one name and one number."""
    pairs: list[tuple[Any, Any, str]] = [
        (model.MatchKind, article_pb2.MatchKind, "MATCH_KIND_"),
        (model.DecisionKind, article_pb2.DecisionKind, "DECISION_KIND_"),
        (model.PubStatus, article_pb2.PubStatus, "PUB_STATUS_"),
        (model.CreditPlace, article_pb2.CreditPlace, "CREDIT_PLACE_"),
        (model.Outcome, pb.IngestOutcome, "INGEST_OUTCOME_"),
    ]
    for members, wire, prefix in pairs:
        expected = {prefix + each.name: each.value for each in members}
        assert dict(wire.items()) == expected | {f"{prefix}UNSPECIFIED": 0}


def test_reasons_are_those_of_the_contract() -> None:
    """Every reason has its ErrorReason, and the other way round."""
    wire = {name.removeprefix("ERROR_REASON_") for name in error_reason_pb2.ErrorReason.keys()}  # noqa: SIM118
    assert wire == {reason.name for reason in Reason} | {"UNSPECIFIED"}


def test_comments_state_the_codes_of_reasons() -> None:
    """The code in brackets in the comment of a reason is the one that is sent."""
    text = PROTOS["error_reason.proto"]
    stated = {name: code for code, name in re.findall(r"\[([A-Z_]+)\][^=]*?ERROR_REASON_(\w+) =", text)}
    sent = {
        reason.name: code_pb2.Code.Name(status.code_of(kind(""))) for reason, kind in status._CLASSES.items()
    }
    assert stated == sent | {"INTERNAL": "INTERNAL"}


def test_floors_are_what_the_generated_code_asks_for() -> None:
    """pyproject.toml admits no grpcio or protobuf that the committed stubs refuse when they are imported."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    floors = dict(each.split(">=") for each in project["dependencies"])
    stubs = (ROOT / "dedup/v1/dedup_service_pb2_grpc.py").read_text()
    messages = (ROOT / "dedup/v1/article_pb2.py").read_text()
    grpcio = re.search(r"GRPC_GENERATED_VERSION = '([\d.]+)'", stubs)
    protobuf = re.search(r"Domain\.PUBLIC,\s+(\d+),\s+(\d+),\s+(\d+),", messages)
    assert grpcio
    assert protobuf
    assert (floors["grpcio"], floors["protobuf"]) == (grpcio[1], ".".join(protobuf.groups()))


def test_comments_state_the_rules() -> None:
    """Every rule of the model stands in the contract, with its default and the range that is checked."""
    text = PROTOS["dedup_service.proto"].split("message KindRules {")[1].split("\n}")[0]
    stated = {name: comment for comment, name in re.findall(r"((?: +//.*\n)+) +optional \w+ (\w+) =", text)}
    assert list(stated) == [rule.name for rule in dataclasses.fields(model.Rules)]
    for name, comment in stated.items():
        value = getattr(model.Rules(), name)
        default = re.search(r"Default ([\d.]+)\.\n", comment)
        assert default, name
        assert number(default[1]) == value, name
        limits = "above 0 and up to 1" if isinstance(value, float) else f"1 to {parameters.RULE_WORDS:,}"
        assert limits in comment.replace("\n  //", ""), name


# -- values through messages ------------------------------------------------------------------------

TEXTS = st.text(max_size=12)  # any Unicode but surrogates
COUNTS = st.integers(0, 2**40)
SHARES = st.floats(0, 1)
TIMES = st.integers(0, 4 * 10**15).map(lambda microseconds: microseconds / 1_000_000)
IDS = st.text(min_size=1, max_size=12)
SOME_IDS = st.lists(IDS, max_size=3).map(tuple)
DAYS = st.integers(-719_162, 2_932_896).map(lambda day: day * 86_400.0)
BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("id", "other", "representative", "earliest", "old", "new"), IDS),
    **dict.fromkeys(("linked", "clusters", "carriers", "copies_of_text", "other_carriers"), SOME_IDS),
    "agencies": st.lists(TEXTS, max_size=3).map(tuple),
    "change": st.sampled_from(["merged", "split"]),
    "profile": st.sampled_from(["passages", "copies"]),
    "name": TEXTS,
    "number": st.integers(1, 2**40),
}  # fmt: skip
BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "str": TEXTS, "int": st.integers(0, 2**31 - 1), "float": SHARES, "bool": st.booleans(),
    "str | None": st.none() | IDS, "float | None": st.none() | TIMES, "int | None": st.none() | COUNTS,
}  # fmt: skip


def built(kind: Any, **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Instances of a value of the model with every field drawn, also those added later."""
    drawn: dict[str, st.SearchStrategy[Any]] = {}
    for name, declared in kind.__annotations__.items():
        nested = re.fullmatch(r"(?:tuple\[)?(\w+)(?:, \.\.\.\])?(?: \| None)?", declared)
        if name in fixed:
            drawn[name] = fixed[name]
        elif name.endswith("time") or name == "created":
            drawn[name] = TIMES if declared == "float" else st.none() | TIMES
        elif name == "representative" and declared == "bool":
            drawn[name] = st.booleans()
        elif name in BY_NAME:
            drawn[name] = BY_NAME[name]
        elif declared in BY_TYPE:
            drawn[name] = BY_TYPE[declared]
        else:
            assert nested, declared
            inner = getattr(model, nested[1])
            one = st.sampled_from(list(inner)) if issubclass(inner, enum.Enum) else built(inner)
            if declared.startswith("tuple"):
                one = st.lists(one, max_size=2).map(tuple)
            drawn[name] = st.none() | one if declared.endswith("None") else one
    return st.builds(kind, **drawn)


ARTICLES = st.one_of(
    built(model.Article, published=st.none() | TIMES, published_is_date=st.just(value=False)),
    built(model.Article, published=DAYS, published_is_date=st.just(value=True)),
)
NAMER = names.Namer("default")


def _match(value: model.Match) -> article_pb2.Match:
    response = pb.ListMatchesResponse()
    outgoing.add_matches([value], NAMER, response.matches)
    return response.matches[0]


def _ingest_response(value: model.IngestResult) -> pb.IngestArticleResponse:
    response = pb.IngestArticleResponse()
    outgoing.write_ingest_response(value, NAMER, 5, response)
    return response


ROUND_TRIPS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "article": (ARTICLES, outgoing.article, values.article),
    "match": (built(model.Match), _match, values.match),
    "cluster": (built(model.Cluster), lambda v: outgoing.cluster(v, NAMER), values.cluster),
    "story": (built(model.Story), lambda v: outgoing.story(v, NAMER), values.story),
    "stored article": (
        built(model.StoredArticle, article=ARTICLES),
        lambda v: outgoing.stored_article(v, NAMER),
        values.stored_article,
    ),
    "ingest result": (
        built(model.IngestResult),
        _ingest_response,
        values.ingest_result,
    ),
    "find result": (
        built(model.FindResult),
        lambda v: outgoing.find_response(v, NAMER),
        values.find_result,
    ),
    "comparison": (
        built(model.Comparison, article=ARTICLES, other=ARTICLES),
        lambda v: outgoing.comparison(v, NAMER),
        values.comparison,
    ),
    "collection": (
        built(
            model.CollectionStatus,
            clusters=COUNTS,
            name=st.from_regex(names.COLLECTION_PATTERN, fullmatch=True),
        ),
        outgoing.collection,
        values.collection,
    ),
    "exported article": (
        built(model.ExportedArticle),
        lambda v: outgoing.exported_article(v, NAMER),
        values.exported_article,
    ),
}


@pytest.mark.parametrize("kind", ROUND_TRIPS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_values_survive_the_wire(kind: str, data: st.DataObject) -> None:
    """Whatever a value holds, also in fields added later, comes out of its message again."""
    strategy, write, read = ROUND_TRIPS[kind]
    value = data.draw(strategy)
    message = write(value)
    assert read(type(message).FromString(message.SerializeToString())) == value


@settings(max_examples=100, deadline=None)
@given(article=ARTICLES)
def test_articles_are_read_as_they_were_sent(article: model.Article) -> None:
    """What a client sends is what the server stores, times and dates included."""
    message = outgoing.article(article)
    assert incoming.Incoming(load_settings()).article(message, "default") == article


def test_messages_of_the_contract_are_all_covered() -> None:
    """No message has a field that conversion leaves unset: made from full values, every field is set."""
    match = model.Match(
        "a",
        "b",
        model.MatchKind.REWRITE,
        0.1,
        0.2,
        0.3,
        1,
        1,
        1,
        (model.Passage(1, 2, 3, 4, 5, 6),),
        ("c",),
        0.9,
        0.2,
    )
    cluster = model.Cluster(
        "c", 1, 2, "a", "why", "a", 1.0, settled=True, story="s", linked=("d",),
        origin=model.Origin("AFP", 0.5, "why"), agencies=("AFP",),
    )  # fmt: skip
    credit = model.Credit("AFP", model.CreditPlace.TEXT, "AFP", 1, 2, in_byline_field=True)
    decision = model.Decision(model.DecisionKind.COPY, "b", 0.5, 1, 2, 3, 4)
    result = model.IngestResult(
        "a", model.Outcome.CREATED, comparable=True, decision=decision, number=1, arrival_time=1.0,
        cluster=cluster, affected_clusters=(model.ClusterChange("merged", "x", "y"),), story="s",
        matches=(match,), total_matches=1, matches_truncated=True, credits=(credit,), carriers=("b",),
    )  # fmt: skip
    story = model.Story("s", 1, ("c",), 2, 1.0, 2.0, ("AFP",), "headline")
    for message in (_ingest_response(result), outgoing.story(story, NAMER)):
        assert_full(message)


def assert_full(message: Any) -> None:
    """Every field of ``message`` is set, down to the messages in it."""
    given_fields = {field.name for field, _ in message.ListFields()}
    assert given_fields == {field.name for field in message.DESCRIPTOR.fields} or (
        message.DESCRIPTOR.full_name.startswith("google.")
    )
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if field.is_repeated else [value]:
                assert_full(each)


# -- names ------------------------------------------------------------------------------------------


@given(identifier=st.text(min_size=1))
def test_any_id_can_stand_in_a_name(identifier: str) -> None:
    """Ids are encoded into plain characters without a slash, and come out as they were."""
    name = names.Namer("default").article(identifier)
    assert re.fullmatch(r"collections/default/articles/[A-Za-z0-9._~%-]+", name)
    assert names.parse(name, "articles") == ("default", identifier)
    assert names.last_id(name) == identifier


def test_names_are_read_leniently() -> None:
    """What need not have been encoded may stand as it is, in either case of digits."""
    assert names.parse("collections/a/articles/é %2f%2F", "articles") == ("a", "é //")


@pytest.mark.parametrize(
    "name",
    [
        "", "collections", "collections/", "collections/a", "collections/a/articles", "collections/a/articles/",
        "collections/a/clusters/x", "collections/a/articles/x/y", "collections/A/articles/x", "a/b/articles/x",
        "collections//articles/x", "collections/a/articles/%", "collections/a/articles/%2", "/collections/a/articles/x",
        "collections/a/articles/%zz", "collections/a/articles/%ff", "collections/a/articles/%ed%a0%80",
        "collections/a b/articles/x", f"collections/{'a' * 64}/articles/x", "collections/-a/articles/x",
        "collections/a\n/articles/x",
    ],
)  # fmt: skip
def test_malformed_names_are_refused(name: str) -> None:
    """A name that is not of its form is an invalid argument that says the form."""
    with pytest.raises(InvalidArgument) as raised:
        names.parse(name, "articles")
    assert raised.value.metadata["field"] == "name"


# -- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", list(Reason))
def test_errors_survive_the_wire(reason: Reason) -> None:
    """An error arrives as one of the same class, with its message, reason and metadata."""
    kind = status._CLASSES.get(reason, DedupError)
    error = kind("why it is so", reason, field="body", limit=3)
    back = status.from_status(status.to_status(error))
    assert type(back) is kind
    assert (back.message, back.reason) == (error.message, reason)
    assert error.metadata.items() <= back.metadata.items()


def test_every_class_of_error_has_its_code() -> None:
    """No error that is raised on purpose is sent as INTERNAL."""
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DedupError)
    ]
    internal = [kind.__name__ for kind in kinds if status.code_of(kind("")) == code_pb2.INTERNAL]
    assert internal == ["DedupError"]


def test_an_invalid_article_stays_one() -> None:
    """InvalidArticle and InvalidArgument share a reason; the article in the metadata tells them apart."""
    for kind in (errors.InvalidArticle, errors.InvalidArgument):
        assert type(status.from_status(status.to_status(kind("no", field="x")))) is kind


def test_errors_are_cut_to_fit_into_trailing_metadata() -> None:
    """However long what is quoted, the status stays below the 8 KiB that peers accept."""
    error = errors.InvalidArgument("x" * 100_000, field="y" * 100_000, value="z" * 100_000)
    assert status.to_status(error).ByteSize() < 4096


def test_watching_stands_in_the_contract() -> None:
    """The messages of WatchClusters stand in the contract although the method is not implemented."""
    assert {"events", "resume_token"} == set(pb.WatchClustersResponse.DESCRIPTOR.fields_by_name)
    assert "joined" in cluster_pb2.ClusterEvent.DESCRIPTOR.fields_by_name
