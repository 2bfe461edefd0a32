"""The hint that goes with an unknown name."""

from mien.errors import did_you_mean
from mien.recipes import list_recipes


def test_the_closest_name_is_offered_and_nothing_where_none_is_close() -> None:
    assert did_you_mean("tripplet", list_recipes()) == "; did you mean 'triplet'?"
    assert did_you_mean("xyz", list_recipes()) == ""
    assert did_you_mean("anything", []) == ""
