"""Patterns such as ``photos/*.jpg`` and ``photos/**/*.jpg``, where no shell has expanded them."""

from __future__ import annotations

import fnmatch
import glob
import os
import re

from mien.inference.inputs.walking import files_below


def is_pattern(path: str) -> bool:
    """Whether this is a pattern, and no file or folder of that very name."""
    return glob.has_magic(path) and not os.path.lexists(path)


def matches(pattern: str) -> list[str]:
    """The paths that a pattern matches, sorted; hidden ones are left out.

    ``**`` stands for any number of folders, in which each folder is searched once, links included,
    and only files match.

    >>> matches("no such folder/*.jpg")
    []
    """
    parts = pattern.split(os.sep)
    if "**" not in parts:
        return sorted(glob.glob(pattern))
    first = parts.index("**")
    rest = parts[first:] if parts[-1] != "**" else [*parts[first:], "*"]
    inside = re.compile("".join(map(_regex, rest[:-1])) + fnmatch.translate(rest[-1]))
    head = os.sep.join(parts[:first]) or (os.sep if pattern.startswith(os.sep) else "")
    roots = sorted(glob.glob(head)) if head else [os.curdir]
    paths = []
    for root in roots:
        for path in files_below(root, []):
            below = os.path.relpath(path, root)
            if inside.match(below):
                paths.append(below if not head else os.path.join(root, below))
    return paths


def _regex(part: str) -> str:
    """What one folder of a pattern matches, with the separator behind it."""
    separator = re.escape(os.sep)
    if part == "**":
        return f"(?:[^{separator}]+{separator})*"
    # fnmatch lets * stand for separators too, which a folder's name has none of.
    middle = fnmatch.translate(part).removeprefix("(?s:").removesuffix(r")\Z")
    return middle.replace(".*", f"[^{separator}]*") + separator
