"""What native libraries print on stderr from C++, past Python."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator

# Greetings and warnings of LiteRT and OpenCV, no errors.
_CHATTER = re.compile(rb"INFO: |[IW]\d{4} |\[ ?(INFO|WARN)")

# Overlapping redirections would restore each other's descriptor.
_ONE_AT_A_TIME = threading.RLock()


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Capture what C++ writes to file descriptor 2 and pass on all but greetings and warnings.

    LiteRT's Python API has no switch for them. The redirection affects the whole process, so keep
    it short.
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
