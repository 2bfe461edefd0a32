"""On what a training runs: Lightning's accelerators, processes and precisions, and their checks."""

from __future__ import annotations

import os
from typing import Any, Literal, NamedTuple

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from mien.errors import MienError
from mien.training.ranks.gather import Ranks

Accelerator = Literal["auto", "cpu", "gpu"]
Precision = Literal["32", "16-mixed", "bf16-mixed"]


class Hardware(NamedTuple):
    """Where and how a training computes; nothing of it changes what is trained.

    ``accelerator`` ``auto`` is a GPU where there is one. There are ``devices`` processes on each of
    ``nodes`` machines; where torchrun or SLURM started them, both may be left open (None). With
    a mixed ``precision`` the network computes in half precision, and losses in single. ``workers``
    are processes that read batches for each of them; the batches are the same with any number.
    """

    accelerator: Accelerator = "auto"
    devices: int | None = None
    nodes: int | None = None
    precision: Precision = "32"
    workers: int = 0

    @property
    def on_cpu(self) -> bool:
        """Whether no GPU takes part."""
        return self.accelerator == "cpu" or not torch.cuda.is_available()

    def resolved(self) -> Hardware:
        """The same with devices and nodes.

        Raises :class:`~mien.errors.MienError` for what is not there or was started otherwise.
        """
        if self.accelerator == "gpu" and self.on_cpu:
            raise MienError(
                "expected a GPU for --accelerator gpu, got a machine where torch sees none; leave "
                "the option out to train on the CPU"
            )
        if self.precision == "16-mixed" and self.on_cpu:
            raise MienError(
                "expected a GPU for --precision 16-mixed, got a training on the CPU, which has no "
                "fast arithmetic of 16-mixed; use bf16-mixed, or 32"
            )
        launcher, started = _started()
        if started is not None:
            for name, asked, got in zip(
                ("devices", "nodes"), (self.devices, self.nodes), started, strict=True
            ):
                if asked not in (None, got):
                    raise MienError(
                        f"expected --{name} {got}, as {launcher} started the processes, got "
                        f"{asked}; leave --{name} out, or start others"
                    )
        devices, nodes = started or (self.devices or 1, self.nodes or 1)
        present = devices if self.on_cpu else torch.cuda.device_count()
        if devices > present:
            raise MienError(
                f"expected at most --devices {present}, the number of this machine's GPUs, got "
                f"{devices}; use fewer, or --accelerator cpu"
            )
        return self._replace(devices=devices, nodes=nodes)

    @property
    def ranks(self) -> Ranks:
        """Which of all processes this one is, before there is a process group."""
        settings = self.resolved()
        devices, nodes = settings.devices or 1, settings.nodes or 1
        environment = environment_of_processes()
        if isinstance(environment, LightningEnvironment):
            rank = environment.node_rank() * devices + environment.local_rank()
        else:
            rank = environment.global_rank()
        return Ranks(rank, devices * nodes)


ONE_DEVICE = Hardware()
"""One process, on a GPU where there is one."""


def environment_of_processes() -> ClusterEnvironment:
    """Who started this process: torchrun, SLURM, or else Lightning is to start the others."""
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if SLURMEnvironment.detect():
        try:
            return SLURMEnvironment()
        except RuntimeError as error:  # as on tasks that are not said by machine
            raise MienError(
                f"expected tasks as Lightning reads them from SLURM, got: {error}"
            ) from None
    return LightningEnvironment()


def _started() -> tuple[str, tuple[int, int] | None]:
    """Processes per machine, and machines, where something else has started them."""
    environment: Any = environment_of_processes()
    if isinstance(environment, TorchElasticEnvironment):
        local, total = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        return "torchrun", (local, total // local)
    if isinstance(environment, SLURMEnvironment):
        nodes = int(os.environ.get("SLURM_NNODES", 1))
        return "SLURM", (int(os.environ["SLURM_NTASKS"]) // nodes, nodes)
    return "", None
