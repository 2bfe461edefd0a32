from pathlib import Path

import cv2
import numpy as np
import pytest
from audited import SIDE, audited_dataset, pictures
from fake_models import Oracle, one_hot

from mien.audit import audit as module
from mien.audit.audit import audit
from mien.audit.embedded import Embeddings, nearest_pairs, recropped_pairs
from mien.schema import Preprocessing


def recropped(crop: np.ndarray, scale: float, *, mirrored: bool = False) -> np.ndarray:
    """The same picture, cut out larger or smaller around another place."""
    matrix = np.array([[scale, 0, -2.0 * scale], [0, scale, 24 * (1 - scale)]])
    moved = cv2.warpAffine(crop, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
    return moved[:, ::-1] if mirrored else moved


def embedded(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 300)).astype(np.float32)


def narrow(rows: np.ndarray) -> np.ndarray:
    embeddings = Embeddings()
    for start in range(0, len(rows), 77):
        embeddings.add(rows[start : start + 77])
    return embeddings.rows()


@pytest.mark.parametrize("scale", [0.85, 1.0, 1.15])
@pytest.mark.parametrize("mirrored", [False, True])
def test_other_crops_of_one_photo_are_confirmed(scale: float, mirrored: bool) -> None:
    crops = pictures(30)
    others = np.stack([recropped(crop, scale, mirrored=mirrored) for crop in crops])
    both = np.concatenate([crops, others])
    true = np.array([(n, n + 30) for n in range(30)])
    false = np.array([(n, 30 + (n + 1) % 30) for n in range(30)])
    pairs, correlations = recropped_pairs(true, lambda row: both[row])
    assert len(pairs) >= 27 and correlations.min() >= 0.95
    assert len(recropped_pairs(false, lambda row: both[row])[0]) == 0


@pytest.mark.slow
def test_the_nearest_are_found_in_each_part_whatever_the_others() -> None:
    rows = embedded(600)
    rows[100:103] = rows[500:503] + 0.01 * embedded(3, 1)  # in another part
    rows[10:12] = rows[20:22] + 0.01 * embedded(2, 2)  # in one part
    parts = np.where(np.arange(600) < 300, 0, 1)
    pairs = set(map(tuple, nearest_pairs(narrow(rows), parts).tolist()))
    assert {(100, 500), (101, 501), (102, 502), (10, 20), (11, 21)} <= pairs
    assert all(first < second for first, second in pairs) and len(pairs) < 600 * 6
    shuffled = np.random.default_rng(0).permutation(600)
    again = nearest_pairs(narrow(rows)[shuffled], parts[shuffled])
    assert {tuple(sorted(pair)) for pair in shuffled[again].tolist()} >= {(100, 500), (10, 20)}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_embeddings(count: int) -> None:
    assert nearest_pairs(narrow(embedded(count)), np.zeros(count, np.int64)).shape[1] == 2


def test_projected_products_are_nearly_those_of_whole_rows() -> None:
    low = np.random.default_rng(0).normal(size=(500, 40)) @ np.random.default_rng(1).normal(
        size=(40, 300)
    )
    unit = (low / np.linalg.norm(low, axis=1, keepdims=True)).astype(np.float32)
    small = narrow(low.astype(np.float32)).astype(np.float32)
    assert small.shape == (500, 128)
    np.testing.assert_allclose(small @ small.T, unit @ unit.T, atol=0.01)


@pytest.mark.slow
def test_an_audit_with_a_model_lists_other_crops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crops = pictures(90)
    crops[70] = recropped(crops[3], 1.12)
    oracle = Oracle(one_hot(*[0] * 256)).model()
    rows = embedded(90)
    rows[70] = rows[3] + 0.01
    seen = [0]

    def predict(inputs: np.ndarray):
        start, seen[0] = seen[0], seen[0] + len(inputs)
        outputs = oracle.predict(inputs)
        return outputs._replace(embeddings=rows[start : seen[0]])

    info = oracle.info.model_copy(update={"preprocessing": Preprocessing(size=SIDE)})
    model = oracle._replace(predict=predict, info=info)
    monkeypatch.setattr(module, "open_expression_model", lambda _: model)
    folder = audited_dataset(tmp_path / "data", crops)
    document, page = audit([folder], tmp_path / "out", model="oracle", fix=tmp_path / "fixed")
    assert document["near"]["pairs"]["recropped"] == {"train and test": 1}
    (entry,) = document["near"]["listed"]
    assert entry["numbers"] == [3, 70] and entry["kind"] == "recropped"
    assert "cut differently" in page.read_text("utf-8")
    assert document["cleaned"]["left_out"] == {"near duplicate in another split": 1}
    assert "no embeddings" not in {each["kind"] for each in document["notes"]}
