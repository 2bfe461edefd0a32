"""Whether ``mien export --web`` reads faces as ``mien predict`` does, in a headless Chromium.

    npm install onnxruntime-web @mediapipe/tasks-vision
    python benchmarks/browser.py diffusionfer-train.parquet --photos 40 --packages node_modules

prints in how many photos both find a face, how often they name the same expression, and by how
much the largest difference of a probability is, over photos. The times are of one thread.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import platform
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import mien
from mien.serving.exports.web import write_web

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

OPEN = """(async () => {
  const model = await (await fetch('model.json')).json();
  const { findFaces } = await import('./faces.js'), { loadNetwork } = await import('./network.js');
  window.find = await findFaces(model);
  window.network = await loadNetwork(model);
  return true;
})()"""
READ = """(async () => {
  const picture = await createImageBitmap(await (await fetch('NAME')).blob());
  const started = performance.now();
  const faces = find(picture, { thorough: true });
  const cropped = performance.now();
  const shares = [];
  for (const face of faces) shares.push(Object.values((await network(face.crop)).probabilities));
  return { shares, find: cropped - started, network: performance.now() - cropped };
})()"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A plain server of files that prints nothing."""

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos_table", type=Path, help="Parquet with a column image of bytes.")
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--packages", type=Path, default=Path("node_modules"))
    arguments = parser.parse_args()
    from chromium import chromium

    images = pq.read_table(arguments.photos_table, columns=["image"])["image"].to_pylist()
    images = images[:: max(1, len(images) // arguments.photos)][: arguments.photos]
    contents = [each if isinstance(each, bytes) else each["bytes"] for each in images]
    differences, same, only, find, network = [], 0, {"mien": 0, "browser": 0}, [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        mien.load(threads=1) as predictor,
        chromium(Path(folder) / "profile") as page,
    ):
        site = Path(folder) / "site"
        write_web("fer", site, arguments.packages)
        handler = functools.partial(Quiet, directory=site)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.open(f"http://127.0.0.1:{server.server_port}/")
        page.run(OPEN)
        for number, content in enumerate(contents):
            (site / f"{number}.jpg").write_bytes(content)
            answer = page.run(READ.replace("NAME", f"{number}.jpg"))
            expected = [each for each in predictor(content) if each.face is not None]
            find.append(answer["find"])
            network.append(answer["network"])
            if not expected or not answer["shares"]:
                only["mien"] += bool(expected)
                only["browser"] += bool(answer["shares"])
                continue
            theirs = np.array(list(expected[0].probabilities.values()))
            ours = np.array(answer["shares"][0])
            differences.append(float(np.abs(theirs - ours).max()))
            same += int(theirs.argmax() == ours.argmax())
        server.shutdown()
    report = {
        "command": " ".join(["python", *sys.argv]),
        "machine": f"{platform.machine()}, {platform.system()}",
        "photos": len(contents),
        "face_in_both": len(differences),
        "face_in_one_only": only,
        "same_expression": same,
        "largest_difference": dict(
            zip(
                ("median", "p95", "most"),
                np.percentile(differences, [50, 95, 100]).round(4).tolist(),
                strict=True,
            )
        ),
        "find_ms": round(float(np.median(find)), 1),
        "network_ms": round(float(np.median(network)), 1),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
