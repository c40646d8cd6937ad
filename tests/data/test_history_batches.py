"""Batches of histories, against loops over the events."""

import numpy as np
import pytest

from recsys_lab.catalog.event_split import EventSplit, EventSplitOptions, split_events
from recsys_lab.data.history_batches import HistoryDataModule
from recsys_lab.evaluation.histories import Histories, HistoryWeights
from recsys_lab.readers.account import CatalogError
from tests.event_cases import log_of, pairs_by

N = 12
ROWS = [
    (f"u{u}", (5 * u + 3 * t + t * t * u) % N, float(t), 0) for u in range(6) for t in range(u + 3)
]
OPTIONS = {
    "batch_size": 4, "max_length": 3, "decay": 0.5, "dropout": 0.0, "num_negatives": 8,
    "negative_exponent": 0.5, "num_workers": 0,
}  # fmt: skip


def split_of(*, ordered: bool) -> EventSplit:
    parts = None if ordered else [2 if row[2] == 0 else 0 for row in ROWS]
    options = EventSplitOptions(
        by="leave_one_out" if ordered else "given", query="user", targets=None,
        filter_history=False, negatives=["uniform"], seed=0,
        val_fraction=None if ordered else 0.3,
    )  # fmt: skip
    found = split_events(log_of(ROWS, times=ordered, parts=parts), N, pairs_by("user"), options)
    assert found.ordered == ordered
    return found


def module(*, ordered: bool = True, **changes: object) -> HistoryDataModule:
    return HistoryDataModule(split_of(ordered=ordered), 0, **(OPTIONS | changes))


def rows_of(split: EventSplit) -> list[list[int]]:
    train = split.part == 0
    return [
        split.events.item[train & (split.query == q)].tolist() for q in range(split.num_queries)
    ]


def drawn(data: HistoryDataModule, epoch: int = 0) -> list[tuple[tuple[int, ...], int]]:
    """The histories, without padding, and what came next."""
    found = []
    for number in range(data.num_batches):
        batch = data.draw(epoch, number)
        assert batch.num_trained == len(batch.targets)
        np.testing.assert_allclose(batch.weights.sum(1), 1, rtol=1e-6)
        assert not batch.weights[batch.histories < 0].any()
        for history, target in zip(batch.histories.tolist(), batch.targets.tolist(), strict=True):
            found.append((tuple(i for i in history if i >= 0), target))
    return found


def test_an_epoch_holds_what_was_before_each_event() -> None:
    data, expected = module(), []
    for row in rows_of(split_of(ordered=True)):
        expected += [(tuple(row[:t][::-1][:3]), row[t]) for t in range(1, len(row))]
    assert sorted(drawn(data)) == sorted(expected)
    assert drawn(data) != drawn(data, epoch=1)  # another order
    assert drawn(data) == drawn(module())


def test_weights_are_those_of_the_evaluation() -> None:
    for number in range(module().num_batches):
        batch = module().draw(0, number)
        for history, weights in zip(batch.histories.numpy(), batch.weights.numpy(), strict=True):
            items = history[history >= 0][::-1].astype(np.int32)  # the latest last
            known = HistoryWeights(0.5)(Histories(np.array([0, len(items)]), items, N)).toarray()[0]
            own = np.bincount(history[history >= 0], weights[history >= 0], N)
            np.testing.assert_allclose(own, known / known.sum(), rtol=1e-5)


def test_the_history_of_a_set_is_what_else_is_in_it() -> None:
    split, data = split_of(ordered=False), module(ordered=False, max_length=20)
    expected = []
    for row in rows_of(split):
        if len(row) > 1:
            expected += [(tuple(row[:t] + row[t + 1 :]), row[t]) for t in range(len(row))]
    assert sorted(drawn(data)) == sorted(expected)
    for number in range(data.num_batches):  # no decay
        batch = data.draw(0, number)
        equal = (batch.histories >= 0) / (batch.histories >= 0).sum(1, keepdim=True)
        np.testing.assert_allclose(batch.weights, equal, rtol=1e-6)


def test_a_sample_of_a_large_set_leaves_the_target_out() -> None:
    data, rows = module(ordered=False, max_length=2), rows_of(split_of(ordered=False))
    for history, target in drawn(data):
        assert len(history) <= 2
        assert any(
            target in row
            and set(history) <= set(row[: row.index(target)] + row[row.index(target) + 1 :])
            for row in rows
        )


def test_dropout_leaves_one_event_at_least() -> None:
    kept = total = 0
    for epoch in range(30):
        data = module(dropout=0.6)
        for number in range(data.num_batches):
            batch = data.draw(epoch, number)
            several = (batch.histories >= 0).sum(1) == 3
            kept += int((batch.weights[several] > 0).sum())
            total += 3 * int(several.sum())
            assert (batch.weights > 0).any(1).all()
    alone = 0.6**3  # all are kept then
    assert kept / total == pytest.approx(0.4 + alone, abs=0.05)


def test_negatives_and_their_chances() -> None:
    data = module()
    counts = np.zeros(N)
    epochs = 400
    for epoch in range(epochs):
        batch = data.draw(epoch, 0)
        counts[batch.negatives] += 1
        assert len(batch.chances) == len(batch.negatives)
    share = np.sqrt(data.frequencies)
    expected = 1 - (1 - share / share.sum()) ** 8
    np.testing.assert_allclose(counts / epochs, expected, atol=0.08)
    np.testing.assert_allclose(batch.chances, expected[batch.negatives], rtol=1e-5)
    every = module(num_negatives=None).draw(0, 0)
    assert every.negatives.tolist() == np.flatnonzero(data.frequencies).tolist()
    assert (every.chances == 1).all()


def test_splits_without_histories_are_refused() -> None:
    with pytest.raises(CatalogError, match="histories of a split by events"):
        HistoryDataModule(None, 0, **OPTIONS)  # type: ignore[arg-type]
