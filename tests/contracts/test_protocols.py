"""Every protocol on the fake of its corpus: its folds, its metric, and the whole way."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_corpora import fake_dataset

from mien.corpora import CORPORA
from mien.corpora.protocols import PROTOCOLS, Protocol, protocol_of
from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.evaluation.protocol import evaluate_protocol
from mien.heads import HEADS
from mien.labels import LABEL_SPACES
from mien.training.protocol import train_protocol

FOLDS = {
    **dict.fromkeys(("ckplus-10fold", "oulu-10fold", "mmi-10fold"), 10),
    "jaffe-loso": 5,
    **dict.fromkeys(("dfew-5fold", "mafw-5fold"), 5),
}
"""Protocols of more than one fold on their fakes."""

BY_SUBJECT = (
    "ckplus-10fold",
    "oulu-10fold",
    "mmi-10fold",
    "jaffe-loso",
    "avec2014-subject-disjoint",
)

SMALL = ["backbone={name: test_resnet, arguments: {}}", "schedule={epochs: 1}", "embedding.size=8"]
RECIPES = {
    "expression": ("softmax", []),
    "valence_arousal": ("multi-task", []),
    "action_units": ("action-units", []),
    "severity": (
        "regression",
        ["clips={length: 2, stride: 1, per_video: 1}", "sampler={batch_size: 4}"],
    ),
}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Dataset]:
    made: dict[str, Dataset] = {}

    def dataset(corpus: str) -> Dataset:
        if corpus not in made:
            made[corpus] = fake_dataset(corpus, tmp_path_factory.mktemp(corpus))
        return made[corpus]

    return dataset


def trained(protocol: Protocol, dataset: Dataset, out: Path, **options: Any) -> Path:
    recipe, changes = RECIPES[protocol.head]
    return train_protocol(
        recipe, protocol, dataset, out, changes=[*SMALL, *changes], threads=1, **options
    )


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_a_protocol_names_its_corpus_its_metric_and_its_source(protocol: Protocol) -> None:
    assert protocol.corpus in CORPORA and protocol.facts and protocol.selection
    assert {metric.name for metric in protocol.measures} <= {
        metric.name for metric in HEADS[protocol.head].metrics
    }
    assert protocol.measures[0].name == protocol.metrics[0]
    assert (protocol.space is not None) == (protocol.head == "expression")


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_folds_share_no_subject_no_video_and_test_each_row_once(
    protocol: Protocol, datasets: Callable[[str], Dataset]
) -> None:
    dataset = datasets(protocol.corpus)
    views = protocol.views(dataset)
    assert len(views) == FOLDS.get(protocol.name, 1)
    tested: Counter[int] = Counter()
    for view in views:
        assert set(view.splits) - {"unused"} == {"train", "valid", "test"}
        columns = ["video"] if protocol.name in ("avec2013", "avec2014") else ["subject", "video"]
        columns += ["unit"] if protocol.corpus == "aff-wild2" else []
        for column in columns:
            for name in filter(None, set(view.column(column))):
                splits = set(view.splits[view.column(column) == name]) - {"unused"}
                assert len(splits) <= 1, f"{column} {name} is in {splits}"
        tested.update(view.split_indices("test").tolist())
        if protocol.space is not None and dataset.votes is None:
            labels = set(view.column("label")[view.splits != "unused"])
            assert labels <= set(protocol.space.names)
    assert set(tested.values()) == {1}
    if protocol.name in FOLDS and protocol.name not in ("dfew-5fold", "mafw-5fold"):
        scored = [label is not None for label in views[0].column("label")]
        assert len(tested) == sum(scored)


def test_seven_classes_of_eight_leave_the_eighth_out(
    datasets: Callable[[str], Dataset],
) -> None:
    dataset = datasets("affectnet")
    view = protocol_of("affectnet-7").views(dataset)[0]
    assert view.label_space.names == LABEL_SPACES["affectnet7"].names
    contempt = dataset.column("label") == "contempt"
    assert set(view.splits[contempt]) == {"unused"} and contempt.sum() == 2
    assert set(view.column("label")[contempt]) == {None}
    again = pickle.loads(pickle.dumps(view))
    np.testing.assert_array_equal(again.column("label"), view.column("label"))
    np.testing.assert_array_equal(again.splits, view.splits)
    assert view.faces["label"].to_pylist() == view.column("label").tolist()


def test_the_splits_of_a_challenge_are_its_own(datasets: Callable[[str], Dataset]) -> None:
    dataset = datasets("aff-wild2")
    shared = dataset.column("video") == "shared"
    of = {
        name: protocol_of(f"abaw-{name}").views(dataset)[0].splits for name in ("va", "expr", "au")
    }
    assert set(of["va"][shared]) <= {"train", "valid"}
    assert set(of["expr"][shared]) == set(of["au"][shared]) == {"test"}


def _check_whole_way(protocol: Protocol, dataset: Dataset, out: Path) -> None:
    trained(protocol, dataset, out)
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert len(summary["runs"]) == FOLDS.get(protocol.name, 1)
    assert not summary["selected_on_test"]
    for run in summary["runs"]:
        assert run["selected_on"]["split"] == "valid"
        assert run["selected_on"]["metric"] == protocol.metrics[0]
    document, path = evaluate_protocol(out, protocol, dataset, draws=20)
    assert json.loads(path.with_suffix(".json").read_text("utf-8")) == document
    page = path.read_text("utf-8")
    for text in (protocol.description, *(metric.title for metric in protocol.measures)):
        assert text in unescape(page)
    assert list(document["metrics"]) == list(protocol.metrics)
    assert not document["selected_on_test"]
    for name, entry in document["metrics"].items():
        values = [fold["metrics"][name] for fold in document["folds"]]
        if None not in values:
            assert entry["mean_of_folds"] == pytest.approx(np.mean(values))


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name not in FOLDS])
def test_a_protocol_of_one_fold_runs_whole(
    name: str, datasets: Callable[[str], Dataset], tmp_path: Path
) -> None:
    protocol = protocol_of(name)
    _check_whole_way(protocol, datasets(protocol.corpus), tmp_path / "folds")


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDS)
def test_a_protocol_of_folds_runs_whole(
    name: str, datasets: Callable[[str], Dataset], tmp_path: Path
) -> None:
    protocol = protocol_of(name)
    _check_whole_way(protocol, datasets(protocol.corpus), tmp_path / "folds")


def test_folds_resume_after_an_interruption(
    datasets: Callable[[str], Dataset], tmp_path: Path
) -> None:
    protocol, dataset = protocol_of("jaffe-loso"), datasets("jaffe")

    def stop(number: int, folds: int) -> None:
        if number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(protocol, dataset, tmp_path / "folds", on_fold=stop)
    with pytest.raises(MienError, match=r"5 finished folds .* got 2"):
        evaluate_protocol(tmp_path / "folds", protocol, dataset)
    with pytest.raises(MienError, match="--resume"):
        trained(protocol, dataset, tmp_path / "folds")
    begun: list[int] = []
    trained(
        protocol, dataset, tmp_path / "folds", resume=True, on_fold=lambda n, _: begun.append(n)
    )
    assert begun == [3, 4, 5]
    document, _ = evaluate_protocol(tmp_path / "folds", protocol, dataset, draws=20)
    assert sum(fold["units"] for fold in document["folds"]) == len(dataset)
    assert document["clustered_by"] == "subject" and document["clusters"] == 5
    assert any("5 subjects" in warning for warning in document["warnings"])
    entry = document["metrics"]["accuracy"]
    assert entry["low"] <= entry["value"] <= entry["high"]


def test_what_does_not_fit_is_refused(datasets: Callable[[str], Dataset], tmp_path: Path) -> None:
    jaffe, rafdb = datasets("jaffe"), datasets("rafdb")
    with pytest.raises(MienError, match="corpus rafdb for the protocol rafdb, got one of jaffe"):
        protocol_of("rafdb").views(jaffe)
    with pytest.raises(MienError, match="did you mean 'rafdb'"):
        protocol_of("rafbd")
    with pytest.raises(MienError, match="head action_units for the protocol abaw-au"):
        train_protocol("softmax", "abaw-au", datasets("aff-wild2"), tmp_path / "a")
    with pytest.raises(MienError, match=r"no summary\.json"):
        evaluate_protocol(tmp_path, "rafdb", rafdb)


@pytest.mark.slow
def test_selecting_on_test_is_refused_and_stamped(
    datasets: Callable[[str], Dataset], tmp_path: Path
) -> None:
    from mien.evaluation.evaluate import evaluate
    from mien.models import read_info
    from mien.training.export import export
    from mien.training.selection import WARNING
    from mien.training.train import train

    dataset = datasets("fer2013")
    changes = SMALL
    with pytest.raises(MienError, match="--unsafe-select-on-test"):
        train("softmax", dataset, tmp_path / "run", changes=changes, select_on="test")
    with pytest.raises(MienError, match="got 'train'"):
        train("softmax", dataset, tmp_path / "run", changes=changes, select_on="train")
    assert not (tmp_path / "run").exists()

    run = train(
        "softmax", dataset, tmp_path / "run", changes=changes, unsafe_select_on_test=True, threads=1
    )
    assert json.loads((run / "model.json").read_text())["selected_on"]["split"] == "test"
    report, page = evaluate(run, dataset.folder, tmp_path / "report")
    assert any(WARNING in warning for warning in report["warnings"])
    assert "selected on the test split" in page.read_text("utf-8")
    export(run, tmp_path / "model.onnx")
    info = read_info(tmp_path / "model.onnx")
    assert info.selected_on["split"] == "test" and WARNING in info.card
    with pytest.raises(MienError, match="selected its epoch on test, not on valid"):
        train("softmax", dataset, tmp_path / "run", changes=changes, resume=True)

    protocol = protocol_of("fer2013")
    trained(protocol, dataset, tmp_path / "folds", unsafe_select_on_test=True)
    document, page = evaluate_protocol(tmp_path / "folds", protocol, dataset, draws=20)
    assert document["selected_on_test"] and WARNING in document["warnings"]
    assert WARNING in page.read_text("utf-8")


def test_a_model_of_one_corpus_is_evaluated_on_another_by_names(
    datasets: Callable[[str], Dataset], tmp_path: Path
) -> None:
    from mien.evaluation.models import open_model
    from mien.evaluation.predictions import evaluation_of
    from mien.training.train import train

    run = train(
        "softmax",
        datasets("rafdb").with_splits(["train"] * 8 + ["valid"] * 6),
        tmp_path / "run",
        changes=SMALL,
        threads=1,
    )
    model = open_model(run)
    other = datasets("fer2013")
    evaluation = evaluation_of(model, other, run, split="test", rule="majority")
    arrays: Any = evaluation.heads["expression"]
    rows = other.split_indices("test")
    ours = model.predict(other.crops[rows]).heads["expression"]
    names = model.info.heads["expression"].label_space.names  # type: ignore[attr-defined]
    order = [names.index(name) for name in other.label_space.names]
    assert order != sorted(order)
    np.testing.assert_allclose(arrays.predictions, ours[:, order], rtol=1e-5)
