"""The confidence from which a model answers: by labeled faces, into its file, and nothing else."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from fake_models import FERPLUS, RGB, make_dataset

from mien.cli.export import export as command
from mien.errors import MienError
from mien.evaluation.abstention import choose_abstention, predict_labeled, store_abstention
from mien.evaluation.models import Model, open_model
from mien.heads.expression import ExpressionInfo
from mien.heads.valence_arousal import ValenceArousalInfo
from mien.models import ModelInfo, find_model, read_info
from mien.schema import ModelOutput, UInt8Array

ROWS = 200
SURE = np.arange(ROWS) % 2 == 0
"""Half of the rows are sure (0.9), of the others (0.5) every second is wrong."""


def model(**heads: object) -> Model:
    infos = heads or {"expression": ExpressionInfo(label_space=FERPLUS)}
    info = ModelInfo(name="toy", heads=infos, preprocessing=RGB, preprocessing_hash=RGB.hash)

    def predict(crops: UInt8Array) -> ModelOutput:
        numbers = crops[:, 0, 0, 0]
        shares = np.full((len(crops), 8), 0.1 / 7, np.float32)
        shares[:, 0] = 0.9
        shares[~SURE[numbers]] = [0.5, 0.45, *[0.05 / 6] * 6]
        return ModelOutput(np.ones((len(crops), 4), np.float32), {"expression": shares})

    return Model("toy", info, predict, {})


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {"label": "happiness" if number % 4 == 1 else "neutral", "split": "valid"}
        for number in range(ROWS)
    ]
    return make_dataset(tmp_path_factory.mktemp("data") / "faces", rows)


def test_it_answers_from_where_its_answers_are_right(faces: Path) -> None:
    info = choose_abstention(predict_labeled(model(), faces), accuracy=0.9)
    assert 0.5 < info.abstain_below <= 0.9
    chosen = info.abstention
    assert chosen is not None
    assert (chosen.rows, chosen.answered, chosen.right) == (ROWS, 0.5, 1.0)
    assert (chosen.accuracy, chosen.level, chosen.split, chosen.rule) == (
        0.9, 0.95, "valid", "majority"
    )  # fmt: skip
    # Three of four are right without a threshold.
    assert choose_abstention(predict_labeled(model(), faces), accuracy=0.65).abstain_below == 0
    assert "at least 90 % of the answers are right (95 % sure): 50.0 % of 200" in info.answers


def test_what_cannot_be_shown_is_refused(faces: Path) -> None:
    with pytest.raises(MienError, match=r"99 % are surely right .* got none among 200 faces"):
        choose_abstention(predict_labeled(model(), faces), accuracy=0.99)
    with pytest.raises(MienError, match="an accuracy and a level in"):
        choose_abstention(predict_labeled(model(), faces), accuracy=1.0)
    with pytest.raises(MienError, match="with the head expression, got 'toy' with valence"):
        predict_labeled(model(valence_arousal=ValenceArousalInfo()), faces)
    other = ExpressionInfo(label_space=FERPLUS.model_copy(update={"names": ("a", "b")}))
    with pytest.raises(MienError, match=r"the model's classes \(a, b\)"):
        predict_labeled(model(expression=other), faces)


def test_only_the_threshold_and_the_card_of_a_file_change(tmp_path: Path, faces: Path) -> None:
    file = Path(shutil.copy(find_model("fer"), tmp_path / "mine.onnx"))
    before, document = onnx.load(str(file)), metadata(file)
    info = choose_abstention(predict_labeled(model(), faces))
    store_abstention(file, info, card="# new")
    after = onnx.load(str(file))
    assert after.graph == before.graph
    assert read_info(file).heads["expression"] == info
    expected = document | {"card": "# new"}
    expected["heads"]["expression"] = info.model_dump(mode="json")
    assert metadata(file) == expected
    assert open_model(file).info.heads["expression"].abstain_below == info.abstain_below


def metadata(file: Path) -> dict:
    [entry] = [each for each in onnx.load(str(file)).metadata_props if each.key == "mien"]
    return json.loads(entry.value)


def test_the_command_exports_with_a_threshold(
    tmp_path: Path,
    faces: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def copied(run: Path, out: Path, **options: object) -> dict:
        shutil.copy(find_model("fer"), out)
        return metadata(out)

    monkeypatch.setattr("mien.training.export.export", copied)
    labeled = predict_labeled(model(), faces)
    monkeypatch.setattr("mien.evaluation.abstention.predict_labeled", lambda out, data: labeled)
    out = tmp_path / "mine.onnx"
    command(str(tmp_path / "run"), out, accuracy=0.9, data=faces)
    chosen = choose_abstention(labeled, accuracy=0.9)
    assert read_info(out).heads["expression"] == chosen
    assert capsys.readouterr().out.splitlines()[1] == chosen.answers
    with pytest.raises(MienError, match="expected --data with --accuracy"):
        command(str(tmp_path / "run"), out, accuracy=0.9)
    with pytest.raises(MienError, match="expected --int8 or --accuracy with --data"):
        command(str(tmp_path / "run"), out, data=faces)
    with pytest.raises(MienError, match="--abstain-below or --accuracy, got both"):
        command(str(tmp_path / "run"), out, accuracy=0.9, data=faces, abstain_below=0.5)
