import contextlib
import errno
import multiprocessing
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toy_corpora import (
    SMALL,
    CrashingDetector,
    LonelyWriter,
    ToyDetector,
    class_folders,
    digests,
    five_points,
    no_detector,
    png,
)

import mien.preparation.cropping
import mien.preparation.prepare
from mien.data.dataset import FACES_SCHEMA, Dataset
from mien.errors import MienError
from mien.faces.align import TEMPLATE, anchor_points, crop_face, landmarks_in_crop
from mien.labels import LABEL_SPACES
from mien.preparation.parts import read_part
from mien.preparation.prepare import left_out_table, prepare
from mien.preparation.workers import write_parts
from mien.preparation.write import write_dataset
from mien.schema import Box, Face, Preprocessing

HERE = Path(__file__).parents[1] / "support"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """24 faces in two classes, five of which have something about them."""
    folder = class_folders(tmp_path_factory.mktemp("corpus") / "in", ["happy", "sad"], 12)
    (folder / "happy" / "001.png").write_bytes(png(level=0))
    (folder / "happy" / "002.png").write_bytes(b"no image")
    (folder / "happy" / "003.png").write_bytes(b"")
    (folder / "sad" / "004.png").write_bytes(png(level=255))
    (folder / "sad" / "005.png").write_bytes(png(7, side=64))
    return folder


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(mien.preparation.prepare, "_CHUNK", 8)


def prepared(source, out, **changes):
    detects = not changes.get("tight") or changes.get("landmarks") or changes.get("align")
    detector = {"detector": ToyDetector} if detects else {}
    settings = {"preprocessing": SMALL, "workers": 1} | detector | changes
    return prepare("folder", source, out, **settings)


@pytest.fixture(scope="module")
def expected(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("expected") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mien.preparation.prepare, "_CHUNK", 8)
        return prepared(source, out)


def test_rows_crops_and_what_was_left_out(source, expected):
    dataset = Dataset.open(expected.dataset.folder, verify=True)
    assert len(dataset) == 21
    assert sorted(path.name for path in dataset.folder.iterdir()) == [
        "croissant.json", "crops.npy", "dataset.json", "faces.parquet", "left_out.csv",
    ]  # fmt: skip
    assert expected.left_out == {"image unreadable": 2, "no face found": 1}
    assert left_out_table(dataset) == [("image unreadable", 2), ("no face found", 1)]
    lines = (dataset.folder / "left_out.csv").read_text().splitlines()
    assert lines[1] == "happy/001.png,happy/001.png,no face found"
    assert "image unreadable: expected an image" in lines[2]
    assert dataset.info["alignment"] == {"fixed": 1, "similarity": 20}
    assert dataset.info["several_faces"] == 1
    assert dataset.info["notes"][-1] == "faces detected by ToyDetector"

    image = np.random.default_rng(0).integers(0, 200, (120, 120, 3), dtype=np.uint8)
    face = Face(box=Box(0, 0, 120, 120), score=0.5, landmarks=five_points(120, 120))
    np.testing.assert_array_equal(dataset.crops[0], crop_face(image, face, SMALL)[0])
    assert dataset.column("id")[0] == "happy/000.png"
    assert dataset.column("quality")[0] == 0.5
    assert dataset.column("label")[[0, -1]].tolist() == ["happiness", "sadness"]
    fixed = dataset.column("alignment") == "fixed"
    assert dataset.column("id")[fixed] == ["sad/005.png"]
    assert dataset.column("landmarks")[fixed][0] is None


def test_landmarks_are_fractions_of_the_crop(expected):
    # The toy's landmarks lie on the template, so the crop shows the image as it is.
    landmarks = expected.dataset.column("landmarks")[0].reshape(-1, 2)
    np.testing.assert_allclose(landmarks, five_points(1, 1), atol=1e-6)
    wide = landmarks_in_crop(five_points(60, 60), Preprocessing(size=16, margin=0.5))
    np.testing.assert_allclose(wide, (five_points(1, 1) + 0.5) / 2, atol=1e-6)


@pytest.mark.slow
def test_two_processes_give_the_same_bytes(source, expected, tmp_path):
    result = prepared(source, tmp_path / "out", workers=2, detector=partial(ToyDetector))
    want = digests(expected.dataset.folder)
    got = digests(result.dataset.folder)
    assert {name for name in want if want[name] != got[name]} == {
        "croissant.json",
        "dataset.json",
    }
    assert result.dataset.info["notes"][-1] == "faces detected by ToyDetector()"
    assert not multiprocessing.active_children()


