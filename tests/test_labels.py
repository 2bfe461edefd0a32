"""Spellings of one class."""

import pytest

from mien.labels import label_space_of


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["Happy", "happy", "Sad", "sad"], ("happiness", "sadness")),
        (["happy", "joy", "sad", "sadness"], ("happiness", "sadness")),
        (["1_happy", "2_sad"], ("happiness", "sadness")),
        (["happy1", "happy2"], ("happy1", "happy2")),
        (["Cat", "dog", "cat", "CAT "], ("Cat", "dog")),
        (["big smile", "big_smile", "Big-Smile", "none"], ("big smile", "none")),
        (["c+", "c-", "c"], ("c+", "c-", "c")),
        (["mu\u0308de", "m\u00fcde", "wach"], ("mu\u0308de", "wach")),
        (["happy", "joy", "awe"], ("happy", "joy", "awe")),
    ],
)
def test_two_spellings_are_one_class(given: list[str], names: tuple[str, ...]) -> None:
    space = label_space_of(given)
    assert space.names == names
    assert {space.names[space.index(each)] for each in given} == set(names)
