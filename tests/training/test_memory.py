"""Whether freed memory is kept: in a process of its own, because it cannot be taken back."""

import ctypes
import subprocess
import sys

import pytest

from mien.training import memory

FAULTS = """
import resource
import numpy as np
from mien.training.memory import keep_freed_memory
if {keep}:
    assert keep_freed_memory() is {glibc}
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(50_000_000, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


def test_memory_is_not_cleared_again_for_every_use() -> None:
    glibc = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt")
    kept, given_back = (
        int(
            subprocess.run(
                [sys.executable, "-c", FAULTS.format(keep=keep, glibc=glibc)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for keep in (True, False)
    )
    if glibc:
        assert kept < 100
        assert given_back > 10 * max(kept, 1)


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert memory.keep_freed_memory() is False
