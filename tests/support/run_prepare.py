"""Prepares a folder in a process of its own: SOURCE OUT WORKERS [kill|interrupt|full BYTES]."""

import os
import resource
import signal
import sys

from toy_corpora import SMALL, ToyDetector

import mien.preparation.prepare
from mien.errors import MienError


def main(source, out, workers, event="", amount="0"):
    mien.preparation.prepare._CHUNK = 8
    if event == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(amount), int(amount)))

    def progress(done, total):
        print(done, total, flush=True)
        if event in ("kill", "interrupt") and done >= int(amount):
            os.kill(os.getpid(), signal.SIGKILL if event == "kill" else signal.SIGINT)

    try:
        mien.preparation.prepare.prepare(
            "folder",
            source,
            out,
            preprocessing=SMALL,
            workers=int(workers),
            detector=ToyDetector,
            progress=progress,
        )
    except MienError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
