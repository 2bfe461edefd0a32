"""What a forked process must not touch: locks that nobody opens, threads that are not there."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from typing import Any, TypeVar

Thing = TypeVar("Thing")


class ForkLock:
    """A lock for ``with`` that is free in a forked process, whoever held it in the parent.

    ``forked`` is True inside the first ``with`` of such a process, in which what the parent's
    threads belong to has to be made anew.
    """

    def __init__(self) -> None:
        self._lock, self._process, self.forked = threading.Lock(), os.getpid(), False

    def __enter__(self) -> ForkLock:
        forked = self._process != os.getpid()
        if forked:
            self._lock, self._process = threading.Lock(), os.getpid()
        self._lock.acquire()
        self.forked = forked
        return self

    def __exit__(self, *_: object) -> None:
        self.forked = False
        self._lock.release()


_WITH_THREADS: weakref.WeakSet[Any] = weakref.WeakSet()


def never_freed_by_children(thing: Thing) -> Thing:
    """The same thing; a forked process never frees its copy.

    To free it would wait for the threads of the thing, which only the parent has.
    """
    _WITH_THREADS.add(thing)
    return thing


def _keep() -> None:
    for thing in list(_WITH_THREADS):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep)
