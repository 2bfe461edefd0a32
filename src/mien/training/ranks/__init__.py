"""One training on several processes: batches dealt to ranks, gathered again for the losses."""

from mien.training.ranks.gather import (
    ONE,
    Ranks,
    current_ranks,
    gather,
    whole_batch,
    whole_outputs,
)

__all__ = ["ONE", "Ranks", "current_ranks", "gather", "whole_batch", "whole_outputs"]
