"""The faces of an index that are nearest to a prediction's, as an explanation of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import NamedTuple

from mien.errors import MienError
from mien.models import find_model
from mien.schema import FloatArray, UInt8Array
from mien.search.index import FaceIndex, open_index
from mien.search.query import nearest_rows
from mien.search.results import pictures_of

TOP = 5
"""How many faces explain a prediction."""


class Neighbor(NamedTuple):
    """A face of the index: its number there, its cosine, and what is known of it.

    ``name`` is the id of a dataset's row, "" without one; ``label`` is the dataset's, or else what
    the model reads.
    """

    number: int
    similarity: float
    label: str
    name: str


class Neighbors:
    """Gives the nearest faces of an index to embeddings of the model that it was made with.

    ``checksum`` is that of the dataset whose rows are explained, if any. May be asked from several
    threads.
    """

    def __init__(self, index: FaceIndex, *, checksum: str | None = None, top: int = TOP) -> None:
        self.index, self._top = index, top
        dataset = index.info.dataset
        self._same_rows = dataset is not None and dataset.checksum == checksum
        self._lock = threading.Lock()

    def of(self, embedding: FloatArray, *, without: str = "") -> list[Neighbor]:
        """The nearest faces to an embedding ``(D,)``, nearest first.

        ``without`` is the id of the row that is explained, which does not explain itself where the
        index has it. Other pictures that are the same are given: they show a leak.
        """
        itself = self._same_rows
        with self._lock:
            matches = nearest_rows(self.index, embedding, top=self._top + itself)
        rows = [(match, self.index.row(match.number)) for match in matches]
        neighbors = [
            Neighbor(
                match.number,
                round(match.value, 4),
                str(row["label"] or row["expression"] or ""),
                str(row["id"] or ""),
            )
            for match, row in rows
            if not (itself and row["id"] == without)
        ]
        return neighbors[: self._top]

    def pictures(self, neighbors: Sequence[Neighbor]) -> list[UInt8Array | None]:
        """Their pictures, None where a file has gone."""
        return pictures_of(self.index, [each.number for each in neighbors])


def open_neighbors(
    folder: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    checksum: str | None = None,
) -> Neighbors:
    """Open an index to explain the predictions of a model, of the dataset with a checksum.

    Raises :class:`~mien.errors.MienError` for an index of another model, and for a run folder.
    """
    index = open_index(folder)
    if os.path.isdir(model):
        raise MienError(
            f"expected the model file with which {os.fspath(folder)!r} was made, got the run "
            f"{os.fspath(model)!r}; name the file that was exported from it"
        )
    index.check_model(find_model(model), os.fspath(model))
    return Neighbors(index, checksum=checksum)
