"""How `benchmarks/inference.py` talks to a program that reads faces, in an environment of its own.

A worker is started with a file of JSON: ``photos`` to read one after the other, each once; whether
they are crops to ``classify``; how often to ``repeat`` the ``first`` one, after a first time; how
many ``threads``. It prints one line of JSON: seconds to open, milliseconds of the first and of each
repetition, seconds of all photos, the expressions in each, and the peak of its memory.
"""

import json
import resource
import sys
import time
from typing import Any, NamedTuple


class Peer(NamedTuple):
    """What a program does: ``read`` the expressions of a photo, ``classify`` a tight crop.

    ``read_all`` reads many photos, where it can do better than one after the other.
    """

    read: Any
    classify: Any
    read_all: Any = None


def main(open_peer):
    with open(sys.argv[1], encoding="utf-8") as stream:
        order = json.load(stream)
    started = time.perf_counter()
    peer = open_peer(order["threads"])
    opened = time.perf_counter() - started
    call = peer.classify if order["classify"] else peer.read
    alone = []
    for _ in range(order["repeat"] and order["repeat"] + 1):
        started = time.perf_counter()
        call(order["first"])
        alone.append(1000 * (time.perf_counter() - started))
    started = time.perf_counter()
    if peer.read_all is not None and not order["classify"]:
        faces = peer.read_all(order["photos"])
    else:
        faces = [call(photo) for photo in order["photos"]]
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {
        "opened": opened,
        "first_ms": alone[0] if alone else None,
        "alone_ms": alone[1:],
        "seconds": seconds,
        "faces": faces,
        "peak_mb": peak,
    }
    print("result " + json.dumps(result))
