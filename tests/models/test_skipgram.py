import math

import numpy as np
import pytest
import torch

from recsys_lab.data.batch import PairBatch, WindowBatch
from recsys_lab.data.windows import distance_weights
from recsys_lab.models.blocks import window_weights
from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.skipgram import SkipGram
from tests.models.model_cases import pair_scores

NUM_ITEMS, DIM = 12, 5


def network(dtype: torch.dtype = torch.float64) -> SkipGram:
    torch.manual_seed(0)
    encoders = [IdEncoder(NUM_ITEMS, DIM, init_scale=5.0).to(dtype) for _ in range(2)]
    return SkipGram(*encoders, score="center_context", popularity=torch.zeros(NUM_ITEMS))


def softplus(x: torch.Tensor) -> torch.Tensor:
    return torch.log1p(torch.exp(x))


def block(groups: int, walks: int, length: int, drawn: int, window: int, seed: int) -> WindowBatch:
    rng = np.random.default_rng(seed)
    items = rng.integers(0, NUM_ITEMS, (groups, walks, length))
    items[0, 0, length - 1 :] = -1  # one walk is shorter
    negatives = rng.integers(0, NUM_ITEMS, (groups, drawn))
    columns = items.reshape(groups, -1)
    weights = rng.random(columns.shape) * (columns >= 0) if drawn == 0 else 0.0 * columns
    return WindowBatch(
        torch.from_numpy(items),
        torch.from_numpy(negatives),
        torch.from_numpy(np.concatenate([weights, np.ones((groups, drawn))], axis=1)),
        torch.from_numpy(distance_weights(length, window, shrink=True)).double(),
        5.0,
        int((items >= 0).sum()),
    )


def brute_force(centers: torch.Tensor, contexts: torch.Tensor, batch: WindowBatch) -> torch.Tensor:
    """The loss of a block, one pair after the other."""
    total = torch.zeros((), dtype=torch.float64)
    groups, walks, _ = batch.items.shape
    window = batch.distance_weights
    for g in range(groups):
        columns = [(w, int(i)) for w in range(walks) for i in batch.items[g, w]]
        columns += [(-1, int(i)) for i in batch.negatives[g]]
        for w in range(walks):
            for place, center in enumerate(batch.items[g, w].tolist()):
                if center < 0:
                    continue
                mass = 0.0
                for other, context in enumerate(batch.items[g, w].tolist()):
                    weight = float(window[abs(place - other)])
                    if context >= 0 and weight > 0:
                        total = total + weight * softplus(-centers[center] @ contexts[context])
                        mass += weight
                share = [
                    float(batch.column_weights[g, c]) if owner != w else 0.0
                    for c, (owner, _) in enumerate(columns)
                ]
                if sum(share) == 0:
                    continue
                for (_, item), weight in zip(columns, share, strict=True):
                    if weight > 0:
                        weight = weight * mass * batch.num_negatives / sum(share)
                        total = total + weight * softplus(centers[center] @ contexts[item])
    return total


@pytest.mark.parametrize(
    ("groups", "walks", "length", "drawn", "window"),
    [(3, 2, 5, 0, 2), (2, 3, 4, 0, 9), (2, 1, 6, 4, 3), (2, 2, 5, 3, 1), (1, 2, 2, 0, 1)],
)
def test_band_loss_against_a_double_loop(
    groups: int, walks: int, length: int, drawn: int, window: int
) -> None:
    batch = block(groups, walks, length, drawn, window, seed=length)
    net = network()
    loss, mass = net.loss(batch)
    loss.backward()
    centers, contexts = (
        encoder.table.detach().clone().requires_grad_() for encoder in (net.centers, net.contexts)
    )
    expected = brute_force(centers, contexts, batch)
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(net.centers.table.grad.to_dense(), centers.grad)
    torch.testing.assert_close(net.contexts.table.grad.to_dense(), contexts.grad)
    positive, _ = window_weights(batch)
    torch.testing.assert_close(mass, positive.sum())


