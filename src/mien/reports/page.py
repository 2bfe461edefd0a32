"""Pages: one HTML file with everything inlined, from templates that escape what they are given."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from mien.reports.tables import plural

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: Any) -> str:
    """A page from a template of this package; a name that a template misses is an error."""
    return _environment().get_template(template).render(**values)


def sentence(text: str) -> str:
    """The text with a capital, a full stop, and minus signs set as such.

    >>> sentence("one row is -1")
    'One row is \u22121.'
    """
    text = text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
    return text.replace(" -", " \u2212")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mien.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"sentence": sentence, "plural": plural, "count": "{:,}".format}
    return environment
