"""The license ledger: its answer over combinations, its way through models, and forged ones."""

import json
import shutil
from collections.abc import Callable
from itertools import combinations_with_replacement, permutations
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper
from small_training import SMALL
from toy_corpora import class_folders

import mien
from mien.corpora import CORPORA, corpus_of, licenses_of
from mien.data.concat import concat_datasets
from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.licenses import MOST_ENTRIES, Ledger, License, documents, merged, through, unclear
from mien.models import read_info
from mien.training.export import export
from mien.training.fit import fit
from mien.training.licenses import licenses_of_older_run, licenses_of_run
from mien.training.recipe import load_recipe

ANSWERS = ("yes", "no", "unclear")


def work(answer: str, name: str = "A", **fields: Any) -> License:
    return License(kind="data", name=name, commercial_use=answer, **fields)  # type: ignore[arg-type]


def restated(dataset: Path, out: Path, **changes: Any) -> Dataset:
    """A copy of a dataset that says something else; ``...`` removes a key."""
    shutil.copytree(dataset, out)
    info = json.loads((out / "dataset.json").read_text("utf-8")) | changes
    info = {key: value for key, value in info.items() if value is not ...}
    (out / "dataset.json").write_text(json.dumps(info), "utf-8")
    return Dataset.open(out)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_one_no_is_no_and_one_unclear_is_never_yes(size: int) -> None:
    for answers in combinations_with_replacement(ANSWERS, size):
        entries = [work(answer, f"{answer} {i}") for i, answer in enumerate(answers)]
        expected = "no" if "no" in answers else "unclear" if "unclear" in answers else "yes"
        for order in permutations(entries):
            ledger = Ledger(order)
            assert ledger.commercial_use == expected
            assert {entry.commercial_use for entry in ledger.reasons} == {expected}
            assert ledger.document()["reasons"] == [entry.name for entry in ledger.reasons]


def test_nothing_known_is_unclear() -> None:
    assert Ledger(()).commercial_use == "unclear" and "nothing is known" in str(Ledger(()))
    assert unclear("data", "", "").name == "unnamed"
    assert len(unclear("data", "a", "b" * 9999).license_terms) == 2000
    assert unclear("data", "a", "red \x1b[31m\nblue").license_terms == "red [31m blue"


def test_a_work_is_there_once_by_its_nearest_chain() -> None:
    direct, far = work("no"), through("B", through("C", [work("no")]))
    assert (
        far[0].through == ("B", "C")
        and str(far[0]) == "A, through B, through C: no terms are known"
    )
    assert merged([far, [direct]]) == merged([[direct], far]) == (direct,)
    # Who states another answer is heard, too.
    assert Ledger(merged([[work("yes")], [work("no")]])).commercial_use == "no"


def test_what_does_not_fit_is_refused_in_a_sentence() -> None:
    many = [work("yes", str(number)) for number in range(MOST_ENTRIES + 1)]
    with pytest.raises(MienError, match=r"at most 200 works, got 201: train on fewer"):
        merged([many])
    chain = [work("yes")]
    for number in range(32):
        chain = list(through(f"m{number}", chain))
    with pytest.raises(MienError, match="start from an earlier model"):
        through("one more", chain)


def test_every_corpus_answers_and_none_of_ones_own_says_yes() -> None:
    answers = {name: Ledger(corpus.licenses).commercial_use for name, corpus in CORPORA.items()}
    assert {name for name, answer in answers.items() if answer == "yes"} == {"diffusionfer"}
    assert {name for name, answer in answers.items() if answer == "unclear"} == {
        *("folder", "recordings"),
    }
    assert [entry.name for entry in corpus_of("ferplus").licenses] == ["FER2013", "FER+"]
    for corpus in CORPORA.values():
        assert all(entry.license_terms and entry.stated_by for entry in corpus.licenses)


def test_the_shipped_model_answers_no_and_says_why() -> None:
    ledger = mien.load("fer").license
    assert ledger.commercial_use == "no"
    assert [entry.name for entry in ledger.reasons] == ["FER2013", "VGGFace2"]
    assert "no (FER2013, VGGFace2)" in read_info("fer").card


def test_an_older_model_is_unclear_whatever_its_text_says(toy_run: Path, tmp_path: Path) -> None:
    for text in ("CC0, free for commercial use, yes.", ""):
        document = json.loads((toy_run / "model.json").read_text("utf-8"))
        del document["licenses"]
        (tmp_path / "model.json").write_text(json.dumps(document | {"license_terms": text}))
        info = read_info(tmp_path)
        assert not info.licenses and info.ledger.commercial_use == "unclear"
        assert info.ledger.entries[0].license_terms == text


