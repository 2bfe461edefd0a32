"""Training on clips, from a recipe to a run that is read back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_training import SMALL_CLIPS, read_document, read_metrics

from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.evaluation.models import open_model, predict_recordings
from mien.networks.network import Network, Outputs
from mien.training.fit import fit
from mien.training.recipe import load_recipe


@pytest.mark.slow
def test_frozen_frames_teach_scores_and_resume_to_the_same_bytes(
    videos: Dataset, frozen_backbone: str, tmp_path: Path
) -> None:
    changes = [*SMALL_CLIPS, frozen_backbone, "schedule.epochs=12", "averaging=0.5"]
    recipe = load_recipe("dj-ldml", changes)
    given: dict[str, Any] = {"threads": 1, "features": tmp_path / "features"}
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    fit(recipe, videos, whole, **given)

    class Stopped(Exception):
        pass

    def stop(line: dict[str, Any]) -> None:
        if line["epoch"] == 2:
            raise Stopped

    with pytest.raises(Stopped):
        fit(recipe, videos, stopped, on_epoch=stop, **given)
    fit(recipe, videos, stopped, resume=True, **given)
    for name in ("model.safetensors", "model.json"):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes()
    model = open_model(whole)
    assert model.info.clips is not None
    found = predict_recordings(model, model.info.clips, videos, "test")
    known = np.unique(videos.severity[videos.split_indices("train")])
    scores = videos.severity[found.starts]
    error = np.abs(found.heads["severity"] - scores).mean()
    assert error < 0.6 * np.abs(known.mean() - scores).mean()


def test_what_was_measured_in_training_is_what_the_run_says(
    videos: Dataset, frozen_backbone: str, tmp_path: Path
) -> None:
    changes = [*SMALL_CLIPS, frozen_backbone, "temporal.aggregate=trimmed", "clips.per_video=5"]
    run = fit(load_recipe("ldl", changes), videos, tmp_path / "run", threads=1)
    model = open_model(run)
    assert model.info.clips is not None and model.info.clips.aggregate == "trimmed"
    found = predict_recordings(model, model.info.clips, videos, "valid")
    error = np.abs(found.heads["severity"] - videos.severity[found.starts]).mean()
    # Frozen maps are kept in half precision.
    assert read_document(run)["selected_on"]["mae"] == pytest.approx(error, abs=0.02)


def test_the_best_epoch_is_by_the_metric_that_was_asked_for(
    videos: Dataset, frozen_backbone: str, tmp_path: Path
) -> None:
    changes = [*SMALL_CLIPS, frozen_backbone, "schedule.epochs=4", "select=ccc"]
    run = fit(load_recipe("regression", changes), videos, tmp_path / "run", threads=1)
    lines = [line["valid"] for line in read_metrics(run)]
    chosen = read_document(run)["selected_on"]
    assert chosen["metric"] == "ccc" and chosen["ccc"] == max(line["ccc"] for line in lines)
    assert set(lines[0]) == {"mae", "rmse", "pcc", "ccc"}


def test_a_network_that_says_nan_is_not_kept_as_the_best(
    videos: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Network.forward_head

    def broken(self: Network, features: torch.Tensor) -> Outputs:
        found = forward(self, features)
        if self.training:
            return found
        heads = found.heads | {"severity": found.heads["severity"] * torch.nan}
        return found._replace(heads=heads)

    monkeypatch.setattr(Network, "forward_head", broken)
    recipe = load_recipe("ldl", ["backbone={name: test_resnet}", *SMALL_CLIPS])
    with pytest.raises(MienError, match=r"diverged: the severity .* became NaN"):
        fit(recipe, videos, tmp_path / "run", threads=1)
    assert not (tmp_path / "run" / "model.json").exists()


@pytest.mark.parametrize("backbone", ["small-3d", "c3d, arguments: {widths: [4, 4, 8, 8, 8]}"])
def test_3d_networks_train_on_crops(videos: Dataset, backbone: str, tmp_path: Path) -> None:
    changes = [*SMALL_CLIPS, f"backbone={{name: {backbone}}}", "schedule.epochs=1"]
    run = fit(load_recipe("dj-ldml", changes), videos, tmp_path / "run", threads=1)
    (line,) = read_metrics(run)
    assert np.isfinite([*line["train"].values(), *line["valid"].values()]).all()
    assert set(line["train"]) == {"loss", "label-distribution", "label-aware-histogram"}


def expressive(dataset: Dataset) -> Dataset:
    """The dataset opened anew, each recording with the expression that its score stands for."""
    opened = Dataset.open(dataset.folder)
    names = np.array(["neutral", "happiness", "surprise"], object)
    labels = names[(opened.severity // 22).astype(int)]

    class Labeled(Dataset):
        def column(self, name: str) -> Any:
            return labels if name == "label" else super().column(name)

    return Labeled(**{key: getattr(opened, key) for key in Dataset.__dataclass_fields__})


@pytest.mark.slow
def test_clips_learn_an_expression_beside_a_score(
    videos: Dataset, frozen_backbone: str, tmp_path: Path
) -> None:
    # A network of clips differs in its backbone and its pooling over time, and in nothing else.
    changes = [*SMALL_CLIPS, frozen_backbone, "schedule.epochs=15", "heads={expression: {}}"]
    changes += ["losses=[{loss: cross-entropy}, {loss: triplet, weight: 0.1}]", "select=null"]
    dataset = expressive(videos)
    run = fit(load_recipe("ldl", changes), dataset, tmp_path / "run", threads=1)
    lines = read_metrics(run)
    assert set(lines[0]["train"]) == {"loss", "cross-entropy", "triplet"}
    assert lines[-1]["train"]["cross-entropy"] < 0.7 * lines[0]["train"]["cross-entropy"]
    assert max(line["valid"]["accuracy"] for line in lines) > 0.6  # chance is a third
    assert 0 <= lines[0]["embedding"]["active"]["triplet"] <= 1
    model = open_model(run)
    assert list(model.info.heads) == ["expression"] and model.info.clips is not None
    found = predict_recordings(model, model.info.clips, dataset, "valid")
    np.testing.assert_allclose(found.heads["expression"].sum(1), 1, atol=1e-5)
    space = dataset.label_space
    truth = [space.index(name) for name in dataset.column("label")[found.starts]]
    accuracy = (found.heads["expression"].argmax(1) == truth).mean()
    assert read_document(run)["selected_on"]["accuracy"] == pytest.approx(accuracy, abs=0.1)

    both = [*changes, "heads={expression: {}, severity: {}}", "losses.1={loss: label-distribution}"]
    run = fit(load_recipe("ldl", both), dataset, tmp_path / "both", threads=1)
    assert set(read_metrics(run)[0]["valid"]) >= {"accuracy", "mae"}
    assert list(open_model(run).info.heads) == ["expression", "severity"]
