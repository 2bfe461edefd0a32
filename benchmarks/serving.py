"""``mien serve`` under load: requests a second, how long they take, memory over time.

    python benchmarks/serving.py --seconds 600 --out serving.json

starts a server of the shipped model on the loopback address and asks it, over connections that
stay open, with ``--clients`` threads of another process. Three parts:

- saturation: for ``--seconds``, every client asks again as soon as it is answered;
- overload: four times as many clients as the queue has places; nothing but 200 and 429 may come;
- ``--hostile`` uploads, see ``tests/support/hostile_uploads.py``: no 500, and it still answers.

The photo is scikit-image's astronaut, 512 x 512. Server and clients share the machine's cores.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import platform
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

QUEUE = 32


def photo() -> bytes:
    file = io.BytesIO()
    Image.fromarray(data.astronaut()).save(file, "JPEG", quality=90)
    return file.getvalue()


def ask(connection: http.client.HTTPConnection, content: bytes, kind: str) -> int:
    connection.request("POST", "/v1/predict", content, {"content-type": kind})
    response = connection.getresponse()
    response.read()
    return response.status


def client(port: int, content: bytes, end: float, times: list[float], seen: Counter[int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    while time.monotonic() < end:
        started = time.perf_counter()
        status = ask(connection, content, "image/jpeg")
        seen[status] += 1
        if status == 200:
            times.append(time.perf_counter() - started)
        else:
            time.sleep(0.2)  # a client that heeds Retry-After would wait longer
    connection.close()


def load(port: int, clients: int, seconds: float) -> dict[str, object]:
    """Ask with ``clients`` threads for ``seconds``."""
    content, times, seen = photo(), [], Counter()
    end = time.monotonic() + seconds
    threads = [
        threading.Thread(target=client, args=(port, content, end, times, seen))
        for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    quantiles = np.percentile(times, [50, 99]) * 1000
    return {
        "clients": clients,
        "seconds": seconds,
        "statuses": {str(status): count for status, count in sorted(seen.items())},
        "requests_per_second": round(len(times) / seconds, 1),
        "median_ms": round(float(quantiles[0]), 1),
        "p99_ms": round(float(quantiles[1]), 1),
    }


def in_process(port: int, clients: int, seconds: float) -> dict[str, object]:
    """:func:`load` in a process of its own, so that it does not share the server's."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(load, (port, clients, seconds))


def hostile_uploads(port: int, count: int) -> dict[str, object]:
    from hostile_uploads import hostile

    rng, seen, content = random.Random(0), Counter(), photo()
    for _ in range(count):
        body, kind = hostile(content, rng)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        try:
            seen[str(ask(connection, body, kind))] += 1
        except OSError as error:
            seen[type(error).__name__] += 1
        finally:
            connection.close()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    return {"statuses": dict(sorted(seen.items())), "after": ask(connection, content, "image/jpeg")}


def memory(process: int) -> float:
    """Megabytes of a process that are in memory (Linux)."""
    text = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1000


def watched(process: int, work: Callable[[], dict[str, object]], every: float) -> dict[str, object]:
    samples, stop = [memory(process)], threading.Event()

    def sample() -> None:
        while not stop.wait(every):
            samples.append(memory(process))

    thread = threading.Thread(target=sample)
    thread.start()
    result = work()
    stop.set()
    thread.join()
    # The first tenth fills the caches of the runtime and the C library.
    steady = samples[max(1, len(samples) // 10) :] or samples
    return {
        **result,
        "memory_mb": {
            "first": round(samples[0]),
            "steady_first": round(steady[0]),
            "steady_last": round(steady[-1]),
            "most": round(max(samples)),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--hostile", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--queue", str(QUEUE)]
    server = subprocess.Popen(
        [*command, "--threads", str(arguments.threads)], stderr=subprocess.PIPE, text=True
    )
    try:
        port = int(re.search(r":(\d+)", server.stderr.readline().partition("//")[2])[1])
        in_process(port, 2, 2.0)
        seconds, clients, pid = arguments.seconds, arguments.clients, server.pid
        report = {
            "command": " ".join(["python", *sys.argv]),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
            "threads": arguments.threads,
            "one_client": in_process(port, 1, min(seconds, 30)),
            "saturation": watched(
                pid, lambda: in_process(port, clients, seconds), max(seconds / 200, 0.1)
            ),
            "overload": in_process(port, 4 * QUEUE, min(seconds, 30)),
            "hostile": watched(pid, lambda: hostile_uploads(port, arguments.hostile), 1.0),
            "still_running": server.poll() is None,
        }
    finally:
        server.terminate()
        server.wait(60)
    text = json.dumps(report, indent=2)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
