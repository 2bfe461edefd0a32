"""Every reader of a corpus of images, on a fake of its layout with the oddities of the real one."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import fake_corpora
import numpy as np
import pytest
from fake_corpora import FAKES, TIGHT
from toy_corpora import SMALL, ToyDetector

from mien.corpora import CORPORA, corpus_of
from mien.corpora.items import Corpus, Item, LeftOut, Options
from mien.errors import MienError
from mien.licenses import Ledger
from mien.preparation.prepare import prepare
from mien.schema import Box, Face

SIX = {"anger", "disgust", "fear", "happiness", "sadness", "surprise"}
SEVEN = SIX | {"neutral"}
EIGHT = SEVEN | {"contempt"}

CLASSES = {
    "rafdb": SEVEN,
    "rafdb-compound": set(corpus_of("rafdb-compound").label_space.names),  # type: ignore[union-attr]
    "affectnet": EIGHT,
    "fer2013": SEVEN,
    "sfew": SEVEN,
    "expw": SEVEN,
    "jaffe": SEVEN,
    "kdef": SEVEN,
    "ckplus": EIGHT,
    "oulu-casia": SIX,
    "mmi": SIX,
    "aff-wild2": SEVEN | {"other"},
    "afew-va": set(),
    "disfa": set(),
    "bp4d": set(),
    "dfew": SEVEN,
    "ferv39k": SEVEN,
    "mafw": EIGHT | {"anxiety", "helplessness", "disappointment"},
}
"""The classes of each fake, all of them by name."""

WITHOUT_IMAGES = {"folder", "ferplus", "diffusionfer"}
"""Corpora with tests of their own; the others without a fake hold recordings."""


def read(corpus: str, source: Path, **options: Any) -> list[Item | LeftOut]:
    reading = corpus_of(corpus).read(source, Options(**options))
    entries = list(reading.items())
    assert len(entries) == reading.total
    assert [entry.id for entry in reading.items()] == [entry.id for entry in entries]
    fields = {field.name for field in reading.fields}
    names = set(reading.label_space.names)
    for entry in entries:
        if isinstance(entry, Item):
            assert entry.label is None or entry.label in names
            assert set(entry.extra) <= fields
            assert entry.split in ("train", "valid", "test")
    return entries  # type: ignore[return-value]


def items(entries: list[Item | LeftOut]) -> list[Item]:
    return [entry for entry in entries if isinstance(entry, Item)]


def by_id(entries: list[Item | LeftOut]) -> dict[str, Item]:
    return {item.id: item for item in items(entries)}


def reasons(entries: list[Item | LeftOut]) -> Counter[str]:
    found = (entry.reason for entry in entries if isinstance(entry, LeftOut))
    return Counter(reason.split(": ")[0] for reason in found)


def sizes(entries: list[Item | LeftOut]) -> Counter[str]:
    return Counter(item.split for item in items(entries))


def test_every_corpus_has_a_fake_or_tests_of_its_own() -> None:
    images = {name for name, corpus in CORPORA.items() if not corpus.videos}
    assert images == set(FAKES) | WITHOUT_IMAGES
    assert set(FAKES) == set(CLASSES)


@pytest.mark.parametrize("corpus", FAKES)
def test_a_reader_gives_names_splits_and_no_subject_twice(corpus: str, tmp_path: Path) -> None:
    entries = read(corpus, FAKES[corpus](tmp_path / "source"))
    found = items(entries)
    assert {item.label for item in found} - {None} == CLASSES[corpus]
    assert len({item.id for item in found}) == len(found)
    assert all(
        isinstance(item.image, np.ndarray) or Path(str(item.image)).is_file() for item in found
    )
    owners: dict[str, set[str]] = {}
    for item in found:
        for owner in filter(None, (item.subject, item.video, item.unit)):
            owners.setdefault(owner, set()).add(item.split)
    assert all(len(splits) == 1 for splits in owners.values())


@pytest.mark.parametrize("corpus", FAKES)
def test_a_corpus_says_where_to_ask_and_under_which_terms(corpus: str) -> None:
    about = corpus_of(corpus)
    assert about.ask and about.license_terms and about.layout.startswith("  ")


@pytest.mark.parametrize("corpus", FAKES)
def test_a_missing_or_misplaced_file_shows_the_expected_tree(corpus: str, tmp_path: Path) -> None:
    tree = corpus_of(corpus).layout
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "nowhere", tmp_path / "empty"):
        with pytest.raises(MienError) as error:
            corpus_of(corpus).read(source, Options())
        assert tree in str(error.value) and str(source) in str(error.value)
    source = FAKES[corpus](tmp_path / "source")
    misplaced = tmp_path / "misplaced" / "deep" / "down"
    misplaced.parent.mkdir(parents=True)
    shutil.move(source, misplaced)
    with pytest.raises(MienError) as error:
        corpus_of(corpus).read(tmp_path / "misplaced", Options())
    assert tree in str(error.value)


@pytest.mark.parametrize("corpus", CORPORA)
def test_every_corpus_shows_its_files_where_there_are_none(corpus: str, tmp_path: Path) -> None:
    expected = " ".join(corpus_of(corpus).layout.split())
    for source in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(MienError) as error:
            corpus_of(corpus).read(source, Options())
        assert expected in " ".join(str(error.value).split())
        assert str(source) in str(error.value)


@pytest.mark.parametrize("corpus", [each for each in CORPORA.values() if not each.yours])
def test_a_published_corpus_says_where_to_ask_and_what_is_allowed(corpus: Corpus) -> None:
    assert corpus.ask and corpus.about.title
    answer = "yes" if corpus.name == "diffusionfer" else "no"
    assert Ledger(corpus.licenses).commercial_use == answer == corpus.commercial_use


SHORT = {
    "An": "anger",
    "Co": "contempt",
    "Di": "disgust",
    "Fe": "fear",
    "Ha": "happiness",
    "Ne": "neutral",
    "Ot": "other",
    "Sa": "sadness",
    "Su": "surprise",
}


def coded(codes: str, names: str) -> dict[str, str]:
    return dict(zip(codes, names.split(), strict=True))


CODES: dict[str, tuple[str, dict[str, str]]] = {
    "rafdb": (
        r"\w+_0*(\d+)\.jpg",
        coded("0123456", "Su Fe Di Ha Sa An Ne"),
    ),
    "fer2013": (
        r"fer0*(\d+)\.png",
        coded("0123456", "An Di Fe Ha Sa Su Ne"),
    ),
    "expw": (r"(\d+)\.jpg#0", coded("0123456", "An Di Fe Ha Sa Su Ne")),
    "affectnet": (
        r"([0-7])/\d\.jpg",
        coded("01234567", "Ne Ha Sa Su Fe Di An Co"),
    ),
    "jaffe": (
        r"\w+\.(\w\w)1\.\d+\.tiff",
        {"AN": "An", "DI": "Di", "FE": "Fe", "HA": "Ha", "NE": "Ne", "SA": "Sa", "SU": "Su"},
    ),
    "kdef": (
        r"\w+/\w{4}(\w\w)(?:S|HL|FR)\.JPG",
        {"AF": "Fe", "AN": "An", "DI": "Di", "HA": "Ha", "NE": "Ne", "SA": "Sa", "SU": "Su"},
    ),
    "ckplus": (
        r"S0*(\d+)/001/S\d+_001_00000005\.png",
        coded("1234567", "An Co Di Fe Ha Sa Su"),
    ),
    "mmi": (r"1(\d\d)/003\.jpg", coded("123456", "An Di Fe Ha Sa Su")),
    "aff-wild2": (
        r"c/0*(\d+)",
        coded("01234567", "Ne An Di Fe Ha Sa Su Ot"),
    ),
    "dfew": (r"(\d+)/000000", coded("1234567", "Ha Sa Ne An Su Di Fe")),
}
"""A part of a fake's names that gives the code of its label, and the published order of codes."""

