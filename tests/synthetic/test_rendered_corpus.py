"""Rendered faces and videos as dataset folders."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

import mien.synthetic.corpus
from mien.data.dataset import Dataset
from mien.data.targets import make_targets
from mien.errors import MienError
from mien.labels import ACTION_UNIT_PRESENT, ACTION_UNITS, EXPRESSIONS
from mien.scales import SCALES
from mien.schema import Preprocessing
from mien.synthetic import CORPUS
from mien.synthetic.behavior import draw_course, draw_manner, on_a_day
from mien.synthetic.corpus import write_faces, write_videos
from mien.synthetic.faces import face_shot
from mien.synthetic.videos import draw_severity, video_shots

SMALL = Preprocessing(size=24)
FACES = 60


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(mien.synthetic.corpus, "_FACES_PER_PART", 20)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    out = tmp_path_factory.mktemp("rendered") / "faces"
    return write_faces(out, faces=FACES, preprocessing=SMALL, workers=1)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    out = tmp_path_factory.mktemp("rendered") / "videos"
    return write_videos(out, videos=10, seconds=0.6, preprocessing=SMALL, workers=1)


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_labels_are_balanced_and_subjects_stay_in_one_split(faces):
    assert len(faces) == FACES and Dataset.open(faces.folder, verify=True).info == faces.info
    rows = [face_shot(0, index).row for index in range(200)]
    labels, splits, subjects = (
        np.array([row[name] for row in rows]) for name in ("label", "split", "subject")
    )
    assert faces.column("label").tolist() == labels[:FACES].tolist()
    for split, count in (("train", 15), ("valid", 5), ("test", 5)):
        class_counts = [int((labels[splits == split] == name).sum()) for name in EXPRESSIONS]
        assert class_counts == [count] * 8
    assert len(set(subjects)) == 40
    assert len(set(zip(subjects, splits, strict=True))) == len(set(subjects))


def test_everything_known_is_in_range_and_fits_together(faces):
    for name, low, high in (
        ("valence", -1, 1),
        ("arousal", -1, 1),
        ("intensity", 0, 1),
        ("au12", 0, 1),
        ("age", 8, 80),
        ("skin_tone", 1, 6),
        ("yaw", -55, 55),
    ):
        values = faces.column(name)
        assert np.isfinite(values).all() and values.min() >= low and values.max() <= high
        assert len(set(values)) >= 4  # a constant column would know nothing
    labels, valence = faces.column("label"), faces.column("valence")
    assert valence[labels == "happiness"].min() > 0.2
    assert valence[labels == "sadness"].max() < -0.1
    assert (faces.column("intensity")[labels == "neutral"] == 0).all()
    assert faces.column("au12")[labels == "happiness"].min() > 0.2
    units = dict(zip(ACTION_UNITS, faces.action_units.T, strict=True))
    assert np.isfinite(faces.action_units).all()
    assert (units["AU12"] == faces.column("au12").astype(np.float32)).all()
    assert (units["AU4"][labels == "anger"] >= ACTION_UNIT_PRESENT).mean() > 0.8
    assert (faces.votes.sum(axis=1) == 10).all()
    voted = make_targets(faces, "majority")["expression"]
    assert np.mean(voted == [EXPRESSIONS.index(name) for name in labels]) > 0.8
    landmarks = np.stack(faces.column("landmarks")).reshape(-1, 5, 2)
    assert landmarks.min() > 0 and landmarks.max() < 1
    assert faces.info["corpus"] == CORPUS and faces.license_terms.startswith("Rendered")
    assert faces.crops[:].std() > 30


@pytest.mark.slow
def test_bytes_do_not_depend_on_workers_or_interruptions(faces, tmp_path):
    two = write_faces(tmp_path / "two", faces=FACES, preprocessing=SMALL, workers=2)
    assert digests(two.folder) == digests(faces.folder)


def test_a_face_depends_on_seed_and_number_only(faces, tmp_path):
    few = write_faces(tmp_path / "few", faces=25, preprocessing=SMALL, workers=1)
    assert np.array_equal(few.crops[:], faces.crops[:25])
    other = write_faces(tmp_path / "other", faces=25, seed=1, preprocessing=SMALL, workers=1)
    assert (other.crops[:] != few.crops[:]).mean() > 0.9
    assert face_shot(0, 3).row == face_shot(0, 3).row


@pytest.mark.slow
def test_it_goes_on_after_an_interruption(faces, tmp_path):
    def stop(done, total):
        if done >= 20:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        write_faces(out, faces=FACES, preprocessing=SMALL, workers=1, progress=stop)
    assert not out.exists()
    with pytest.raises(MienError, match="got another seed"):
        write_faces(out, faces=FACES, seed=4, preprocessing=SMALL, workers=1)
    steps = []
    write_faces(
        out, faces=FACES, preprocessing=SMALL, workers=1, progress=lambda d, t: steps.append(d)
    )
    assert steps == [20, 40, 60]
    assert digests(out) == digests(faces.folder)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.slow
def test_ctrl_c_stops_the_workers(tmp_path):
    command = [sys.executable, "-m", "mien", "synth", "out", "--faces", "3000", "--workers", "2"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while not list(tmp_path.glob("out.partial/parts/*.arrow")):
            assert process.poll() is None
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(120) == 130
        assert process.stderr.read() == "mien: interrupted\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_videos_have_frames_times_and_a_severity(videos):
    assert len(videos) == 60
    assert set(videos.splits) == {"train", "valid", "test"}
    assert videos.votes is None
    names, severity = videos.column("video"), videos.column("severity")
    for name in sorted(set(names)):
        rows = np.flatnonzero(names == name)
        assert videos.column("frame")[rows].tolist() == list(range(6))
        assert np.allclose(videos.column("time")[rows], np.arange(6) / 10)
        assert len(set(severity[rows])) == len(set(videos.subjects[rows])) == 1
    first, second = videos.crops[0].astype(int), videos.crops[1].astype(int)
    assert 0 < abs(first - second).mean() < 15  # one person in one room, who moves
    assert videos.scale == SCALES["rendered"]
    assert np.array_equal(videos.severity, severity.astype(np.float32))


def test_faces_have_no_scale(faces):
    assert faces.scale is None
    assert np.isnan(faces.severity).all()


def test_a_score_outside_the_scale_is_refused(videos):
    narrow = replace(videos, info=videos.info | {"scale": {"name": "narrow", "top": 1}})
    with pytest.raises(MienError, match=r"\[0, 1\] in the column severity"):
        _ = narrow.severity


def test_severities_span_the_scale_and_stay_near_a_subject_s_own():
    drawn = np.array([draw_severity(0, video) for video in range(400)])
    assert drawn.min() <= 2 and drawn.max() >= 50 and drawn.min() >= 0 and drawn.max() <= 63
    assert np.mean(drawn < 21) > 0.4
    pairs = drawn.reshape(-1, 2)
    assert np.mean(abs(pairs[:, 0] - pairs[:, 1])) < 0.6 * np.mean(
        abs(np.subtract.outer(drawn, drawn))
    )


def test_a_severe_depression_shows_as_the_literature_describes_it():
    times = np.arange(600) / 10

    def measured(severity):
        rows = []
        for subject in range(12):
            manner = on_a_day(draw_manner(np.random.default_rng(subject)), severity)
            course = draw_course(manner, times, np.random.default_rng((subject, 1)))
            smile = course.mixture[:, EXPRESSIONS.index("happiness")]
            blink = course.extra["eyeBlinkLeft"] > 0.5
            blinks = max(1, int((np.diff(blink.astype(int)) == 1).sum()))
            speed = abs(np.diff(course.pose[:, 0])).mean()
            rows.append(
                (smile.mean(), smile.max(), course.pose[:, 0].std(), speed,
                 course.pose[:, 1].mean(), course.gaze[:, 1].mean(), blink.sum() / blinks,
                 course.extra["jawOpen"].mean())
            )  # fmt: skip
            assert np.allclose(course.mixture.sum(axis=1), 1, atol=1e-5)
            assert course.mixture.min() >= 0 and abs(course.gaze).max() <= 1
        return np.array(rows)

    well, severe = measured(0), measured(63)
    change = np.median(severe - well, axis=0)
    # Smiling, strongest smile, sway, speed, pitch and gaze fall, blinks last longer, less speech.
    assert (np.sign(change) == [-1, -1, -1, -1, -1, -1, 1, -1]).all(), change
    # People differ at the same severity by a good part of what it changes.
    assert well[:, 2].std() > 0.3 * abs(change[2])


def test_a_frame_s_labels_follow_its_movement():
    shots = list(video_shots(3, 20.0, 0))
    labels = [shot.row["label"] for shot in shots]
    assert len(set(labels)) > 1
    for shot in shots:
        assert (shot.row["intensity"] > 0) == (shot.row["label"] != "neutral")
        assert -1 <= shot.row["valence"] <= 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--faces", "24"], "at least 25 faces"),
        (["--videos", "9"], "at least 10 videos"),
        (["--videos", "10", "--seconds", "0"], "0.1 to 300 seconds"),
        (["--faces", "30", "--videos", "10"], "either --faces or --videos"),
        (["--seconds", "3"], "--videos with --seconds"),
        (["--seed", "-1"], "seed of 0 or more"),
        (["--size", "8"], "--size"),
        (["--color", "blue"], "--color"),
        (["--workers", "0"], "at least one worker"),
    ],
)
def test_bad_arguments(command, arguments, text, tmp_path):
    command("synth", "out", *arguments).refused(text)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_command_makes_crops_as_a_model_reads_them(command):
    make = ("synth", "out", "--faces", 25, "--workers", 1)
    ended = command(*make, "--like", "fer", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["rows"] == 25
    command(*make).refused("which exists")
    shown = command("synth", "seen", "--faces", 25, "--size", 16, "--workers", 1)
    assert shown.code == 0 and "25 rendered faces in seen" in shown.out
    assert Dataset.open("seen").preprocessing.size == 16
