from pathlib import Path

import pytest
import yaml

from mien.errors import MienError
from mien.recipes import list_recipes
from mien.training.recipe import Recipe, load_recipe

MINIMAL = {"name": "mine", "losses": [{"loss": "cross-entropy"}]}


def write(path: Path, tree: object) -> Path:
    path.write_text(yaml.safe_dump(tree))
    return path


@pytest.mark.parametrize("name", list_recipes())
def test_every_shipped_recipe_is_valid_short_and_says_what_it_is(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.paper and recipe.about and recipe.expect
    source = Path(__file__).parents[3] / "src" / "mien" / "recipes" / f"{name}.yaml"
    assert len(source.read_text().splitlines()) <= 50


def test_a_resolved_recipe_reads_back_the_same() -> None:
    recipe = load_recipe("triplet")
    assert Recipe.model_validate(yaml.safe_load(recipe.to_yaml())) == recipe


def test_changes_reach_nested_keys_list_items_and_floats() -> None:
    recipe = load_recipe(
        "triplet",
        ["optimizer.lr=1e-4", "losses.1.weight=0.25", "schedule.epochs=3", "embedding.size=null"],
    )
    assert recipe.optimizer.lr == 1e-4
    assert recipe.losses[1].weight == 0.25
    assert recipe.schedule.epochs == 3
    assert recipe.embedding.size is None


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (MINIMAL | {"optimiser": {}}, "did you mean 'optimizer'"),
        (MINIMAL | {"optimizer": {"llr": 1}}, "unknown key 'optimizer.llr'; did you mean 'lr'"),
        (MINIMAL | {"schedule": {"epochs": 0}}, "schedule.epochs"),
        ({"name": "x", "losses": []}, "losses"),
        (
            {"name": "x", "losses": [{"loss": "tripplet"}]},
            "or pml.SomeLoss (a loss of pytorch-metric-learning), got 'tripplet'; did you mean "
            "'triplet'?",
        ),
        ({"name": "x", "losses": [{"term": "triplet"}]}, "losses.0: expected a loss"),
        ({"name": "x", "losses": [{"loss": "triplet"}]}, "cross-entropy"),
        (
            MINIMAL | {"losses": [{"loss": "triplet", "treshold": 1}]},
            "'losses.0.triplet.treshold'; did you mean 'threshold'?",
        ),
        (MINIMAL | {"heads": {"expresion": {}}}, "'heads.expresion'; did you mean 'expression'?"),
        (MINIMAL | {"heads": {"expression": {"bais": True}}}, "did you mean 'bias'?"),
        (
            MINIMAL | {"heads": {"severity": {"temprature": 2}}},
            "'heads.severity.temprature'; did you mean 'temperature'?",
        ),
        (
            MINIMAL | {"losses": [{"loss": "cross-entropy"}, {"loss": "triplet"}], "mixup": 0.2},
            "mixup has no single label for triplet",
        ),
        (MINIMAL | {"backbone": {"weights": "a.safetensors"}}, "backbone.license_terms"),
        (["a list"], "mapping"),
    ],
)
def test_mistakes_are_one_sentence_that_names_them(
    tree: object, message: str, tmp_path: Path
) -> None:
    with pytest.raises(MienError) as caught:
        load_recipe(write(tmp_path / "mine.yaml", tree))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_in_the_wrong_place_is_not_said_to_be_itself(tmp_path: Path) -> None:
    tree = MINIMAL | {"heads": {"expression": {"temperature": 2}}}
    with pytest.raises(MienError, match=r"unknown key 'heads\.expression\.temperature'$"):
        load_recipe(write(tmp_path / "mine.yaml", tree))


@pytest.mark.parametrize(
    "change", ["epochs", "=3", "losses.7.weight=1", "name.deep=1", "losses.x.weight=1"]
)
def test_a_bad_change_is_refused(change: str) -> None:
    with pytest.raises(MienError, match="--set"):
        load_recipe("triplet", [change])


def test_broken_yaml_and_missing_files_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("name: [")
    for name in (tmp_path / "broken.yaml", tmp_path / "missing.yaml", "no-such-recipe"):
        with pytest.raises(MienError) as caught:
            load_recipe(name)
        assert "\n" not in str(caught.value)
