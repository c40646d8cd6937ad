"""The model of histories: its loss by loops, and what it takes."""

import math

import numpy as np
import pytest
import torch

from recsys_lab.data.batch import HistoryBatch
from recsys_lab.evaluation.scorers import VectorScorer, cosine_scorer
from recsys_lab.models.blocks import score_block
from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.history import HistoryModel
from recsys_lab.models.optimizers import build_optimizers
from tests.models.model_cases import pair_batch

N, D = 9, 4


def model(l2: float = 0.0, *, sparse: bool = False) -> HistoryModel:
    torch.manual_seed(1)
    sizes = (D, 8.0), (D, 8.0), (1, 2.0)
    return HistoryModel(*(IdEncoder(N, dim, scale, sparse=sparse) for dim, scale in sizes), l2=l2)


def batch() -> HistoryBatch:
    """Histories of three, two and one; a target is among the negatives, and one is not."""
    return HistoryBatch(
        histories=torch.tensor([[3, 1, 3], [5, 8, -1], [0, -1, -1]]),
        weights=torch.tensor([[0.5, 0.3, 0.2], [0.75, 0.25, 0.0], [1.0, 0.0, 0.0]]),
        targets=torch.tensor([2, 4, 7]),
        negatives=torch.tensor([0, 2, 3, 7]),
        chances=torch.tensor([1.0, 0.5, 0.25, 0.8]),
        num_trained=3,
    )


def expected_loss(net: HistoryModel, given: HistoryBatch, l2: float) -> float:
    q, k, b = (e.table.detach().double().numpy() for e in (net.queries, net.keys, net.biases))
    given = HistoryBatch(*(x.tolist() if isinstance(x, torch.Tensor) else x for x in given))
    total = 0.0
    for history, weights, target in zip(*given[:3], strict=True):
        user = sum(w * q[i] for i, w in zip(history, weights, strict=True) if i >= 0)
        own = user @ k[target] + b[target, 0]
        others = sum(
            math.exp(user @ k[j] + b[j, 0]) / chance
            for j, chance in zip(given.negatives, given.chances, strict=True)
            if j != target
        )
        total -= own - math.log(math.exp(own) + others)
        total += l2 * (user @ user + k[target] @ k[target])
    return total


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_the_loss_is_that_of_the_loop(l2: float, sparse: bool) -> None:
    net = model(l2, sparse=sparse)
    loss, weight = net.loss(batch())
    assert float(weight) == 3
    assert loss.item() == pytest.approx(expected_loss(net, batch(), l2), rel=1e-5)


def test_all_items_as_negatives_are_the_softmax() -> None:
    net, given = model(), batch()._replace(negatives=torch.arange(N), chances=torch.ones(N))
    users = net.queries.pool(given.histories, given.weights)
    logits = users @ net.keys.table.T + net.biases.table[:, 0]
    expected = torch.nn.functional.cross_entropy(logits, given.targets, reduction="sum")
    assert float(net.loss(given)[0]) == pytest.approx(float(expected), rel=1e-5)


def test_gradients_are_the_same_dense_and_sparse() -> None:
    found = []
    for sparse in (False, True):
        net = model(0.1, sparse=sparse)
        net.loss(batch())[0].backward()
        found.append([p.grad.to_dense() for p in net.parameters()])
        assert all(p.grad.is_sparse == sparse for p in net.parameters())
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
    assert (found[0][0][[2, 4, 6, 7]] == 0).all()  # of items in no history; padding is none


def test_adam_takes_the_dense_tables() -> None:
    (optimizer,) = build_optimizers(lambda p: torch.optim.SparseAdam(p, lr=0.1), model())
    assert type(optimizer) is torch.optim.Adam
    (optimizer,) = build_optimizers(lambda p: torch.optim.SparseAdam(p, lr=0.1), model(sparse=True))
    assert type(optimizer) is torch.optim.SparseAdam


def test_scores_have_a_direction() -> None:
    net = model()
    scorer = VectorScorer(*net.score_vectors())
    assert scorer.directed
    q, k, b = (e.table.detach().numpy() for e in (net.queries, net.keys, net.biases))
    (score,) = scorer.score_pairs(np.array([1]), np.array([2]))
    assert score == pytest.approx(float(q[1] @ k[2] + b[1, 0] + b[2, 0]), rel=1e-5)
    assert score != pytest.approx(float(scorer.score_pairs(np.array([2]), np.array([1]))[0]))
    assert not cosine_scorer(scorer).directed


def test_other_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="data=histories and model=history go together"):
        model().loss(pair_batch(3, 2))
    with pytest.raises(ValueError, match="data=histories and model=history go together"):
        score_block(batch())
