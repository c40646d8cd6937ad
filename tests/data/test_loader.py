import threading

import pytest
import torch

from recsys_lab.data.batch import PairBatch
from recsys_lab.data.loader import BatchLoader


def draw(epoch: int, number: int) -> PairBatch:
    ids = torch.tensor([epoch, number])
    return PairBatch(ids, ids, ids[:, None], torch.ones(2), 2)


def seen(loader: BatchLoader, most: int | None = None) -> list[tuple[int, int]]:
    found = []
    for batch in loader:
        found.append(tuple(batch.centers.tolist()))
        if most is not None and len(found) == most:
            break
    return found


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_order_does_not_depend_on_threads(num_workers: int) -> None:
    loader = BatchLoader(draw, 5, num_workers)
    assert len(loader) == 5
    for epoch in range(3):
        assert seen(loader) == [(epoch, number) for number in range(5)]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_state_says_what_comes_next(num_workers: int) -> None:
    loader = BatchLoader(draw, 5, num_workers)
    seen(loader)
    states = []
    for _ in loader:
        states.append(loader.state_dict())
    assert states[1] == {"epoch": 1, "next": 2}
    assert states[4] == {"epoch": 2, "next": 0}
    resumed = BatchLoader(draw, 5, num_workers)
    resumed.load_state_dict(states[1])
    assert seen(resumed) == [(1, 2), (1, 3), (1, 4)]
    assert seen(resumed)[0] == (2, 0)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_epoch_left_early_is_over(num_workers: int) -> None:
    loader = BatchLoader(draw, 5, num_workers)
    assert seen(loader, most=2) == [(0, 0), (0, 1)]
    assert seen(loader, most=2) == [(1, 0), (1, 1)]


def test_an_error_while_drawing_reaches_the_reader_and_ends_the_threads() -> None:
    def broken(epoch: int, number: int) -> PairBatch:
        if number == 2:
            raise ValueError("no such batch")
        return draw(epoch, number)

    with pytest.raises(ValueError, match="no such batch"):
        seen(BatchLoader(broken, 5, 2))
    assert not [t for t in threading.enumerate() if t.name.startswith("batches")]


def test_negative_workers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data.num_workers must be >= 0, got -1"):
        BatchLoader(draw, 5, -1)
