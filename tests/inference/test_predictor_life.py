"""Predictors in threads, processes and pickles."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from skimage.data import astronaut

from mien.errors import MienError
from mien.inference.model import OnnxModel, open_onnx
from mien.inference.predictor import Predictor
from mien.models import find_model, open_session
from mien.schema import Prediction

from .conftest import OneFace, picture

forks = pytest.mark.skipif(
    not hasattr(os, "fork") or sys.platform == "darwin", reason="this system does not fork"
)


def read(predictor: Predictor) -> list[Prediction]:
    return predictor(astronaut())


def same(some: list[Prediction], others: list[Prediction]) -> bool:
    return [one.probabilities for one in some] == [one.probabilities for one in others]


@pytest.fixture(scope="module")
def shipped() -> Predictor:
    predictor = Predictor.load(threads=2)
    predictor(astronaut())
    return predictor


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver", pytest.param("fork", marks=forks)])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_processes_are_given_a_predictor(shipped: Predictor, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        for answer in pool.map(shipped, [astronaut()] * 3, timeout=120):
            assert same(answer, read(shipped))


@forks
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_predictor_in_use_survives_a_fork(shipped: Predictor) -> None:
    expected = read(shipped)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def work() -> None:
        theirs.send(read(shipped))
        shipped.close()

    # The child is forked while both locks are held, as by another thread.
    with shipped._detecting, shipped.model._opening:
        child = context.Process(target=work)
        child.start()
    assert ours.poll(60)
    assert same(ours.recv(), expected)
    child.join(60)
    assert child.exitcode == 0
    assert same(read(shipped), expected)


def test_threads_share_a_predictor(shipped: Predictor) -> None:
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(read, [shipped] * 6):
            assert same(answer, read(shipped))


def test_a_pickle_holds_the_file_and_the_settings(
    model_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(model_file.parent)
    predictor = Predictor.load(model_file.name, detector=OneFace(count=3), threads=1)
    content = pickle.dumps(predictor)
    assert len(content) < 2000
    monkeypatch.chdir(tmp_path)
    again = pickle.loads(content)
    assert again.info == predictor.info and len(again(picture())) == 3
    assert again.model._session.get_session_options().intra_op_num_threads == 1


def test_a_session_without_a_file_says_so() -> None:
    session = open_session(find_model("fer"), threads=1)
    model = OnnxModel(open_onnx("fer", threads=1).info, session)
    with pytest.raises(MienError, match="expected the file of the model 'fer'"):
        pickle.dumps(Predictor(model))


def test_a_predictor_is_short_in_print(shipped: Predictor) -> None:
    assert repr(shipped) == "Predictor('fer', heads expression)"
    assert repr(shipped.model) == "OnnxModel('fer', heads expression)"
    [one] = read(shipped)
    assert "478 landmarks" in repr(one.face) and len(repr(one.face)) < 80
