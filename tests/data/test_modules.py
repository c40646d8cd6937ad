from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.data.batch import PairBatch, WindowBatch
from recsys_lab.data.modules import PairDataModule, SequenceDataModule
from recsys_lab.data.sequences import (
    SequenceSource,
    StoredSequences,
    Walks,
    sequence_file,
    stored_walks,
)
from recsys_lab.graph.graph import ItemGraph

WALKS = {"walks_per_item": 2, "walk_length": 6}
SEQUENCES = {
    "window": 2,
    "shrink_windows": True,
    "subsample_threshold": 0.0,
    "negatives": "in_batch",
    "num_negatives": 5,
    "num_shared": 7,
    "negative_exponent": 0.75,
    "walks_per_batch": 64,
    "walks_per_group": 4,
    "num_workers": 0,
    "market": None,
    "num_market_negatives": 3,
    "num_node_contexts": 2,
    "num_rejected_types": 0,
    "num_rejected": 0,
}
PAIRS = {
    "batch_size": 256,
    "num_negatives": 3,
    "negative_exponent": 0.75,
    "use_weights": True,
    "num_workers": 0,
}


def graph_of(planted: PreparedData) -> ItemGraph:
    train = planted.split.train
    return ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)


def walks(planted: PreparedData, seed: int = 0, **changes: object) -> Walks:
    return Walks(graph_of(planted), seed=seed, **{**WALKS, **changes})


def stored(planted: PreparedData, path: Path, seed: int = 0, **changes: object) -> StoredSequences:
    return stored_walks(graph_of(planted), str(path), seed=seed, **{**WALKS, **changes})


def from_file(planted: PreparedData, path: Path, max_length: int = 6) -> StoredSequences:
    return sequence_file(
        planted.catalog, planted.split, str(path), max_length,
        window=2, subsample_threshold=0.0, held_out="keep", seed=0,
    )  # fmt: skip


def sequences(
    planted: PreparedData, seed: int = 0, source: SequenceSource | None = None, **changes: object
) -> SequenceDataModule:
    source = source or walks(planted, seed)
    return SequenceDataModule(source, seed, **{**SEQUENCES, **changes})


def pairs(planted: PreparedData, seed: int = 0, **changes: object) -> PairDataModule:
    return PairDataModule(planted.split, seed, **{**PAIRS, **changes})


def same(one: PairBatch | WindowBatch, other: PairBatch | WindowBatch) -> bool:
    return all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("build", [sequences, pairs])
def test_a_batch_is_a_function_of_seed_epoch_and_number(planted: PreparedData, build) -> None:
    one, again = build(planted), build(planted)
    batch = one.draw(1, 2)
    one.draw(0, 0)
    assert same(batch, again.draw(1, 2))
    assert not same(batch, one.draw(1, 3))
    assert not same(batch, one.draw(2, 2))
    assert not same(batch, build(planted, seed=1).draw(1, 2))


@pytest.mark.parametrize("negatives", ["in_batch", "shared", "per_pair"])
def test_every_walk_comes_once_in_an_epoch(planted: PreparedData, negatives: str) -> None:
    module = sequences(planted, negatives=negatives)
    batches = list(module.train_dataloader())
    assert len(batches) == module.num_batches
    starts = len(np.unique(planted.split.train.ids))
    assert sum(batch.num_trained for batch in batches) == starts * 2 * 6


def test_window_batch_in_batch(planted: PreparedData) -> None:
    module = sequences(planted)
    batch = module.draw(0, 0)
    assert isinstance(batch, WindowBatch)
    assert batch.items.shape == (16, 4, 6)
    assert batch.negatives.shape == (16, 0)
    # Weighted by column, occurrences must follow frequency ** exponent.
    counted = np.zeros(len(planted.catalog))
    for epoch in range(30):
        for number in range(module.num_batches):
            batch = module.draw(epoch, number)
            columns = batch.items.flatten().numpy()
            weights = batch.column_weights.flatten().numpy()
            np.add.at(counted, columns[columns >= 0], weights[columns >= 0])
    expected = module._sampler.probabilities
    often = expected > np.quantile(expected, 0.5)
    ratio = (counted / counted.sum())[often] / expected[often]
    assert abs(np.median(ratio) - 1) < 0.02
    assert np.quantile(np.abs(ratio - 1), 0.9) < 0.2


