"""The pieces of benchmarks/live.py on a tiny video; how fast anything is, is not asked."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def live() -> Iterator[ModuleType]:
    path = Path(__file__).parents[2] / "benchmarks" / "live.py"
    spec = importlib.util.spec_from_file_location("benchmark_live", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmark_live"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["benchmark_live"]


def test_a_camera_is_read_and_smoothing_calms(live: ModuleType, tmp_path: Path) -> None:
    video = tmp_path / "face.mp4"
    live.write_video(video, (320, 240), 2.0)
    name, make_view = next(live.views())
    assert name == "lines"
    timing = live.live(video, make_view, 1).timing
    assert 1 <= timing.read <= timing.came == 60 and timing.delay(0.5) > 0
    measured = live.costs(video)
    assert list(measured.parts) == ["detect", "track", "predict", "draw"]
    assert all(milliseconds > 0 for milliseconds in measured.parts.values())
    assert len(measured.outputs) == 60 and all(len(faces) == 1 for faces in measured.outputs)
    lines = live.calm(measured.outputs)
    deviations = [float(line.split(" | ")[3]) for line in lines]  # of AU12
    assert len(lines) == len(live.SMOOTH) and deviations[0] > deviations[1] > deviations[2] > 0
