"""Fakes of the layouts of corpora, a few tiny pictures each, with the oddities of the real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from toy_corpora import png

from mien.data.dataset import FACES_SCHEMA, SEVERITY_FIELD, Dataset
from mien.labels import LABEL_SPACES
from mien.preparation.prepare import prepare
from mien.preparation.write import write_dataset
from mien.scales import SCALES
from mien.schema import Preprocessing

BOM = "\ufeff"


def put(path: Path, text: str, *, bom: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((BOM if bom else "") + text, "utf-8")
    return path


def picture(path: Path, seed: int = 0, side: int = 24) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(seed, side))
    return path


def rafdb(root: Path, *, kind: str = "basic", classes: int = 7, faces: int = 14) -> Path:
    """The list is spelled as in the original; one attribute file is missing, one label unknown."""
    lines = []
    for number in range(faces):
        split = "test" if number % 4 == 3 else "train"
        stem = f"{split}_{number:05d}"
        lines.append(f"{stem}.jpg {number % classes + 1}")
        picture(root / kind / "Image" / "aligned" / f"{stem}_aligned.jpg", number, side=100)
        points = "\n".join(f"{10.5 + k}\t{20 + k}" for k in range(5))
        if number:
            put(
                root / kind / "Annotation" / "manual" / f"{stem}_manu_attri.txt",
                f"{points}\n{number % 3}\n{number % 3}\n{number % 5}\n",
            )
    lines.append("train_99999.jpg 12")
    put(root / kind / "EmoLabel" / "list_patition_label.txt", "\n".join(lines) + "\n", bom=True)
    return root


def rafdb_compound(root: Path) -> Path:
    return rafdb(root, kind="compound", classes=11, faces=22)


def affectnet(root: Path) -> Path:
    """Both slashes, a face without valence and arousal (-2), no expression (8, 9), no face (10)."""
    head = (
        "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,"
        "valence,arousal"
    )
    for split, first in (("training", 0), ("validation", 20)):
        rows = [head]
        for code in range(11):
            number = first + code
            slash = "\\" if code % 2 else "/"
            affect = "-2,-2" if code in (3, 9, 10) else f"{code / 20:.2f},-0.25"
            rows.append(f"{number}{slash}{number}.jpg,4,4,16,16,1;2;3;4,{code},{affect}")
            picture(root / "Manually_Annotated_Images" / str(number) / f"{number}.jpg", number, 120)
        put(root / f"{split}.csv", "\n".join(rows) + "\n", bom=True)
    return root


def affectnet_release(root: Path) -> Path:
    """Scalars are text in some files and numbers in others; one annotation is missing."""
    for part, first in (("train_set", 0), ("val_set", 20)):
        for code in range(8):
            number = first + code
            picture(root / part / "images" / f"{number}.jpg", number)
            labels = root / part / "annotations"
            labels.mkdir(parents=True, exist_ok=True)
            np.save(labels / f"{number}_exp.npy", np.array(str(code) if code % 2 else code))
            np.save(labels / f"{number}_val.npy", np.array("-2" if code == 3 else "0.5"))
            np.save(labels / f"{number}_aro.npy", np.array(-2.0 if code == 3 else -0.5))
            shares = np.full(8, 0.02)
            shares[code] = 0.86
            np.save(labels / f"{number}_soft.npy", shares)
        picture(root / part / "images" / f"{first + 9}.jpg")
    return root


def class_copies(root: Path, names: list[str], splits: tuple[str, ...] = ("train", "val")) -> Path:
    for place, split in enumerate(splits):
        for number, name in enumerate(names):
            for index in range(2):
                seed = 100 * place + 10 * number + index
                picture(root / split / name / f"{index}.jpg", seed)
    return root


def fer2013(root: Path) -> Path:
    """Spaces in the header, and one row with too few pixels."""
    usages = ["Training"] * 14 + ["PublicTest"] * 7 + ["PrivateTest"] * 7
    rows = ["emotion, pixels, Usage"]
    for number, usage in enumerate(usages):
        values = np.random.default_rng(number).integers(0, 256, 48 * 48)
        rows.append(f"{number % 7},{' '.join(map(str, values))},{usage}")
    rows.append("0,1 2 3,Training")
    put(root / "fer2013.csv", "\n".join(rows) + "\n", bom=True)
    return root


def sfew(root: Path) -> Path:
    for part, count in (("Train", 3), ("Val", 1)):
        for seed, name in enumerate(
            ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
        ):
            for index in range(count):
                folder = root / part / f"{part}_Aligned_Faces" / name
                picture(folder / f"Film{index}_000{seed}_1.png", 10 * seed + index)
    picture(root / "Train" / "Train_Aligned_Faces" / "Unclear" / "Film_1_1.png")
    return root


def expw(root: Path) -> Path:
    """Two faces in the first picture."""
    lines = ["0.jpg 0 4 6 20 18 60.5 3", "0.jpg 1 30 30 50 50 60.5 0"]
    lines += [f"{n}.jpg 0 4 6 20 18 60.5 {n % 7}" for n in range(1, 21)] + ["1.jpg 1 4 6"]
    for number in range(21):
        picture(root / "image" / "origin" / f"{number}.jpg", number, 64)
    put(root / "label" / "label.lst", "\n".join(lines) + "\n", bom=True)
    return root


def jaffe(root: Path) -> Path:
    for seed, subject in enumerate(("KA", "KL", "KM", "KR", "MK")):
        for place, code in enumerate(("AN", "DI", "FE", "HA", "NE", "SA", "SU")):
            if (seed, place) != (0, 0):  # subjects do not have the same number of pictures
                path = root / "jaffe" / f"{subject}.{code}1.{10 * seed + place}.tiff"
                picture(path, 10 * seed + place)
    picture(root / "jaffe" / "readme.png")
    return root


def kdef(root: Path) -> Path:
    for seed, person in enumerate(("AF01", "AM01", "BF01", "AF02", "AM02", "AM03")):
        for place, code in enumerate(("AF", "AN", "DI", "HA", "NE", "SA", "SU")):
            angle = ("S", "HL", "FR")[place % 3]
            path = root / "KDEF" / person / f"{person}{code}{angle}.JPG"
            picture(path, 10 * seed + place)
    picture(root / "KDEF" / "AF01" / "odd.JPG")
    return root


def ckplus(root: Path) -> Path:
    """Five frames in each sequence; half of the sequences have a label."""
    codes = (1, 2, 3, 4, 5, 6, 7)
    for number in range(24):
        subject, sequence = f"S{number // 2 + 5:03d}", f"{number % 2 + 1:03d}"
        for frame in range(1, 6):
            name = f"{subject}_{sequence}_{frame:08d}"
            path = root / "cohn-kanade-images" / subject / sequence / f"{name}.png"
            picture(path, 10 * number + frame)
        if number % 2 == 0:
            put(
                root / "Emotion" / subject / sequence / f"{name}_emotion.txt",
                f"   {codes[number // 2 % 7]:.7e}\n",
                bom=number == 0,
            )
    return root


def oulu(root: Path) -> Path:
    for subject in range(1, 12):
        for place, name in enumerate(
            ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")
        ):
            for frame in range(4):
                path = root / "PreProcess_Img" / "VL_Acropped" / "Strong" / f"P{subject:03d}"
                picture(path / name / f"{frame:03d}.jpeg", 100 * subject + 10 * place + frame)
    return root


def mmi(root: Path) -> Path:
    """Sessions as frames; one in profile, one with a seventh emotion, one with units only."""
    for number in range(24):
        session = root / "Sessions" / str(100 + number)
        subject = number // 2 + 1
        emotion = 7 if number == 12 else number % 6 + 1
        put(
            session / f"S{subject:03d}-{number:03d}.xml",
            f'<Session><Metatag Name="Emotion" Value="{emotion}"/></Session>',
        )
        put(
            session / "session.xml",
            f'<session><track view="{1 if number == 13 else 0}"/></session>',
        )
        for frame in range(7):
            picture(session / f"{frame:03d}.jpg", 10 * number + frame)
    put(root / "Sessions" / "200" / "S001-200-oao_aucs.xml", "<ActionUnits/>")
    return root


def affwild2(root: Path) -> Path:
    """A frame is missing, one is beyond the lists, some are to be skipped, one video has two
    faces, and ``shared`` is in train of one challenge and in validation of another."""
    codes = "1,2,4,6,7,10,12,15,23,24,25,26"
    tops = {
        "VA_Estimation_Challenge": ("valence,arousal", lambda n: "-5,-5" if n == 9 else "0.5,-0.1"),
        "EXPR_Classification_Challenge": (
            "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other",
            lambda n: str(-1 if n == 9 else (n - 1) % 8),
        ),
        "AU_Detection_Challenge": (
            ",".join(f"AU{code}" for code in codes.split(",")),
            lambda n: ",".join(["-1" if n == 9 else str(n % 2)] * 12),
        ),
    }
    videos = {"a": "Train_Set", "b_left": "Train_Set", "b_right": "Train_Set"}
    videos |= {"c": "Validation_Set", "d": "Train_Set"}
    for seed, video in enumerate((*videos, "shared")):
        for top, (header, line) in tops.items():
            part = videos.get(video, "Train_Set" if top.startswith("VA") else "Validation_Set")
            text = "\n".join([header, *(line(n) for n in range(1, 10))])
            put(root / "annotations" / top / part / f"{video}.txt", text + "\n", bom=seed == 0)
        for frame in range(1, 11 if video == "a" else 10):
            if (video, frame) != ("a", 4):
                path = root / "cropped_aligned" / video / f"{frame:05d}.jpg"
                picture(path, 100 * seed + frame)
    return root


def affwild2_joint(root: Path) -> Path:
    head = "image,valence,arousal,expression,aus"
    for split, videos in (("training", ("a", "d")), ("validation", ("c",))):
        rows = [head]
        for video in videos:
            for n in range(1, 9):
                units = ",".join([str(n % 2)] * 12)
                rows.append(
                    f"{video}/{n:05d}.jpg,{'-5,-5' if n == 2 else '0.1,0.2'},{n - 1},{units}"
                )
                if n != 3:
                    picture(root / "cropped_aligned" / video / f"{n:05d}.jpg", n)
        path = root / "annotations" / "MTL_Challenge" / f"{split}_set_annotations.txt"
        put(path, "\n".join(rows) + "\n")
    return root


def afewva(root: Path) -> Path:
    """Clips of ten actors; one frame has no annotation and one is out of range."""
    for clip in range(1, 13):
        name = f"{clip:03d}"
        rated = {f"{n:05d}": {"valence": n - 5.0, "arousal": 10.0 - n} for n in range(4)}
        if clip == 1:
            rated["00003"]["valence"] = 11.0
        document = {"video_id": name, "actor": f"actor {clip % 10}", "frames": rated}
        put(root / name / f"{name}.json", json.dumps(document))
        for frame in range(5 if clip == 2 else 4):
            picture(root / name / f"{frame:05d}.png", 10 * clip + frame)
    return root


def disfa(root: Path) -> Path:
    """A frame is missing, and numbers of pictures begin at 0 while lines begin at 1."""
    for seed, subject in enumerate(("SN001", "SN002", "SN003", "SN004", "SN005")):
        for unit in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26):
            lines = [f"{n},{(n + unit) % 6}" for n in range(1, 7)]
            put(
                root / "ActionUnit_Labels" / subject / f"{subject}_au{unit}.txt",
                "\n".join(lines) + "\n",
            )
        for frame in range(6):
            if (subject, frame) != ("SN001", 3):
                picture(root / "Images" / subject / f"{frame}.jpg", 10 * seed + frame)
    return root


def bp4d(root: Path) -> Path:
    """Unknown units are 9; a frame is missing; units 14 and 17 are not among mien's twelve."""
    units = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
    for seed, (subject, task) in enumerate(
        (subject, task) for subject in ("F001", "F002", "M001", "M002") for task in ("T1", "T2")
    ):
        rows = [",".join(["0", *map(str, units)])]
        for frame in range(5, 10):
            values = ["9" if frame == 6 else str((frame + unit) % 2) for unit in units]
            rows.append(",".join([str(frame), *values]))
            if (seed, frame) != (0, 7):
                picture(root / "Sequences" / subject / task / f"{frame:04d}.jpg", 10 * seed + frame)
        put(root / "AUCoding" / f"{subject}_{task}.csv", "\n".join(rows) + "\n", bom=seed == 0)
    return root


