"""FER2013's images with FER+'s ten votes each: Parquet files or the published files."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mien.corpora.items import (
    Corpus,
    Item,
    LeftOut,
    Options,
    Reading,
    fingerprint_of,
    split_name,
    stamp,
    storable,
)
from mien.corpora.reading import ALL_PIXELS, ALL_TIGHT, HAS_SPLITS
from mien.corpora.text_tables import rows_by_name, text_of
from mien.errors import MienError
from mien.labels import EXPRESSIONS, LABEL_SPACES, canonical_expression
from mien.licenses import License

VOTES: tuple[str, ...] = (*EXPRESSIONS, "unknown", "NF")
_REMOVED = "FER+ removed it (empty name)"
_PIXEL_FILES = ("fer2013.csv", "icml_face_data.csv")
_FOLDERS = {"FER2013Train": "train", "FER2013Valid": "valid", "FER2013Test": "test"}
_LAYOUT = (
    "a Parquet file, or a folder with *train*.parquet, *valid*.parquet or *test*.parquet (columns "
    "name, image and ten votes), or a folder with fer2013.csv (or icml_face_data.csv) and "
    "fer2013new.csv, or a folder with FER2013Train/label.csv and its images (likewise Valid, Test)"
)


@dataclass(frozen=True)
class Source:
    """The files of the corpus; ``kind`` is ``"parquet"``, ``"csv"`` or ``"images"``.

    ``files`` are (file, split). The split is empty for the published tables, whose rows have it.
    """

    kind: str
    files: tuple[tuple[Path, str], ...]


def find(source: Path) -> Source:
    """Find the files of the corpus; :class:`MienError` lists the layouts where there are none."""
    if source.is_file() and source.suffix == ".parquet":
        split = _split_of(source)
        if split is None:
            raise MienError(
                f"expected the split, train, valid or test, in the name of {source}, got "
                f"{source.name!r}: rename it"
            )
        if missing := _missing_columns(source):
            raise MienError(
                f"expected the columns name, image and {', '.join(VOTES)} in {source}, got a table "
                f"without {', '.join(missing)}: choose another file"
            )
        return Source("parquet", ((source, split),))
    if source.is_dir():
        tables = [(path, _split_of(path)) for path in sorted(source.glob("*.parquet"))]
        usable = [(path, split) for path, split in tables if split and not _missing_columns(path)]
        if usable:
            return Source("parquet", tuple(usable))
        names = {path.name.lower(): path for path in sorted(source.iterdir())}
        pixels = next((names[name] for name in _PIXEL_FILES if name in names), None)
        if pixels is not None and "fer2013new.csv" in names:
            return Source("csv", ((pixels, ""), (names["fer2013new.csv"], "")))
        labels = [(source / name / "label.csv", split) for name, split in _FOLDERS.items()]
        if present := [(path, split) for path, split in labels if path.is_file()]:
            return Source("images", tuple(present))
    got = "none of these" if source.exists() else "nothing"
    raise MienError(f"expected FER+ at {source} as {_LAYOUT}; got {got}")


def read(source: Path, options: Options) -> Reading:
    """Read the corpus at ``source``; images are tight crops, votes are the labels."""
    if options.classes is not None or options.valid_from_train:
        raise MienError(
            "expected neither --classes nor --valid-from-train for ferplus, which has its own "
            "classes and splits, got one: omit it"
        )
    corpus = find(source)
    if corpus.kind == "parquet":
        total = sum(pq.read_metadata(path).num_rows for path, _ in corpus.files)
    elif corpus.kind == "csv":
        total = _count_rows(corpus.files[0][0], corpus.files[1][0])
    else:
        total = sum(len(_lines(path)) for path, _ in corpus.files)

    def items() -> Iterator[Item | LeftOut]:
        if corpus.kind == "csv":
            yield from _published(corpus.files[0][0], corpus.files[1][0])
            return
        for path, split in corpus.files:
            yield from (_parquet if corpus.kind == "parquet" else _images)(path, split)

    return Reading(
        label_space=LABEL_SPACES["ferplus"],
        items=items,
        fingerprint=fingerprint_of(f"{path.name} {stamp(path)}" for path, _ in corpus.files),
        total=total,
        vote_names=VOTES,
        fields=(pa.field("fer2013", pa.string()),),
        notes=("fer2013 is FER2013's single label, which FER+'s votes replace",),
        unused={
            "seed": HAS_SPLITS,
            "tight": ALL_TIGHT,
            **({"max-pixels": ALL_PIXELS} if corpus.kind == "csv" else {}),
        },
    )


CORPUS = Corpus(
    name="ferplus",
    description="FER2013 (48 x 48 gray web images) with FER+'s votes of ten annotators, 8 classes",
    layout=_LAYOUT,
    license_terms=(
        "Images: FER2013 (ICML 2013 challenge), collected from the web, rights unclear: research "
        "only, no redistribution. Votes: FER+ (Microsoft), MIT license."
    ),
    ask="FER2013 from the ICML 2013 challenge on Kaggle, the votes from Microsoft's FER+",
    works=(
        License(
            kind="data",
            name="FER2013",
            license_terms=(
                "Images collected from the web, rights unclear: research only, no redistribution."
            ),
            commercial_use="no",
            attribution="yes",
            stated_by="mien corpora fer2013",
        ),
        License(
            kind="labels",
            name="FER+",
            license_terms="Votes of Microsoft's FER+: MIT license.",
            commercial_use="yes",
            attribution="yes",
            stated_by="mien corpora ferplus",
        ),
    ),
    commercial_use="no",
    read=read,
    label_space=LABEL_SPACES["ferplus"],
    color="gray",
    excluded=(_REMOVED,),
)


def _split_of(path: Path) -> str | None:
    splits = set(re.findall(r"train|valid|test", path.stem.lower()))
    return splits.pop() if len(splits) == 1 else None


def _missing_columns(path: Path) -> list[str]:
    try:
        names = set(pq.read_schema(path).names)
    except (OSError, pa.ArrowException) as error:
        raise MienError(f"expected a Parquet file at {path}, got {error}: copy it again") from None
    return [name for name in ("name", "image", *VOTES) if name not in names]


def _parquet(path: Path, split: str) -> Iterator[Item | LeftOut]:
    with pq.ParquetFile(path) as table:
        optional = ["fer2013"] if "fer2013" in table.schema_arrow.names else []
        columns = ["name", "image", *VOTES, *optional]
        for batch in table.iter_batches(batch_size=256, columns=columns):
            for row in batch.to_pylist():
                image = row["image"]
                if isinstance(image, dict):
                    image = image.get("bytes")
                if not row["name"]:
                    yield LeftOut("", path.name, _REMOVED)
                elif not isinstance(image, bytes):
                    yield LeftOut(row["name"], path.name, "image unreadable: no bytes")
                else:
                    yield _item(
                        row["name"],
                        path.name,
                        image,
                        split,
                        tuple(row[name] or 0 for name in VOTES),
                        row.get("fer2013"),
                    )


def _published(pixels: Path, votes: Path) -> Iterator[Item | LeftOut]:
    names = LABEL_SPACES["fer2013"].names
    pairs = zip(rows_by_name(pixels), rows_by_name(votes), strict=True)
    for index, (face, vote) in enumerate(pairs):
        line = f"{pixels.name}:{index + 2}"
        try:
            name, usage = vote["image name"].strip(), vote["usage"].strip()
            counts = tuple(int(float(vote[column.lower()] or 0)) for column in VOTES)
            emotion = names[int(face["emotion"])]
            same, text = face["usage"].strip() == usage, face["pixels"]
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise MienError(
                f"expected emotion, pixels and Usage in {pixels} and Usage, Image name and ten "
                f"votes in {votes}, got {error} in row {index}: copy the files again"
            ) from None
        split = split_name(usage)
        if not same or split is None:
            raise MienError(
                f"expected the same Usage (Training, PublicTest or PrivateTest) in row {index} of "
                f"{pixels} and {votes}, got {face['usage']!r} and {usage!r}: use the files as "
                f"published, in their order"
            )
        if not name:
            yield LeftOut(f"fer{index:07d}.png", line, _REMOVED)
            continue
        image = pixels_of(text)
        if image is None:
            yield LeftOut(name, line, "image unreadable: expected 2,304 values from 0 to 255")
        else:
            yield _item(name, line, image, split, counts, emotion)


def _images(labels: Path, split: str) -> Iterator[Item | LeftOut]:
    """Read rows ``name,"(0, 0, 48, 48)",votes...``, as written by FER+'s own script."""
    for number, row in enumerate(_lines(labels), start=1):
        source = f"{labels.parent.name}/{row[0].strip()}"
        try:
            counts = tuple(int(float(value)) for value in row[2:])
            if len(counts) != len(VOTES):
                raise ValueError(f"{len(counts)} votes")
        except ValueError as error:
            raise MienError(
                f"expected a name, a box and ten votes in line {number} of {labels}, got {error}: "
                f"copy it again"
            ) from None
        if not row[0].strip():
            yield LeftOut("", f"{labels.parent.name}/label.csv:{number}", _REMOVED)
        else:
            yield _item(row[0].strip(), source, labels.parent / row[0].strip(), split, counts)