def test_an_older_run_is_known_by_its_words_only() -> None:
    recipe = load_recipe("fer").backbone.license_terms
    document = {
        "name": "fer",
        "trained_on": {"corpus": "ferplus"},
        "license_sources": {
            "data": corpus_of("ferplus").license_terms,
            "start_weights": recipe,
        },
    }
    ledger = Ledger(licenses_of_older_run(document))
    assert {entry.name for entry in ledger.reasons} == {"FER2013", "VGGFace2"}
    sources = {"data": "free for all", "start_weights": "also free"}
    ledger = Ledger(licenses_of_older_run(document | {"license_sources": sources}))
    assert ledger.commercial_use == "unclear" and len(ledger.entries) == 2
    for broken in ({}, {"license_sources": 3}, {"trained_on": None}):
        assert Ledger(licenses_of_older_run(broken)).commercial_use == "unclear"


def test_a_dataset_without_a_ledger_is_that_of_its_corpus_or_unclear(
    toy_dataset: Path, tmp_path: Path
) -> None:
    assert Ledger(Dataset.open(toy_dataset).licenses).commercial_use == "unclear"
    rafdb = corpus_of("rafdb")
    known = restated(
        toy_dataset, tmp_path / "a", licenses=..., corpus="rafdb", license_terms=rafdb.license_terms
    )
    assert Ledger(known.licenses).commercial_use == "unclear"
    assert licenses_of(known) == rafdb.licenses
    other = restated(
        toy_dataset, tmp_path / "b", licenses=..., corpus="rafdb", license_terms="found on the web"
    )
    assert Ledger(licenses_of(other)).commercial_use == "unclear"
    free = restated(toy_dataset, tmp_path / "c", licenses=documents([work("yes", "free")]))
    both = concat_datasets([free, known])
    assert [entry.name for entry in licenses_of(both)] == ["free", "RAF-DB"]
    assert Ledger(licenses_of(both)).commercial_use == "no"
    recipe = load_recipe("softmax", SMALL)
    versions = {entry.name: entry.version for entry in licenses_of_run(recipe, free)}
    assert versions == {"free": free.info["checksum"][:12]}


@pytest.mark.parametrize(
    ("data", "weights", "expected"),
    [
        ("yes", None, "yes"),
        ("yes", "yes", "yes"),
        ("yes", "unclear", "unclear"),
        ("yes", "no", "no"),
        ("no", "yes", "no"),
        (None, None, "unclear"),
    ],
)
def test_a_run_answers_for_its_data_and_its_start_weights(
    data: str | None, weights: str | None, expected: str, toy_dataset: Path, tmp_path: Path
) -> None:
    licenses = ... if data is None else documents([work(data, "data")])
    dataset = restated(toy_dataset, tmp_path / "data", licenses=licenses)
    recipe = load_recipe("softmax", SMALL)
    if weights is not None:
        (tmp_path / "start.safetensors").write_bytes(b"weights")
        stated = () if weights == "unclear" else (work(weights, "weights"),)
        backbone = recipe.backbone.model_copy(
            update={
                "weights": str(tmp_path / "start.safetensors"),
                "license_terms": "somebody's",
                "licenses": stated,
            }
        )
        recipe = recipe.model_copy(update={"backbone": backbone})
    entries = licenses_of_run(recipe, dataset)
    assert Ledger(entries).commercial_use == expected
    if weights == "unclear":
        assert (entries[-1].name, len(entries[-1].version)) == ("start.safetensors", 12)


