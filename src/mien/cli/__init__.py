"""The command line: one module per command, each of which parses, calls one function and prints.

Exit codes: 0 done; 1 done, but some input could not be read (or nobody reads the output any more);
2 wrong use, with one sentence on stderr; 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mien import __version__
from mien.cli import (
    compare,
    corpora,
    demo,
    evaluate,
    export,
    models,
    predict,
    prepare,
    recipes,
    synth,
    train,
)
from mien.cli.exits import ExplainedCommands, open_closed_streams

app = typer.Typer(
    name="mien",
    cls=ExplainedCommands,
    help="Read affect from faces, and train, compare and export your own models.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """The entry point of the command ``mien``."""
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # A file name, or a terminal's alphabet, must not end a run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="mien")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def _start(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


# In the order of the help text.
for _command in (
    predict.predict,
    prepare.prepare,
    synth.synth,
    corpora.corpora,
    recipes.recipes,
    models.models,
    train.train,
    evaluate.evaluate,
    compare.compare,
    export.export,
    demo.demo,
):
    app.command()(_command)
