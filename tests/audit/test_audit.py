import json
from pathlib import Path

import numpy as np
import pytest
from audited import SIDE, SPACE, audited_dataset, pictures
from fake_models import Oracle, make_dataset, one_hot

from mien.audit import audit as module
from mien.audit.audit import audit
from mien.errors import MienError
from mien.labels import LABEL_SPACES
from mien.schema import Preprocessing

FERPLUS = LABEL_SPACES["ferplus"]


def kinds(document: dict) -> list[str]:
    return [each["kind"] for each in document["findings"]]


def sentences(document: dict) -> str:
    return "\n".join(each["sentence"] for each in document["findings"])


def test_a_clean_dataset_has_no_findings(tmp_path: Path) -> None:
    folder = audited_dataset(tmp_path / "clean", pictures(90))
    document, page = audit([folder], tmp_path / "out")
    assert document["findings"] == []
    assert {each["kind"] for each in document["notes"]} == {
        "rows without landmarks",
        "rows without faces",
        "no embeddings",
    }
    text = page.read_text("utf-8")
    assert "There are none." in text and "http" not in text.replace("http-equiv", "")
    assert json.loads((tmp_path / "out" / "audit.json").read_text("utf-8")) == document


def test_planted_duplicates_are_found_where_they_are(tmp_path: Path) -> None:
    crops = pictures(90)
    crops[70] = crops[3]  # train and test
    crops[12] = crops[6]  # train, the same class
    crops[80] = np.clip(crops[9] * 0.9 + 20, 0, 255).astype(np.uint8)
    folder = audited_dataset(tmp_path / "planted", crops)
    document, page = audit([folder], tmp_path / "out")
    assert document["equal"]["pairs"] == {"train": 1, "train and test": 1}
    assert document["near"]["pairs"]["near"] == {"train and test": 1}
    assert document["equal"]["listed"][0]["numbers"] == [3, 70]
    assert document["near"]["listed"][0]["numbers"] == [9, 80]
    assert [each["numbers"] for each in document["contradictions"]] == [[3, 70], [9, 80]]
    assert kinds(document) == [
        *("equal across splits", "equal within splits", "near across splits"),
        "contradicting labels",
    ]
    assert "1 pair of crops of the same pixels, one crop in each of train and test" in sentences(
        document
    )
    assert page.read_text("utf-8").count("<img") == 5


def test_subjects_and_videos_in_two_splits_are_named(tmp_path: Path) -> None:
    rows: list[dict] = [{} for _ in range(60)]
    rows[0] = rows[55] = {"subject": "anna"}
    rows[1] = rows[56] = {"video": "v<1>"}
    folder = audited_dataset(tmp_path / "shared", pictures(60), rows)
    document, page = audit([folder], tmp_path / "out")
    assert kinds(document) == ["shared subjects", "shared videos"]
    assert document["shared"]["subjects"] == [{"name": "anna", "rows": {"train": 1, "test": 1}}]
    assert "1 subject is in train and test" in sentences(document)
    assert "v&lt;1&gt;" in page.read_text("utf-8")


def test_several_datasets_are_compared_with_each_other(tmp_path: Path) -> None:
    crops = pictures(60)
    other = pictures(30, seed=1)
    other[4] = crops[5]
    folders = [
        audited_dataset(tmp_path / "one", crops),
        audited_dataset(tmp_path / "two", other),
    ]
    document, _ = audit(folders, tmp_path / "out")
    assert document["equal"]["pairs"] == {"one/train and two/train": 1}
    # The corpus is the same, so its subjects are, too.
    assert "20 subjects are in one/train and two/train" in sentences(document)


def test_subjects_that_users_named_are_not_compared_between_datasets(tmp_path: Path) -> None:
    folders = [
        audited_dataset(tmp_path / name, pictures(30, seed), corpus="folder")
        for seed, name in enumerate(("one", "two"))
    ]
    assert audit(folders, tmp_path / "out")[0]["findings"] == []


def test_crops_of_another_recipe_are_named(tmp_path: Path) -> None:
    rows = [{"alignment": "box"}] * 3
    folders = [
        audited_dataset(tmp_path / "one", pictures(30), rows),
        audited_dataset(
            tmp_path / "two",
            pictures(30, seed=1),
            corpus="folder",
            preprocessing=Preprocessing(size=SIDE, margin=0.2),
        ),
    ]
    document, _ = audit(folders, tmp_path / "out")
    assert kinds(document) == ["crops of another recipe"] * 2
    assert "27 by fixed, 3 by box" in sentences(document)
    assert "margin" in sentences(document)


