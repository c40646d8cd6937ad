import threading

import pytest
import torch

from recsys_lab.data.batch import PairBatch
from recsys_lab.data.batch_module import Deal
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


class Clock:
    """A trainer's count of epochs."""

    now = 0


def loader(num_workers: int, clock: Clock) -> BatchLoader:
    return BatchLoader(draw, 5, num_workers, lambda: clock.now)


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_order_does_not_depend_on_threads(num_workers: int) -> None:
    clock = Clock()
    batches = loader(num_workers, clock)
    assert len(batches) == 5
    for clock.now in range(3):
        assert seen(batches) == [(clock.now, number) for number in range(5)]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_state_says_what_comes_next(num_workers: int) -> None:
    clock = Clock()
    clock.now = 4
    states = []
    first = loader(num_workers, clock)
    for _ in first:
        states.append(first.state_dict())
    assert [state["next"] for state in states] == [1, 2, 3, 4, 0]
    resumed = loader(num_workers, clock)
    resumed.load_state_dict(states[1])
    assert seen(resumed) == [(4, 2), (4, 3), (4, 4)]
    clock.now = 5
    assert seen(resumed) == [(5, number) for number in range(5)]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_epoch_left_early_is_over(num_workers: int) -> None:
    clock = Clock()
    batches = loader(num_workers, clock)
    assert seen(batches, most=2) == [(0, 0), (0, 1)]
    clock.now = 1
    assert seen(batches, most=2) == [(1, 0), (1, 1)]


def test_an_error_while_drawing_reaches_the_reader_and_ends_the_threads() -> None:
    def broken(epoch: int, number: int) -> PairBatch:
        if number == 2:
            raise ValueError("no such batch")
        return draw(epoch, number)

    with pytest.raises(ValueError, match="no such batch"):
        seen(BatchLoader(broken, 5, 2, lambda: 0))
    assert not [t for t in threading.enumerate() if t.name.startswith("batches")]


def test_negative_workers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^num_workers must be >= 0, got -1"):
        BatchLoader(draw, 5, -1, lambda: 0)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("num_batches", [4, 5, 6, 7, 8, 12])
def test_ranks_share_an_epoch(num_batches: int, size: int) -> None:
    deals = [Deal(rank, size) for rank in range(size)]
    counts = [deal.count(num_batches) for deal in deals]
    dealt = [
        [d.number(i, num_batches) for i in range(n)] for d, n in zip(deals, counts, strict=True)
    ]
    assert sorted(n for one in dealt for n in one) == list(range(num_batches))
    assert max(counts) - min(counts) <= 1
    assert counts[0] == max(counts)  # rank 0 knows the steps of all
    for place in range(min(counts)):  # all train the same stretch of the epoch at a time
        assert {one[place] // size for one in dealt} == {place}


def test_two_ranks_take_turns() -> None:
    """With batches that alternate in kind, each rank trains both kinds."""
    assert [Deal(0, 2).number(i, 5) for i in range(3)] == [0, 3, 4]
    assert [Deal(1, 2).number(i, 5) for i in range(2)] == [1, 2]
