"""The front door: what `import mien` offers, and that it is light."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import mien

PUBLIC = [
    *("Dataset", "MienError", "Prediction", "Predictor", "Recipe", "__version__"),
    *("compare", "corpora", "evaluate", "export", "heads", "list_models", "list_recipes"),
    *("load", "losses", "metrics", "networks", "predict", "prepare", "train"),
]
HEAVY = {
    *("torch", "lightning", "timm", "cv2", "onnxruntime", "mediapipe", "pyarrow", "numpy"),
    *("pydantic", "scipy", "sklearn", "matplotlib", "PIL"),
}


def test_the_public_surface() -> None:
    assert sorted(mien.__all__) == sorted(PUBLIC)
    assert dir(mien) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_resolves_and_is_documented(name: str) -> None:
    found = getattr(mien, name)
    assert name == "__version__" or inspect.getdoc(found)
    if inspect.isfunction(found):
        assert found.__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = mien.nonsense
    assert not hasattr(mien, "tests")


def loaded(code: str) -> set[str]:
    """The modules that a new process has imported after ``code``."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_importing_mien_imports_nothing_heavy() -> None:
    assert not loaded("import mien\ndir(mien)") & HEAVY


def test_names_and_models_can_be_listed_without_torch() -> None:
    modules = loaded("import mien\nmien.list_models(), mien.list_recipes(), mien.MienError")
    assert not modules & {"torch", "lightning", "timm", "cv2", "onnxruntime"}