def test_frames_of_one_video_are_no_duplicates(tmp_path: Path) -> None:
    crops = pictures(30)
    crops[1] = np.clip(crops[0].astype(int) + 9, 0, 255)
    rows = [{"video": "a", "label": "fear"}] * 2
    folder = audited_dataset(tmp_path / "video", crops, rows)
    assert audit([folder], tmp_path / "out")[0]["findings"] == []


def test_scarce_and_missing_classes_are_noted(tmp_path: Path) -> None:
    rows = [{"label": "anger"}] * 117 + [{"label": "fear"}] + [{"label": None}] * 2
    folder = audited_dataset(
        tmp_path / "skewed", pictures(120), [{**row, "split": "train"} for row in rows]
    )
    notes = "\n".join(each["sentence"] for each in audit([folder], tmp_path / "o")[0]["notes"])
    assert "train has no row of class disgust, happiness, sadness, surprise" in notes
    assert "less than 2 % of its 118 labels in each of these classes: fear 1" in notes
    assert "2 of 120 rows of skewed have no label of an expression" in notes


@pytest.mark.parametrize("swap", [(4, 5), (0, 7)])
def test_swapped_labels_and_doubtful_ones_are_found_by_a_model(
    swap: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Row n has a crop that says n; the model knows its class but for one row.
    classes = np.arange(240) % 8
    preds = classes.copy()
    preds[11] = 0  # labeled sadness
    oracle = Oracle(one_hot(*preds))
    names = np.array(FERPLUS.names, object)
    rows = [{"label": name, "subject": f"s{n}"} for n, name in enumerate(names[classes])]
    monkeypatch.setattr(module, "open_expression_model", lambda _: oracle.model())
    clean = make_dataset(tmp_path / "clean", rows)
    document, page = audit([clean], tmp_path / "out", model="oracle")
    assert document["findings"] == []
    (doubtful,) = document["labels"]["doubtful"]
    assert (doubtful["id"], doubtful["label"], doubtful["prediction"]) == (
        *("face-11", "sadness", "neutral"),
    )
    assert document["labels"]["agreement"] == {"clean": {"n": 240, "agree": 239}}
    assert "face-11" in page.read_text("utf-8")

    first, second = (FERPLUS.names[each] for each in swap)
    other = {first: second, second: first}
    swapped = [row | {"label": other.get(row["label"], row["label"])} for row in rows]
    folder = make_dataset(tmp_path / "swapped", swapped)
    document, _ = audit([folder], tmp_path / "out", model="oracle")
    assert kinds(document) == ["label order"]
    assert f"this fits better with {first} and {second} swapped" in sentences(document)


def test_a_model_that_reads_other_crops_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle = Oracle(one_hot(*range(8)))
    monkeypatch.setattr(module, "open_expression_model", lambda _: oracle.model())
    folder = audited_dataset(tmp_path / "large", pictures(30))
    document, _ = audit([folder], tmp_path / "out", model="oracle")
    assert kinds(document) == ["crops of another recipe"]
    assert "were not compared with the model" in sentences(document)
    assert SPACE.names[0] in document["counts"]["train"]


def test_the_same_dataset_twice_is_refused(tmp_path: Path) -> None:
    folder = audited_dataset(tmp_path / "data", pictures(12))
    with pytest.raises(MienError, match="each once"):
        audit([folder, folder], tmp_path / "out")


def test_the_command_ends_with_1_on_findings_and_0_without(command, tmp_path: Path) -> None:
    crops = pictures(30)
    audited_dataset(tmp_path / "clean", crops)
    ended = command("audit", "clean", "--out", "report")
    assert ended.code == 0 and "no findings" in ended.out
    assert (tmp_path / "report" / "audit.html").is_file()
    crops[25] = crops[1]
    audited_dataset(tmp_path / "leaky", crops)
    ended = command("audit", "leaky")
    assert ended.code == 1 and "finding: 1 pair of crops of the same pixels" in ended.out
    ended = command("audit", "leaky", "--json")
    assert ended.code == 1 and json.loads(ended.out)["equal"]["pairs"] == {"train and test": 1}
    command("audit", "nothing").refused("expected a dataset folder at nothing")
