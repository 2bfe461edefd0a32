"""What only a process of its own shows: pipes, Ctrl-C, terminals, missing packages."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MIEN = [sys.executable, "-m", "mien"]
TIMEOUT = 300


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", **more}


def test_a_reader_that_goes_away_ends_it_quietly(toy_folder: Path, toy_model: Path) -> None:
    command = [*MIEN, "predict", str(toy_folder), "--tight", "--model", str(toy_model), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(TIMEOUT) == 1


@pytest.mark.slow
def test_ctrl_c_while_predicting(toy_folder: Path, toy_model: Path, tmp_path: Path) -> None:
    photos = sorted(toy_folder.rglob("*.png"))[:20]
    out = tmp_path / "t.csv"
    out.write_text("older")
    command = [*MIEN, "predict", "-", "--tight", "--model", str(toy_model), "--out", str(out)]
    with subprocess.Popen(
        [*command, "--annotate", str(tmp_path / "drawn")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdin and process.stderr
        process.stdin.writelines(f"{photo}\n" for photo in photos)
        process.stdin.flush()
        # A picture is drawn before its row is written, the second one after the first row.
        while len(list(tmp_path.glob("drawn/*.png"))) < 2:
            assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 130
        message = process.stderr.read()
    assert message == (
        f"mien: interrupted; what was read is in '{out}.partial': go on with --resume\n"
    )
    assert out.read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drawn", "t.csv", "t.csv.partial"]


@pytest.mark.slow
def test_killed_runs_and_shards_together_equal_one_run(
    toy_folder: Path, toy_model: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, photo in enumerate(sorted(toy_folder.rglob("*.png"))[:60]):
        (photos / f"{number:02}.png").symlink_to(photo)
    command = [*MIEN, "predict", str(photos), "--tight", "--model", str(toy_model)]

    def run(out: Path, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, "--out", str(out), *more],
            capture_output=True,
            text=True,
            env=environment(),
            check=False,
            timeout=TIMEOUT,
        )

    def lines_of(file: Path) -> int:
        return file.read_bytes().count(b"\n") if file.is_file() else 0

    at_once, killed, sharded = (tmp_path / f"{name}.csv" for name in ("once", "killed", "sharded"))
    assert run(at_once).returncode == 0
    done = 0
    for _ in range(3):
        with subprocess.Popen(
            [*command, "--out", str(killed), *(["--resume"] if done else [])],
            stdout=subprocess.DEVNULL,
            env=environment(),
        ) as process:
            rows = Path(f"{killed}.partial") / "rows.jsonl"
            while process.poll() is None and lines_of(rows) <= done:
                time.sleep(0.01)
            process.kill()
        assert not killed.exists()
        done = lines_of(rows)
        assert 0 < done < 60
    ended = run(killed, "--resume")
    assert ended.returncode == 0 and "had been read before" in ended.stdout, ended
    assert killed.read_bytes() == at_once.read_bytes()
    for number in (2, 1):
        ended = run(sharded, "--shard", f"{number}/2")
        assert f"shard {number}/2 took 30 of 60 inputs" in ended.stdout, ended
    merged = subprocess.run(
        [*MIEN, "predict", "--merge", "--out", str(sharded)], check=True, env=environment()
    )
    assert merged.returncode == 0
    assert sharded.read_bytes() == at_once.read_bytes()
    assert not list(tmp_path.glob("*.partial")) and not list(tmp_path.glob("*.shards"))


@pytest.mark.slow
def test_ctrl_c_while_watching_leaves_a_whole_table(
    toy_folder: Path, toy_model: Path, tmp_path: Path
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "t.jsonl"
    photos.mkdir()
    some = sorted(toy_folder.rglob("*.png"))[:4]
    (photos / "0.png").write_bytes(some[0].read_bytes())
    command = [*MIEN, "predict", str(photos), "--tight", "--model", str(toy_model), "--watch"]
    with subprocess.Popen(
        [*command, "--out", str(out)], stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stderr
        rows = Path(f"{out}.partial") / "rows.jsonl"
        for number, photo in enumerate(some[1:], 1):
            while not rows.is_file() or rows.read_bytes().count(b"\n") < number:
                assert process.poll() is None, process.stderr.read()
            (photos / f"{number}.png").write_bytes(photo.read_bytes())
        while rows.read_bytes().count(b"\n") < 4:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 130
        assert process.stderr.read().startswith("mien: interrupted; 4 ok; written to ")
    sources = [Path(json.loads(line)["source"]).name for line in out.read_text().splitlines()]
    assert sources == ["0.png", "1.png", "2.png", "3.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "t.jsonl"]


@pytest.mark.slow
def test_ctrl_c_while_training(toy_run: Path, toy_dataset: Path, tmp_path: Path) -> None:
    command = [*MIEN, "train", str(toy_run / "recipe.yaml"), "--data", str(toy_dataset)]
    command += ["--out", str(tmp_path / "run"), "--set", "schedule.epochs=1000"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout and process.stderr
        assert process.stderr.readline().startswith("epoch 0  loss ")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "mien: interrupted"
    assert "Traceback" not in err
    assert (tmp_path / "run" / "model.json").is_file()


@pytest.mark.slow
def test_progress_goes_to_the_terminal_and_results_to_stdout(
    toy_run: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    command = [*MIEN, "train", str(toy_run / "recipe.yaml"), "--data", str(toy_dataset)]
    command += ["--out", str(tmp_path / "run"), "--set", "schedule.epochs=1", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=theirs, env=environment(TERM="xterm")
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # how a terminal ends on Linux
                break
        assert process.stdout
        out = process.stdout.read()
        assert process.wait(TIMEOUT) == 0, shown
    os.close(ours)
    assert json.loads(out)["epoch"] == 0
    assert b"Epoch 0" in shown and b"\x1b[" in shown


@pytest.mark.slow
def test_a_detector_survives_a_training_between_two_photos(
    toy_run: Path, toy_dataset: Path, toy_model: Path, tmp_path: Path
) -> None:
    code = f"""