def test_gray_and_tight(source, tmp_path):
    gray = Preprocessing(size=16, color="gray")
    dataset = prepared(source, tmp_path / "out", preprocessing=gray, tight=True).dataset
    assert dataset.info["alignment"] == {"fixed": 22}
    assert len(dataset.info["notes"]) == 1
    assert np.load(dataset.folder / "crops.npy").shape == (22, 16, 16, 1)
    assert dataset.crops[0].shape == (16, 16, 3)


def test_landmarks_of_tight_crops(source, expected, tmp_path):
    plain = prepared(source, tmp_path / "plain", tight=True).dataset
    assert plain.info["landmarks"] == {}
    dataset = prepared(source, tmp_path / "out", tight=True, landmarks=True).dataset
    assert dataset.info["alignment"] == {"fixed": 22}
    assert dataset.info["landmarks"] == {"fixed": 21}  # none in the black image
    assert dataset.info["several_faces"] == 0 and dataset.info["left_out"] == {
        "image unreadable": 2
    }
    assert dataset.info["notes"][-1] == "landmarks in tight crops detected by ToyDetector"
    np.testing.assert_array_equal(dataset.crops[:], plain.crops[:])
    landmarks, quality = dataset.column("landmarks"), dataset.column("quality")
    black = dataset.column("id").tolist().index("happy/001.png")
    assert landmarks[black] is None and np.isnan(quality[black])
    # The toy sees 192 pixels of face in a border of 68, whatever the crop's size.
    seen = (five_points(1, 1) * 328 - 68) / 192
    for row in set(range(22)) - {black}:
        np.testing.assert_allclose(landmarks[row].reshape(-1, 2), seen, atol=1e-5)
        assert quality[row] == 0.5

    # Without --tight only the image with a side under 100 pixels is a tight crop.
    mixed = prepared(source, tmp_path / "mixed", landmarks=True).dataset
    assert mixed.info["landmarks"] == {"fixed": 1, "similarity": 20}
    assert [note.partition(" by ")[0] for note in mixed.info["notes"][-2:]] == [
        "faces detected",
        "landmarks in tight crops detected",
    ]
    np.testing.assert_array_equal(mixed.crops[:], expected.dataset.crops[:])


def test_tight_crops_are_aligned_where_landmarks_are_found(source, tmp_path):
    plain = prepared(source, tmp_path / "plain", tight=True).dataset
    dataset = prepared(source, tmp_path / "out", tight=True, align=True).dataset
    assert dataset.info["alignment"] == {"fixed": 1, "similarity": 21}  # none in the black image
    assert dataset.info["landmarks"] == {"similarity": 21}
    assert dataset.info["notes"][-1] == (
        "tight crops aligned by landmarks from ToyDetector, where it found them"
    )
    black = dataset.column("id").tolist().index("happy/001.png")
    np.testing.assert_array_equal(dataset.crops[black], plain.crops[black])
    moved = [np.any(dataset.crops[row] != plain.crops[row]) for row in range(22)]
    assert sum(moved) >= 20  # one more is of a single color
    for row in set(range(22)) - {black}:
        points = anchor_points(dataset.column("landmarks")[row].reshape(-1, 2))
        # Least squares over four points: their mean is that of the template.
        np.testing.assert_allclose(points.mean(0), TEMPLATE.mean(0), atol=1e-3)


@pytest.mark.slow
def test_two_processes_look_for_the_same_landmarks(source, tmp_path):
    one, two = (
        prepared(source, tmp_path / str(workers), tight=True, landmarks=True, workers=workers)
        for workers in (1, 2)
    )
    assert digests(one.dataset.folder) == digests(two.dataset.folder)


def test_crops_are_whole_whatever_the_partial_image(source, expected, tmp_path):
    mask = SMALL.model_copy(update={"partial_image": "mask"})
    dataset = prepared(source, tmp_path / "out", preprocessing=mask).dataset
    assert dataset.preprocessing == SMALL
    assert digests(dataset.folder) == digests(expected.dataset.folder)