CODE_OF = {
    "rafdb": lambda number: number % 7,
    "fer2013": lambda number: number % 7,
    "expw": lambda number: number % 7 if number else 3,
    "ckplus": lambda number: (number - 5) % 7 + 1,
    "mmi": lambda number: number % 6 + 1,
    "aff-wild2": lambda number: (number - 1) % 8,
    "dfew": lambda number: (number - 1) % 7 + 1,
}
"""How a fake made the code of a picture's label from its number; else it is the part itself."""


@pytest.mark.parametrize("corpus", CODES)
def test_every_code_has_the_name_of_its_corpus(corpus: str, tmp_path: Path) -> None:
    pattern, names = CODES[corpus]
    seen: dict[str, set[str | None]] = {}
    for item in items(read(corpus, FAKES[corpus](tmp_path))):
        if match := re.fullmatch(pattern, item.id):
            code = match[1]
            if corpus in CODE_OF:
                code = str(CODE_OF[corpus](int(code)))
            seen.setdefault(code, set()).add(item.label)
    assert seen == {code: {SHORT[name]} for code, name in names.items()}


@pytest.mark.parametrize("corpus", FAKES)
def test_its_own_classes_cannot_be_renamed(corpus: str, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="--classes"):
        corpus_of(corpus).read(FAKES[corpus](tmp_path / "source"), Options(classes=("a", "b")))