from skimage.data import astronaut
import mien
predictor = mien.load({str(toy_model)!r})
predictor(astronaut())
recipe = {str(toy_run / "recipe.yaml")!r}
mien.train(recipe, {str(toy_dataset)!r}, {str(tmp_path / "run")!r}, changes=["schedule.epochs=1"])
for _ in range(10):
    predictor(astronaut())
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), timeout=TIMEOUT)
    assert done.returncode == 0


WITHOUT_TRAIN = """
import sys
import time
for name in (
    "lightning", "matplotlib", "onnx", "onnxscript", "pytorch_metric_learning", "safetensors",
    "scipy", "sklearn", "timm", "torch", "torchvision",
):
    sys.modules[name] = None  # importing it raises ModuleNotFoundError
from mien.cli import main
for line in sys.stdin:
    sys.argv = ["mien", *line.split()]
    try:
        main()
    except SystemExit as stop:
        print("exit", stop.code or 0, file=sys.stderr)
"""


@pytest.mark.slow
def test_the_light_install_names_what_a_command_needs(
    toy_folder: Path, toy_dataset: Path, toy_run: Path, toy_model: Path, tmp_path: Path
) -> None:
    photo = next((toy_folder / "test").rglob("*.png"))
    needy = [
        f"train softmax --data {toy_dataset} --out {tmp_path}/run",
        f"evaluate {toy_model} --data {toy_dataset} --out {tmp_path}/report",
        f"evaluate {toy_run} --data {toy_dataset} --out {tmp_path}/report",
        f"compare {toy_model} {toy_run} --data {toy_dataset} --out {tmp_path}/comparison",
        f"export {toy_run} --out {tmp_path}/m.onnx",
        f"demo --out {tmp_path}/demo",
    ]
    light = [
        "--help",
        "--version",
        "models",
        "corpora",
        "recipes",
        f"predict {photo} --tight --model {toy_model} --out {tmp_path}/t.parquet",
        f"prepare folder {toy_folder} --tight --like {toy_model} --workers 1 --out {tmp_path}/d",
    ]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TRAIN],
        input="\n".join([*needy, *light]),
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
        timeout=TIMEOUT,
    )
    lines = done.stderr.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[1 : 2 * len(needy) : 2] == ["exit 2"] * len(needy)
    for sentence in lines[: 2 * len(needy) : 2]:
        assert 'pip install "mien[train' in sentence, sentence
    assert lines[2 * len(needy) :] == ["exit 0"] * len(light)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d", "t.parquet"]


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["--version"]])
def test_help_needs_nothing_heavy(arguments: list[str]) -> None:
    code = f"import sys\nfrom mien.cli import app\nsys.argv = ['mien', *{arguments}]\n"
    code += "try:\n    app()\nexcept SystemExit:\n    print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=TIMEOUT
    )
    loaded = set(done.stderr.split())
    assert "mien.cli" in loaded
    heavy = {"torch", "cv2", "mediapipe", "onnxruntime", "pyarrow", "PIL", "sklearn", "numpy"}
    assert not loaded & heavy