def test_negatives_weigh_five_times_the_positives() -> None:
    batch = block(4, 3, 6, 0, 2, seed=0)
    positive, negative = window_weights(batch)
    by_row = positive.sum(-1).reshape(4, 18)
    torch.testing.assert_close(negative.sum(-1), 5.0 * by_row)
    assert (negative >= 0).all()


@pytest.mark.parametrize(("size", "num_negatives"), [(1, 1), (1, 4), (6, 3)])
def test_pair_loss_against_a_loop(size: int, num_negatives: int) -> None:
    rng = np.random.default_rng(size)
    centers, contexts = torch.from_numpy(rng.integers(0, NUM_ITEMS, (2, size)))
    negatives = torch.from_numpy(rng.integers(0, NUM_ITEMS, (size, num_negatives)))
    weights = torch.from_numpy(rng.random(size))
    net = network()
    loss, mass = net.loss(PairBatch(centers, contexts, negatives, weights, size))
    loss.backward()
    c, x = (e.table.detach().clone().requires_grad_() for e in (net.centers, net.contexts))
    expected = torch.zeros((), dtype=torch.float64)
    for b in range(size):
        terms = softplus(-c[centers[b]] @ x[contexts[b]])
        for n in negatives[b]:
            terms = terms + softplus(c[centers[b]] @ x[n])
        expected = expected + weights[b] * terms
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(net.centers.table.grad.to_dense(), c.grad)
    torch.testing.assert_close(net.contexts.table.grad.to_dense(), x.grad)
    torch.testing.assert_close(mass, weights.sum())


def test_window_block_agrees_with_its_explicit_pairs() -> None:
    # Without negatives' share in it, the band is the sum over window pairs.
    batch = block(2, 2, 5, 0, 2, seed=3)._replace(num_negatives=0.0)
    net = network()
    loss, _ = net.loss(batch)
    from recsys_lab.data.windows import window_pairs

    rows = batch.items.reshape(-1, 5).numpy().astype(np.int32)
    centers, contexts, weights = window_pairs(rows, batch.distance_weights.float().numpy())
    scores = (net.centers.table[centers] * net.contexts.table[contexts]).sum(-1)
    expected = (torch.from_numpy(weights).double() * softplus(-scores)).sum()
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)


def scores_of(score: str, popularity: float = 0.0) -> tuple[torch.Tensor, SkipGram]:
    net = network(torch.float32)
    net.score = score
    net.popularity += popularity * torch.arange(NUM_ITEMS)
    vectors = net.score_vectors(torch.arange(NUM_ITEMS))
    ends = torch.cartesian_prod(torch.arange(NUM_ITEMS), torch.arange(NUM_ITEMS))
    scores = pair_scores(vectors, ends[:, 0], ends[:, 1])
    return scores.view(NUM_ITEMS, NUM_ITEMS), net


def test_scores_by_their_definitions() -> None:
    cosine, net = scores_of("cosine")
    c, x = net.centers.table.detach(), net.contexts.table.detach()
    unit = c / c.norm(dim=1, keepdim=True)
    torch.testing.assert_close(cosine, unit @ unit.T)
    torch.testing.assert_close(scores_of("dot")[0], c @ c.T)
    torch.testing.assert_close(scores_of("center_context")[0], (c @ x.T + x @ c.T) / 2)
    with_popularity = scores_of("dot", popularity=0.5)[0]
    k = torch.arange(NUM_ITEMS) / 2
    torch.testing.assert_close(with_popularity, c @ c.T + k[:, None] + k)


def test_an_unknown_score_is_refused() -> None:
    with pytest.raises(ValueError, match="cosine, dot, center_context, got euclid"):
        scores_of("euclid")


def test_probabilities_keep_the_order_and_the_bounds() -> None:
    net = network(torch.float32)
    for score, low in (("cosine", -1.0), ("dot", -30.0)):
        net.score = score
        values = net.probability(torch.linspace(low, -low, 50))
        assert (values.diff() >= 0).all()
        assert 0 <= values.min() <= values.max() <= 1
    assert math.isclose(float(net.probability(torch.zeros(1))), 0.5)