@pytest.mark.parametrize("corpus", FAKES)
def test_a_reading_becomes_a_dataset(corpus: str, tmp_path: Path) -> None:
    source = FAKES[corpus](tmp_path / "source")
    detects: dict[str, Any] = {} if corpus in TIGHT else {"detector": ToyDetector}
    result = prepare(corpus, source, tmp_path / "out", preprocessing=SMALL, workers=1, **detects)
    dataset = result.dataset
    entries = read(corpus, source)
    assert len(dataset) == len(items(entries))
    assert sum(result.left_out.values()) == len(entries) - len(dataset)
    assert dataset.license_terms == corpus_of(corpus).license_terms
    assert dataset.column("label").tolist() == [item.label for item in items(entries)]


def test_rafdb_has_attributes_and_landmarks(tmp_path: Path) -> None:
    entries = read("rafdb", FAKES["rafdb"](tmp_path))
    assert sizes(entries) == {"train": 11, "test": 3}
    assert reasons(entries) == {"no label of the corpus": 1}
    face = by_id(entries)["train_00001.jpg"]
    assert face.label == "fear" and face.tight
    assert dict(face.extra) == {
        "sex": "female",
        "race": "African-American",
        "age_group": "4-19",
        "points": [value for k in range(5) for value in (10.5 + k, 20.0 + k)],
    }
    assert by_id(entries)["train_00000.jpg"].extra == {}
    assert by_id(entries)["train_00006.jpg"].label == "neutral"


def test_rafdb_is_found_inside_its_part_and_as_folders(tmp_path: Path) -> None:
    inside = read("rafdb", FAKES["rafdb"](tmp_path / "a") / "basic")
    assert len(items(inside)) == 14
    copy = fake_corpora.class_copies(tmp_path / "b", [str(code) for code in range(1, 8)])
    entries = read("rafdb", copy)
    assert sizes(entries) == {"train": 14, "test": 14}  # its valid is the corpus's test
    assert by_id(entries)["train/1/0.jpg"].label == "surprise"
    assert by_id(entries)["val/7/1.jpg"].label == "neutral"
    zero = fake_corpora.class_copies(tmp_path / "c", ["0", "1", "Happy"])
    assert reasons(read("rafdb", zero)) == {"folder of no class of the corpus": 2}


def test_affectnet_reads_its_original_tables(tmp_path: Path) -> None:
    entries = read("affectnet", FAKES["affectnet"](tmp_path))
    assert sizes(entries) == {"train": 10, "valid": 10} and reasons(entries) == {
        "labeled as no face": 2
    }
    faces = by_id(entries)
    assert [faces[f"{n}/{n}.jpg"].label for n in range(10)] == [
        *("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"),
        *(None, None),
    ]
    assert faces["1/1.jpg"].extra == {"valence": 0.05, "arousal": -0.25}
    assert faces["3/3.jpg"].extra == {"valence": None, "arousal": None}
    assert faces["1/1.jpg"].box == (4, 4, 16, 16)


