"""A dataset as Croissant metadata, which other tools read: files, columns, splits, terms, origin.

The format is that of MLCommons, version 1.1 (January 2026), with its vocabulary for responsible AI
(RAI 1.0) and the provenance of the W3C (PROV-O). ``dataset.json`` is what mien itself reads.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mien import __version__
from mien.corpora.about import ABOUT, About
from mien.corpora.votes import group_columns
from mien.data.dataset import CROPS_FILE, FACES_FILE, INFO_FILE, LEFT_OUT_FILE, Dataset
from mien.licenses import Ledger
from mien.scales import RESEARCH_ONLY

CROISSANT_FILE = "croissant.json"
CROISSANT = "http://mlcommons.org/croissant/1.1"
RAI = "http://mlcommons.org/croissant/RAI/1.0"

_FORMATS = {
    FACES_FILE: "application/x-parquet",
    CROPS_FILE: "application/x-npy",
    LEFT_OUT_FILE: "text/csv",
    INFO_FILE: "application/json",
}
_COLUMNS = {
    "id": "Unique in the dataset.",
    "source": "The file that the row came from.",
    "corpus": "The corpus that the row came from.",
    "split": "What the row is for: train, valid or test.",
    "subject": "The person, where the corpus names people.",
    "video": "The recording that the row is a frame of.",
    "frame": "The number of the frame in its recording, from 0 or as in the corpus.",
    "time": "The time of the frame in its recording, in seconds.",
    "label": "The expression, as a class of the label space.",
    "landmarks": "x and y in turn, as fractions of the crop.",
    "alignment": "How the crop was cut: similarity, box or fixed.",
    "quality": "The confidence of the face detector, 0 to 1.",
    "valence": "How pleasant the face looks, -1 to 1.",
    "arousal": "How activated the face looks, -1 to 1.",
    "severity": "The score of the recording.",
    "fold": "The fold of the corpus in which the row is tested.",
}
_SENSITIVE = {
    **dict.fromkeys(("sex", "gender"), "Gender"),
    **dict.fromkeys(("age", "age_group"), "Age"),
    **dict.fromkeys(("race", "ethnicity", "skin_tone", "fitzpatrick"), "Race, ethnicity or skin"),
}
_NAMES_OF_11 = ("arrayShape", "isArray", "containedIn", "annotation", "excludes", "sdVersion")
_NAMES = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject"),
    *("fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField"),
    *("path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
    *("separator", "source", "subField", "transform", *_NAMES_OF_11),
)
_NON_COMMERCIAL = {
    "@type": "sc:DefinedTerm",
    "name": "non-commercial use only",
    "termCode": "DUO_0000046",
    "url": "http://purl.obolibrary.org/obo/DUO_0000046",
}
_PAGE = re.compile(r"(?:[\w-]+\.)+[a-z]{2,}(?:/[\w./~-]*\w)?")


def croissant(
    dataset: Dataset, schema: pa.Schema, description: str, about: About | None, *, ask: str = ""
) -> dict[str, Any]:
    """The metadata of a dataset whose ``dataset.json`` is the text ``description``.

    ``schema`` is that of its ``faces.parquet``; ``about`` says how the corpus came about, and
    ``ask`` where its owners give it away. Where the corpus has no year of publication, the
    dataset is published on the day of writing.
    """
    info = dataset.info
    corpus = str(info["corpus"])
    about = about or ABOUT.get(corpus) or About(corpus or "faces", ABOUT["folder"].collection)
    ledger = Ledger(dataset.licenses)
    page = _PAGE.search(ask)
    year = str(about.year) if about.year else datetime.now(UTC).date().isoformat()
    return {
        "@context": _context(),
        "@type": "sc:Dataset",
        "conformsTo": [CROISSANT, RAI],
        "name": re.sub(r"[^\w-]+", "-", f"mien-{info['corpus'] or 'faces'}"),
        "description": _description(info, about),
        "url": f"https://{page[0]}" if page else f"urn:sha256:{info['checksum']}",
        "version": f"1.0.0+{info['checksum'][:12]}",
        "datePublished": year,
        "creator": _maker(about),
        "citeAs": about.citation or f"{about.title}, prepared with mien {__version__}",
        "keywords": ["faces", "affective computing", "facial expression recognition"],
        "license": [
            {"@type": "sc:CreativeWork", "name": entry.name, "description": str(entry)}
            for entry in ledger.entries
        ],
        "conditionsOfAccess": ask or "Kept by those who prepared it.",
        **({"usageInfo": _NON_COMMERCIAL} if ledger.commercial_use == "no" else {}),
        **_provenance(info, about),
        **_responsible(dataset, schema, about),
        "distribution": _files(info, description),
        "recordSet": _record_sets(dataset, schema),
    }


def _context() -> dict[str, Any]:
    """The context of Croissant 1.1, with the prefix of PROV-O."""
    return {
        "@language": "en",
        "@vocab": "https://schema.org/",
        "sc": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "dct": "http://purl.org/dc/terms/",
        "prov": "http://www.w3.org/ns/prov#",
        "conformsTo": "dct:conformsTo",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "examples": {"@id": "cr:examples", "@type": "@json"},
        **{name: f"cr:{name}" for name in sorted(_NAMES)},
    }


def _description(info: dict[str, Any], about: About) -> str:
    counts = {split: sum(by_class.values()) for split, by_class in info["counts"].items()}
    splits = ", ".join(f"{count:,} in {split}" for split, count in counts.items())
    side = info["preprocessing"]["size"]
    return (
        f"{info['rows']:,} crops of faces of {about.title}, {side} x {side} pixels ({splits}). "
        f"Row i of {CROPS_FILE} is the crop of row i of {FACES_FILE}."
    )


def _maker(about: About) -> dict[str, str]:
    if about.citation:
        name = f"{about.citation.split(':')[0]} (corpus), prepared with mien"
    else:
        name = "whoever prepared it with mien"
    return {"@type": "sc:Organization", "name": name}


def _provenance(info: dict[str, Any], about: About) -> dict[str, Any]:
    recipe = json.dumps(info["preprocessing"], sort_keys=True)
    return {
        "prov:wasDerivedFrom": {
            "@type": "prov:Entity",
            "prov:label": about.title,
            "description": f"The corpus {info['corpus']!r} of mien.",
        },
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": "mien synth" if info["corpus"] == "rendered" else "mien prepare",
            "description": f"Crops {info['preprocessing_hash']}: {recipe}",
            "prov:wasAssociatedWith": {
                "@type": "prov:SoftwareAgent",
                "prov:label": f"mien {__version__}",
            },
        },
    }


def _responsible(dataset: Dataset, schema: pa.Schema, about: About) -> dict[str, Any]:
    """The properties of RAI: how it came about, what was done to it, what it is not good for."""
    info, collection = dataset.info, about.collection
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in info["left_out"].items())
    notes = info["notes"]
    return {
        "rai:dataCollection": collection.text,
        "rai:dataCollectionType": [collection.kind],
        "rai:dataCollectionRawData": f"{about.title}: {about.citation or 'no publication known'}",
        "rai:dataCollectionMissingData": f"Left out: {left_out or 'nothing'}; see {LEFT_OUT_FILE}.",
        "rai:dataPreprocessingProtocol": [
            "Faces were moved onto a template, or their boxes cut out, and resized; the column "
            "alignment says which.",
            *notes,
        ],
        "rai:dataAnnotationProtocol": [about.annotated or "Not known."],
        **({"rai:annotationsPerItem": about.per_item} if about.per_item else {}),
        "rai:machineAnnotationTools": [note for note in notes if " detected by " in note]
        or ["none"],
        "rai:dataBiases": [*collection.biases, *_imbalance(info)],
        "rai:dataLimitations": [
            "A label says what a face shows to annotators, not what a person feels.",
            *([RESEARCH_ONLY] if dataset.scale is not None else []),
        ],
        "rai:dataUseCases": ["Training, validation and testing of models that read faces."],
        "rai:personalSensitiveInformation": _sensitive(dataset, schema, about),
    }


def _imbalance(info: dict[str, Any]) -> list[str]:
    """How unequal the classes are, over all splits."""
    counts: Counter[str] = Counter()
    for by_class in info["counts"].values():
        counts.update({k: n for k, n in by_class.items() if k in info["label_space"]["names"]})
    if not counts:
        return []
    (most, greatest), (least, smallest) = counts.most_common()[0], counts.most_common()[-1]
    if greatest == smallest:
        return []
    return [f"Classes are unequal: {greatest:,} rows of {most}, {smallest:,} of {least}."]


def _sensitive(dataset: Dataset, schema: pa.Schema, about: About) -> list[str]:
    if about.collection.kind == "Others" and about.collection is not ABOUT["folder"].collection:
        return ["None: the faces are of nobody."]
    columns = group_columns(schema.names)
    return [
        "Faces of identifiable people.",
        *dict.fromkeys(_SENSITIVE[name] for name in columns if name in _SENSITIVE),
        *(["Names of subjects"] if _has_values(dataset, "subject") else []),
        *(["Health: scores of a questionnaire"] if dataset.scale is not None else []),
    ]


def _files(info: dict[str, Any], description: str) -> list[dict[str, Any]]:
    content = description.encode()
    files = info["files"] | {
        INFO_FILE: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    }
    return [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{file['bytes']} B",
            "encodingFormat": _FORMATS[name],
            "sha256": file["sha256"],
        }
        for name, file in files.items()
    ]


def _record_sets(dataset: Dataset, schema: pa.Schema) -> list[dict[str, Any]]:
    side = dataset.preprocessing.size
    channels = 1 if dataset.preprocessing.color == "gray" else 3
    usual = {
        "train": "cr:TrainingSplit",
        "valid": "cr:ValidationSplit",
        "test": "cr:TestSplit",
    }
    splits = [name for name in usual if name in dataset.info["counts"]]
    classes = {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "description": f"The label space {dataset.label_space.name}.",
        "dataType": "sc:Enumeration",
        "key": {"@id": "classes/name"},
        "field": [_field("classes", "name", "sc:Text")],
        "data": [{"classes/name": name} for name in dataset.label_space.names],
    }
    has_classes = bool(dataset.vote_names) or _has_values(dataset, "label")
    return [
        {
            "@type": "cr:RecordSet",
            "@id": "splits",
            "name": "splits",
            "dataType": "cr:Split",
            "key": {"@id": "splits/name"},
            "field": [_field("splits", "name", "sc:Text"), _field("splits", "url", "sc:URL")],
            "data": [{"splits/name": name, "splits/url": usual[name]} for name in splits],
        },
        *([classes] if has_classes else []),
        {
            "@type": "cr:RecordSet",
            "@id": "faces",
            "name": "faces",
            "description": "One row for each face.",
            "key": {"@id": "faces/id"},
            "field": [_column(dataset, column) for column in schema],
        },
        {
            "@type": "cr:RecordSet",
            "@id": "crops",
            "name": "crops",
            "description": (
                f"A NumPy array of uint8, {len(dataset)} x {side} x {side} x {channels}, in the "
                "order of the rows of faces."
            ),
            "field": [
                {
                    **_field("crops", "crop", "cr:UInt8", "sc:ImageObject"),
                    "isArray": True,
                    "arrayShape": f"{side},{side},{channels}",
                    "source": {
                        "fileObject": {"@id": CROPS_FILE},
                        "extract": {"fileProperty": "content"},
                    },
                }
            ],
        },
    ]


def _field(record_set: str, name: str, *types: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{name}",
        "name": name,
        "dataType": types[0] if len(types) == 1 else list(types),
    }


def _has_values(dataset: Dataset, column: str) -> bool:
    """Whether a column is not null in all rows, of which a part is in memory at a time."""
    with pq.ParquetFile(dataset.folder / FACES_FILE) as file:
        batches = file.iter_batches(columns=[column])
        return any(batch.column(0).null_count < len(batch) for batch in batches)


def _column(dataset: Dataset, column: pa.Field) -> dict[str, Any]:
    kind, types, array = column.type, [], {}
    if pa.types.is_list(kind):
        kind, array = kind.value_type, {"isArray": True, "arrayShape": "-1"}
    types.append(_type(kind))
    if column.name in ("label", "votes"):
        types.append("cr:Label")
    text = _COLUMNS.get(column.name, "")
    if column.name == "votes":
        text = f"How many annotators chose: {', '.join(dataset.vote_names) or 'not known'}."
    elif re.fullmatch(r"au\d\d", column.name):
        text = "An action unit: 0 absent, 1 present, or an intensity between."
    return {
        **_field("faces", column.name, *types),
        **({"description": text} if text else {}),
        **array,
        # As mlcroissant reads references; the specification has the @id alone.
        **({"references": {"field": {"@id": "splits/name"}}} if column.name == "split" else {}),
        "source": {"fileObject": {"@id": FACES_FILE}, "extract": {"column": column.name}},
    }


def _type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return f"cr:{'UInt' if pa.types.is_unsigned_integer(kind) else 'Int'}{kind.bit_width}"
    if pa.types.is_floating(kind):
        return f"cr:Float{kind.bit_width}"
    return "sc:Boolean" if pa.types.is_boolean(kind) else "sc:Text"
