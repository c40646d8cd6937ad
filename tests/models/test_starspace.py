"""StarSpace against sums and loops in numpy."""

import numpy as np
import pytest
import torch

from recsys_lab.data.batch import PairBatch, WindowBatch
from recsys_lab.models.blocks import score_block
from recsys_lab.models.builders import starspace
from recsys_lab.models.starspace import StarSpace, pool_before
from tests.models import model_cases as cases
from tests.models.test_encoders import BRANDS, FIELDS, TOPICS, TRAINED
from tests.models.test_ranking_losses import margin_by_loop, softmax_by_loop

DECAY = 0.6


def a_net(**changes: object) -> StarSpace:
    torch.manual_seed(2)
    items = cases.items_with(
        dict(zip(("brand", "category"), FIELDS, strict=True)), TRAINED.tolist()
    )
    options = {
        "embedding_dim": 5, "fields": ["brand", "category"], "size_exponent": 0.3,
        "own_vectors": True,
        "score": "cosine", "loss": "margin", "margin": 0.3, "temperature": 0.5, "query": "item",
        "decay": DECAY, "popularity_weight": 0.0,
        "kernel": "autograd",
    }  # fmt: skip
    return starspace(items, **(options | changes)).double()


def dense(net: StarSpace) -> np.ndarray:
    """Vectors (N, D) as a matrix of features times the table."""
    met = [{c for i, codes in enumerate(field) if TRAINED[i] for c in codes}
           for field in (BRANDS, TOPICS)]  # fmt: skip
    features = np.zeros((len(TRAINED), len(net.encoder.table)))
    for item in range(len(TRAINED)):
        features[item, item] = bool(TRAINED[item])
        for code in BRANDS[item]:
            features[item, len(TRAINED) + code] = code in met[0]
        for code in TOPICS[item]:
            features[item, len(TRAINED) + 4 + code] = code in met[1]
    size = features.sum(1, keepdims=True).clip(1)
    return size**-0.3 * features @ net.encoder.table.detach().numpy()


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-12)


def test_vectors_are_scaled_sums_of_features() -> None:
    net = a_net()
    np.testing.assert_allclose(net.encoder.item_vectors().numpy(), dense(net), atol=1e-6)
    assert net.can_score(TRAINED).tolist() == [True] * 11 + [False]
    np.testing.assert_allclose(net.score_vectors().queries.numpy(), unit(dense(net)), atol=1e-6)
    np.testing.assert_allclose(
        a_net(score="dot").score_vectors().keys.numpy(), dense(a_net()), atol=1e-6
    )


def by_loop(net: StarSpace, batch: PairBatch | WindowBatch, vectors: np.ndarray) -> float:
    """The loss of `cells`, row by row, without an item and itself."""
    if isinstance(batch, PairBatch):
        rows = [[(int(c), int(t), float(w), 0.0), *((int(c), int(n), 0.0, float(w)) for n in ns)]
                for c, t, ns, w in zip(*batch[:4], strict=True)]  # fmt: skip
    else:
        count = score_block(batch).contexts.shape[1]
        every = every_cell(batch)
        rows = [every[k : k + count] for k in range(0, len(every), count)]
    total = 0.0
    for row in rows:
        kept = [cell for cell in row if cell[0] != cell[1]]
        if not kept:
            continue
        columns = np.array([[vectors[c] @ vectors[t], p, n] for c, t, p, n in kept]).T
        scores, positive, negative = (torch.from_numpy(x)[None] for x in columns)
        if net.loss_name == "margin":
            total += margin_by_loop(scores, positive, negative, net.margin)
        elif positive.sum():
            total += softmax_by_loop(scores / net.temperature, positive, negative)
    return total


def every_cell(batch: WindowBatch) -> list[tuple[int, int, float, float]]:
    """Cells with padding as item 0 of no weight, so that all rows have the same length."""
    block = score_block(batch)
    return [
        (int(block.centers[g, r]), int(block.contexts[g, c]), float(block.positive[g, r, c]),
         float(block.negative[g, r, c]))
        for g in range(block.positive.shape[0])
        for r in range(block.positive.shape[1])
        for c in range(block.positive.shape[2])
    ]  # fmt: skip


@pytest.mark.parametrize("loss", ["margin", "softmax"])
@pytest.mark.parametrize("score", ["cosine", "dot"])
@pytest.mark.parametrize("name", cases.BATCHES)
def test_the_loss_is_that_of_loops(name: str, score: str, loss: str) -> None:
    net, batch = a_net(score=score, loss=loss), cases.BATCHES[name]
    vectors = dense(net) if score == "dot" else unit(dense(net))
    total, _ = net.loss(batch)
    assert float(total) == pytest.approx(by_loop(net, batch, vectors), abs=1e-6)


@pytest.mark.parametrize("score", ["cosine", "dot"])
def test_a_history_ranks_the_next_item(score: str) -> None:
    """One positive for each place after the first: its item, for the items before it."""
    net = a_net(query="history", score=score)
    batch = cases.window_batch(2, 3, 4, 4)
    vectors = dense(net) if score == "dot" else unit(dense(net))
    total, places, length = 0.0, 12, 4
    for g in range(2):
        flat = [item for walk in batch.items[g].tolist() for item in walk]
        columns = flat + batch.negatives[g].tolist()
        for place in range(places):
            start = place - place % length
            before = flat[start:place]
            if not before or flat[place] < 0:
                continue
            query = sum(DECAY ** (len(before) - 1 - k) * vectors[i] for k, i in enumerate(before))
            query = query if score == "dot" else unit(query)
            scores = torch.from_numpy(np.array([query @ vectors[c] for c in columns]))[None]
            positive = torch.zeros_like(scores)
            positive[0, place] = 1.0
            negative = batch.column_weights[g].clone()
            negative[start : start + length] = 0
            negative *= torch.tensor([c != flat[place] for c in columns])
            total += margin_by_loop(scores, positive, negative[None].double(), net.margin)
    found, mass = net.loss(batch)
    assert float(found) == pytest.approx(total, abs=1e-6)
    assert float(mass) == 2 * 3 * 3 - 1  # one place is padding


def test_a_pair_is_a_history_of_one() -> None:
    batch = cases.BATCHES["pairs"]
    found = [net.loss(batch)[0] for net in (a_net(), a_net(query="history"))]
    torch.testing.assert_close(*found)


def test_pools_by_hand() -> None:
    vectors = torch.tensor([[[1.0], [10.0], [100.0], [5.0]]])
    valid = torch.tensor([[[True, True, True], [True, False, False]]])
    padded = torch.cat([vectors, torch.full((1, 2, 1), 7.0)], dim=1)
    found = pool_before(padded, valid, 0.5)[0, :, 0].tolist()
    assert found == [0.0, 1.0, 10.5, 0.0, 5.0, 2.5]


@pytest.mark.parametrize("query", ["item", "history"])
def test_gradients_are_those_of_differences(query: str) -> None:
    batch = cases.window_batch(1, 2, 3, 2)

    net = a_net(query=query)
    total, _ = net.loss(batch)
    total.backward()
    grad = net.encoder.table.grad.to_dense()
    for row, column in ((0, 0), (3, 2), (12, 1), (17, 4)):
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                net.encoder.table[row, column] += sign * 1e-5
                sides.append(float(net.loss(batch)[0]))
                net.encoder.table[row, column] -= sign * 1e-5
        assert float(grad[row, column]) == pytest.approx((sides[0] - sides[1]) / 2e-5, abs=1e-5)
