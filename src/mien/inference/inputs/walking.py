"""The files in a folder and below, behind links as well, each folder once."""

from __future__ import annotations

import os
from collections.abc import Iterator


def files_below(folder: str, errors: list[OSError]) -> Iterator[str]:
    """The files in a folder and below, sorted; behind links only what is not there anyway.

    Hidden files and folders are left out; what cannot be listed is added to ``errors``.
    """
    root, searched = os.path.realpath(folder), set()
    for parent, folders, names in os.walk(folder, onerror=errors.append, followlinks=True):
        try:
            status = os.stat(parent)
        except OSError as error:
            errors.append(error)
            folders.clear()
            continue
        if (status.st_dev, status.st_ino) in searched:
            folders.clear()
            continue
        searched.add((status.st_dev, status.st_ino))
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not _leads_into(os.path.join(parent, name), root)
        )
        yield from (os.path.join(parent, name) for name in sorted(names) if name[0] != ".")


def _leads_into(path: str, root: str) -> bool:
    """Whether this is a link to a place in ``root``, which is searched anyway, or back up."""
    if not os.path.islink(path):
        return False
    target = os.path.realpath(path)
    return os.path.commonpath([target, root]) in (target, root)
