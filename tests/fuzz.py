"""Damaged and forged inputs through the real commands: no traceback, hang, crash or lost row.

    python tests/fuzz.py --cases 1200 --seed 0

Makes pictures, videos, lists, tables, models, datasets and recipes, mutates them by the seed, and
gives them to ``mien`` in processes of their own with limits of memory and time. Prints a line per
fault and counts at the end; the exit code is 1 if there was a fault. Case ``n`` of a kind depends
on the seed and ``n`` only; ``--keep DIR`` keeps the inputs. Needs the extras train and video.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import random
import resource
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

ROWS = "rows.jsonl"
PICTURES_AT_ONCE, VIDEOS_AT_ONCE, COMMANDS_AT_ONCE = 20, 4, 60
SHARES = {
    "pictures": 0.5,
    "videos": 0.06,
    "lists": 0.12,
    "tables": 0.12,
    "models": 0.08,
    "datasets": 0.06,
    "recipes": 0.06,
}

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**31, 2**63, 2**64, -(10**30), 1e11, 1e308, -0.5),
    *(float("nan"), float("inf"), "", " ", "\ud800", "²", "-1", "=1+1", "\0", "x" * 100_000),
    *([], {}, [[1], [2, 3]], [None], {"a": {}}, "nan", "1e999", "../..", "/dev/full"),
)


class Case(NamedTuple):
    """A command: its arguments, the sources that must have a row, and what stdin holds."""

    kind: str
    name: str
    arguments: list[str]
    folder: str
    count: int = 1
    sources: list[str] | None = None
    stdin: str | None = None


# Mutations -----------------------------------------------------------------------------------


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Bytes with a few faults: flipped, cut, doubled, overwritten or moved."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place, length = rng.randrange(len(data) or 1), rng.choice((1, 2, 4, 64, 1000))
        # Most of what is decided by a file is decided at its begin.
        place = min(place, rng.choice((64, 1024, len(data))))
        match rng.randrange(6):
            case 0:
                data[place : place + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[rng.randrange(len(data) or 1) :]
            case 2:
                data[place:place] = data[place : place + length]
            case 3:
                data[place : place + length] = rng.choice((b"\0", b"\xff")) * length
            case 4:
                data[place : place + 4] = rng.choice(
                    (b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\x80" * 4)
                )
            case _:
                del data[place : place + length]
    return bytes(data)


def forged(document: Any, rng: random.Random) -> Any:
    """A JSON document of which one or two values are others, missing, or new."""
    document = json.loads(json.dumps(document))
    for _ in range(rng.choice((1, 1, 2))):
        node, places = document, list(_places(document))
        *parents, last = rng.choice(places)
        for part in parents:
            node = node[part]
        if rng.random() < 0.15 and isinstance(node, dict):
            del node[last]
            if node is document and not node:
                return document
        else:
            node[last] = rng.choice(ODD_VALUES)
    return document


def _places(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in entries:
        yield (*above, key)
        if isinstance(value, dict | list) and value:
            yield from _places(value, (*above, key))


def as_text(document: Any, rng: random.Random) -> str:
    """JSON of a document, now and then such as no program writes."""
    text = json.dumps(document)
    match rng.randrange(12):
        case 0:
            return "[" * 100_000 + text
        case 1:
            return text.replace(":", ": " + "9" * 5000 + ",", 1)
        case 2:
            return text[: rng.randrange(len(text))]
        case 3:
            return text.replace("1", "9" * 6000, 1)
    return text


# Inputs --------------------------------------------------------------------------------------


class Inputs:
    """What is mutated: small files of every kind, made once."""

    def __init__(self, root: Path) -> None:
        import numpy as np

        from mien.synthetic.drawn import draw_face, write_toy_folder

        self.root = root
        root.mkdir(parents=True)
        self.face = draw_face("happiness", np.random.default_rng(0), size=160)
        self.pictures = dict(self._pictures())
        self.videos = dict(self._videos())
        self.photo = root / "photo.png"
        self.photo.write_bytes(self.pictures["png"])
        self.folder = write_toy_folder(root / "faces", faces=40, size=48)
        self.table = self._table()
        self.dataset = root / "dataset"
        self.model = self._model()
        _mien(["prepare", "folder", self.folder, "--tight", "--size", 32, "--out", self.dataset])

    def _pictures(self) -> Iterator[tuple[str, bytes]]:
        import numpy as np
        from PIL import Image

        image = Image.fromarray(self.face)
        wide = Image.fromarray(self.face[..., 0].astype(np.uint16) * 16)
        exif = Image.Exif()
        exif[0x0112], exif[0x010E] = 6, "a note"
        for name, kind, picture, options in (
            ("jpg", "JPEG", image, {"exif": exif}),
            ("jpeg", "JPEG", image, {"progressive": True}),
            ("png", "PNG", image, {"exif": exif}),
            ("pgm.png", "PNG", wide, {}),
            ("p.png", "PNG", image.convert("P"), {"transparency": 3}),
            ("gif", "GIF", image, {"save_all": True, "append_images": [image.rotate(9)]}),
            ("tif", "TIFF", image, {"compression": "tiff_lzw"}),
            ("tiff", "TIFF", image, {"compression": "jpeg"}),
            ("raw.tif", "TIFF", wide, {}),
            ("webp", "WEBP", image, {"exif": exif}),
            ("bmp", "BMP", image, {}),
            ("ppm", "PPM", image, {}),
            ("jp2", "JPEG2000", image, {}),
            ("avif", "AVIF", image, {}),
            ("mpo", "MPO", image, {"save_all": True, "append_images": [image]}),
            ("blank.png", "PNG", Image.new("RGB", image.size, "gray"), {}),
        ):
            buffer = io.BytesIO()
            with contextlib.suppress(KeyError, OSError):  # a Pillow without this format
                picture.save(buffer, kind, **options)
                yield name, buffer.getvalue()

    def _videos(self) -> Iterator[tuple[str, bytes]]:
        import av

        for suffix, form, codec in (
            *(("mp4", "mp4", "libx264"), ("mkv", "matroska", "libx264")),
            *(("mts", "mpegts", "mpeg2video"), ("avi", "avi", "mpeg4"), ("flv", "flv", "flv")),
        ):
            path = self.root / f"film.{suffix}"
            with av.open(str(path), "w", format=form) as out:
                stream = out.add_stream(codec, rate=25)
                stream.height, stream.width = self.face.shape[:2]
                stream.pix_fmt = "yuv420p"
                for number in range(10):
                    frame = av.VideoFrame.from_ndarray(self.face, format="rgb24")
                    frame.pts, frame.time_base = number, Fraction(1, 25)
                    out.mux(stream.encode(frame))
                out.mux(stream.encode(None))
            yield suffix, path.read_bytes()

    def _table(self) -> list[list[str]]:
        rows = [
            ["path", "label", "split", "subject", "valence", "arousal", "AU1", "video", "score"]
        ]
        films = [f"film.{suffix}" for suffix in self.videos]
        for number, path in enumerate(sorted(self.folder.rglob("*.png"))[:20]):
            name = str(path.relative_to(self.root))
            row = [name, path.parent.name, "train", f"s{number % 5}", "0.5", "-0.5", "1"]
            rows.append([*row, films[number % len(films)], str(number)])
        return rows

    def _model(self) -> Any:
        import onnx

        from mien.models import find_model

        return onnx.load(find_model("fer"))

    def recipe(self) -> dict[str, Any]:
        """A recipe that trains in a second."""
        from mien.training.recipe import load_recipe

        changes = ["backbone.name=test_resnet", "embedding.size=16", "sampler.batch_size=12"]
        recipe = load_recipe("softmax", [*changes, "schedule.epochs=1", "backbone.arguments={}"])
        return recipe.model_dump(mode="json")


def _mien(arguments: list[object]) -> None:
    subprocess.run(
        [sys.executable, "-m", "mien", *map(str, arguments)], check=True, capture_output=True
    )


# Cases, by kind --------------------------------------------------------------------------------


def pictures(inputs: Inputs, place: Path, rng: random.Random, name: str) -> Case:
    """A folder of damaged pictures."""
    for number in range(PICTURES_AT_ONCE):
        suffix, content = rng.choice(list(inputs.pictures.items()))
        (place / f"{number}.{suffix}").write_bytes(damaged(content, rng))
    files = sorted(str(path) for path in place.iterdir())
    options = rng.choice(([], ["--annotate", str(place.with_suffix(".drawn"))]))
    return Case(
        *("pictures", name, ["predict", str(place), *options, "--out"]),
        *(str(place), PICTURES_AT_ONCE, files),
    )


def videos(inputs: Inputs, place: Path, rng: random.Random, name: str) -> Case:
    """A folder of damaged videos."""
    for number in range(VIDEOS_AT_ONCE):
        suffix, content = rng.choice(list(inputs.videos.items()))
        (place / f"{number}.{suffix}").write_bytes(damaged(content, rng))
    files = sorted(str(path) for path in place.iterdir())
    # A transport stream that no longer begins like one is no video of the folder.
    named = files if any(each.endswith(".mts") for each in files) else [str(place)]
    return Case(
        *("videos", name, ["predict", *named, "--rows", "summary", "--out"]),
        *(str(place), VIDEOS_AT_ONCE, files),
    )


def lists(inputs: Inputs, place: Path, rng: random.Random, name: str) -> Case:
    """A list of paths as programs of all kinds write it."""
    os.mkfifo(place / "pipe.jpg")
    (place / "link").symlink_to(".")
    # Relative to the folder, so that no part of a path is a large folder of this machine.
    lines = [os.path.relpath(inputs.photo, place), "pipe.jpg", "none.jpg", ".", "link"]
    lines += ["x" * rng.choice((10, 300, 5000)) + ".jpg", "a\\b.jpg", "-a.jpg", "=a.mp4", "\x7f"]
    lines = [rng.choice(lines) for _ in range(rng.randrange(1, 8))]
    end = rng.choice(("\n", "\r\n", "\0", "\r", "\n\n"))
    text = end.join(lines) + rng.choice(("", end))
    encoding = rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"))
    content = text.encode(encoding)
    if rng.random() < 0.3:
        content = damaged(content, rng)
    path = place / "list"
    path.write_bytes(content)
    return Case("lists", name, ["predict", "-", "--out"], str(place), 1, [], str(path))


def tables(inputs: Inputs, place: Path, rng: random.Random, name: str) -> Case:
    """A table of images, or of recordings, with odd cells, delimiters and encodings."""
    rows = [list(row) for row in inputs.table]
    recordings = rng.random() < 0.2
    if recordings:
        rows = rows[:3]
    for _ in range(rng.choice((0, 1, 3, 20))):
        row = rng.choice(rows if rng.random() < 0.2 else rows[1:])
        value = rng.choice(ODD_VALUES)
        row[rng.randrange(len(row))] = str(value).replace("\ud800", "\ufffd")
    if rng.random() < 0.2:
        rows[rng.randrange(len(rows))].pop()
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=rng.choice(",;\t")).writerows(rows)
    text = buffer.getvalue()
    if rng.random() < 0.3:
        text = text.replace("/", "\\")
    content = text.encode(rng.choice(("utf-8", "utf-8-sig", "utf-16")))
    if rng.random() < 0.3:
        content = damaged(content, rng)
    # Beside the files that it names.
    path = inputs.root / f"{name}.csv"
    path.write_bytes(content)
    out = str(place / "out")
    corpus = ["recordings"] if recordings else ["folder", "--tight"]
    arguments = ["prepare", corpus[0], str(path), *corpus[1:], "--size", "32", "--out", out]
    return Case("tables", name, [*arguments, "--workers", "1"], str(place))


def models(inputs: Inputs, place: Path, rng: random.Random, name: str) -> Case:
    """A model whose description or graph is forged."""
    import onnx

    from mien.schema import Preprocessing

    model = onnx.ModelProto()
    model.CopyFrom(inputs.model)
    [entry] = [each for each in model.metadata_props if each.key == "mien"]
    document = json.loads(entry.value)
    part = rng.choice((None, "heads", "heads", "preprocessing"))
    document = forged(document, rng) if part is None else document
    if part is not None:
        document[part] = forged(document[part], rng)
    with contextlib.suppress(ValueError, KeyError):
        # A forger knows the hash.
        document["preprocessing_hash"] = Preprocessing(**document["preprocessing"]).hash
    entry.value = as_text(document, rng).encode("utf-8", "replace").decode()
    if rng.random() < 0.3:
        _change_graph(model.graph, rng)
    content = model.SerializeToString()
    if rng.random() < 0.15:
        content = damaged(content, rng)
    path = place / "model.onnx"
    path.write_bytes(content)
    if rng.random() < 0.3:
        return Case("models", name, ["models", str(path)], str(place))
    arguments = ["predict", str(inputs.photo), "--tight", "--model", str(path), "--out"]
    return Case("models", name, arguments, str(place), 1, [])


def _change_graph(graph: Any, rng: random.Random) -> None:
    """Another number in a node, another shape of an output, or a tensor of gigabytes."""
    sizes = (0, -1, 1, 3, 2**20, 2**40)
    match rng.randrange(3):
        case 0:
            node = rng.choice([each for each in graph.node if each.attribute])
            attribute = rng.choice(node.attribute)
            attribute.i = rng.choice(sizes)
            if attribute.ints:
                attribute.ints[0] = rng.choice(sizes)
        case 1:
            shape = rng.choice(graph.output).type.tensor_type.shape
            rng.choice(shape.dim).dim_value = rng.choice(sizes)
        case _:
            import numpy as np
            from onnx import helper, numpy_helper

            huge = numpy_helper.from_array(np.array([1_500_000_000], np.int64), "huge_shape")
            graph.initializer.append(huge)
            graph.node.insert(0, helper.make_node("ConstantOfShape", ["huge_shape"], ["huge"]))
            graph.node.insert(1, helper.make_node("ReduceSum", ["huge"], ["sum"], keepdims=0))
            last = graph.output[0].name
            for node in graph.node:
                for number, name in enumerate(node.output):
                    if name == last:
                        node.output[number] = "before"
            graph.node.append(helper.make_node("Add", ["before", "sum"], [last]))


def datasets(inputs: Inputs, place: Path, rng: random.Random, name: str) -> Case:
    """A dataset of which a file is forged, with the sizes of the files as the description says."""
    import pyarrow.parquet as pq

    folder = place / "dataset"
    shutil.copytree(inputs.dataset, folder)
    info = json.loads((folder / "dataset.json").read_text("utf-8"))
    what = rng.choice(("description", "description", "table", "bytes"))
    if what == "table":
        table = forged_table(pq.read_table(folder / "faces.parquet"), rng)
        pq.write_table(table, folder / "faces.parquet")
    elif what == "bytes":
        path = folder / rng.choice(("faces.parquet", "crops.npy", "left_out.csv"))
        path.write_bytes(damaged(path.read_bytes() or b"-", rng))
    for file in info["files"]:
        info["files"][file]["bytes"] = (folder / file).stat().st_size
    text = as_text(forged(info, rng), rng) if what == "description" else json.dumps(info)
    (folder / "dataset.json").write_text(text, "utf-8", "surrogatepass")
    out = str(place / "report")
    arguments = ["evaluate", "fer", "--data", str(folder), "--out", out, "--split", "train"]
    if rng.random() < 0.5:
        recipe = place / "recipe.yaml"
        recipe.write_text(json.dumps(inputs.recipe()))
        arguments = ["train", str(recipe), "--data", str(folder), "--out", str(place / "run")]
    return Case("datasets", name, arguments, str(place))


def forged_table(table: Any, rng: random.Random) -> Any:
    """Rows with a column of nulls, of another type, of ragged lists, doubled or missing."""
    import pyarrow as pa

    index = rng.randrange(table.num_columns)
    name, count = table.column_names[index], table.num_rows
    match rng.randrange(6):
        case 0:
            return table.set_column(index, name, pa.nulls(count, table.schema.field(index).type))
        case 1:
            return table.set_column(index, name, pa.array(range(count)))
        case 2:
            lists = [[0.5] * rng.choice((0, 1, 10, 956)) for _ in range(count)]
            return table.set_column(index, name, pa.array(lists))
        case 3:
            return table.append_column(name, table.column(index))
        case 4:
            return table.drop_columns([name])
        case _:
            words = [rng.choice(("", "\0", "x" * 1000, "happiness", None)) for _ in range(count)]
            return table.set_column(index, name, pa.array(words, pa.string()))


def recipes(inputs: Inputs, place: Path, rng: random.Random, name: str) -> Case:
    """A recipe with odd values, or an odd change of one."""
    text = as_text(forged(inputs.recipe(), rng), rng)
    path = place / "recipe.yaml"
    path.write_text(text, "utf-8", "surrogatepass")
    arguments = ["train", str(path), "--data", str(inputs.dataset), "--out", str(place / "run")]
    if rng.random() < 0.4:
        path.write_text(json.dumps(inputs.recipe()))
        key = rng.choice(
            ("losses.²", "losses.9", "seed", "sampler.batch_size", "heads", "²", "a.b")
        )
        value = rng.choice((*ODD_VALUES, "9" * 5000, "0x" + "f" * 9000, "2001-99-99", "!!x y"))
        # No argument of a command holds a null byte or half a letter.
        text = f"{key}={value}".replace("\0", "").replace("\ud800", "")
        arguments += ["--set", text[:50_000]]
    # Trainings that a mutation makes longer are no fault.
    arguments += ["--set", "schedule.epochs=1"] if rng.random() < 0.9 else []
    return Case("recipes", name, arguments, str(place))


MAKERS: dict[str, Callable[[Inputs, Path, random.Random, str], Case]] = {
    "pictures": pictures,
    "videos": videos,
    "lists": lists,
    "tables": tables,
    "models": models,
    "datasets": datasets,
    "recipes": recipes,
}


def cases_of(kind: str, count: int, seed: int, inputs: Inputs, root: Path) -> Iterator[Case]:
    """The cases of a kind, ``count`` inputs in all."""
    made = number = 0
    while made < count:
        name = f"{kind}-{number}"
        place = root / name
        place.mkdir(parents=True)
        case = MAKERS[kind](inputs, place, random.Random(f"{seed}-{name}"), name)
        if case.arguments[-1] == "--out":
            case.arguments.append(str(root / f"{name}.{ROWS}"))
        made, number = made + case.count, number + 1
        yield case


# Running -------------------------------------------------------------------------------------


def work(memory: int) -> None:
    """Run the commands that stdin names, one after the other, and tell how each ended."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    told = os.fdopen(os.dup(1), "w")
    orders = os.fdopen(os.dup(0))
    from mien.cli import main

    for line in orders:
        order = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            os.dup2(out.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            with open(order["stdin"] or os.devnull) as stdin:
                os.dup2(stdin.fileno(), 0)
            sys.stdin, sys.argv = open(0, closefd=False), ["mien", *order["arguments"]]  # noqa: SIM115
            os.chdir(order["folder"])
            code: Any = None
            try:
                main()
            except SystemExit as stop:
                code = stop.code or 0
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            errors.seek(0)
            text = errors.read().decode("utf-8", "replace")
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"code": code, "stderr": text, "peak": memory}), file=told, flush=True)


