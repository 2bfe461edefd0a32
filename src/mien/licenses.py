"""The license ledger: what a dataset or a model rests on, and whether commercial use is allowed.

Every entry says what somebody stated about one work: data, labels, weights, a teacher, software.
Entries travel from datasets and start weights to runs, exported models and what is fine-tuned from
those. Nothing here is legal advice: an answer is only as good as the statements behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mien.errors import MienError

Answer = Literal["yes", "no", "unclear"]
Kind = Literal["data", "labels", "weights", "teacher", "software"]

MOST_ENTRIES = 200
_LONGEST = 2000


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected text in one line without control characters")
    return text


_Text = Annotated[str, Field(max_length=_LONGEST), AfterValidator(_printable)]
_Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]


class License(BaseModel):
    """What is known about the license of one work.

    ``version`` is a version or the beginning of a checksum, where known. ``commercial_use`` and
    ``attribution`` say whether the terms allow the one and ask for the other. ``stated_by`` names
    the source of the statement. ``through`` are the models that the work came through, the nearest
    first: a model that is fine-tuned from B, which was trained on A, has A through ``("B",)``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    name: _Name
    version: Annotated[str, Field(max_length=100), AfterValidator(_printable)] = ""
    license_terms: _Text = ""
    commercial_use: Answer = "unclear"
    attribution: Answer = "unclear"
    stated_by: _Text = ""
    through: tuple[_Name, ...] = Field(default=(), max_length=32)

    def __str__(self) -> str:
        """The entry in one line.

        >>> str(License(kind="data", name="A", license_terms="CC0.", through=("B",)))
        'A, through B: CC0.'
        """
        chain = "".join(f", through {name}" for name in self.through)
        return f"{self.name}{chain}: {self.license_terms or 'no terms are known'}"


Licenses = Annotated[tuple[License, ...], Field(max_length=MOST_ENTRIES)]
"""The entries of a ledger as a field of metadata; more than 200 are refused."""


@dataclass(frozen=True)
class Ledger:
    """The entries of a dataset or a model, and the answer that follows from them.

    Commercial use is ``no`` where the terms of one work forbid it, else ``unclear`` where those of
    one work leave it open or where nothing is known at all, else ``yes``.

    >>> mit = License(kind="labels", name="A", commercial_use="yes")
    >>> web = License(kind="data", name="B", commercial_use="no")
    >>> Ledger((mit,)).commercial_use, Ledger((mit, web)).commercial_use, Ledger(()).commercial_use
    ('yes', 'no', 'unclear')
    """

    entries: tuple[License, ...]

    @property
    def commercial_use(self) -> Answer:
        """``yes``, ``no`` or ``unclear``."""
        answers = {entry.commercial_use for entry in self.entries}
        if "no" in answers:
            return "no"
        return "yes" if answers == {"yes"} else "unclear"

    @property
    def reasons(self) -> tuple[License, ...]:
        """The entries that decide the answer; all of them where it is yes."""
        answer = self.commercial_use
        return tuple(entry for entry in self.entries if entry.commercial_use == answer)

    def __str__(self) -> str:
        """The answer and the names behind it.

        >>> str(Ledger((License(kind="data", name="B", commercial_use="no"),)))
        'no (B)'
        """
        names = dict.fromkeys(entry.name for entry in self.reasons)
        return f"{self.commercial_use} ({', '.join(names) or 'nothing is known'})"

    def document(self) -> dict[str, Any]:
        """The ledger as JSON: ``commercial_use``, ``reasons`` by name, and ``entries``."""
        return {
            "commercial_use": self.commercial_use,
            "reasons": list(dict.fromkeys(entry.name for entry in self.reasons)),
            "entries": documents(self.entries),
        }


def documents(entries: Iterable[License]) -> list[dict[str, Any]]:
    """The entries as JSON, without what is empty."""
    fields = (entry.model_dump(mode="json") for entry in entries)
    return [
        {key: value for key, value in entry.items() if value not in ("", [])} for entry in fields
    ]


def unclear(kind: Kind, name: str, license_terms: str, *, stated_by: str = "") -> License:
    r"""The entry of a work of which only a text is known: commercial use is unclear.

    Line breaks become spaces, and a text that is too long is cut.

    >>> unclear("data", "A", "Free\nto use.").commercial_use
    'unclear'
    """
    return License(
        kind=kind,
        name=_line(name, 200) or "unnamed",
        license_terms=_line(license_terms, _LONGEST),
        stated_by=stated_by,
    )


def merged(ledgers: Iterable[Iterable[License]]) -> tuple[License, ...]:
    """The entries of several ledgers, each work once: as the nearest of its chains says.

    Raises :class:`MienError` for more than 200 entries.
    """
    nearest: dict[tuple[str, ...], License] = {}
    for entry in (entry for entries in ledgers for entry in entries):
        identity = (
            *(entry.kind, entry.name, entry.version, entry.license_terms),
            *(entry.commercial_use, entry.attribution),
        )
        known = nearest.get(identity)
        if known is None or len(entry.through) < len(known.through):
            nearest[identity] = entry
    if len(nearest) > MOST_ENTRIES:
        raise MienError(
            f"expected a license ledger of at most {MOST_ENTRIES} works, got {len(nearest)}: "
            "train on fewer datasets at once"
        )
    return tuple(nearest.values())


def through(name: str, entries: Sequence[License]) -> tuple[License, ...]:
    """The entries of the model ``name`` as those of a model that is made from it.

    Raises :class:`MienError` where a chain would pass more than 32 models.
    """
    name = _line(name, 200) or "unnamed"
    if any(len(entry.through) >= 32 for entry in entries):
        raise MienError(
            f"expected start weights that passed at most 31 models, got {name}, which passed more: "
            "start from an earlier model"
        )
    return tuple(entry.model_copy(update={"through": (name, *entry.through)}) for entry in entries)


def _line(text: str, longest: int) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
