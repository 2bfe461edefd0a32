"""A small prepared dataset of toy faces, for every test that needs one."""

from pathlib import Path

import pytest

from mien.data.prepare import prepare
from mien.data.toy import write_toy_folder
from mien.schema import Preprocessing


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_folder(tmp_path_factory.mktemp("toy") / "faces", faces=180, size=48)


@pytest.fixture(scope="session")
def toy_dataset(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("toy-dataset") / "dataset"
    prepare("folder", toy_folder, out, preprocessing=Preprocessing(size=32), tight=True, workers=1)
    return out
