"""Every head has a section of reports and comparisons, with the same functions."""

import inspect

import pytest

from mien.evaluation.heads import READERS
from mien.heads import HEADS
from mien.reports.evaluation import HeadArrays
from mien.reports.sections import SECTIONS, Section

FUNCTIONS = {
    name: member
    for name, member in vars(Section).items()
    if inspect.isfunction(member) and not name.startswith("_")
}


def test_every_head_has_a_section_and_a_reader() -> None:
    assert list(SECTIONS) == list(HEADS)
    assert set(READERS) == set(HEADS)


@pytest.mark.parametrize("head", HEADS)
def test_a_section_has_the_functions_of_all(head: str) -> None:
    section = SECTIONS[head]
    assert {"evaluate", "tables", "figures", "compare"} <= FUNCTIONS.keys()
    for name, function in FUNCTIONS.items():
        wanted = list(inspect.signature(function).parameters)[1:]
        parameters = inspect.signature(getattr(section, name)).parameters
        assert list(parameters) == wanted, name
        assert getattr(section, name).__doc__, name
    assert issubclass(section.ARRAYS, HeadArrays)
    assert set(section.HEADLINE) <= set(section.METRICS)
    # What selects an epoch is found in the report under the same name.
    assert HEADS[head].metrics[0].name in section.METRICS
    assert all(metric.name == name for name, metric in section.METRICS.items())
