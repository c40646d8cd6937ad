"""StarSpace over users and labels beside items, against loops."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from recsys_lab.data.batch import PairBatch
from recsys_lab.models.builders import starspace
from recsys_lab.models.starspace import StarSpace
from tests.models import model_cases as cases
from tests.models.test_encoders import BRANDS, FIELDS, TOPICS, TRAINED
from tests.models.test_ranking_losses import margin_by_loop

ITEMS = len(TRAINED)
USER, LABEL, OTHER_LABEL, UNMET = range(ITEMS, ITEMS + 4)
NODES = [*TRAINED.tolist(), True, True, True, False]
MARGIN = 0.3
BATCH = PairBatch(
    torch.tensor([USER, 2, 3, 9]),
    torch.tensor([0, LABEL, LABEL, OTHER_LABEL]),
    torch.tensor([[4, 5], [OTHER_LABEL, LABEL], [OTHER_LABEL, OTHER_LABEL], [LABEL, LABEL]]),
    torch.tensor([1.0, 0.5, 2.0, 1.0]),
    4,
)


def a_net(*, own_vectors: bool) -> StarSpace:
    torch.manual_seed(3)
    others = len(NODES) - ITEMS
    fields = [
        field._replace(offsets=torch.cat([field.offsets, field.offsets[-1:].expand(others)]))
        for field in FIELDS
    ]
    return starspace(
        cases.items_with(dict(zip(("brand", "category"), fields, strict=True)), NODES),
        embedding_dim=5, fields=["brand", "category"], own_vectors=own_vectors, size_exponent=0.3,
        score="dot", loss="margin", margin=MARGIN, temperature=1.0, query="item", decay=0.7,
        popularity_weight=0.0, kernel="autograd",
    ).double()  # fmt: skip


def vectors_by_loop(net: StarSpace, *, own_vectors: bool) -> np.ndarray:
    """An item is its values, and itself where it may be; users and labels are themselves."""
    table = net.encoder.table.detach().numpy()
    firsts = np.cumsum([len(NODES), *(field.cardinality for field in FIELDS)])
    vectors = np.zeros((len(NODES), table.shape[1]))
    for node, is_met in enumerate(NODES):
        rows = []
        for values, (first, _) in zip((BRANDS, TOPICS), pairwise(firsts), strict=True):
            met = {code for item in range(ITEMS) if TRAINED[item] for code in values[item]}
            rows += [first + c for c in (values[node] if node < ITEMS else ()) if c in met]
        if is_met and (own_vectors or not rows):
            rows.append(node)
        if rows:
            vectors[node] = table[rows].sum(0) * len(rows) ** -0.3
    return vectors


@pytest.mark.parametrize("own_vectors", [True, False])
def test_items_are_their_values_and_other_nodes_themselves(own_vectors: bool) -> None:
    net = a_net(own_vectors=own_vectors)
    expected = vectors_by_loop(net, own_vectors=own_vectors)
    np.testing.assert_allclose(net.encoder.item_vectors().numpy(), expected, atol=1e-6)
    can = net.can_score(torch.tensor(NODES)).tolist()
    assert can == [True] * (ITEMS - 1) + [False, True, True, True, False]


@pytest.mark.parametrize("own_vectors", [True, False])
def test_loss_and_gradient_are_those_of_loops(own_vectors: bool) -> None:
    net = a_net(own_vectors=own_vectors)

    def by_loop() -> float:
        vectors, total = vectors_by_loop(net, own_vectors=own_vectors), 0.0
        for center, context, negatives, weight in zip(*BATCH[:4], strict=True):
            columns = [int(context), *negatives.tolist()]
            scores = torch.from_numpy(vectors[columns] @ vectors[center])[None]
            is_own = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.double)
            total += margin_by_loop(scores, weight * is_own, weight * (1 - is_own), MARGIN)
        return total

    total, mass = net.loss(BATCH)
    assert float(total.detach()) == pytest.approx(by_loop(), abs=1e-6)
    assert float(mass) == pytest.approx(4.5)
    total.backward()
    grad = net.encoder.table.grad.to_dense()
    brand = len(NODES) + BRANDS[2][0]
    for row in (USER, LABEL, OTHER_LABEL, 2, 3, brand):
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                net.encoder.table[row, 1] += sign * 1e-5
                sides.append(by_loop())
                net.encoder.table[row, 1] -= sign * 1e-5
        assert float(grad[row, 1]) == pytest.approx((sides[0] - sides[1]) / 2e-5, abs=1e-5)
    assert (grad[2] == 0).all() != own_vectors  # item 2 has a brand
    assert not (grad[USER] == 0).all()