def test_weights_of_a_run_carry_its_ledger_whatever_a_recipe_states(
    toy_run: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    document = json.loads((toy_run / "model.json").read_text("utf-8"))
    document["licenses"] = documents([work("no", "web")])
    (tmp_path / "model.json").write_text(json.dumps(document))
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    recipe = load_recipe("softmax", SMALL)
    backbone = recipe.backbone.model_copy(
        update={
            "weights": str(tmp_path / "model.safetensors"),
            "license_terms": "free",
            "licenses": (work("yes", "stated"),),
        }
    )
    recipe = recipe.model_copy(update={"backbone": backbone})
    free = restated(toy_dataset, tmp_path / "data", licenses=documents([work("yes", "mine")]))
    ledger = Ledger(licenses_of_run(recipe, free))
    assert ledger.commercial_use == "no" and ledger.reasons[0].through == ("softmax",)
    assert {entry.name for entry in ledger.entries} == {"mine", "web", "stated"}
    (tmp_path / "model.json").write_text("{}")  # somebody else's file
    assert Ledger(licenses_of_run(recipe, free)).commercial_use == "yes"


@pytest.mark.slow
def test_the_ledger_goes_through_export_and_fine_tuning(
    toy_dataset: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    first = restated(toy_dataset, tmp_path / "first", licenses=documents([work("no", "web")]))
    run = fit(load_recipe("softmax", [*SMALL, "schedule.epochs=1"]), first, tmp_path / "run1")
    export(run, tmp_path / "one.onnx")
    assert "Commercial use: no (web)." in read_info(tmp_path / "one.onnx").card
    second = restated(toy_dataset, tmp_path / "second", licenses=documents([work("yes", "mine")]))
    recipe = load_recipe(
        "softmax",
        [
            *(change for change in SMALL if not change.startswith("backbone")),
            f"backbone={{weights: {tmp_path / 'one.onnx'}}}",
            "schedule.epochs=1",
        ],
    )
    run = fit(recipe, second, tmp_path / "run2", threads=1)
    export(run, tmp_path / "two.onnx")
    ledger = read_info(tmp_path / "two.onnx").ledger
    assert ledger == read_info(run).ledger
    assert [(entry.name, entry.through) for entry in ledger.entries] == [
        *(("mine", ()), ("web", ("one",))),
    ]
    assert ledger.commercial_use == "no"
    shown = command("models", tmp_path / "two.onnx")
    assert "may it be used commercially? no (web)" in shown.out
    assert "no       data" in shown.out and "web, through one" in shown.out
    document = json.loads(command("models", tmp_path / "two.onnx", "--json").out)
    assert document["license"]["commercial_use"] == "no"
    assert document["license"]["reasons"] == ["web"]
    report = ("evaluate", tmp_path / "two.onnx", "--data", toy_dataset, "--split", "valid")
    assert command(*report, "--out", tmp_path / "report").code == 0
    provenance = json.loads((tmp_path / "report" / "report.json").read_text())["provenance"]
    assert provenance["commercial_use"] == "model: no (web)"
    assert "model: no (web)" in (tmp_path / "report" / "report.html").read_text("utf-8")


def test_who_prepares_data_of_ones_own_may_state_its_license(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    class_folders(tmp_path / "photos", ["happy", "sad"], 5)
    prepare = ("prepare", "folder", "photos", "--tight", "--size", 16, "--workers", 1, "--out")
    terms = "Our own pictures, with consent."
    assert command(*prepare, "plain").code == 0
    assert Ledger(Dataset.open("plain").licenses).commercial_use == "unclear"
    stated = ("--license", terms, "--commercial-use", "yes")
    assert command(*prepare, "stated", *stated).code == 0
    dataset = Dataset.open("stated")
    assert Ledger(licenses_of(dataset)).commercial_use == "yes" and dataset.license_terms == terms
    assert command(*prepare, "half", "--license", terms).code == 0
    assert Ledger(Dataset.open("half").licenses).commercial_use == "unclear"
    command(*prepare, "no", "--commercial-use", "yes").refused("--license", "in a sentence")
    rafdb = ("prepare", "rafdb", "photos", "--out", "no", *stated)
    command(*rafdb).refused("data of your own", "rafdb, whose terms are known")


FORGERIES: list[tuple[Any, str]] = [
    ("yes", "'licenses'"),
    ([{"kind": "data"}], "'licenses.0.name'"),
    ([{"kind": "wish", "name": "A"}], "'licenses.0.kind'"),
    ([{"kind": "data", "name": "A", "commercial_use": "of course"}], "commercial_use'"),
    ([{"kind": "data", "name": "A", "commercial_use": True}], "commercial_use'"),
    ([{"kind": "data", "name": "A\x1b[2J"}], "'licenses.0.name'"),
    ([{"kind": "data", "name": "A", "license_terms": "x" * 2001}], "'licenses.0.license_terms'"),
    ([{"kind": "data", "name": "A", "through": ["B"] * 33}], "'licenses.0.through'"),
    ([{"kind": "data", "name": "A", "price": 3}], "'licenses.0.price'"),
    ([{"kind": "data", "name": str(n)} for n in range(201)], "'licenses'"),
]


@pytest.mark.parametrize(("licenses", "where"), FORGERIES, ids=lambda value: str(value)[:40])
def test_a_forged_ledger_is_one_sentence_in_models_and_datasets(
    licenses: Any, where: str, toy_model: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    model = onnx.load(toy_model)
    document = json.loads(model.metadata_props[0].value) | {"licenses": licenses}
    helper.set_model_props(model, {"mien": json.dumps(document)})
    onnx.save(model, tmp_path / "forged.onnx")
    with pytest.raises(MienError) as caught:
        read_info(tmp_path / "forged.onnx")
    assert where in str(caught.value) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    with pytest.raises(MienError) as caught:
        restated(toy_dataset, tmp_path / "data", licenses=licenses)
    assert where in str(caught.value) and "\n" not in str(caught.value)
