"""Graph neural networks over users and items, against dense matrices and loops."""

import math

import numpy as np
import pytest
import torch

from recsys_lab.data.batch import PairBatch, VisitedItems
from recsys_lab.models.builders import lightgcn
from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.lightgcn import LightGCN
from recsys_lab.models.pinsage import PinSage
from recsys_lab.models.skipgram import SkipGram
from tests.models import model_cases as cases

ITEMS, USERS = 3, 3  # nodes 0, 1, 2 are items; 3, 4, 5 are users
COUNTS = np.array([[2.0, 1, 0], [0, 3, 1], [1, 0, 0]])  # of users and items
DIM = 4


def adjacency(counts: np.ndarray = COUNTS) -> np.ndarray:
    users, items = counts.shape
    return np.block([[np.zeros((items, items)), counts.T], [counts, np.zeros((users, users))]])


def light(weights: np.ndarray, layer_weights: list[float]) -> LightGCN:
    torch.manual_seed(0)
    inputs = IdEncoder(len(weights), DIM, init_scale=4.0)
    return LightGCN(inputs, cases.neighbours_of(weights), layer_weights).double()


def net_of(encoder: torch.nn.Module, num_nodes: int, **options: object) -> SkipGram:
    return SkipGram(encoder, encoder, "dot", torch.zeros(num_nodes), **options)  # type: ignore[arg-type]


def batch_of_users() -> PairBatch:
    return PairBatch(
        centers=torch.tensor([3, 3, 4, 5]),
        contexts=torch.tensor([0, 1, 1, 0]),
        negatives=torch.tensor([[2, 2], [2, 1], [0, 0], [1, 2]]),
        weights=torch.tensor([1.0, 0.5, 2.0, 1.5]),
        num_trained=4,
        low_rank=torch.tensor([1, -1, 2, -1]),
    )


def test_three_users_and_three_items_by_dense_matrices() -> None:
    """The mean of the layers 0, 1, 2 and 3, as in the paper."""
    made = light(adjacency(), [0.25] * 4)
    own = made.inputs.table.detach().numpy()
    users, items = COUNTS.sum(1), COUNTS.sum(0)
    step = COUNTS / np.sqrt(users[:, None] * items)  # (U, N), equation 3 with weights
    layer_items, layer_users = own[:ITEMS], own[ITEMS:]
    total = [layer_items.copy(), layer_users.copy()]
    for _ in range(3):
        layer_items, layer_users = step.T @ layer_users, step @ layer_items
        total[0] += layer_items
        total[1] += layer_users
    np.testing.assert_allclose(made.item_vectors(), np.concatenate(total) / 4, rtol=1e-5, atol=1e-6)


def test_bpr_of_a_user_is_the_mean_over_its_negatives() -> None:
    made = light(adjacency(), [1.0, 0.5])
    batch = batch_of_users()
    vectors = made.item_vectors().numpy()
    expected = 0.0
    for b in range(4):
        user = vectors[batch.centers[b]]
        leads = [user @ (vectors[batch.contexts[b]] - vectors[n]) for n in batch.negatives[b]]
        losses = [math.log(1 + math.exp(-lead)) for lead in leads]
        expected += float(batch.weights[b]) * sum(losses) / len(losses)
    total, weight = net_of(made, 6, loss="bpr").loss(batch)
    assert float(total.detach()) == pytest.approx(expected, rel=1e-6)
    assert float(weight) == 5.0


@pytest.mark.parametrize("loss", ["bpr", "margin", "logistic"])
def test_low_rank_positives_by_a_loop(loss: str) -> None:
    made = light(adjacency(), [1.0, 0.5])
    batch, margin, share = batch_of_users(), 7.0, 0.3
    vectors = made.item_vectors().numpy()
    expected = 0.0
    for center, context, low, weight in zip(
        batch.centers, batch.contexts, batch.low_rank, batch.weights, strict=True
    ):
        if low >= 0:
            lead = vectors[center] @ (vectors[context] - vectors[low])
            assert lead != pytest.approx(0)
            expected += float(weight) * max(0.0, margin - lead)
    options = {"loss": loss, "l2": 0.01}
    plain = float(net_of(made, 6, **options).loss(batch)[0].detach())
    net = net_of(made, 6, low_rank_weight=share, low_rank_margin=margin, **options)
    assert expected > 0
    assert float(net.loss(batch)[0].detach()) == pytest.approx(plain + share * expected, rel=1e-6)
    assert net.compiled_form() is None  # the kernels do not know of it


def test_low_rank_positives_need_batches_that_have_them() -> None:
    net = net_of(light(adjacency(), [1.0]), 6, low_rank_weight=0.5)
    for batch in (cases.window_batch(1, 2, 3, 1), batch_of_users()._replace(low_rank=None)):
        with pytest.raises(ValueError, match="data=interactions"):
            net.loss(batch)


