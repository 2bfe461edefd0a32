import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mien.faces.images import load_image
from mien.labels import ACTION_UNITS, EXPRESSIONS
from mien.synthetic.drawn import (
    AFFECT,
    DRAWN_UNITS,
    LOOKS,
    SHOWN_UNITS,
    draw_face,
    write_toy_folder,
    write_toy_table,
)


def test_looks_are_expressions() -> None:
    assert set(LOOKS) <= set(EXPRESSIONS)


@pytest.mark.parametrize("expression", LOOKS)
def test_a_face_depends_on_its_seed_alone(expression: str) -> None:
    first, again, other = (
        draw_face(expression, np.random.default_rng(seed), size=40) for seed in (1, 1, 2)
    )
    assert first.shape == (40, 40, 3) and first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.std() > 10


def test_expressions_can_be_told_apart() -> None:
    def mean_mouth(expression: str) -> np.ndarray:
        faces = [draw_face(expression, np.random.default_rng(n), size=48) for n in range(40)]
        return np.mean(faces, axis=0)[28:44, 12:36].mean(axis=2)

    smile, cry = mean_mouth("happiness"), mean_mouth("sadness")
    assert np.abs(smile - cry).max() > 25


def test_the_folder_is_laid_out_by_split_and_expression(tmp_path: Path) -> None:
    folder = write_toy_folder(tmp_path / "toy", faces=60, size=24)
    files = sorted(folder.rglob("*.png"))
    assert len(files) == 60
    splits = Counter(path.parts[-3] for path in files)
    assert splits == {"train": 36, "valid": 12, "test": 12}
    assert Counter(path.parts[-2] for path in files) == dict.fromkeys(LOOKS, 10)
    assert {load_image(path).shape for path in files} == {(24, 24, 3)}
    # A picture is the same however many are drawn.
    fewer = write_toy_folder(tmp_path / "fewer", faces=12, size=24)
    for path in fewer.rglob("*.png"):
        assert path.read_bytes() == (folder / path.relative_to(fewer)).read_bytes()


def test_another_seed_draws_other_faces(tmp_path: Path) -> None:
    first, other = (
        write_toy_folder(tmp_path / str(seed), faces=6, seed=seed, size=24) for seed in (0, 1)
    )
    one = next(first.rglob("0000.png")).read_bytes()
    assert one != next(other.rglob("0000.png")).read_bytes()


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "train" / "neutral" / "0000.png").mkdir(parents=True)
    with pytest.raises(OSError):
        write_toy_folder(tmp_path, faces=1, size=24)


def test_the_table_of_toy_faces_has_valence_and_arousal_of_their_expressions(
    tmp_path: Path,
) -> None:
    folder = write_toy_folder(tmp_path / "toy", faces=60, size=32)
    with write_toy_table(folder).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60 and set(AFFECT) == set(LOOKS)
    assert all((folder / row["path"]).is_file() for row in rows)
    assert sum(not row["expression"] for row in rows) == 10
    assert sum(not row["valence"] for row in rows) == 10
    for row in rows:
        split, expression, _ = row["path"].split("/")
        assert row["split"] == split and row["expression"] in ("", expression)
        if row["valence"]:
            off = np.array([float(row["valence"]), float(row["arousal"])]) - AFFECT[expression]
            assert np.abs(off).max() < 0.5


def test_action_units_of_the_table_follow_what_is_drawn(tmp_path: Path) -> None:
    folder = write_toy_folder(tmp_path / "toy", faces=60, size=32)
    with write_toy_table(folder).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert set(SHOWN_UNITS) == set(LOOKS) and set().union(*SHOWN_UNITS.values()) <= set(DRAWN_UNITS)
    assert set(DRAWN_UNITS) <= set(ACTION_UNITS)
    assert sum(not row["AU1"] for row in rows) == 10
    for row in rows:
        if row["AU1"]:
            shown = {unit for unit in DRAWN_UNITS if row[unit] == "1"}
            assert shown == SHOWN_UNITS[row["path"].split("/")[1]]
            assert {row[unit] for unit in DRAWN_UNITS} <= {"0", "1"}
    looks = {name: (look.brow, look.curve) for name, look in LOOKS.items()}
    assert {name for name, units in SHOWN_UNITS.items() if "AU2" in units} == {
        name for name, (brow, _) in looks.items() if brow > 0.5
    }
    assert {name for name, units in SHOWN_UNITS.items() if "AU15" in units} == {
        name for name, (_, curve) in looks.items() if curve < -0.2
    }