def test_affectnet_reads_the_release_with_soft_labels(tmp_path: Path) -> None:
    source = fake_corpora.affectnet_release(tmp_path)
    entries = read("affectnet", source)
    assert sizes(entries) == {"train": 8, "valid": 8}
    assert reasons(entries) == {"annotation missing or unreadable": 2}
    face = by_id(entries)["train_set/images/7.jpg"]
    assert face.label == "contempt" and face.votes == (20, 20, 20, 20, 20, 20, 20, 860)
    assert face.extra == {"valence": 0.5, "arousal": -0.5}
    assert by_id(entries)["val_set/images/23.jpg"].extra == {"valence": None, "arousal": None}
    reading = corpus_of("affectnet").read(source, Options())
    assert reading.vote_names == reading.label_space.names


def test_soft_labels_become_soft_targets(tmp_path: Path) -> None:
    from mien.data.targets import make_targets

    source = fake_corpora.affectnet_release(tmp_path / "source")
    dataset = prepare("affectnet", source, tmp_path / "out", preprocessing=SMALL, workers=1).dataset
    targets = make_targets(dataset, "distribution")
    assert targets["expression"].tolist() == list(range(8)) * 2
    np.testing.assert_allclose(targets["expression_distribution"][0], [0.86, *[0.02] * 7])


def test_affectnet_reads_class_folders_by_code(tmp_path: Path) -> None:
    copy = fake_corpora.class_copies(tmp_path, [str(code) for code in range(8)])
    faces = by_id(read("affectnet", copy))
    assert faces["train/5/0.jpg"].label == "disgust" and faces["val/6/0.jpg"].label == "anger"


