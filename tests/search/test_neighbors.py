"""Nearest faces as an explanation, in a report and in the answers of a server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_models import make_dataset

from mien.errors import MienError
from mien.evaluation.evaluate import evaluate
from mien.faces.detection.detect import Detector
from mien.schema import Preprocessing
from mien.search.build import build_index
from mien.search.index import FaceIndex
from mien.search.neighbors import Neighbors, open_neighbors
from mien.serving.neighbors import shown_neighbors


@pytest.fixture
def small_model(write_model) -> Path:  # type: ignore[no-untyped-def]
    from tiny_inference import description

    crops = Preprocessing(size=16)
    metadata = description(
        preprocessing=crops.model_dump(mode="json"), preprocessing_hash=crops.hash
    )
    return Path(write_model(metadata, size=16))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    labels = ("happiness", "anger", "fear", "neutral")
    rows = [
        {"label": labels[n % 4], "split": "train" if n < 10 else "test", "subject": f"s{n}"}
        for n in range(20)
    ]
    return make_dataset(tmp_path / "data", rows)


def test_the_nearest_are_given_and_a_row_does_not_explain_itself(
    small_model: Path, data: Path, tmp_path: Path
) -> None:
    index = build_index([data], tmp_path / "index", model=small_model)
    embedding = np.asarray(index._embeddings.get(3), np.float32)
    checksum = index.info.dataset.checksum if index.info.dataset else ""
    neighbors = Neighbors(index).of(embedding, without="face-3")
    assert neighbors[0].name == "face-3" and len(neighbors) == 5
    same = Neighbors(index, checksum=checksum).of(embedding, without="face-3")
    assert "face-3" not in [each.name for each in same] and len(same) == 5
    assert [each.name for each in same[:4]] == [each.name for each in neighbors[1:]]
    assert same[0].label == index.row(same[0].number)["label"]


def test_mistakes_of_a_report_have_their_nearest_faces(
    small_model: Path, data: Path, tmp_path: Path
) -> None:
    build_index([data], tmp_path / "index", model=small_model, split="train")
    report, page = evaluate(
        small_model, data, tmp_path / "report", split="test", index=tmp_path / "index"
    )
    mistakes = report["heads"]["expression"]["mistakes"]
    assert mistakes and all(len(each["neighbors"]) == 5 for each in mistakes)
    assert "--index" in report["provenance"]["command"]
    html = page.read_text("utf-8")
    assert html.count('<ol class="neighbors"') == len(mistakes)
    assert html.count("<li title=") == 5 * len(mistakes)
    without, page = evaluate(small_model, data, tmp_path / "other", split="test")
    assert all(each["neighbors"] == [] for each in without["heads"]["expression"]["mistakes"])
    assert '<ol class="neighbors"' not in page.read_text("utf-8")


def test_an_index_of_another_model_explains_nothing(
    index: FaceIndex, small_model: Path, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(MienError, match="expected the model 'tiny'"):
        evaluate(small_model, data, tmp_path / "report", index=index.folder)
    with pytest.raises(MienError, match="got the run"):
        open_neighbors(index.folder, tmp_path)
    assert not (tmp_path / "report").exists()


def test_a_server_shows_them_without_the_names_of_files(
    index: FaceIndex, photos: Path, smiles: Detector
) -> None:
    embedding = np.asarray(index._embeddings.get(0), np.float32)
    (photos / "1.png").unlink()
    shown = shown_neighbors(Neighbors(index), embedding)
    assert [set(each) for each in shown] == [{"label", "similarity", "picture"}] * 5
    assert [each["picture"] is None for each in shown].count(True) <= 1
    assert shown[0]["similarity"] == pytest.approx(1, abs=1e-3)
    assert shown[0]["picture"].startswith("data:image/jpeg;base64,")
    assert str(photos) not in str(shown)
