"""The command line: one module per command, each of which parses, calls one function and prints.

Exit codes: 0 done; 1 done, but some input could not be read or an audit has findings (or nobody
reads the output any more); 2 wrong use, with one sentence on stderr; 130 interrupted.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import Annotated

import typer

from mien import __version__
from mien.cli import (
    audit,
    compare,
    corpora,
    demo,
    evaluate,
    export,
    index,
    live,
    models,
    predict,
    prepare,
    recipes,
    search,
    serve,
    synth,
    train,
)
from mien.cli.exits import ExplainedCommands, open_closed_streams
from mien.terminal import be_quiet, tell

app = typer.Typer(
    name="mien",
    cls=ExplainedCommands,
    help="Read affect from faces, and train, compare and export your own models.",
    no_args_is_help=True,
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
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show no progress, only results and errors.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Also print the time and the peak memory it took."),
    ] = False,
) -> None:
    be_quiet(quiet)
    if verbose:
        context.call_on_close(partial(_print_costs, time.monotonic()))


def _print_costs(started: float) -> None:
    tell(f"mien: {time.monotonic() - started:.1f} s{_peak_memory()}")


def _peak_memory() -> str:
    try:
        import resource
    except ImportError:  # not on Windows
        return ""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megabytes = peak / (1e6 if sys.platform == "darwin" else 1e3)
    return f", at most {megabytes:.0f} MB of memory"


# In the order of the help text.
for _command in (
    predict.predict,
    live.live,
    prepare.prepare,
    synth.synth,
    corpora.corpora,
    recipes.recipes,
    models.models,
    train.train,
    evaluate.evaluate,
    compare.compare,
    audit.audit,
    export.export,
    index.index,
    search.search,
    serve.serve,
    demo.demo,
):
    app.command()(_command)