def test_a_second_row_of_the_same_image_is_left_out(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "faces.csv").write_text("path,split\na.png,train\na.png,test\n")
    result = prepared(tmp_path / "faces.csv", tmp_path / "out")
    assert result.dataset.column("split").tolist() == ["train"]
    assert result.left_out == {"duplicate id": 1}


@pytest.mark.parametrize("count", [1, 8, 9, 16])
def test_progress_ends_with_all(tmp_path, count):
    class_folders(tmp_path / "in", ["happy", "sad"], count)
    seen = []
    prepared(tmp_path / "in", tmp_path / "out", progress=lambda *state: seen.append(state))
    assert seen[0] == (0, 2 * count) and seen[-1] == (2 * count, 2 * count)


def run(source, out, *arguments):
    """Run in another process; returns when it and all of its workers have ended."""
    return subprocess.run(
        [sys.executable, str(HERE / "run_prepare.py"), str(source), str(out), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_to_the_same_bytes(source, expected, tmp_path, workers):
    out = tmp_path / "out"
    killed = run(source, out, workers, "kill", "8")
    assert killed.returncode == -9
    assert not out.exists()
    parts = sorted((tmp_path / "out.partial" / "parts").glob("*.arrow"))
    assert parts
    times = {path: path.stat().st_mtime_ns for path in parts}
    (tmp_path / "out.partial" / "parts" / ".000009.arrow.1.partial").write_bytes(b"half")

    seen = []

    def note(done, total):
        seen.append(done)
        assert {path: path.stat().st_mtime_ns for path in times} == times

    prepared(source, out, progress=note)
    # Of two workers the other one may have ended its parts before the process was killed.
    assert 8 <= seen[0] <= (16 if workers == "1" else 24) and seen[-1] == 24
    assert digests(out) == digests(expected.dataset.folder)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_parts_that_a_power_cut_damaged_are_made_again(source, expected, tmp_path):
    out = tmp_path / "out"
    run(source, out, "1", "kill", "16")
    first, second = sorted((tmp_path / "out.partial" / "parts").glob("*.arrow"))
    first.write_bytes(first.read_bytes()[:-100])
    second.write_bytes(b"")
    prepared(source, out)
    assert digests(out) == digests(expected.dataset.folder)


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_an_interrupted_run_keeps_its_parts(source, tmp_path, workers):
    out = tmp_path / "out"
    stopped = run(source, out, workers, "interrupt", "8")
    assert stopped.returncode == -2  # as Python ends on a KeyboardInterrupt that nobody catches
    assert stopped.stderr.count("Traceback") == 1  # no worker adds its own
    assert list((tmp_path / "out.partial" / "parts").glob("*.arrow"))
    assert not list((tmp_path / "out.partial" / "parts").glob(".*.partial"))
    assert run(source, out, workers).returncode == 0


@pytest.mark.parametrize(
    ("workers", "room"),
    [
        ("1", "5000"),
        pytest.param("2", "5000", marks=pytest.mark.slow),
        pytest.param("2", "14000", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_is_one_sentence_and_nothing_is_lost(source, expected, tmp_path, workers, room):
    """A part takes 8 kB and the crops 16 kB: the room ends in a worker, or when all is joined."""
    out = tmp_path / "out"
    full = run(source, out, workers, "full", room)
    assert full.returncode == 1
    assert full.stderr.startswith("expected about 0 MB") and full.stderr.count("\n") == 1
    assert "run the same command again" in full.stderr
    assert not out.exists()
    names = {path.name for path in (tmp_path / "out.partial").iterdir()}
    assert names == {"plan.json", "parts"}
    assert len(list((tmp_path / "out.partial" / "parts").iterdir())) == (0 if room == "5000" else 3)
    prepared(source, out)
    assert digests(out) == digests(expected.dataset.folder)


def test_no_space_left(source, tmp_path, monkeypatch):
    def no_space(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(MienError, match="full disk"):
        patch.setattr(os, "fsync", no_space)
        prepared(source, tmp_path / "out")
    assert len(prepared(source, tmp_path / "out").dataset) == 21


def test_killed_between_the_last_file_and_its_name(source, expected, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def killed(*arguments, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(mien.preparation.prepare.shutil, "rmtree", killed)
        prepared(source, out)
    assert not out.exists()
    prepared(source, out)
    assert digests(out) == digests(expected.dataset.folder)


def interrupted(source, out):
    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepared(source, out, progress=stop)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"preprocessing": Preprocessing(size=32)}, "preprocessing"),
        ({"tight": True}, "detector, options"),
        ({"landmarks": True}, "options"),
        ({"detector": partial(ToyDetector)}, "detector"),
    ],
)
def test_other_settings_do_not_mix_with_what_was_begun(source, tmp_path, changes, named):
    interrupted(source, tmp_path / "out")
    with pytest.raises(MienError, match=f"got another {named}: "):
        prepared(source, tmp_path / "out", **changes)
    assert len(prepared(source, tmp_path / "out").dataset) == 21


def test_a_changed_source_does_not_mix(tmp_path):
    source = class_folders(tmp_path / "in", ["happy", "sad"], 8)
    interrupted(source, tmp_path / "out")
    (source / "sad" / "000.png").write_bytes(png(9))
    with pytest.raises(MienError, match="got another source: "):
        prepared(source, tmp_path / "out")


def test_a_source_that_changes_meanwhile(tmp_path):
    source = class_folders(tmp_path / "in", ["happy", "sad"], 8)

    def add(done, total):
        (source / "sad" / "999.png").write_bytes(png(9))

    with pytest.raises(MienError, match=r"16 entries in the source, .* another number"):
        prepared(source, tmp_path / "out", progress=add)
    assert not (tmp_path / "out").exists()


def test_two_runs_at_once(source, tmp_path):
    def again(done, total):
        with pytest.raises(MienError, match="another run that uses it"):
            prepared(source, tmp_path / "out")

    prepared(source, tmp_path / "out", progress=again)


def test_nothing_to_use(tmp_path):
    for name in ("happy", "sad"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "a.png").write_bytes(png(level=0))
    (tmp_path / "in" / "sad" / "b.png").write_bytes(b"")
    message = r"a folder with faces at .*, got none in 3 entries: no face found \(2\), image"
    with pytest.raises(MienError, match=message):
        prepared(tmp_path / "in", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_wrong_use(source, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(MienError, match="there, which exists"):
        prepared(source, tmp_path / "there")
    with pytest.raises(MienError, match=r"ferplus, .*folder, .* got 'imagenet'"):
        prepare("imagenet", source, tmp_path / "out", preprocessing=SMALL)
    with pytest.raises(MienError, match="at least one worker, got 0"):
        prepared(source, tmp_path / "out", workers=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(MienError, match=r"Not a directory|File exists"):
        prepared(source, tmp_path / "file" / "out")
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize(
    ("detector", "message"),
    [(CrashingDetector, "worker processes to finish"), (no_detector, "expected a face model")],
)
def test_workers_that_cannot_work(source, tmp_path, detector, message):
    with pytest.raises(MienError, match=message):
        prepared(source, tmp_path / "out", workers=2, detector=detector)
    assert not multiprocessing.active_children()
    # Nothing was done, so other settings may go on in the same folder.
    prepared(source, tmp_path / "out")


def test_a_large_photo_waits_for_others(source, tmp_path, monkeypatch):
    inside = []

    @contextlib.contextmanager
    def one_at_a_time():
        inside.append(True)
        yield

    monkeypatch.setattr(mien.preparation.cropping, "_LARGE", 64 * 64)
    monkeypatch.setattr(mien.preparation.cropping, "one_at_a_time", one_at_a_time)
    prepared(source, tmp_path / "out")
    assert len(inside) == 21  # all but one of 64 x 64 and two that are no pictures


@pytest.mark.slow
def test_one_process_at_a_time_has_a_large_photo(tmp_path):
    chunks = [([number], tmp_path / str(number)) for number in range(6)]
    make_writer = partial(LonelyWriter, tmp_path)
    assert list(write_parts(chunks, make_writer, workers=2)) == [1] * 6


def test_a_foreign_part_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a part file"):
        read_part(tmp_path / "none.arrow", 16)


def test_a_photo_through_the_real_detector(tmp_path):
    from skimage import data

    from mien.faces.images import load_image

    photo = load_image(data.astronaut())
    from PIL import Image

    for name in ("happy", "neutral"):
        (tmp_path / "in" / name).mkdir(parents=True)
    Image.fromarray(photo).save(tmp_path / "in" / "happy" / "astronaut.png")
    Image.fromarray(data.coffee()).save(tmp_path / "in" / "neutral" / "coffee.png")
    result = prepare("folder", tmp_path / "in", tmp_path / "out", preprocessing=Preprocessing())
    assert result.dataset.column("id").tolist() == ["happy/astronaut.png"]
    assert result.left_out == {"no face found": 1}
    landmarks = result.dataset.column("landmarks")[0].reshape(478, 2)
    assert landmarks.min() > -0.2 and landmarks.max() < 1.2
    assert result.dataset.column("quality")[0] > 0.5


def test_a_dataset_is_its_owners_and_its_list_has_no_formulas(tmp_path):
    faces = class_folders(tmp_path / "in", ["happy", "sad"], 3)
    (faces / "happy" / "=1+1.png").write_bytes(b"no image")
    (faces / "=cmd.png").write_bytes(b"")
    made = prepared(faces, tmp_path / "out")
    assert made.dataset.folder.stat().st_mode & 0o777 == 0o700
    text = (made.dataset.folder / "left_out.csv").read_text()
    assert "'=cmd.png" in text and not any(line.startswith("=") for line in text.splitlines())


def test_what_should_be_there_is_told_from_what_a_corpus_excludes(tmp_path):
    rows = "".join(f"Training,fer{n}.png,9,0,0,0,0,0,0,0,1,0\n" for n in range(3))
    (tmp_path / "in").mkdir()
    pixels = " ".join(["90"] * 2304)
    labels = "usage,image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt"
    faces = "emotion,pixels,Usage\n" + f"6,{pixels},Training\n" * 4
    (tmp_path / "in" / "fer2013.csv").write_text(faces)
    (tmp_path / "in" / "fer2013new.csv").write_text(
        f"{labels},unknown,NF\n{rows}Training,,0,0,0,0,0,0,0,0,0,10\n"
    )
    result = prepare("ferplus", tmp_path / "in", tmp_path / "whole", preprocessing=SMALL, workers=1)
    assert result.left_out == {"FER+ removed it (empty name)": 1} and result.missing == {}
    (tmp_path / "in" / "fer2013.csv").write_text(faces.replace("90 90 90", "90 90", 1))
    result = prepare("ferplus", tmp_path / "in", tmp_path / "less", preprocessing=SMALL, workers=1)
    assert result.missing == {"image unreadable": 1} and len(result.left_out) == 2


def test_the_command_ends_with_1_where_faces_are_missing(command, source, tmp_path):
    options = ("--tight", "--size", 16, "--workers", 1)
    class_folders(tmp_path / "all", ["happy", "sad"], 2)
    ended = command("prepare", "folder", "all", "--out", "whole", *options)
    assert ended.code == 0 and "left out" not in ended.out
    for more in ((), ("--json",)):
        out = f"less{len(more)}"
        ended = command("prepare", "folder", source, "--out", out, *options, *more)
        assert ended.code == 1 and (tmp_path / out / "left_out.csv").is_file()
        assert "image unreadable" in ended.out
    ended = command("prepare", "folder", source, "--out", "again", *options)
    last = ended.out.splitlines()[-1]
    assert last.startswith("2 left out, 2 of which should be there: again/left_out.csv lists them")


@pytest.mark.parametrize(("points", "most"), [(478, 320), (0, 4096)])
def test_row_groups_are_of_a_megabyte_at_most(tmp_path, points, most):
    row = {"id": "", "source": "s", "corpus": "c", "split": "train", "alignment": "fixed"}
    landmarks = [0.5] * (2 * points) or None

    def blocks():
        for start in range(0, 1024, 64):
            rows = [row | {"id": str(start + n), "landmarks": landmarks} for n in range(64)]
            table = pa.Table.from_pylist(rows, schema=FACES_SCHEMA)
            yield table, np.zeros((64, 16, 16, 3), np.uint8)

    write_dataset(
        tmp_path / "out", blocks(), rows=1024, label_space=LABEL_SPACES["ferplus"],
        preprocessing=SMALL, corpus="toy", license_terms="made by a test",
    )  # fmt: skip
    written = pq.read_metadata(tmp_path / "out" / "faces.parquet")
    sizes = [written.row_group(n).num_rows for n in range(written.num_row_groups)]
    assert sum(sizes) == 1024 and max(sizes) <= most and (len(sizes) == 1) == (points == 0)
