"""OpenCV and MediaPipe load system libraries and write to stderr from C++; both are tamed here."""

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
# The start-up chatter of MediaPipe, TensorFlow Lite and OpenCV: notes and warnings, no errors.
_CHATTER = re.compile(
    rb"WARNING: All log messages|WARNING: Logging before|INFO: |[IW]\d{4} |\[ ?(INFO|WARN)"
)

# Two redirections that overlap would restore each other's.
_ONE_AT_A_TIME = threading.RLock()


@contextlib.contextmanager
def explained_libraries() -> Iterator[None]:
    """Turn the loader's "libGL.so.1: cannot open" into a MienError that tells how to install it."""
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
    """Hold back what C++ writes to file descriptor 2 and pass on all but start-up chatter.

    Neither glog's nor absl's environment settings silence MediaPipe 1.2, and its Python API has
    no switch. The redirection is process-wide, so it is meant for the moment of creation only.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_ONE_AT_A_TIME)
        try:
            sys.stderr.flush()
            held = stack.enter_context(tempfile.TemporaryFile())
            saved = os.dup(2)
        except (OSError, ValueError, AttributeError):  # no stderr or no room: hold nothing back
            yield
            return
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            held.seek(0)
            kept = b"".join(line for line in held if not _CHATTER.match(line))
            if kept:
                os.write(saved, kept)
            os.close(saved)


def ignore_profiling_signal() -> None:
    """Keep SIGPROF, which MediaPipe's threads send themselves, from ending the process.

    MediaPipe ignores it too, but late, and behind Python's back: whoever restores the signals
    that Python knows of brings the deadly default back. A handler of the user's own is left alone.
    Outside the main thread Python cannot set it and nothing is done.
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
