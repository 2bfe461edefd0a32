"""The page, of which the server and the export for browsers each show a part."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Literal

PAGE = Path(str(files("mien.serving").joinpath("page")))
"""The files of the pages; only ``index.html`` has parts."""
_PART = re.compile(r"<!-- only (\w+) -->\n(.*?)<!-- end -->\n", re.DOTALL)


def index_page(kind: Literal["server", "browser"]) -> str:
    """``index.html`` for a server's page, or for one whose model runs in the browser.

    What stands between ``<!-- only KIND -->`` and ``<!-- end -->`` is for one of them.
    """
    text = (PAGE / "index.html").read_text("utf-8")
    return _PART.sub(lambda part: part[2] if part[1] == kind else "", text)
