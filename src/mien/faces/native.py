"""Native libraries: errors for missing ones, and what OpenCV and MediaPipe print from C++."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator

from mien.schema import MienError

INSTALL_LIBRARIES = "apt-get install -y libgl1 libegl1 libgles2 libglib2.0-0"

_MISSING = re.compile(r"(\S+\.so[.\d]*): cannot open shared object file")
# Start-up messages of MediaPipe, TensorFlow Lite and OpenCV: notes and warnings, no errors.
_CHATTER = re.compile(
    rb"WARNING: All log messages|WARNING: Logging before|INFO: |[IW]\d{4} |\[ ?(INFO|WARN)"
)

# Overlapping redirections would restore each other's descriptor.
_ONE_AT_A_TIME = threading.RLock()


@contextlib.contextmanager
def explained_libraries() -> Iterator[None]:
    """Turn the loader's "libGL.so.1: cannot open" into a MienError that says how to install it."""
    try:
        yield
    except (ImportError, OSError) as error:
        missing = _MISSING.search(str(error))
        if missing is None:
            raise
        raise MienError(
            f"expected the system library {missing[1]}, got none; "
            f"install it (on Debian and Ubuntu: {INSTALL_LIBRARIES})"
        ) from error


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Capture what C++ writes to file descriptor 2 and pass on all but start-up messages.

    Neither the environment settings of glog nor those of absl silence MediaPipe 1.2, and its
    Python API has no switch. The redirection affects the whole process, so keep it short.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_ONE_AT_A_TIME)
        try:
            sys.stderr.flush()
            captured = stack.enter_context(tempfile.TemporaryFile())
            saved = os.dup(2)
        except (OSError, ValueError, AttributeError):  # no stderr or no space: capture nothing
            yield
            return
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            captured.seek(0)
            messages = b"".join(line for line in captured if not _CHATTER.match(line))
            if messages:
                os.write(saved, messages)
            os.close(saved)


def ignore_profiling_signal() -> None:
    """Keep SIGPROF, which MediaPipe's threads send themselves, from killing the process.

    MediaPipe also ignores it, but late and unknown to Python, so code that restores the signal
    handlers that Python knows of brings the fatal default back. A user's handler is left alone.
    Outside the main thread, where Python cannot set handlers, this does nothing.
    """
    main = threading.current_thread() is threading.main_thread()
    if main and hasattr(signal, "SIGPROF") and signal.getsignal(signal.SIGPROF) == signal.SIG_DFL:
        signal.signal(signal.SIGPROF, signal.SIG_IGN)


with explained_libraries():
    import cv2

__all__ = [
    "INSTALL_LIBRARIES",
    "cv2",
    "explained_libraries",
    "ignore_profiling_signal",
    "quiet_stderr",
]
