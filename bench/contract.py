"""Whether our client and the server of another commit understand each other on the wire.

The wire knows methods by name and fields by number; names of fields, messages and values do not matter. Messages are
compared as the called methods reach them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Final

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor, ServiceDescriptor

SERVICE: Final = "dedup.v1.DedupService"
#: Methods that the load of the benchmarks calls.
CALLED: Final = ("CreateCollection", "GetCollection", "IngestArticle", "StreamIngestArticles", "FindMatches")

#: Run by the other commit's interpreter: prints its contract with all that it refers to, as one line.
TELL: Final = """
import base64
from google.protobuf import descriptor_pb2
from dedup.v1 import dedup_service_pb2
told, seen = descriptor_pb2.FileDescriptorSet(), set()
def tell(file):
    if file.name not in seen:
        seen.add(file.name)
        for needed in file.dependencies:
            tell(needed)
        told.file.add().ParseFromString(file.serialized_pb)
tell(dedup_service_pb2.DESCRIPTOR)
print(base64.b64encode(told.SerializeToString()).decode())
"""

# Types that are written alike.
_VARINT: Final = frozenset({
    FieldDescriptor.TYPE_INT32,
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_UINT32,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_BOOL,
    FieldDescriptor.TYPE_ENUM,
})  # fmt: skip


def ours() -> ServiceDescriptor:
    """The service that our client calls."""
    from dedup.v1 import dedup_service_pb2

    found: ServiceDescriptor = dedup_service_pb2.DESCRIPTOR.services_by_name[SERVICE.rpartition(".")[2]]
    return found


def theirs(told: str) -> ServiceDescriptor:
    """The service of a commit whose interpreter ran ``TELL``. Raises KeyError where it has none of this name."""
    return service_of(descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(told)).file)


def service_of(files: Iterable[descriptor_pb2.FileDescriptorProto]) -> ServiceDescriptor:
    """The service in files of which each comes after those that it refers to."""
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())
    found: ServiceDescriptor = pool.FindServiceByName(SERVICE)
    return found


def compare(client: ServiceDescriptor, server: ServiceDescriptor) -> tuple[list[str], list[str]]:
    """What keeps a client from calling a server, and the client's fields that the server does not know."""
    wrong: list[str] = []
    unknown: list[str] = []
    for name in CALLED:
        asked, given = client.methods_by_name[name], server.methods_by_name.get(name)
        if given is None:
            wrong.append(f"it has no method {name}")
            continue
        seen: set[tuple[str, str]] = set()
        for one, other in ((asked.input_type, given.input_type), (asked.output_type, given.output_type)):
            for where, field, known in _fields(one, other, seen):
                if known is None:
                    unknown.append(where)
                elif not _alike(field, known):
                    wrong.append(f"it has another type for {where}, number {field.number}")
    return list(dict.fromkeys(wrong)), list(dict.fromkeys(unknown))


def _fields(
    one: Descriptor, other: Descriptor, seen: set[tuple[str, str]]
) -> Iterator[tuple[str, FieldDescriptor, FieldDescriptor | None]]:
    """Every field of a message and of those in it by name, with that of the same number in the other message."""
    if (pair := (one.full_name, other.full_name)) in seen:
        return
    seen.add(pair)
    for field in one.fields:
        known = other.fields_by_number.get(field.number)
        yield f"{one.name}.{field.name}", field, known
        if known is not None and field.message_type is not None and known.message_type is not None:
            yield from _fields(field.message_type, known.message_type, seen)


def _alike(one: FieldDescriptor, other: FieldDescriptor) -> bool:
    same = one.type == other.type or {one.type, other.type} <= _VARINT
    return same and one.is_repeated == other.is_repeated
