"""Generate ``dedup/v1`` from ``proto/dedup/v1``; run ``python proto/generate.py``.

The result is committed; a test generates again into an empty directory and compares. ``--baseline`` also
writes ``proto/baseline.binpb``, the descriptor set that `buf breaking` compares with: do so at a release.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.resources
import sys
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]

PROTO = Path(__file__).resolve().parent
BASELINE = PROTO / "baseline.binpb"
HEADER = '"""Generated from proto/dedup/v1 by proto/generate.py; do not edit."""\n'


def sources() -> list[str]:
    """The contract's files, relative to ``proto/``, sorted."""
    return sorted(path.relative_to(PROTO).as_posix() for path in PROTO.glob("dedup/v1/*.proto"))


def include_paths() -> list[Path]:
    """Where imports are found: here, and in the installed grpcio-tools and googleapis-common-protos."""
    google_api = importlib.metadata.distribution("googleapis-common-protos").locate_file("")
    well_known = importlib.resources.files("grpc_tools").joinpath("_proto")
    return [PROTO, Path(str(well_known)), Path(str(google_api))]


def compile_protos(*arguments: str) -> None:
    """Run protoc over the contract; raise RuntimeError with its messages on standard error."""
    includes = [f"--proto_path={path}" for path in include_paths()]
    if protoc.main(["protoc", *includes, *arguments, *sources()]) != 0:
        message = "protoc failed; its messages are above"
        raise RuntimeError(message)


def generate(root: Path) -> None:
    """Write the package ``dedup/v1`` below ``root``: messages, stubs and their types."""
    package = root / "dedup" / "v1"
    package.mkdir(parents=True, exist_ok=True)
    scripts = Path(sys.executable).parent
    compile_protos(
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
        f"--python_out={root}",
        f"--grpc_python_out={root}",
        f"--mypy_out={root}",
        f"--mypy_grpc_out={root}",
    )
    for path in package.glob("*_pb2_grpc.py*"):
        if not path.name.startswith("dedup_service"):
            path.unlink()  # no service in it
    (package / "__init__.py").write_text(HEADER, encoding="utf-8")


def describe(output: Path, *, comments: bool) -> None:
    """Write the descriptor set of the contract and its imports, with source comments if asked."""
    flags = ["--include_source_info"] if comments else []
    compile_protos("--include_imports", *flags, f"--descriptor_set_out={output}")


def main() -> None:
    """Generate into the repository."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--baseline", action="store_true", help="also write proto/baseline.binpb")
    arguments = parser.parse_args()
    generate(PROTO.parent)
    if arguments.baseline:
        describe(BASELINE, comments=False)


if __name__ == "__main__":
    main()
