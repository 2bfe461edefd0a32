"""Start the processes of a training with Lightning, and end them all when one has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy, Strategy
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch import distributed

from mien.training.ranks.hardware import Hardware, environment_of_processes

PATIENCE = 5.0
"""Seconds that a process has to say by itself why it ends, before it is ended."""
_OFTEN = 0.2


def trainer_arguments(hardware: Hardware, out: Path, *, find_unused: bool) -> dict[str, Any]:
    """What Lightning's trainer is to be told of the hardware, which is resolved.

    ``find_unused`` says that a step may leave a parameter without a gradient, as where no row of a
    batch has a label for a loss that learns.
    """
    devices, nodes = hardware.devices or 1, hardware.nodes or 1
    arguments: dict[str, Any] = {
        "accelerator": "cpu" if hardware.on_cpu else "gpu",
        "devices": devices,
        "num_nodes": nodes,
        "precision": hardware.precision,
        # Batches are dealt by their own samplers.
        "use_distributed_sampler": False,
    }
    if devices * nodes == 1:
        return arguments
    if nodes == 1 and sys.platform == "linux":
        # Processes of one machine have nothing to look up in a network.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    environment = environment_of_processes()
    # Norms and queues are the same on all ranks, so no buffer has to be sent around.
    strategy = _Ranks(
        out,
        cluster_environment=environment,
        find_unused_parameters=find_unused,
        broadcast_buffers=False,
    )
    return arguments | {"strategy": strategy}


def lost_rank(out: Path, which: str = "another one") -> str:
    """What to say and do when a process of a training has ended before its end."""
    return (
        f"expected all processes of the training to work to its end, got {which} that ended; the "
        f"finished epochs are in {out}: continue with --resume, on any number of devices"
    )


def is_lost_rank(error: RuntimeError) -> bool:
    """Whether an error is that of a process that waits for another one in vain."""
    names = ("gloo", "Connection closed by peer", "Connection reset by peer", "NCCL")
    return isinstance(error, distributed.DistError) or any(name in str(error) for name in names)


def share_cores(hardware: Hardware) -> None:
    """Divide the cores of this machine among its processes, unless the user has."""
    processes = hardware.devices or 1
    if processes > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))


def end_others(strategy: Strategy) -> None:
    """End the processes that this one has started."""
    launcher = strategy.launcher
    for process in getattr(launcher, "procs", ()):
        process.kill()


class _Ranks(DDPStrategy):
    """DDP whose processes end together, with a sentence."""

    def __init__(self, out: Path, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._out = out

    def _configure_launcher(self) -> None:
        environment = self.cluster_environment
        if environment is not None and not environment.creates_processes_externally:
            self._launcher = _Launcher(self._out, environment, self.num_processes, self.num_nodes)


class _Launcher(_SubprocessScriptLauncher):
    """Lightning's, with a watch of ours: Lightning's kills this process without a word."""

    def __init__(self, out: Path, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._out = out

    def launch(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Start the other processes, then call the function."""
        kwargs.pop("trainer", None)
        self.cluster_environment.validate_settings(
            num_devices=self.num_processes, num_nodes=self.num_nodes
        )
        self._call_children_scripts()
        done = threading.Event()
        watch = threading.Thread(target=_watch, args=(self.procs, self._out, done), daemon=True)
        watch.start()
        try:
            return function(*args, **kwargs)
        finally:
            done.set()


def _watch(processes: list[subprocess.Popen[bytes]], out: Path, done: threading.Event) -> None:
    """End this process when one that it has started fails, unless it is done."""
    while not done.wait(_OFTEN):
        codes = [process.poll() for process in processes]
        failed = [(rank, code) for rank, code in enumerate(codes, 1) if code]
        if failed:
            break
    else:
        return
    # This process mostly notices by itself, or fails for the same reason, and tells more.
    if done.wait(PATIENCE):
        return
    for process in processes:
        process.kill()
    rank, code = failed[0]
    name = f"rank {rank}" + (f" ({signal.Signals(-code).name})" if code < 0 else "")
    print(f"mien: {lost_rank(out, name)}", file=sys.stderr, flush=True)
    os._exit(1)


@contextmanager
def ended_with_parent(out: Path) -> Iterator[None]:
    """Let a process that Lightning has started end when the one that started it is gone."""
    environment = environment_of_processes()
    if not isinstance(environment, LightningEnvironment) or environment.local_rank() == 0:
        yield
        return
    parent, done = os.getppid(), threading.Event()

    def watch() -> None:
        while not done.wait(_OFTEN):
            if os.getppid() != parent and not done.wait(PATIENCE):
                print(f"mien: {lost_rank(out, 'rank 0')}", file=sys.stderr, flush=True)
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()