def test_window_batch_shared(planted: PreparedData) -> None:
    batch = sequences(planted, negatives="shared").draw(0, 0)
    assert batch.negatives.shape == (16, 7)
    assert batch.column_weights[:, :24].abs().sum() == 0
    assert (batch.column_weights[:, 24:] == 1).all()


def test_last_batch_is_padded_not_dropped(planted: PreparedData) -> None:
    module = sequences(planted, walks_per_batch=60)
    batch = module.draw(0, module.num_batches - 1)
    left = module.source.count % 60 or 60
    assert batch.num_trained == left * 6
    assert batch.items.shape[0] == -(-left // 4)


def test_pairs_come_once_with_their_weights(planted: PreparedData) -> None:
    module, train = pairs(planted), planted.split.train
    batches = [module.draw(0, number) for number in range(module.num_batches)]
    ends = torch.stack(
        [torch.cat([b.centers for b in batches]), torch.cat([b.contexts for b in batches])], 1
    ).numpy()
    weights = torch.cat([b.weights for b in batches]).numpy()
    order = np.argsort(np.sort(ends, axis=1) @ [train.num_items, 1])
    np.testing.assert_array_equal(np.sort(ends, axis=1)[order], train.ids)
    np.testing.assert_allclose(weights[order], train.weights / train.weights.mean(), rtol=1e-6)
    assert 0.4 < (ends[:, 0] < ends[:, 1]).mean() < 0.6


def test_subsampling_shortens_frequent_items(planted: PreparedData) -> None:
    whole, thinned = sequences(planted), sequences(planted, subsample_threshold=1e-4)
    counts = []
    for module in (whole, thinned):
        items = torch.cat([b.items.flatten() for b in module.train_dataloader()])
        counts.append(np.bincount(items[items >= 0], minlength=len(planted.catalog)))
    frequent = np.argsort(counts[0])[-20:]
    assert counts[1][frequent].sum() < 0.5 * counts[0][frequent].sum()


def test_walks_are_saved_and_loaded(planted: PreparedData, tmp_path: Path) -> None:
    path = tmp_path / "walks.npy"
    written = stored(planted, path)
    table = np.load(path)
    assert table.shape == (written.count, 6)
    drawn = walks(planted).draw(0, 0, 10**6)
    np.testing.assert_array_equal(np.sort(table, axis=0), np.sort(drawn, axis=0))
    np.save(path, table[:10])
    assert sequences(planted, source=stored(planted, path)).num_batches == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["walks.npy", "walks.npy.json"]


@pytest.mark.parametrize("p", [1.0, 1e6])
def test_steps_follow_raised_weights(small_graph: ItemGraph, p: float) -> None:
    source = Walks(small_graph, 20_000, 2, seed=0, p=p, weight_exponent=2.0)
    walks = source.draw(0, 0, source.count)
    steps = np.bincount(walks[walks[:, 0] == 0, 1], minlength=5)
    np.testing.assert_allclose(steps / steps.sum(), np.array([0, 1, 4, 25, 0]) / 30, atol=0.01)


def test_walks_of_another_graph_are_refused(planted: PreparedData, tmp_path: Path) -> None:
    path = tmp_path / "walks.npy"
    stored(planted, path)
    stored(planted, path, seed=1)
    other = replace(planted, split=replace(planted.split, train=planted.split.known))
    with pytest.raises(ValueError, match=r"walks\.npy have training graph=.* delete"):
        stored(other, path)
    with pytest.raises(ValueError, match="walk_length=6, this run has 7"):
        stored(planted, path, walk_length=7)
    (tmp_path / "walks.npy.json").unlink()
    with pytest.raises(ValueError, match="have training graph=None"):
        stored(planted, path)
    with pytest.raises(ValueError, match=r"path must be a path that ends in \.npy, got 'a\.txt'"):
        stored(planted, Path("a.txt"))


@pytest.mark.parametrize("order", [{}, {"p": 0.5, "q": 2.0}])
def test_no_held_out_pair_is_trained(planted: PreparedData, order: dict) -> None:
    train = planted.split.train
    drawn = walks(planted, **order).draw(0, 0, 10**6).astype(np.int64)
    low, high = np.minimum(drawn[:, :-1], drawn[:, 1:]), np.maximum(drawn[:, :-1], drawn[:, 1:])
    assert np.isin(low * train.num_items + high, train.keys).all()
    batches = pairs(planted).train_dataloader()
    ends = np.concatenate([np.stack([b.centers, b.contexts], axis=1) for b in batches])
    ends.sort(axis=1)
    assert np.isin(ends[:, 0] * train.num_items + ends[:, 1], train.keys).all()


def test_long_rows_of_a_table_are_cut(planted: PreparedData, tmp_path: Path) -> None:
    path = tmp_path / "long.npy"
    np.save(path, np.array([[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, -1, -1, -1, -1, -1, -1]]))
    rows = from_file(planted, path).draw(0, 0, 10)
    assert sorted(rows.tolist()) == sorted(
        [[0, 1, 2, 3, 4, 5], [6, 7, -1, -1, -1, -1], [8, 9, -1, -1, -1, -1]]
    )


@pytest.mark.parametrize("separator", ["\t", " "])
def test_sequences_from_text(planted: PreparedData, tmp_path: Path, separator: str) -> None:
    raw = planted.catalog.raw_ids
    path = tmp_path / "sessions.txt"
    lines = [[raw[0], raw[1], "nobody"], [raw[k] for k in range(8)], [], [raw[5]]]
    path.write_text("\n".join(separator.join(line) for line in lines))
    module = sequences(planted, source=from_file(planted, path))
    rows = sorted(module.source.draw(0, 0, 10).tolist())
    assert rows == sorted(
        [[0, 1, -1, -1, -1, -1], [0, 1, 2, 3, 4, 5], [6, 7, -1, -1, -1, -1], [5, *[-1] * 5]]
    )
    assert module.draw(0, 0).num_trained == 11


def test_what_looks_wrong_in_a_file_of_sequences_is_said(
    planted: PreparedData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "sessions.txt"
    known = " ".join(planted.catalog.raw_ids[:3])
    path.write_text(f"3 {known}\n" * 3)
    from_file(planted, path)
    assert f"{path}: the first place of every line is the number of places" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 0}, "^window must be >= 1"),
        ({"num_negatives": 0}, "^num_negatives must be >= 1, got 0"),
        ({"walks_per_group": 1}, "^walks_per_group must be >= 2 with negatives=in_batch, got 1"),
    ],
)
def test_bad_options_are_named(planted: PreparedData, changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sequences(planted, **changes)


def test_bad_options_of_sources_are_named(planted: PreparedData) -> None:
    with pytest.raises(ValueError, match=r"^walk_length must be >= 2"):
        walks(planted, walk_length=1)
    with pytest.raises(ValueError, match=r"^p must be > 0"):
        walks(planted, p=0.0)
    with pytest.raises(ValueError, match=r"^max_length must be >= 2, got 1"):
        from_file(planted, Path("missing.txt"), max_length=1)
    for name in ("missing.txt", "missing.npy"):
        with pytest.raises(ValueError, match=f"^path: .*{name}"):
            from_file(planted, Path(name))


def test_arrays_of_another_catalogue_are_refused(planted: PreparedData, tmp_path: Path) -> None:
    path = tmp_path / "other.npy"
    np.save(path, np.array([[0, 10**6]]))
    with pytest.raises(ValueError, match="1000000"):
        from_file(planted, path)
    np.save(path, np.array([[0.5, 1.5]]))
    with pytest.raises(ValueError, match="integers"):
        from_file(planted, path)
    np.save(path, np.array([["a", None]], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="not a readable"):
        from_file(planted, path)


def shared(planted: PreparedData) -> SequenceDataModule:
    """Batches that no GPU draws."""
    return sequences(planted, negatives="shared")


@pytest.mark.parametrize("build", [shared, pairs])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_batches_for_a_gpu_are_pinned(
    planted: PreparedData, build, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned: list[torch.Tensor] = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda x: pinned.append(x) or x)
    module = build(planted)
    strategy = SimpleNamespace(root_device=torch.device(device))
    module.trainer = SimpleNamespace(current_epoch=1, overfit_batches=0, strategy=strategy)
    batch = next(iter(module.train_dataloader()))
    assert same(batch, module.draw(1, 0))
    tensors = [x for x in batch if isinstance(x, torch.Tensor)]
    assert len(pinned) == (len(tensors) if device == "cuda" else 0)


@pytest.mark.parametrize("build", [sequences, pairs])
def test_to_overfit_every_epoch_has_the_same_batches(planted: PreparedData, build) -> None:
    module, strategy = build(planted), SimpleNamespace(root_device=torch.device("cpu"))
    for overfit, epoch in ((0, 3), (10, 0)):
        module.trainer = SimpleNamespace(
            current_epoch=3, overfit_batches=overfit, strategy=strategy
        )
        assert same(next(iter(module.train_dataloader())), module.draw(epoch, 0))
