import numpy as np
import pytest

from recsys_lab.graph import pair_set
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.graph.slots import id_bits


def answers(graph: ItemGraph) -> np.ndarray:
    """What the set says of every two items, (N, N)."""
    words, rest_bits = graph.pair_set
    bits = np.uint64(id_bits(len(graph)))
    said = np.zeros((len(graph), len(graph)), int)
    for one in range(len(graph)):
        for other in range(len(graph)):
            mixed = pair_set.mix_pair(one, other, bits)
            said[one, other] = pair_set.look_up(words, mixed, rest_bits)
    return said


def random_graph(num_items: int, count: int) -> ItemGraph:
    upper = np.argwhere(np.triu(np.ones((num_items, num_items)), 1))
    chosen = np.random.default_rng(0).choice(len(upper), count, replace=False)
    return ItemGraph.from_pairs(*upper[chosen].T, np.ones(count), num_items)


@pytest.mark.parametrize(("num_items", "count"), [(2, 1), (3, 2), (20, 50), (60, 900), (60, 1770)])
def test_every_answer_is_right(num_items: int, count: int) -> None:
    graph = random_graph(num_items, count)
    said, joined = answers(graph), graph.adjacency.toarray() > 0
    assert ((said == 1) <= joined).all()
    assert ((said == 0) <= ~joined).all()
    assert (said == -1).mean() < 0.1


def test_a_full_bucket_says_that_it_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_set, "_MEAN", 10**6)  # all in one bucket
    graph = random_graph(20, 100)
    said, joined = answers(graph), graph.adjacency.toarray() > 0
    assert (said[~joined] == -1).all()
    assert (said[joined] == 1).sum() == 2 * 16


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_mixing_is_a_bijection(bits: int) -> None:
    size = 1 << bits
    pairs = [(one, other) for one in range(size) for other in range(one, size)]
    mixed = {int(pair_set.mix_pair(*pair, np.uint64(bits))) for pair in pairs}
    assert len(mixed) == len(pairs)
    assert max(mixed) < size**2


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = random_graph(60, 900).pair_set
    monkeypatch.setattr(pair_set, "_SMALL", 0)
    monkeypatch.setattr("recsys_lab.compute.threads._chosen", 3)
    np.testing.assert_array_equal(random_graph(60, 900).pair_set[0], one)
