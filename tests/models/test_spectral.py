"""Spectral vectors against dense matrices of numpy."""

import numpy as np
import pytest
import torch

from recsys_lab.data.batch import GraphBatch
from recsys_lab.data.graph_batches import GraphDataModule
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.models.blocks import score_block
from recsys_lab.models.spectral import SpectralVectors
from tests.models.model_cases import pair_batch

A, C, LENGTH, POPULARITY = 0.25, 0.5, 0.75, 0.2  # exponents and weight of an item to itself


def three_items() -> ItemGraph:
    """A path: 0 and 1 with weight 8, 1 and 2 with weight 2; item 3 has no pair."""
    return ItemGraph.from_pairs(np.array([0, 1]), np.array([1, 2]), np.array([8.0, 2.0]), 4)


def many_items(num_items: int = 40) -> ItemGraph:
    rng = np.random.default_rng(0)
    heads, tails = np.nonzero(np.triu(rng.random((num_items, num_items)) < 0.2, 1))
    return ItemGraph.from_pairs(heads, tails, rng.uniform(0.5, 3, len(heads)), num_items)


def batch_of(graph: ItemGraph, weight_exponent: float = 1.0) -> GraphBatch:
    return GraphDataModule(graph, weight_exponent=weight_exponent).draw(0, 0)


def model(graph: ItemGraph, dim: int) -> SpectralVectors:
    torch.manual_seed(0)
    return SpectralVectors(
        torch.from_numpy(graph.degrees),
        dim,
        degree_exponent=A,
        self_weight=C,
        length_exponent=LENGTH,
        popularity_exponent=POPULARITY,
    )


def matrix(graph: ItemGraph) -> np.ndarray:
    """M, dense, from its formula."""
    weights = np.asarray(graph.adjacency.todense(), np.float64)
    sums = np.maximum(weights.sum(1), 1e-12) ** -A
    scaled = weights * sums[:, None] * sums
    seen = graph.degrees > 0
    return scaled + C * scaled.sum() / seen.sum() * np.diag(seen.astype(float))


def steps(net: SpectralVectors, graph: ItemGraph, count: int) -> list[float]:
    batch = batch_of(graph)
    return [float(net.update(batch, 0.1)[0]) for _ in range(count)]


def basis(net: SpectralVectors) -> np.ndarray:
    return net.basis.detach().double().numpy()


def test_three_items_by_hand() -> None:
    graph = three_items()
    net = model(graph, 3)
    steps(net, graph, 60)
    one, other = 8 * 80**-0.25, 2 * 20**-0.25  # sums of weights are 8, 10 and 2
    own = C * 2 * (one + other) / 3
    leading = own + np.hypot(one, other)  # of a path: own and own +- sqrt(one^2 + other^2)
    assert net.sizes.tolist() == pytest.approx(
        sorted([leading, own, abs(2 * own - leading)], reverse=True), rel=1e-5
    )
    direction = np.array([one, np.hypot(one, other), other, 0]) / (2**0.5 * np.hypot(one, other))
    assert np.abs(basis(net)[:, 0]) == pytest.approx(direction, abs=1e-4)


def test_many_steps_find_the_leading_eigenvectors_of_numpy() -> None:
    graph = many_items()
    net = model(graph, 4)
    steps(net, graph, 300)
    values, vectors = np.linalg.eigh(matrix(graph))
    order = np.argsort(-np.abs(values))[:4]
    assert net.sizes.numpy() == pytest.approx(np.abs(values[order]), rel=1e-4)
    leading = vectors[:, order]
    assert basis(net) @ basis(net).T == pytest.approx(leading @ leading.T, abs=2e-2)


@pytest.mark.parametrize("count", [1, 3])
def test_few_steps_are_those_of_a_dense_product(count: int) -> None:
    graph, dim = many_items(), 6
    net = model(graph, dim)
    expected, sizes = basis(net), np.zeros(dim)
    for _ in range(count):
        expected, sizes, _ = np.linalg.svd(matrix(graph) @ expected, full_matrices=False)
    steps(net, graph, count)
    assert net.sizes.numpy() == pytest.approx(sizes, rel=1e-4)
    assert np.abs((basis(net) * expected).sum(0)) == pytest.approx(1, abs=1e-4)  # up to signs


def test_the_loss_is_what_the_directions_leave_out() -> None:
    graph = many_items()
    net = model(graph, 6)
    steps(net, graph, 2)
    dense, found = matrix(graph), basis(net)
    left = 1 - np.square(dense @ found).sum() / np.square(dense).sum()
    assert net.loss(batch_of(graph))[0].item() == pytest.approx(left, abs=1e-5)
    losses = steps(net, graph, 20)
    assert losses[0] == pytest.approx(left, abs=1e-5)
    assert losses == sorted(losses, reverse=True)


def test_more_directions_than_items_leave_out_nothing() -> None:
    graph = many_items()
    losses = steps(model(graph, 2 * len(graph.degrees)), graph, 3)
    assert all(0 <= loss < 1e-5 for loss in losses[1:])
    assert losses[0] >= 0


def test_scores_are_those_of_the_formula() -> None:
    graph = many_items()
    net = model(graph, 5)
    steps(net, graph, 3)
    rows = basis(net) * net.sizes.double().numpy() ** 0.5
    rows /= np.sqrt(np.square(rows).sum(1).mean())
    scales = (1 + graph.degrees) ** POPULARITY / np.linalg.norm(rows, axis=1) ** LENGTH
    vectors = rows * scales[:, None]
    found = net.score_vectors()
    assert not found.both_ways
    assert (found.queries @ found.keys.T).numpy() == pytest.approx(vectors @ vectors.T, rel=1e-3)
    some = net.score_vectors(torch.tensor([7, 2]))
    assert torch.equal(some.queries, found.queries[[7, 2]])


def test_an_item_without_pairs_has_no_vector() -> None:
    graph = three_items()
    net = model(graph, 8)  # more than there are directions
    steps(net, graph, 5)
    vectors = net.score_vectors().queries
    assert torch.isfinite(vectors).all()
    assert (vectors[3] == 0).all()
    assert (net.sizes[3:] == 0).all()
    assert net.can_score(torch.from_numpy(graph.degrees > 0)).tolist() == [True] * 3 + [False]


def test_weights_are_raised() -> None:
    plain, even = (batch_of(three_items(), exponent) for exponent in (1.0, 0.0))
    assert plain.neighbours.weights.tolist() == [8, 8, 2, 2]
    assert even.neighbours.weights.tolist() == [1, 1, 1, 1]
    assert plain.neighbours.items.tolist() == [1, 0, 2, 1]
    assert plain.num_trained == 3


def test_other_data_and_other_models_are_refused() -> None:
    graph = three_items()
    with pytest.raises(ValueError, match="data=graph and model=spectral go together"):
        model(graph, 2).update(pair_batch(2, 3), 0.1)
    with pytest.raises(ValueError, match="data=graph and model=spectral go together"):
        score_block(batch_of(graph))


def test_it_goes_on_from_its_state() -> None:
    graph = many_items()
    whole, first = model(graph, 6), model(graph, 6)
    steps(whole, graph, 4)
    steps(first, graph, 2)
    torch.manual_seed(1)
    other = SpectralVectors(
        first.degrees, 6, degree_exponent=A, self_weight=C, length_exponent=0, popularity_exponent=0
    )
    other.load_state_dict(first.state_dict())
    steps(other, graph, 2)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
