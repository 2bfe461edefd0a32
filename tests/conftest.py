"""Toy faces, a dataset, a run and a model of them, and the command line, for every test."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from mien.preparation.prepare import prepare
from mien.schema import Preprocessing
from mien.synthetic.drawn import write_toy_folder, write_toy_table


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_folder(tmp_path_factory.mktemp("toy") / "faces", faces=180, size=48)


@pytest.fixture(scope="session")
def toy_dataset(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("toy-dataset") / "dataset"
    prepare("folder", toy_folder, out, preprocessing=Preprocessing(size=32), tight=True, workers=1)
    return out


@pytest.fixture(scope="session")
def affect_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Toy faces with valence and arousal; some lack these, others the expression."""
    folder = write_toy_folder(tmp_path_factory.mktemp("affect") / "faces", faces=180, size=48)
    out, table = folder.parent / "dataset", write_toy_table(folder)
    prepare("folder", table, out, preprocessing=Preprocessing(size=32), tight=True, workers=1)
    return out


@pytest.fixture(scope="session")
def toy_run(toy_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Imported here, so that tests without training need no torch.
    from mien.data.dataset import Dataset
    from mien.training.fit import fit
    from mien.training.recipe import load_recipe

    changes = ["backbone.name=test_resnet", "backbone.arguments={}", "embedding.size=16"]
    changes += ["sampler.batch_size=12", "schedule.epochs=12", "optimizer.lr=0.005"]
    changes += ["augmentation={rotation: 0, shift: 0, scale: 0, contrast: 0}"]
    recipe = load_recipe("softmax", changes)
    out = tmp_path_factory.mktemp("toy-run") / "run"
    # One thread: on a busy machine two spend most of their time waiting for each other.
    return fit(recipe, Dataset.open(toy_dataset), out, threads=1)


@pytest.fixture(scope="session")
def toy_model(toy_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mien.training.export import export

    path = tmp_path_factory.mktemp("toy-model") / "toy.onnx"
    export(toy_run, path, card="# Toy", abstain_below=0.01)
    return path


class Ended(NamedTuple):
    """A command that has ended: its exit code and what it printed."""

    code: int
    out: str
    err: str

    def refused(self, *texts: str) -> None:
        """Assert wrong use: one sentence on stderr with these texts, and nothing on stdout."""
        assert self.code == 2, self
        assert self.out == ""
        assert self.err.startswith("mien: ") and self.err.count("\n") == 1, self.err
        for text in texts:
            assert text in self.err


Command = Callable[..., Ended]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Runs ``mien ARGUMENTS`` in an empty folder; a traceback fails the test by itself."""
    from mien.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr("sys.argv", ["mien", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return Ended(int(stop.value.code or 0), *capsys.readouterr())

    return run
