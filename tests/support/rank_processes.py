"""Processes of one group on this machine, for what is computed over ranks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed, multiprocessing

PATIENCE = 240  # seconds; a rank that waits for another one ends


def on_ranks(size: int, folder: Path, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What ``function(*arguments)`` returns on each of ``size`` ranks."""
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.start_processes(
        _run, (size, folder, function, arguments), nprocs=size, join=False, start_method="spawn"
    )
    deadline = time.monotonic() + PATIENCE
    try:
        while not context.join(timeout=5):
            assert time.monotonic() < deadline, "the ranks wait for each other"
    finally:
        for process in context.processes:
            if process.is_alive():
                process.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(size)]


def _run(rank: int, size: int, folder: Path, function: Callable[..., Any], arguments: Any) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=(folder / "meeting").as_uri(),
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=PATIENCE),
    )
    torch.save(function(*arguments), folder / f"{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()