def test_a_user_that_comes_later_has_the_vector_of_its_items() -> None:
    """As if it had been there with an own vector of zero, the other edges being as they were."""
    before = light(adjacency(), [0.5, 1.0, 2.0])
    later = np.array([0.0, 2.0, 1.0])
    items, own = COUNTS.sum(0), before.inputs.table.detach().numpy()
    step = COUNTS / np.sqrt(COUNTS.sum(1)[:, None] * items)
    share = later / np.sqrt(later.sum() * items)  # the sums of the items stay those of training
    expected = share @ own[:ITEMS] + 2 * share @ (step.T @ own[ITEMS:])
    found = before.new_vectors(
        torch.zeros(1, DIM).double(),
        torch.tensor([[1, 2, 0]]),
        torch.tensor([[2.0, 1.0, 0.0]]).double(),
    )
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)


def sage(num_neighbours: list[int]) -> PinSage:
    """Over the nodes, each with its neighbours by weight; all weights away from zero."""
    torch.manual_seed(0)
    weights = adjacency()
    order = np.argsort(-weights, axis=1, kind="stable")[:, :3]
    shares = np.take_along_axis(weights, order, axis=1)
    shares /= shares.sum(1, keepdims=True)
    visited = VisitedItems(torch.from_numpy(order).int(), torch.from_numpy(shares))
    inputs = IdEncoder(ITEMS + USERS, DIM, init_scale=4.0)
    made = PinSage(inputs, visited, DIM, num_neighbours, 0.5, group_firsts=(ITEMS,))
    for number, parameter in enumerate([*made.layers.parameters(), *made.projections.parameters()]):
        torch.nn.init.normal_(parameter, std=5.0, generator=torch.Generator().manual_seed(number))
    return made.double()


def sage_vector(made: PinSage, node: int, layer: int) -> torch.Tensor:
    """The definition for one node; a hop away from the last layer has its own number of them."""
    if layer == 0:
        own = made.inputs.table[node]
        project = made.projections.projections[int(node >= ITEMS)]
        return own + project.scale * (project.weight @ own + project.bias)
    convolve = made.layers[layer - 1]
    own, pooled, mass = sage_vector(made, node, layer - 1), torch.zeros(DIM).double(), 0.0
    for place in range(made.num_neighbours[len(made.layers) - layer]):
        share = float(made.shares[node, place])
        other = sage_vector(made, int(made.neighbours[node, place]), layer - 1)
        pooled, mass = pooled + share * other, mass + share
    pooled = pooled / mass
    first, second = convolve.hidden, convolve.output
    hidden = first.scale * (first.weight @ torch.cat([own, pooled]) + first.bias)
    return own + 0.5 * pooled + second.scale * (second.weight @ hidden.relu() + second.bias)


@pytest.mark.parametrize("num_neighbours", [[2], [3, 1], [1, 2]])
def test_projections_by_group_and_neighbours_by_hop(num_neighbours: list[int]) -> None:
    made = sage(num_neighbours)
    every = torch.stack([sage_vector(made, node, len(num_neighbours)) for node in range(6)])
    nodes = torch.tensor([[5, 0], [3, 5]])
    torch.testing.assert_close(made(nodes), every[nodes])
    torch.testing.assert_close(made.item_vectors(), every)


def test_projections_start_as_no_change() -> None:
    made = PinSage(IdEncoder(6, DIM), VisitedItems(*sage([1]).buffers()), DIM, [1], 0.5, (3,))
    nodes = torch.arange(6)
    assert torch.equal(made.projections(made.inputs(nodes), nodes), made.inputs(nodes))


def test_a_new_user_is_projected_as_users_are() -> None:
    made = sage([3])
    inputs = torch.randn(2, DIM).double()
    neighbours, weights = torch.tensor([[0, 2], [1, 1]]), torch.tensor([[3.0, 1.0], [2.0, 0.0]])
    found = made.new_vectors(inputs, neighbours, weights.double(), group=1)
    project = made.projections.projections[1]
    for row in range(2):
        own = inputs[row] + project.scale * (project.weight @ inputs[row] + project.bias)
        pooled = sum(
            weights[row, k] / weights[row].sum() * sage_vector(made, int(neighbours[row, k]), 0)
            for k in range(2)
        )
        first, second = made.layers[0].hidden, made.layers[0].output
        hidden = first.scale * (first.weight @ torch.cat([own, pooled]) + first.bias)
        learned = second.scale * (second.weight @ hidden.relu() + second.bias)
        torch.testing.assert_close(found[row], (own + 0.5 * pooled + learned).detach())


def test_a_cold_item_is_as_popular_as_items_and_not_as_users() -> None:
    """Nodes 0, 1, 2 are items, of which the last is cold; 3 and 4 are users of many events."""
    values = cases.field([[0], [0], [0], [], []], 1)
    items = cases.items_with({"brand": values}, [1, 3, 0, 500, 800])._replace(group_firsts=(3,))
    options = {"layer_weights": [1.0], "one_table": True, "loss": "bpr", "margin": 0.1, "l2": 0.0}
    made = lightgcn(
        items, embedding_dim=DIM, score="dot", popularity_weight=2.0, fields=["brand"],
        kernel="auto", **options,
    )  # fmt: skip
    logs = torch.tensor([math.log(2), math.log(4)])
    torch.testing.assert_close(made.popularity[:2], 2 * logs)
    torch.testing.assert_close(made.popularity[2], 2 * logs.mean())
