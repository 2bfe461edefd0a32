"""Spellings of one class."""

import pytest

from mien.labels import LABEL_SPACES, LabelSpace, canonical_expression, label_space_of


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


@pytest.mark.parametrize("space", LABEL_SPACES.values(), ids=LABEL_SPACES)
def test_every_spelling_of_a_class_is_that_class(space: LabelSpace) -> None:
    for index, name in enumerate(space.names):
        for spelling in (name, name.upper(), name.title(), name.replace(" ", "_")):
            assert space.index(spelling) == index


def test_synonyms_are_one_class_and_codes_are_names() -> None:
    for words in (("Happy", "happy", "joy", "HA"), ("Angry", "anger", "AN"), ("AF", "afraid")):
        assert len({canonical_expression(word) for word in words}) == 1
    assert LABEL_SPACES["rafdb"].names[0] == "surprise"
    assert LABEL_SPACES["affectnet8"].names[5:7] == ("disgust", "anger")
    assert LABEL_SPACES["fer2013"].names[6] == "neutral"
    assert LABEL_SPACES["abaw"].names[7] == "other"
    assert LABEL_SPACES["dfew"].names[3] == "anger"


def test_eight_classes_are_projected_on_seven_by_name() -> None:
    eight, seven = LABEL_SPACES["affectnet8"], LABEL_SPACES["rafdb"]
    matrix = eight.projection(seven)
    assert matrix.sum() == 7 and not matrix[eight.index("contempt")].any()
    for name in seven.names:
        assert matrix[eight.index(name), seven.index(name)] == 1
