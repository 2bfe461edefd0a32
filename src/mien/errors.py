"""The error of a user's mistake, and the hint that goes with an unknown name.

Apart from the nouns of :mod:`mien.schema`, so that the command line starts without numpy.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MienError(Exception):
    """A user's mistake or a bad file, in one sentence: expected, got, what to do.

    The command line prints the sentence and exits with 2; it never shows a traceback for it.
    """


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """What is added to a message about ``name``: the closest of ``names``, or nothing.

    >>> did_you_mean("sofmax", ["softmax", "triplet"])
    "; did you mean 'softmax'?"
    """
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
