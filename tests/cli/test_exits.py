"""What a user can be the cause of ends in one sentence and a documented exit code."""

import errno
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from mien.cli.exits import ExplainedCommands
from mien.errors import MienError


def end(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    app = typer.Typer(cls=ExplainedCommands, pretty_exceptions_enable=False)

    @app.command()
    def fail() -> None:
        raise error

    @app.command()
    def other() -> None: ...

    with pytest.raises(SystemExit) as stop:
        app(["fail"])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1 and "Traceback" not in err
    return int(stop.value.code or 0), err


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (MienError("expected bread, got a stone; bake"), 2, "mien: expected bread, got a stone"),
        (PermissionError(errno.EACCES, "Permission denied", "a.csv"), 2, "change its permissions"),
        (OSError(errno.EROFS, "Read-only file system", "a.csv"), 2, "choose another place"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "make room"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "x", None, "folder"), 2, "folder"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "card.md"), 2, "card.md"),
        (OSError("without a number"), 2, "without a number"),
        (MemoryError(), 2, "memory"),
        (ModuleNotFoundError("no", name="torch"), 2, 'pip install "mien[train]"'),
        (ModuleNotFoundError("no", name="sklearn.metrics"), 2, 'pip install "mien[train]"'),
        (ModuleNotFoundError("no", name="numba.core"), 2, 'pip install "mien[synth]"'),
        (KeyboardInterrupt(), 130, "mien: interrupted"),
    ],
)
def test_errors_of_users_are_a_sentence(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    got, err = end(error, capsys)
    assert got == code
    assert text in err


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), ModuleNotFoundError("no", name="mien.nothing"), KeyError("a")]
)
def test_faults_of_mien_keep_their_traceback(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(type(error)):
        end(error, capsys)


def test_success_prints_nothing_more(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer(cls=ExplainedCommands)

    @app.command()
    def work() -> None:
        print("result", file=sys.stdout)

    @app.command()
    def other() -> None: ...

    with pytest.raises(SystemExit) as stop:
        app(["work"])
    assert not stop.value.code
    assert capsys.readouterr() == ("result\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("option", [(), ("--json",)])
def test_a_full_standard_output_is_named(option: tuple[str, ...], tmp_path: Path) -> None:
    photo = tmp_path / "none.jpg"
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "mien", "predict", photo, *option],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert ended.returncode == 2
    assert ended.stderr.startswith("mien: expected to write to the standard output, got No space")
    assert ended.stderr.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_closed_streams_are_empty_ones(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    command = shlex.join([sys.executable, "-m", "mien", "predict", "-", "--out", str(table)])
    ended = subprocess.run(f"{command} <&- >&- 2>&-", shell=True)
    assert ended.returncode == 1
    lines = table.read_text().splitlines()
    assert len(lines) == 2 and "got nothing" in lines[1]
