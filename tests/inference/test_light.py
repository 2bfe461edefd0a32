"""The light install: nothing heavy is imported, and nothing of training ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from severity_models import write_severity_model
from toy_videos import moving_face, write_video


def _run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=True
    )


def _modules(code: str) -> set[str]:
    return set(_run(f"{code}\nimport sys\nprint(*sys.modules)").stdout.split())


FORBIDDEN = {"torch", "lightning", "timm", "mien.data", "mien.training", "mien.evaluation"}
HEAVY = {"cv2", "mediapipe", "onnxruntime", "pyarrow", "PIL", "matplotlib", "sklearn", "scipy"}


@pytest.mark.parametrize(
    "module", ["mien", "mien.inference.predictor", "mien.inference.photos", "mien.inference.rows"]
)
def test_imports_nothing_heavy(module: str) -> None:
    loaded = _modules(f"import {module}")
    assert module in loaded
    assert not loaded & (FORBIDDEN | HEAVY)


def test_a_whole_prediction_needs_no_torch(model_file: Path, tmp_path: Path) -> None:
    code = f"""
from skimage.data import astronaut
from mien import load
from mien.inference.drawing.annotate import annotate_file
from mien.inference.tables import write_table
predictor = load({str(model_file)!r})
rows = predictor(astronaut())
write_table(rows, {str(tmp_path / "t.parquet")!r}, predictor.info)
annotate_file(astronaut(), rows, {str(tmp_path / "t.png")!r})
"""
    assert not _modules(code) & FORBIDDEN
    assert (tmp_path / "t.parquet").exists() and (tmp_path / "t.png").exists()


@pytest.mark.slow
def test_a_whole_video_needs_no_torch(model_file: Path, tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", moving_face(4))
    severity = write_severity_model(tmp_path / "s.onnx")
    code = f"""
import sys
import mien
models = [{str(model_file)!r}, {str(severity)!r}]
assert "matplotlib" not in sys.modules and "av" not in sys.modules
from mien.inference.live.live import run_live
from mien.inference.live.views import window_or_terminal
lines = window_or_terminal(False, "mien", lines=False)
run_live({str(video)!r}, lines, model=models[0], out={str(tmp_path / "live.csv")!r})
assert "matplotlib" not in sys.modules and "tkinter" not in sys.modules
mien.predict({str(video)!r}, model=models, annotate={str(tmp_path / "drawn")!r})
mien.predict({str(video)!r}, model=models, out={str(tmp_path / "t.parquet")!r})
"""
    assert not _modules(code) & (FORBIDDEN | {"sklearn", "scipy"})
    assert (tmp_path / "t.parquet").exists() and (tmp_path / "drawn" / "v.mp4").exists()


def test_import_takes_less_than_half_a_second() -> None:
    log = _run("import mien", "-X", "importtime").stderr
    [line] = [line for line in log.splitlines() if line.split("|")[-1].strip() == "mien"]
    microseconds = int(line.split("|")[1])
    assert microseconds < 500_000


def test_nothing_is_printed_when_nobody_closes_the_predictor(model_file: Path) -> None:
    done = _run(
        "from skimage.data import astronaut\nimport mien\n"
        f"predictor = mien.load({str(model_file)!r})\nprint(predictor(astronaut())[0].status)"
    )
    assert done.stdout == "ok\n"
    assert "Traceback" not in done.stderr and "ignored" not in done.stderr
