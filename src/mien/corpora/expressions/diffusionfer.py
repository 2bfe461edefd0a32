"""DiffusionFER: synthetic faces with expression, valence and arousal, as Parquet files."""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mien.corpora.affect import valence_arousal
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
from mien.corpora.reading import HAS_SPLITS, few_in_train
from mien.corpora.splitting import cut, rank
from mien.data.dataset import VALENCE_AROUSAL_FIELDS
from mien.errors import MienError
from mien.labels import EXPRESSIONS, LabelSpace

_COLUMNS = ("name", "image", "expression", "valence", "arousal")
_LAYOUT = (
    "a Parquet file, or a folder of them, with the columns name, image, expression, valence and "
    "arousal; train, valid or test in the name of a file is its split"
)
SPACE = LabelSpace(name="diffusionfer", names=EXPRESSIONS[:-1])
"""Seven expressions in canonical order; contempt was not rated."""


def read(source: Path, options: Options) -> Reading:
    """Read the corpus at ``source``; the label is ``expression``, as rated by the annotators.

    The column ``folder``, the class that a picture was generated for, disagrees with it in many
    rows and is not read. Files without a split in their names are split by a hash of the rows'
    names within each expression, 80, 10 and 10 %. ``options.valid_from_train`` splits train in
    the same way.
    """
    if options.classes is not None:
        raise MienError(
            "expected no --classes for diffusionfer, which has its own, got some: omit the option"
        )
    files = _find(source)
    splits = {split for _, split in files if split}
    if splits and any(split is None for _, split in files):
        raise MienError(
            f"expected train, valid or test in the name of every file of {source}, or of none, got "
            f"both: rename them"
        )
    if options.valid_from_train and "valid" in splits:
        raise MienError(
            f"expected a source without a valid split for --valid-from-train, got one with it in "
            f"{source}: omit the option"
        )
    if options.valid_from_train and not splits:
        raise MienError(
            f"expected files with splits in their names for --valid-from-train, got others in "
            f"{source}, of which mien makes all three: omit the option"
        )
    valid, test = (options.valid_from_train, 0.0) if splits else (0.1, 0.1)
    ranks: defaultdict[str | None, array[int]] = defaultdict(lambda: array("Q"))
    for path, split in files:
        if split in (None, "train"):
            for row in _rows(path, ("name", "expression")):
                ranks[row["expression"]].append(rank(options.seed, str(row["name"])))
    cuts = {label: cut(values, valid=valid, test=test) for label, values in ranks.items()}
    if options.valid_from_train and max((each.valid for each in cuts.values()), default=-1) < 0:
        raise few_in_train(source)
    notes = ["expression is as rated by annotators, not the class that a picture was made for"]
    if valid:
        new_splits = (
            f"valid ({valid:.0%} of train)" if splits else "train, valid, test (80, 10, 10 %)"
        )
        notes.append(
            f"mien made the split {new_splits} within each expression by a hash of the names, seed "
            f"{options.seed}"
        )

    def items() -> Iterator[Item | LeftOut]:
        for path, split in files:
            for index, row in enumerate(_rows(path, _COLUMNS)):
                name = storable(row["name"] or f"{path.name}:{index}")
                if split in (None, "train"):
                    chosen = cuts[row["expression"]].split(rank(options.seed, str(row["name"])))
                    yield _entry(name, path.name, row, chosen, options.tight)
                else:
                    yield _entry(name, path.name, row, split, options.tight)

    return Reading(
        label_space=SPACE,
        items=items,
        fingerprint=fingerprint_of(f"{path.name} {stamp(path)}" for path, _ in files),
        total=sum(pq.read_metadata(path).num_rows for path, _ in files),
        fields=VALENCE_AROUSAL_FIELDS,
        notes=tuple(notes),
        unused={} if valid else {"seed": HAS_SPLITS},
    )


CORPUS = Corpus(
    name="diffusionfer",
    description="synthetic faces (Stable Diffusion) with 7 expressions, valence and arousal",
    layout=_LAYOUT,
    license_terms=(
        "Synthetic faces made with Stable Diffusion, rated by two annotators: CC0. Results on them "
        "are results on synthetic faces."
    ),
    commercial_use="yes",
    ask="its authors, who publish it as FER-Universe/DiffusionFER for everybody",
    read=read,
    label_space=SPACE,
)


def _find(source: Path) -> list[tuple[Path, str | None]]:
    """Find the files and the splits in their names; :class:`MienError` where there are none."""
    if source.is_dir():
        files = [path for path in sorted(source.glob("*.parquet")) if not _missing(path)]
    elif source.is_file() and source.suffix.lower() == ".parquet":
        if missing := _missing(source):
            raise MienError(
                f"expected the columns {', '.join(_COLUMNS)} in {source}, got a table without "
                f"{', '.join(missing)}: choose another file"
            )
        files = [source]
    else:
        files = []
    if not files:
        got = "none of these" if source.exists() else "nothing"
        raise MienError(f"expected DiffusionFER at {source} as {_LAYOUT}; got {got}")
    return [(path, _split_of(path)) for path in files]


def _split_of(path: Path) -> str | None:
    splits = {split for word in re.split(r"[^A-Za-z]+", path.stem) if (split := split_name(word))}
    return splits.pop() if len(splits) == 1 else None


def _missing(path: Path) -> list[str]:
    try:
        names = pq.read_schema(path).names
    except (OSError, pa.ArrowException) as error:
        raise MienError(f"expected a Parquet file at {path}, got {error}: copy it again") from None
    return [name for name in _COLUMNS if name not in names]


def _rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches(batch_size=256, columns=list(columns)):
            yield from batch.to_pylist()


def _entry(name: str, source: str, row: dict[str, Any], split: str, tight: bool) -> Item | LeftOut:
    image = row["image"]
    if isinstance(image, dict):
        image = image.get("bytes")
    if not isinstance(image, bytes):
        return LeftOut(name, source, "image unreadable: no bytes")
    try:
        affect = valence_arousal(row["valence"], row["arousal"])
    except ValueError as error:
        return LeftOut(name, source, str(error))
    label = None
    if row["expression"]:
        try:
            label = SPACE.names[SPACE.index(row["expression"])]
        except ValueError:
            return LeftOut(name, source, f"not one of the seven expressions: {row['expression']}")
    return Item(
        id=name,
        source=source,
        image=image,
        split=split,
        label=label,
        tight=tight,
        extra=affect,
    )
