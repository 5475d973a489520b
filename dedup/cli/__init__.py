"""The command line: one file a command, argument parsing and printing only.

Every failure that can be expected is one line on standard error, ``dedup: what is wrong``, and an exit
status: 1, it could not be done; 2, ``ingest``, ``cluster`` or ``find`` did it, but not for every line, or ``tune``
was given labels that it cannot use; 130, interrupted; 143, ``cluster`` or ``demo`` was terminated.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence

import typer

import dedup
from dedup.cli import (
    cluster,
    clusters,
    compare,
    create,
    demo,
    export,
    find,
    health,
    ingest,
    serve,
    status,
    stories,
    tune,
)
from dedup.cli.console import report
from dedup.errors import DedupError

__all__ = ["app", "main"]

app = typer.Typer(
    name="dedup",
    help="Which news articles carry the same copy, in what way, and the passages that prove it.",
    epilog="Start with: dedup demo",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
_COMMANDS = (
    serve,
    create,
    ingest,
    export,
    cluster,
    find,
    compare,
    clusters,
    stories,
    status,
    tune,
    demo,
    health,
)
for command in _COMMANDS:
    # The mark keeps the lines of the examples as they are.
    text = inspect.cleandoc(command.run.__doc__ or "").replace("\nExamples:", "\n\b\nExamples:")
    app.command(name=command.__name__.rpartition(".")[2], help=text)(command.run)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"dedup {dedup.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    del version


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        given = sys.argv[1:] if arguments is None else arguments
        outcome = app(list(given), prog_name="dedup", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        return _failed(_usage(error))
    except DedupError as error:
        return _failed(error.message)
    except BrokenPipeError:
        # The reader of our output went away; nothing is left to say, also not while Python shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        name = f"{error.filename}: " if error.filename is not None else ""
        return _failed(f"{name}{error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        return 130
    return outcome if isinstance(outcome, int) else 0


def _usage(error: typer.TyperException) -> str:
    """What is wrong with the arguments, and where help is."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "dedup"
    return f"{error.format_message().strip().rstrip('.')} (see {path} --help)"


def _failed(message: str) -> int:
    report("dedup: " + " ".join(message.split()))
    return 1
