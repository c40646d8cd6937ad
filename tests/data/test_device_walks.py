"""Batches drawn by operations of torch are those that the threads of a CPU draw."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.data import device_counter
from recsys_lab.data.device_walks import DeviceDraw, DeviceWalks
from recsys_lab.data.modules import SequenceDataModule
from recsys_lab.data.sequences import Walks
from recsys_lab.graph import counter
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.graph.walks import random_walks, walk_key

CPU = torch.device("cpu")
OPTIONS = {
    "window": 2, "shrink_windows": True, "subsample_threshold": 0.0, "negatives": "in_batch",
    "num_negatives": 5, "num_shared": 7, "negative_exponent": 0.75, "walks_per_batch": 64,
    "walks_per_group": 6, "num_workers": 0, "market": None, "num_market_negatives": 3,
    "num_node_contexts": 2, "num_rejected_types": 0, "num_rejected": 0,
}  # fmt: skip


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_the_mix_of_64_bits(values: list[int]) -> None:
    words = np.array(values, np.uint64)
    mixed = device_counter.mix64(torch.from_numpy(words.view(np.int64)))
    assert mixed.numpy().view(np.uint64).tolist() == [int(counter.mix64(x)) for x in words]


@pytest.mark.parametrize("size", [1, 2, 5, 16, 1000])
def test_the_permutation(size: int) -> None:
    for seed in range(3):
        key = counter.stream_key(seed)
        own = device_counter.permute_range(size // 3, size, size, int(key), CPU)
        assert own.tolist() == counter.permute_range(size // 3, size, size, key).tolist()


def graph_of(planted: PreparedData) -> ItemGraph:
    train = planted.split.train
    return ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)


@pytest.mark.parametrize("num_items", [None, 3_000_000])  # of few items and of many, whose slots
def test_walks(planted: PreparedData, num_items: int | None) -> None:  # have short thresholds
    train = planted.split.train
    graph = ItemGraph.from_pairs(
        train.heads, train.tails, train.weights, num_items or train.num_items
    )
    expected = random_walks(graph, 3, 7, seed=5, epoch=2)
    walks = DeviceWalks(graph, len(expected), 7, CPU)
    drawn = walks.draw(int(walk_key(5, 2)), 0, len(expected))
    assert drawn.dtype == torch.int32
    assert np.array_equal(drawn.numpy(), expected)
    blocks = DeviceDraw(walks, 50, len(expected), most=120)
    for number in (1, 0, len(expected) // 50):
        block = blocks(int(walk_key(5, 2)), number)
        assert np.array_equal(block.numpy(), expected[50 * number : 50 * (number + 1)])


def module(planted: PreparedData, p: float = 1.0, **changes: object) -> SequenceDataModule:
    source = Walks(graph_of(planted), 2, 6, seed=3, p=p)
    return SequenceDataModule(source, 3, **{**OPTIONS, **changes})


def test_batches(planted: PreparedData) -> None:
    data = module(planted)
    draw = data.draw_on(CPU)
    assert draw is not None
    for epoch, number in ((0, 0), (1, 1), (1, data.num_batches - 1)):
        expected, own = data.draw(epoch, number), draw(epoch, number)
        for name, value in expected._asdict().items():
            other = getattr(own, name)
            if isinstance(value, torch.Tensor):
                assert value.dtype == other.dtype, name
                assert torch.equal(value, other), name
            else:
                assert value == other, name


@pytest.mark.parametrize(
    "changes",
    [{"negatives": "shared"}, {"subsample_threshold": 1e-3}, {"p": 0.5}, {"market": "brand"}],
)
def test_other_batches_are_drawn_by_the_cpu(planted: PreparedData, changes: dict) -> None:
    data = module(planted, catalog=planted.catalog, **changes)
    assert data.draw_on(CPU) is None


def test_batches_are_larger_on_a_gpu(planted: PreparedData) -> None:
    source = Walks(graph_of(planted), 1000, 6, seed=3)
    options = OPTIONS | {"walks_per_batch": None}
    for on_gpu, least in ((False, 256), (True, 128)):
        data = SequenceDataModule(source, 3, on_gpu=on_gpu, **options)
        assert least - 1 <= data.num_batches <= least
    small = Walks(graph_of(planted), 2, 6, seed=3)
    sizes = {SequenceDataModule(small, 3, on_gpu=x, **options).num_batches for x in (False, True)}
    assert sizes == {-(-small.count // 1200)}


def test_a_gpu_draws_for_itself(planted: PreparedData, monkeypatch: pytest.MonkeyPatch) -> None:
    data = module(planted)
    met: list[torch.device] = []
    monkeypatch.setattr(data, "draw_on", lambda device: met.append(device) or data.draw)
    monkeypatch.setattr(torch.Tensor, "pin_memory", None)  # nothing is copied from the CPU
    for device in ("cpu", "cuda"):
        strategy = SimpleNamespace(root_device=torch.device(device))
        data.trainer = SimpleNamespace(current_epoch=1, overfit_batches=0, strategy=strategy)
        assert len(list(data.train_dataloader())) == data.num_batches
    assert met == [torch.device("cuda")]
