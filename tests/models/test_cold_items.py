"""Items without training pairs take the mean of three items of their market."""

import torch

from recsys_lab.models.builders import skipgram
from recsys_lab.models.cold_items import stand_ins
from tests.models import model_cases as cases

#       0  1  2  3  4  5  6  7  8  9
DEGREES = [5, 0, 9, 1, 9, 0, 0, 3, 0, 0]
MARKETS = [[0], [0, 1], [0], [0], [0], [1], [], [1], [2], [1]]
FIELD = cases.field(MARKETS, 3)


def test_the_three_most_frequent_of_the_market() -> None:
    found = stand_ins(torch.tensor(DEGREES), FIELD)
    expected = torch.full((10, 3), -1)
    expected[1] = torch.tensor([2, 4, 0])  # by degree, then by id
    expected[5] = expected[9] = torch.tensor([7, -1, -1])
    assert torch.equal(found, expected)  # item 6 has no market, 8 is alone in its own


def test_nothing_is_trained() -> None:
    assert (stand_ins(torch.zeros(10, dtype=torch.int64), FIELD) == -1).all()


def test_vectors_of_cold_items_are_means() -> None:
    items = cases.items_with({"category": FIELD}, DEGREES)
    torch.manual_seed(0)
    net = skipgram(
        items, embedding_dim=4, l2=0.0, score="dot", popularity_weight=0.0, kernel="auto",
        cold_field="category",
        graph_weights=None,
    )  # fmt: skip
    table, every = net.centers.table.detach(), net.centers.item_vectors()
    torch.testing.assert_close(every[1], table[[2, 4, 0]].mean(0))
    torch.testing.assert_close(every[5], table[7])
    assert torch.equal(every[[0, 2, 3, 4, 6, 7, 8]], table[[0, 2, 3, 4, 6, 7, 8]])
    some = torch.tensor([9, 2, 1])
    torch.testing.assert_close(net.centers.item_vectors(some), every[some])
    seen = torch.tensor(DEGREES) > 0
    assert torch.nonzero(~net.can_score(seen))[:, 0].tolist() == [6, 8]
    assert sorted(net.state_dict()) == ["centers.table", "contexts.table"]