def _item(
    name: str,
    source: str,
    image: bytes | Path | np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    split: str,
    votes: tuple[int, ...],
    label: str | None = None,
) -> Item:
    return Item(
        id=storable(name),
        source=source,
        image=image,
        split=split,
        votes=votes,
        tight=True,
        extra={"fer2013": canonical_expression(label) if label else None},
    )


def pixels_of(text: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None:
    """48 x 48 pixels from their decimal text, or None for other text."""
    if not re.fullmatch(r"[\d\s]+", text):
        return None
    values = np.fromstring(text, sep=" ", dtype=np.int64)
    if values.size != 48 * 48 or values.max() > 255:
        return None
    return values.astype(np.uint8).reshape(48, 48)


def _lines(path: Path) -> list[list[str]]:
    with text_of(path) as text:
        return [row for row in csv.reader(text) if row]


def _count_rows(pixels: Path, votes: Path) -> int:
    counts = []
    for path in (pixels, votes):
        with path.open("rb") as lines:
            counts.append(sum(1 for line in lines if line.strip()) - 1)
    if counts[0] != counts[1]:
        raise MienError(
            f"expected as many rows in {pixels} as in {votes}, got {counts[0]:,} and "
            f"{counts[1]:,}: use the files as published, in their order"
        )
    return counts[0]
