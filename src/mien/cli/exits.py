"""How a command ends: one sentence on stderr and an exit code, whatever a user has caused."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from mien.errors import MienError

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_CLOSED = frozenset((errno.EACCES, errno.EPERM, errno.EROFS))
_TOO_LITTLE_MEMORY = (
    "expected enough memory for this, got too little; close other programs or ask for less"
)
_EXTRAS = {
    **dict.fromkeys(
        (
            *("lightning", "matplotlib", "onnx", "onnxscript", "pytorch_metric_learning"),
            *("safetensors", "scipy", "sklearn", "timm", "torch", "torchvision"),
        ),
        "train",
    ),
    "av": "video",
    "numba": "synth",
    **dict.fromkeys(("fastapi", "uvicorn", "python_multipart", "prometheus_client"), "serve"),
    **dict.fromkeys(("usearch", "jinja2"), "search"),
}
"""Packages that an extra of mien brings, by the name that they are imported under."""


class ExplainedCommands(TyperGroup):
    """Commands that turn the errors of their users into a sentence and an exit code.

    2 for wrong use, bad files and full disks, 130 for Ctrl-C, 1 for a reader that has gone away.
    Anything else is a fault of mien and keeps its traceback.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                _flush_output()
        except MienError as error:
            _stop(str(error))
        except ModuleNotFoundError as error:
            extra = _EXTRAS.get((error.name or "").split(".")[0])
            if extra is None:
                raise
            _stop(f'this command needs {error.name}; install it with: pip install "mien[{extra}]"')
        except BrokenPipeError:
            # The reader has seen enough (`| head`).
            _drop_output()
            raise typer.Exit(1) from None
        except OSError as error:
            _stop(_explained(error))
        except MemoryError:
            _stop(_TOO_LITTLE_MEMORY)
        except RuntimeError as error:
            # What torch raises where there is too little.
            if re.search(r"not enough memory|can't allocate memory|out of memory", str(error)):
                _stop(_TOO_LITTLE_MEMORY)
            raise
        except KeyboardInterrupt as interrupt:
            # What a command has to say about it: where what it has is.
            _stop(str(interrupt) or "interrupted", code=130)


def open_closed_streams() -> None:
    """Give a command that was started without standard streams empty ones.

    Else the first files that are opened get their numbers, and what is printed lands in them.
    """
    for number, mode in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest number that is free: this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _flush_output() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _drop_output()
        raise MienError(
            f"expected to write to the standard output, got {error.strerror or error}; make room "
            "or write elsewhere"
        ) from error


def _drop_output() -> None:
    """What could not be printed is dropped, or Python would try again at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stop(message: str, *, code: int = 2) -> NoReturn:
    print(f"mien: {message}", file=sys.stderr)
    raise typer.Exit(code) from None


def _explained(error: OSError) -> str:
    if error.errno in _FULL:
        hint = "make room and run the same command again"
    elif error.errno in _CLOSED:
        hint = "change its permissions or choose another place"
    else:
        hint = "check the name"
    place = error.filename2 or error.filename
    what = error.strerror or str(error)
    return f"expected to read or write {place or 'a file'}, got {what.lower()!r}; {hint}"
