import csv
from pathlib import Path

import numpy as np
from audited import audited_dataset, pictures

from mien.audit.audit import audit
from mien.data.dataset import Dataset


def test_a_cleaned_copy_has_no_findings_and_says_what_it_lacks(command, tmp_path: Path) -> None:
    crops = pictures(60)
    crops[50] = crops[2]  # train and test: train goes
    crops[7] = crops[6]  # within train: the first stays
    crops[51] = np.clip(crops[9] * 0.9 + 20, 0, 255)
    rows: list[dict] = [{} for _ in range(60)]
    rows[0] = rows[1] = rows[55] = {"subject": "anna"}
    rows[6] = rows[7] = {"label": "fear"}
    audited_dataset(tmp_path / "leaky", crops, rows)
    ended = command("audit", "leaky", "--fix", "cleaned")
    assert ended.code == 1 and "cleaned copy: cleaned, 55 rows, 5 left out" in ended.out
    with (tmp_path / "cleaned" / "left_out.csv").open(newline="") as text:
        reasons = {row["id"]: row["reason"] for row in csv.DictReader(text)}
    assert reasons == {
        "0000": "subject is also in another split: test",
        "0001": "subject is also in another split: test",
        "0002": "same pixels as another row: 0050",
        "0007": "same pixels as another row: 0006",
        "0009": "near duplicate in another split: 0051",
    }
    cleaned = Dataset.open(tmp_path / "cleaned", verify=True)
    stays = [row for row in range(60) if f"{row:04d}" not in reasons]
    assert cleaned.column("id").tolist() == [f"{row:04d}" for row in stays]
    np.testing.assert_array_equal(cleaned.crops[:], crops[stays])
    assert any("cleaned by mien audit from leaky" in note for note in cleaned.info["notes"])
    assert audit([tmp_path / "cleaned"], tmp_path / "out")[0]["findings"] == []


def test_what_cannot_be_cleaned_is_refused_before_the_work(command, tmp_path: Path) -> None:
    for name in ("one", "two"):
        audited_dataset(tmp_path / name, pictures(12))
    command("audit", "one", "two", "--fix", "new").refused("expected one dataset with --fix")
    command("audit", "one", "--fix", "two").refused("expected a new folder")