def test_fer2013_reads_spaces_in_the_header_and_folders(tmp_path: Path) -> None:
    entries = read("fer2013", FAKES["fer2013"](tmp_path / "a"))
    assert sizes(entries) == {"train": 14, "valid": 7, "test": 7}
    assert reasons(entries) == {"image unreadable": 1}
    assert [item.label for item in items(entries)[:7]] == [
        *("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    ]
    copy = fake_corpora.class_copies(tmp_path / "b", ["angry", "happy"], ("train", "test"))
    assert sizes(read("fer2013", copy)) == {"train": 4, "test": 4}
    assert "PrivateTest together" in corpus_of("fer2013").read(copy, Options()).notes[0]


def test_sfew_expw_jaffe_and_kdef_read_names_of_files(tmp_path: Path) -> None:
    entries = read("sfew", FAKES["sfew"](tmp_path / "sfew"))
    assert sizes(entries) == {"train": 21, "valid": 7}
    assert reasons(entries) == {"folder of no class of the corpus": 1}
    assert items(entries)[0].extra == {"film": "Film0"}

    entries = read("expw", FAKES["expw"](tmp_path / "expw"))
    faces = by_id(entries)
    assert faces["0.jpg#0"].label == "happiness" and faces["0.jpg#1"].label == "anger"
    assert faces["0.jpg#0"].box == (6, 4, 14, 14)
    assert reasons(entries) == {"no face of the corpus": 1} and len(sizes(entries)) == 3

    entries = read("jaffe", FAKES["jaffe"](tmp_path / "jaffe"))
    assert by_id(entries)["KL.FE1.12.tiff"].subject == "KL"
    assert Counter(item.subject for item in items(entries))["KA"] == 6  # uneven subjects

    entries = read("kdef", FAKES["kdef"](tmp_path / "kdef"))
    face = by_id(entries)["BF01/BF01AFS.JPG"]
    assert (face.subject, face.label) == ("F01", "fear")
    assert face.extra == {"sex": "female", "angle": "straight"}


def test_sequences_give_their_peaks(tmp_path: Path) -> None:
    entries = read("ckplus", FAKES["ckplus"](tmp_path / "ckplus"))
    assert reasons(entries) == {"sequence without a label": 12} and len(items(entries)) == 48
    first = [item for item in items(entries) if item.video == "S005/001"]
    assert [(item.label, item.frame) for item in first] == [
        *[("neutral", 1), ("anger", 3), ("anger", 4), ("anger", 5)]
    ]
    assert {item.subject for item in first} == {"S005"}

    entries = read("oulu-casia", FAKES["oulu-casia"](tmp_path / "oulu"))
    assert len(items(entries)) == 11 * 6 * 3
    assert items(entries)[0].tight and [item.frame for item in items(entries)[:3]] == [1, 2, 3]

    entries = read("mmi", FAKES["mmi"](tmp_path / "mmi"))
    assert reasons(entries) == {
        "not one of six emotions": 1,
        "profile": 1,
        "session without a label": 1,
    }
    assert [item.id for item in items(entries)[:3]] == ["100/002.jpg", "100/003.jpg", "100/004.jpg"]
    assert items(entries)[0].subject == "S001" and items(entries)[0].label == "anger"


def test_mmi_decodes_the_middle_of_a_video(tmp_path: Path) -> None:
    pytest.importorskip("av")
    from toy_videos import faceless, write_video

    source = FAKES["mmi"](tmp_path)
    session = source / "Sessions" / "100"
    for path in session.glob("*.jpg"):
        path.unlink()
    write_video(session / "S001-000.avi", faceless(9))
    entries = read_without_comparing("mmi", source)
    first = [item for item in items(entries) if item.video == "100"]
    assert len(first) == 3 and all(isinstance(item.image, np.ndarray) for item in first)


def read_without_comparing(corpus: str, source: Path) -> list[Item | LeftOut]:
    reading = corpus_of(corpus).read(source, Options())
    return list(reading.items())  # type: ignore[arg-type]


def test_affwild2_joins_its_lists_and_keeps_their_splits(tmp_path: Path) -> None:
    entries = read("aff-wild2", FAKES["aff-wild2"](tmp_path / "a"))
    assert reasons(entries) == {
        "frame not annotated": 6,
        "frame missing, no face was found in it": 1,
        "frames beyond the last line of the lists": 1,
    }
    frames = by_id(entries)
    frame = frames["a/00005"]
    assert (frame.label, frame.frame, frame.video) == ("happiness", 5, "a")
    assert frame.extra["valence"] == 0.5 and frame.extra["au26"] == 1.0
    assert frames["shared/00001"].split == "valid"
    assert {
        key: frames["shared/00001"].extra.get(f"split_{key}") for key in ("va", "expr", "au")
    } == {
        "va": "train",
        "expr": "valid",
        "au": "valid",
    }
    assert Counter(item.video for item in items(entries)) == {
        "a": 7,
        **dict.fromkeys(("b_left", "b_right", "c", "d", "shared"), 8),
    }

    entries = read("aff-wild2", fake_corpora.affwild2_joint(tmp_path / "b"))
    assert sizes(entries) == {"train": 14, "valid": 7}
    assert by_id(entries)["a/00002"].extra["valence"] is None
    assert by_id(entries)["a/00002"].label == "anger"


def test_afewva_disfa_and_bp4d_scale_their_values(tmp_path: Path) -> None:
    entries = read("afew-va", FAKES["afew-va"](tmp_path / "afew"))
    assert reasons(entries) == {"valence outside [-1, 1]": 1, "frame without annotation": 1}
    frame = by_id(entries)["003/00002.png"]
    assert frame.extra == {"valence": -0.3, "arousal": 0.8} and frame.subject == "actor 3"

    entries = read("disfa", FAKES["disfa"](tmp_path / "disfa"))
    assert reasons(entries) == {"frame missing": 1}
    frame = by_id(entries)["SN002/00001"]
    assert frame.extra["au12"] == (1 + 12) % 6 / 5 and frame.extra["au09"] == (1 + 9) % 6 / 5
    assert Path(str(frame.image)).name == "0.jpg" and frame.subject == "SN002"

    entries = read("bp4d", FAKES["bp4d"](tmp_path / "bp4d"))
    assert reasons(entries) == {"frame missing": 1, "frame not annotated": 8}
    frame = by_id(entries)["M001_T2/5"]
    assert frame.extra["au12"] == 1.0 and frame.extra["au14"] == 1.0
    assert (frame.extra["sex"], frame.extra["task"]) == ("male", "T2")


def test_clips_are_in_the_order_of_their_frames_and_have_folds(tmp_path: Path) -> None:
    entries = read("dfew", FAKES["dfew"](tmp_path / "dfew"))
    assert reasons(entries) == {"clip without frames": 1}
    clip = [item for item in items(entries) if item.video == "9"]
    assert [Path(str(item.image)).name for item in clip] == ["1.jpg", "2.jpg", "10.jpg"]
    assert {(item.label, item.extra["fold"], item.split) for item in clip} == {
        ("sadness", 2, "train")
    }
    assert sizes(entries) == {"train": 28 * 3, "test": 6 * 3}
    assert clip[0].votes == (0, 8, 2, 0, 0, 0, 0)
    for name in ("3", "4", "5"):
        assert {item.votes for item in items(entries) if item.video == name} == {None}

    entries = read("ferv39k", FAKES["ferv39k"](tmp_path / "ferv39k"))
    assert sizes(entries) == {"train": 28 * 3, "test": 14 * 3}
    assert items(entries)[0].video == "Action/Angry/0000"

    entries = read("mafw", FAKES["mafw"](tmp_path / "mafw"))
    assert sizes(entries) == {"train": 44 * 3, "test": 11 * 3}
    assert by_id(entries)["00009/000000"].label == "helplessness"


def test_a_fraction_of_train_becomes_valid_by_subject(tmp_path: Path) -> None:
    entries = read("ferv39k", FAKES["ferv39k"](tmp_path), valid_from_train=0.25)
    assert sizes(entries) == {"train": 21 * 3, "valid": 7 * 3, "test": 14 * 3}
    with pytest.raises(MienError, match="without a valid split"):
        read("affectnet", FAKES["affectnet"](tmp_path / "other"), valid_from_train=0.25)


@pytest.mark.slow
def test_of_several_faces_the_one_in_the_box_is_kept(tmp_path: Path) -> None:
    class TwoFaces(ToyDetector):
        def __call__(self, image: Any) -> list[Any]:
            corner = Face(box=Box(0, 0, 8, 8), score=0.3)
            height, width = image.shape[:2]
            middle = Face(box=Box(width / 2 - 2, height / 2 - 2, 4, 4), score=0.7)
            return [corner, middle]

    source = FAKES["expw"](tmp_path / "source")
    for number in range(21):
        fake_corpora.picture(source / "image" / "origin" / f"{number}.jpg", number, 400)
    box = "100 100 300 300"
    lines = [f"{number}.jpg 0 {box} 60.5 {number % 7}" for number in range(21)]
    fake_corpora.put(source / "label" / "label.lst", "\n".join(lines))
    dataset = prepare(
        "expw", source, tmp_path / "out", preprocessing=SMALL, workers=1, detector=TwoFaces
    ).dataset
    np.testing.assert_allclose(dataset.column("quality"), 0.7, rtol=1e-6)


@pytest.mark.parametrize("corpus", ["avec2013", "avec2014", "daic-woz"])
def test_a_misplaced_recording_shows_the_expected_tree(corpus: str, tmp_path: Path) -> None:
    about = corpus_of(corpus)
    with pytest.raises(MienError) as error:
        about.read(tmp_path, Options())
    assert about.layout in str(error.value) and about.ask


def test_a_missing_first_frame_shifts_no_label(tmp_path: Path) -> None:
    source = FAKES["disfa"](tmp_path)
    (source / "Images" / "SN002" / "0.jpg").unlink()
    entries = read("disfa", source)
    assert not [item for item in items(entries) if item.subject == "SN002"]
    assert sum("neither begin at 0" in reason for reason in reasons(entries)) == 1
    for number in range(6, 0, -1):  # numbered from 1, the second one missing
        (source / "Images" / "SN003" / f"{number - 1}.jpg").rename(
            source / "Images" / "SN003" / f"{number}.jpg"
        )
    (source / "Images" / "SN003" / "2.jpg").unlink()
    frames = by_id(read("disfa", source))
    assert "SN003/00002" not in frames
    assert Path(str(frames["SN003/00003"].image)).name == "3.jpg"