def _clip(folder: Path, seed: int, names: tuple[str, ...] = ("1.jpg", "2.jpg", "10.jpg")) -> None:
    for frame, name in enumerate(names):
        picture(folder / name, 10 * seed + frame)


def dfew(root: Path) -> Path:
    """Names of clips are numbers without their zeros, in lists with a header; one has no frames.

    Of the votes of ten annotators those of clip 3 disagree with its label, those of clip 4 are
    broken, and those of clip 5 are missing.
    """
    columns = "1happy,2sad,3neutral,4angry,5surprise,6disgust,7fear"
    votes = [f"order,{columns},annotation"]
    for clip in range(2, 36):
        code = (clip if clip == 3 else clip - 1) % 7
        counts = [8 if place == code else 2 * (place == (code + 1) % 7) for place in range(7)]
        cells = ["?" if clip == 4 else str(count) for count in counts]
        if clip != 5:
            votes.append(",".join([str(clip), *cells, str(code + 1)]))
    put(root / "Annotation" / "annotation.csv", "\n".join(votes) + "\n", bom=True)
    for fold in range(1, 6):
        for split in ("train", "test"):
            rows = ["video_name,label"]
            for clip in range(1, 36):
                if ((clip - 1) // 7 + 1 == fold) == (split == "test"):
                    rows.append(f"{clip},{(clip - 1) % 7 + 1}")
            put(
                root / "EmoLabel_DataSplit" / f"{split}(single-labeled)" / f"set_{fold}.csv",
                "\n".join(rows) + "\n",
                bom=True,
            )
    for clip in range(2, 36):
        _clip(root / "Clip" / "clip_224x224" / f"{clip:05d}", clip)
    return root


def ferv39k(root: Path) -> Path:
    names = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
    for split, first, count in (("train", 0, 4), ("test", 100, 2)):
        rows = []
        for place, name in enumerate(names):
            for index in range(count):
                clip = f"Action/{name}/{first + index:04d}"
                rows.append(f"{clip} {name}")
                _clip(root / "2_ClipsforFaceCrop" / clip, first + 10 * place + index)
        put(root / "4_setups" / "All_scenes" / f"{split}_All.csv", "\n".join(rows) + "\n")
    return root


def mafw(root: Path) -> Path:
    names = (
        *("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt"),
        *("anxiety", "helplessness", "disappointment"),
    )
    for fold in range(1, 6):
        for split in ("train", "test"):
            rows = [
                f"{clip:05d}.mp4 {names[clip % 11]}"
                for clip in range(55)
                if (clip // 11 + 1 == fold) == (split == "test")
            ]
            path = root / "Train & Test Set" / "single" / "no_caption" / f"set_{fold}"
            put(path / f"{split}.txt", "\n".join(rows) + "\n")
    for clip in range(55):
        _clip(root / "data" / "frames" / f"{clip:05d}", clip)
    return root


def ferplus(root: Path) -> Path:
    """The published tables; one row was removed by FER+."""
    fer2013(root)
    rows = (root / "fer2013.csv").read_text("utf-8-sig").splitlines()[1:-1]
    put(root / "fer2013.csv", "\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    names = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    votes = [f"Usage,Image name,{names}"]
    for number, row in enumerate(rows):
        counts = ["9" if place == number % 8 else "0" for place in range(10)]
        name = "" if number == 1 else f"fer{number:07d}.png"
        votes.append(",".join([row.rsplit(",", 1)[1], name, *counts]))
    put(root / "fer2013new.csv", "\n".join(votes) + "\n")
    return root


def avec(folder: Path, corpus: str) -> Dataset:
    """A dataset as the recordings of AVEC give it; two subjects are in two parts."""
    rows, crops = [], []
    for number in range(24):
        split = ("train", "valid", "test")[number % 3]
        subject = "200" if number < 2 else f"{200 + number}"
        for frame in range(3):
            rows.append(
                {
                    "id": f"{number}/{frame}",
                    "source": "fake",
                    "corpus": corpus,
                    "split": split,
                    "subject": subject,
                    "video": f"{number:02d}",
                    "frame": frame,
                    "time": frame / 5,
                    "alignment": "fixed",
                    "severity": float(2 * number),
                }
            )
            crops.append(np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8))
    table = pa.Table.from_pylist(rows, schema=pa.schema([*FACES_SCHEMA, SEVERITY_FIELD]))
    return write_dataset(
        folder,
        [(table, np.stack(crops))],
        rows=len(rows),
        label_space=LABEL_SPACES["ferplus"],
        preprocessing=Preprocessing(size=32),
        corpus=corpus,
        license_terms="made by a test",
        scale=SCALES["bdi-ii"],
    )


def fake_dataset(corpus: str, folder: Path) -> Dataset:
    """The dataset of a fake; every picture is a crop, so no face is looked for."""
    if corpus.startswith("avec"):
        return avec(folder / "dataset", corpus)
    source = (ferplus if corpus == "ferplus" else FAKES[corpus])(folder / "source")
    return prepare(
        corpus,
        source,
        folder / "dataset",
        preprocessing=Preprocessing(size=32),
        tight=corpus not in TIGHT,
        workers=1,
    ).dataset


TIGHT = {"rafdb", "rafdb-compound", "fer2013", "ferplus", "sfew", "oulu-casia", "aff-wild2"}
"""Corpora whose fakes have tight crops only, in which no face is looked for."""


FAKES: dict[str, Callable[[Path], Path]] = {
    "rafdb": rafdb,
    "rafdb-compound": rafdb_compound,
    "affectnet": affectnet,
    "fer2013": fer2013,
    "sfew": sfew,
    "expw": expw,
    "jaffe": jaffe,
    "kdef": kdef,
    "ckplus": ckplus,
    "oulu-casia": oulu,
    "mmi": mmi,
    "aff-wild2": affwild2,
    "afew-va": afewva,
    "disfa": disfa,
    "bp4d": bp4d,
    "dfew": dfew,
    "ferv39k": ferv39k,
    "mafw": mafw,
}
"""A maker of the fake of each corpus of images, by the corpus."""
