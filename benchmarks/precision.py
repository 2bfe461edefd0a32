"""Size, speed and accuracy of one model in float32, float16, with packed weights and in int8.

    python benchmarks/precision.py DATASET [--model fer|FILE] [--rounds N] [--write]

The variants are made of one exported model, so that nothing but the numbers differs: float32 is the
model with its weights unpacked, float16 all of it but inputs and outputs, packed stores its weights
as int8 and computes in float32 (``mien export --packed``), and int8 is calibrated on the split
train and computes in int8 (``mien export --int8``). Accuracy is that on the split valid by the
majority vote. A round runs every variant once on the same batch, one thread, in turn; the time is
the median over the rounds, and the ratio that of the pairs with float32.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.transformers.float16 import convert_float_to_float16

from mien.data.dataset import Dataset
from mien.faces.tensors import to_tensor
from mien.models import find_model, read_info
from mien.training.quantization import measure, quantized, unpacked

TABLE = Path(__file__).with_suffix(".md")


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", default="fer")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    options = parser.parse_args()
    info = read_info(options.model)
    dataset = Dataset.open(options.dataset)
    packed = onnx.load(find_model(options.model))
    plain = unpacked(packed)
    variants = {
        "float32": plain,
        "float16": convert_float_to_float16(plain, keep_io_types=True),
        "packed weights, float32 arithmetic": packed,
        "int8 arithmetic": quantized(packed, info, dataset),
    }
    rows = dataset.with_preprocessing(info.preprocessing).split_indices("valid")
    sessions = {name: session(model) for name, model in variants.items()}
    times: dict[tuple[str, int], list[float]] = {}
    for batch in (1, 16):
        tensor = to_tensor(dataset.crops[rows[:batch]], info.preprocessing)
        for number in range(options.rounds + 1):
            for name, each in sessions.items():
                started = time.perf_counter()
                each.run(None, {"input": tensor})
                if number:  # the first is unheard
                    taken = (time.perf_counter() - started) / batch
                    times.setdefault((name, batch), []).append(taken)
    lines = [
        "| | MB | ms a crop, batch 1 | batch 16 | speed, batch 16 | accuracy on valid | faces |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, model in variants.items():
        entry = measure(model, plain, info, dataset)["expression"]
        mine, theirs = times[name, 16], times["float32", 16]
        ratio = statistics.median(b / a for a, b in zip(mine, theirs, strict=True))
        lines.append(
            f"| {name} | {len(model.SerializeToString()) / 1e6:.2f} "
            f"| {1000 * statistics.median(times[name, 1]):.2f} "
            f"| {1000 * statistics.median(mine):.2f} | {ratio:.2f} "
            f"| {100 * entry.float32:.2f} % | {entry.faces:,} |"
        )
        print(lines[-1], flush=True)
    features = sorted(
        name
        for name in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "asimddp")
        if np.any([name in line.split() for line in Path("/proc/cpuinfo").read_text().splitlines()])
    )
    if options.write:
        call = f"python benchmarks/precision.py DATASET --model {options.model} --write"
        about = (__doc__ or "").split("\n\n", 2)[2].strip()
        head = f"# Precision\n\n`{call}`, {options.rounds} rounds, on a processor with "
        head += f"{', '.join(features)}, onnxruntime {onnxruntime.__version__}"
        TABLE.write_text(f"{head}\n\n{about}\n\n" + "\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
