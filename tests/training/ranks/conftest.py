"""Two ranks, started once for all tests of this folder."""

from __future__ import annotations

from typing import Any

import pytest
import rank_layers
from rank_cases import SOME
from rank_processes import on_ranks


@pytest.fixture(scope="session")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[Any, Any]]]:
    return on_ranks(2, tmp_path_factory.mktemp("two"), rank_layers.everything, SOME)
