"""Which parts of a recipe fit together, and what is said of those that do not."""

import pytest
import yaml

from mien.errors import MienError
from mien.recipes import list_recipes
from mien.training.recipe import Recipe, load_recipe

C3D_FROZEN = "backbone={name: c3d, weights: some.safetensors, license_terms: ours, frozen: true}"
RESTORED = "backbone={name: test_resnet, weights: a.safetensors, license_terms: ours}"


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        (
            "softmax",
            ["losses.1={loss: label-distribution}"],
            "the loss label-distribution trains the head severity, which this recipe does not "
            "have; add heads.severity",
        ),
        ("softmax", ["select=mae"], "expected select to be a metric of the heads (accuracy,"),
        ("softmax", ["heads={}"], "expected heads (expression, valence_arousal"),
        (
            "softmax",
            ["heads={severity: {}}", "losses=[{loss: label-distribution}]"],
            "the head severity reads recordings, and this recipe reads single faces; set clips",
        ),
        ("softmax", ["backbone={name: small-3d}"], "reads clips, and this recipe reads single"),
        (
            "ldl",
            ["losses.1={loss: cross-entropy}"],
            "the loss cross-entropy trains the head expression, which this recipe does not have",
        ),
        ("ldl", ["select=accuracy"], "expected select to be a metric of the heads (mae, rmse,"),
        ("ldl", ["losses=[{loss: histogram}]"], "nothing would train the head severity; add a"),
        ("ldl", ["heads.severity.kind=score"], "needs levels to learn, which"),
        ("regression", ["losses.1={loss: score-classification}"], "needs levels to learn, which"),
        ("ldl", ["mixup=0.2"], "no mixup"),
        ("ldl", ["attention={pixel: true}"], "clips have no pixel-wise attention"),
        ("ldl", [C3D_FROZEN], "no frames to keep"),
        ("ldl", [RESTORED, "backbone.restore_batch_norm=true"], "restore_batch_norm reads single"),
        ("ldl", ["losses.1={loss: ordinal-histogram, edges: [1, 2, 64]}"], "edges of two groups"),
        ("ldl", ["clips.lenght=3"], "did you mean 'length'"),
        ("ldl", ["temporal.hidden=3"], "did you mean 'hidden_size'"),
        ("softmax", ["attention.element=true"], "nothing would train attention.element"),
    ],
)
def test_what_makes_no_sense_is_refused(recipe: str, changes: list[str], message: str) -> None:
    with pytest.raises(MienError) as caught:
        load_recipe(recipe, changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_goes_through_yaml_unchanged_with_its_heads(name: str) -> None:
    recipe = load_recipe(name)
    again = Recipe.model_validate(yaml.safe_load(recipe.to_yaml()))
    assert again == recipe
    assert {key: type(value) for key, value in again.heads.items()} == {
        key: type(value) for key, value in recipe.heads.items()
    }
    assert [type(loss) for loss in again.losses] == [type(loss) for loss in recipe.losses]


def test_heads_stand_in_the_order_of_the_registry_and_the_first_selects() -> None:
    changes = ["heads={valence_arousal: {}, expression: null}"]
    recipe = load_recipe("multi-task", changes)
    assert list(recipe.heads) == ["expression", "valence_arousal"]
    assert (recipe.select, recipe.selecting_head) == ("accuracy", "expression")
    assert load_recipe("multi-task", ["select=ccc_arousal"]).selecting_head == "valence_arousal"
    assert load_recipe("ldl").select == "mae"
    assert list(recipe.metrics)[:2] == ["accuracy", "mean_class_accuracy"]
