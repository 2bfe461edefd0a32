"""How a command ends: one sentence on stderr and an exit code, whatever a user has caused."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from mien.errors import MienError

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_CLOSED = frozenset((errno.EACCES, errno.EPERM, errno.EROFS))
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
                sys.stdout.flush()
        except MienError as error:
            _stop(str(error))
        except ModuleNotFoundError as error:
            extra = _EXTRAS.get((error.name or "").split(".")[0])
            if extra is None:
                raise
            _stop(f'this command needs {error.name}; install it with: pip install "mien[{extra}]"')
        except BrokenPipeError:
            # The reader has seen enough (`| head`); Python must not try again at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except OSError as error:
            _stop(_explained(error))
        except MemoryError:
            _stop("expected enough memory for this, got too little; close other programs")
        except KeyboardInterrupt:
            _stop("interrupted", code=130)


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
