"""What is refused of the options of hardware, and how a batch is dealt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import SMALL

from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.training.batches.clips import ClipBatches
from mien.training.batches.faces import FaceBatches
from mien.training.batches.units import Recordings, open_units
from mien.training.protocol import train_protocol
from mien.training.ranks import Ranks
from mien.training.ranks.hardware import Hardware
from mien.training.ranks.launch import is_lost_rank, trainer_arguments
from mien.training.recipe import load_recipe
from mien.training.setup import set_up


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("no_gpu")
def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(MienError, match=r"expected a GPU for --accelerator gpu"):
        Hardware("gpu").resolved()
    with pytest.raises(MienError, match=r"16-mixed.*use bf16-mixed"):
        Hardware(precision="16-mixed").resolved()
    assert Hardware().resolved() == Hardware(devices=1, nodes=1)


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_is_used_without_an_option(tmp_path: Path) -> None:
    arguments = trainer_arguments(Hardware().resolved(), tmp_path, find_unused=False)
    assert (arguments["accelerator"], arguments["devices"]) == ("gpu", 1)
    with pytest.raises(MienError, match=r"at most --devices 2"):
        Hardware(devices=3).resolved()
    on_cpu = trainer_arguments(Hardware("cpu").resolved(), tmp_path, find_unused=False)
    assert on_cpu["accelerator"] == "cpu"


@pytest.mark.usefixtures("no_gpu")
def test_torchrun_and_slurm_say_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    started = {"LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8", "RANK": "5", "LOCAL_RANK": "1"}
    with monkeypatch.context() as patched:
        for name, value in {**started, "TORCHELASTIC_RUN_ID": "run"}.items():
            patched.setenv(name, value)
        assert Hardware().resolved()[1:3] == (4, 2)
        assert Hardware().ranks == Ranks(5, 8)
        with pytest.raises(MienError, match=r"expected --devices 4, as torchrun started"):
            Hardware(devices=2).resolved()
    started = {"SLURM_NTASKS": "6", "SLURM_NNODES": "2", "SLURM_PROCID": "4"}
    for name, value in started.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(MienError, match="--ntasks-per-node"):
        Hardware().resolved()
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "3")
    assert Hardware().resolved()[1:3] == (3, 2)
    assert Hardware().ranks == Ranks(4, 6)


def test_a_protocol_is_trained_on_one_device(toy_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="expected one device for the protocol"):
        train_protocol("softmax", "rafdb", toy_dataset, tmp_path, hardware=Hardware("cpu", 2))


def test_the_ranks_parts_are_the_whole_batch(toy_dataset: Path, videos: Dataset) -> None:
    recipe = load_recipe("triplet", SMALL)
    faces = open_units(recipe, Dataset.open(toy_dataset))
    rows, labels = np.arange(144), faces.targets["train"]["expression"]
    whole = list(FaceBatches(recipe, rows, labels))
    parts = [list(FaceBatches(recipe, rows, labels, Ranks(rank, 3))) for rank in range(3)]
    for (_, batch), *dealt in zip(whole, *parts, strict=True):
        for rank, (_, part) in enumerate(dealt):
            assert np.array_equal(part, batch[rank::3])
    clips = load_recipe("ldl", ["sampler.batch_size=5", "backbone.frozen=false"])
    units = open_units(clips, videos)
    assert isinstance(units, Recordings)
    order = units.targets["train"]["severity"]
    arguments = (clips, units.clips, units.videos["train"], order)
    of_two = [list(ClipBatches(*arguments, Ranks(rank, 2))) for rank in range(2)]
    for (_, recordings, frames), *dealt in zip(ClipBatches(*arguments), *of_two, strict=True):
        for rank, (_, part, of_part) in enumerate(dealt):
            assert np.array_equal(part, recordings[rank::2])
            assert np.array_equal(of_part, frames[rank::2])


def test_more_ranks_than_rows_are_refused(toy_dataset: Path, tmp_path: Path) -> None:
    recipe = load_recipe("softmax", SMALL)
    with pytest.raises(MienError, match=r"for each of 13 processes, got 12 rows in a batch"):
        set_up(recipe, Dataset.open(toy_dataset), tmp_path, ranks=Ranks(0, 13))


def test_an_error_of_waiting_in_vain_is_known() -> None:
    assert is_lost_rank(RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer"))
    assert not is_lost_rank(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
