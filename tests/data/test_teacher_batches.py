"""Batches of a teacher's ranking, against loops."""

import numpy as np
import pytest

from recsys_lab.data.teacher_batches import RankedItems, TeacherDataModule
from recsys_lab.graph.graph import ItemGraph

N = 7
PAIRS = [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (1, 5)]  # item 6 has none
RANKED = RankedItems(
    np.array([0, 1, 2, 3, 4, 5]),
    np.array([[3, 4, 5], [3, 4, 0], [4, 5, 1], [0, 1, 5], [2, 1, 0], [0, 0, 0]], np.int32),
    np.array([[4, 1, 1], [9, 4, 0], [1, 1, 1], [2, 2, 4], [16, 9, 1], [0, 0, 0]], np.float32),
)
OPTIONS = {
    "batch_size": 2, "num_ranked": 3, "temperature": 1.0, "num_negatives": None,
    "negative_exponent": 0.5, "num_workers": 0,
}  # fmt: skip


def graph() -> ItemGraph:
    heads, tails = np.array(PAIRS).T
    return ItemGraph.from_pairs(heads, tails, np.ones(len(PAIRS)), N)


def module(ranked: RankedItems = RANKED, **changes: object) -> TeacherDataModule:
    asked = []

    def teacher(num_ranked: int) -> RankedItems:
        asked.append(num_ranked)
        return ranked

    found = TeacherDataModule(graph(), teacher, 0, **(OPTIONS | changes))
    assert asked == [3]
    return found


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_an_epoch_holds_every_item_that_the_teacher_ranks_something_for(temperature: float) -> None:
    data = module(temperature=temperature)
    assert data.num_batches == 3
    orders = []
    for epoch in range(3):
        batches = [data.draw(epoch, number) for number in range(3)]
        queries = np.concatenate([batch.queries.numpy() for batch in batches])
        assert sorted(queries) == [0, 1, 2, 3, 4]  # 5 has no scores
        assert sum(batch.num_trained for batch in batches) == 5
        orders.append(queries.tolist())
        for batch in batches:
            for query, items, shares in zip(*batch[:3], strict=True):
                scores = RANKED.scores[query] ** (1 / temperature)
                assert items.tolist() == RANKED.items[query].tolist()
                np.testing.assert_allclose(shares, scores / scores.sum(), rtol=1e-6)
    assert len({tuple(order) for order in orders}) > 1


@pytest.mark.parametrize("num_negatives", [None, 4])
def test_negatives_are_no_pairs_and_not_ranked(num_negatives: int | None) -> None:
    data = module(num_negatives=num_negatives)
    share = graph().degrees ** 0.5 / (graph().degrees ** 0.5).sum()
    for number in range(3):
        batch = data.draw(1, number)
        negatives = batch.negatives.tolist()
        assert len(set(negatives)) == len(negatives)
        assert 6 not in negatives
        if num_negatives is None:
            assert negatives == [0, 1, 2, 3, 4, 5]
            assert batch.chances.tolist() == [1.0] * 6
        else:
            expected = 1 - (1 - share[negatives]) ** 4
            np.testing.assert_allclose(batch.chances, expected, rtol=1e-5)
        for query, row in zip(batch.queries.tolist(), batch.excluded.tolist(), strict=True):
            scores = RANKED.scores[query]
            left_out = {query} | {int(j) for j in RANKED.items[query][scores > 0]}
            left_out |= {j for pair in PAIRS if query in pair for j in pair}
            assert row == [j in left_out for j in negatives]


def test_a_batch_is_a_function_of_its_place() -> None:
    for one, other in zip(module().draw(2, 1), module().draw(2, 1), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_teacher_that_ranks_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to learn: use data=sequences"):
        module(RANKED._replace(scores=np.zeros_like(RANKED.scores)))