class Worker:
    """A process that runs commands, with a limit of memory."""

    def __init__(self, memory: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work", str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.done = 0

    def run(self, case: Case, seconds: float) -> dict[str, Any]:
        """How a command ended; ``fault`` where the process did not survive it."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(
            json.dumps({"arguments": case.arguments, "stdin": case.stdin, "folder": case.folder})
            + "\n"
        )
        stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                self.process.kill()
                return {"fault": "hang"}
        line = stdout.readline()
        self.done += 1
        return json.loads(line) if line else {"fault": f"crash ({self.process.wait()})"}

    def close(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.wait()


def fault_of(case: Case, ended: dict[str, Any]) -> str:
    """What is wrong with how a command ended; empty where nothing is."""
    if "fault" in ended:
        return str(ended["fault"])
    if "Traceback" in ended["stderr"] or ended["code"] is None:
        lines = ended["stderr"].strip().splitlines() or ["no message"]
        places = [each.strip() for each in lines if each.strip().startswith("File ")]
        return f"traceback: {lines[-1][:200]} at {places[-1] if places else '?'}"
    if ended["code"] not in (0, 1, 2):
        return f"exit code {ended['code']}"
    last = ended["stderr"].strip().splitlines()
    if ended["code"] == 2 and not (last and last[-1].startswith(("mien: ", "Error: "))):
        return f"no sentence: {ended['stderr'][-200:]!r}"
    if case.sources is None or ended["code"] == 2:
        return ""
    with open(case.arguments[-1], encoding="utf-8") as file:
        found = {json.loads(line)["source"] for line in file}
    if missing := [source for source in case.sources or [] if source not in found]:
        return f"lost rows of {missing}"
    return "" if found else "no row"


def main() -> int:
    """Run all cases and count; see the module."""
    parser = argparse.ArgumentParser(description="Fuzz the commands of mien.")
    parser.add_argument("--cases", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=180, help="of one command")
    parser.add_argument("--memory", type=float, default=8, help="of one process, in GB")
    parser.add_argument("--only", choices=[*SHARES], action="append")
    parser.add_argument("--keep", type=Path, help="a new folder for the inputs")
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work)
        return 0
    began, faults, counts = time.monotonic(), Counter[str](), Counter[str]()
    codes, peak = Counter[int](), Counter[str]()
    memory = int(options.memory * 2**30)
    with contextlib.ExitStack() as stack:
        root = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        inputs = Inputs(root / "inputs")
        for kind, share in SHARES.items():
            if options.only and kind not in options.only:
                continue
            worker = Worker(memory)
            count = round(options.cases * share)
            for case in cases_of(kind, count, options.seed, inputs, root / "cases"):
                ended = worker.run(case, options.seconds)
                fault = fault_of(case, ended)
                counts[kind] += case.count
                peak[kind] = max(peak[kind], ended.get("peak", 0))
                if "code" in ended and ended["code"] is not None:
                    codes[ended["code"]] += 1
                if fault:
                    faults[fault.split(":")[0].split(" (")[0]] += 1
                    print(f"{case.name}: {fault}", flush=True)
                if options.keep is None:
                    shutil.rmtree(case.folder)
                if "fault" in ended or worker.done >= COMMANDS_AT_ONCE:
                    worker.close()
                    worker = Worker(memory)
            worker.close()
            print(f"{kind}: {counts[kind]} inputs, peak {peak[kind] / 1e6:.2f} GB", flush=True)
    print(
        f"{sum(counts.values())} inputs, {codes.total()} commands, exit codes {dict(codes)}, "
        f"faults {dict(faults) or 'none'}, peak {max(peak.values(), default=0) / 1e6:.2f} GB, "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
