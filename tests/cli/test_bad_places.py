"""Full disks and forbidden places: one sentence, and what was there before stays as it was."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mien.data.dataset import Dataset

if TYPE_CHECKING:
    from conftest import Command


@contextmanager
def full_disk(after: int) -> Iterator[None]:
    """No file may grow beyond ``after`` bytes; the system says "File too large"."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_while_preparing(command: Command, toy_folder: Path, tmp_path: Path) -> None:
    prepare = ("prepare", "folder", toy_folder, "--tight", "--size", 48, "--workers", 1)
    with full_disk(after=200_000):
        ended = command(*prepare, "--out", "data")
    ended.refused("got a full disk", "run the same command again")
    assert not (tmp_path / "data").exists()
    assert command(*prepare, "--out", "data").code == 0
    assert len(Dataset.open(tmp_path / "data", verify=True)) == 180
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.slow
def test_a_full_disk_leaves_earlier_output_as_it_was(
    command: Command,
    toy_run: Path,
    toy_model: Path,
    toy_folder: Path,
    toy_dataset: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "report").mkdir()
    older = [tmp_path / name for name in ("m.onnx", "t.csv", "report/report.json")]
    for path in older:
        path.write_text("older")
    photos = toy_folder / "train"
    for limit, arguments in (
        (20_000, ("export", toy_run, "--out", "m.onnx")),
        (2_000, ("predict", photos, "--tight", "--model", toy_model, "--out", "t.csv")),
        (2_000, ("evaluate", toy_run, "--data", toy_dataset, "--out", "report")),
    ):
        with full_disk(limit):
            ended = command(*arguments)
        assert ended.code == 2 and ended.err.count("\n") == 1, ended
        assert ("too large" in ended.err and "room" in ended.err) or "space" in ended.err
    assert [path.read_text() for path in older] == ["older"] * 3
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["m.onnx", "report.json", "t.csv"]


@pytest.mark.slow
def test_training_goes_on_after_a_full_disk(
    command: Command, toy_run: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    train = ("train", toy_run / "recipe.yaml", "--data", toy_dataset, "--out", "run")
    for limit in (30_000, (toy_run / "model.safetensors").stat().st_size + 20_000):
        # First the weights do not fit, then they do and the checkpoint does not.
        with full_disk(limit):
            ended = command(*train, "--resume") if Path("run").exists() else command(*train)
        assert ended.code == 2 and ended.err.splitlines()[-1].startswith("mien: expected to"), ended
    assert command(*train, "--resume").code == 0
    expected = (toy_run / "model.safetensors").read_bytes()
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == expected


@pytest.mark.slow
def test_places_that_cannot_be_written(
    command: Command, toy_run: Path, toy_model: Path, toy_folder: Path, toy_dataset: Path
) -> None:
    Path("file").write_text("in the way")
    Path("folder.csv").mkdir()
    photo = next((toy_folder / "test").rglob("*.png"))
    predict = ("predict", photo, "--tight", "--model", toy_model)
    command(*predict, "--out", "t.xlsx").refused(".csv, .jsonl, .parquet")
    command(*predict, "--out", "folder.csv").refused("a folder of this name")
    command(*predict, "--out", "file/t.csv").refused("file/t.csv")
    assert command(*predict, "--annotate", "file/drawn").code == 2
    assert command("evaluate", toy_run, "--data", toy_dataset, "--out", "file/r").code == 2
    assert command("evaluate", toy_run, "--data", toy_dataset, "--out", "file").code == 2
    train = ("train", toy_run / "recipe.yaml", "--data", toy_dataset, "--out")
    assert command(*train, "file").code == 2
    command(*train, toy_run).refused("--resume")
    command("export", toy_run, "--out", "model.txt").refused("ending in .onnx")
    command("export", toy_run, "--out", "m.onnx", "--card", "none.md").refused("none.md")
    Path("latin.md").write_bytes(b"caf\xe9")
    command("export", toy_run, "--out", "m.onnx", "--card", "latin.md").refused("UTF-8")
    prepare = ("prepare", "folder", toy_folder, "--tight", "--workers", 1, "--out")
    command(*prepare, "file").refused("which exists")
    command(*prepare, "file/data").refused("file/data")
    assert Path("file").read_text() == "in the way"


def test_a_place_that_forbids_writing(
    command: Command, toy_model: Path, toy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever runs the tests as root may write anywhere, so the system's answer is played.
    def forbidden(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    photo = next((toy_folder / "test").rglob("*.png"))
    monkeypatch.setattr(Path, "mkdir", forbidden)
    predict = ("predict", photo, "--tight", "--model", toy_model)
    command(*predict, "--out", "closed/t.csv").refused("Permission denied")
    command(*predict, "--annotate", "closed").refused("Permission denied")
