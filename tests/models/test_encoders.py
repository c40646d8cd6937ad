from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recsys_lab.models.builders import skipgram_side_info
from recsys_lab.models.encoders import SideInfoEncoder
from recsys_lab.models.optimizers import RowWiseAdagrad
from recsys_lab.models.skipgram import SkipGram
from recsys_lab.run.training_notes import tell_fields
from tests.models import model_cases as cases

DIM = 4
# twelve items: 9 and 10 are cold with side information, 11 is cold without any
TRAINED = torch.tensor([True] * 9 + [False] * 3)
BRANDS = [[0], [0], [1], [], [1], [2], [], [0], [2], [0], [3], []]  # 3: of cold items only
TOPICS = [[0, 1], [1], [], [], [2, 0, 1], [2], [1], [0], [0], [1, 2], [0], []]
FIELDS = [cases.field(BRANDS, 4), cases.field(TOPICS, 3)]


def encoder(pooling: str, *, seed: int = 0) -> SideInfoEncoder:
    torch.manual_seed(seed)
    made = SideInfoEncoder(TRAINED, FIELDS, DIM, pooling, init_scale=4.0)
    if made.attention is not None:
        nn.init.normal_(made.attention)
    return made.double()


def expected_vector(item: int, table: Tensor, attention: Tensor | None) -> Tensor:
    """The definition, one item at a time."""
    parts = {0: [item]} if TRAINED[item] else {}
    first = len(TRAINED)
    for part, (values, size) in enumerate(((BRANDS, 4), (TOPICS, 3)), start=1):
        met = {code for i, codes in enumerate(values) if TRAINED[i] for code in codes}
        rows = [first + code for code in values[item] if code in met]
        parts |= {part: rows} if rows else {}
        first += size
    if not parts:
        return torch.zeros(DIM, dtype=table.dtype)
    if attention is None:
        weights = torch.full((len(parts),), 1 / len(parts), dtype=table.dtype)
    else:
        weights = torch.softmax(attention[item, list(parts)], dim=0)
    means = [table[rows].mean(0) for rows in parts.values()]
    return sum(weight * mean for weight, mean in zip(weights, means, strict=True))


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_vectors_follow_the_definition(pooling: str) -> None:
    made = encoder(pooling)
    vectors = made(torch.tensor([[5, 4, 11], [9, 4, 3]]))
    for row, items in enumerate(([5, 4, 11], [9, 4, 3])):
        for column, item in enumerate(items):
            expected = expected_vector(item, made.table, made.attention)
            torch.testing.assert_close(vectors[row, column], expected)
    everything = torch.stack([expected_vector(i, made.table, made.attention) for i in range(12)])
    torch.testing.assert_close(made.item_vectors(), everything)


@pytest.mark.parametrize("pooling", ["mean", "attention"])
@pytest.mark.parametrize(
    "items", [[[5, 4, 11], [9, 4, 3]], [11], [[11, 11]], [10], [], [*range(12)] * 9]
)
def test_padding_changes_neither_vectors_nor_gradients(pooling: str, items: list[Any]) -> None:
    exact, padded = (encoder(pooling) for _ in range(2))
    ids = torch.tensor(items, dtype=torch.long)
    vectors = exact.pool(ids, padded=False)
    torch.testing.assert_close(padded.pool(ids, padded=True), vectors)
    for made in (exact, padded):
        weights = torch.arange(vectors.numel()).view(vectors.shape).double()
        (made.pool(ids, padded=made is padded) * weights).sum().backward()
    for name in exact.sparse_tables:
        if getattr(exact, name) is not None:
            grads = [getattr(made, name).grad.coalesce() for made in (exact, padded)]
            torch.testing.assert_close(*(grad.to_dense() for grad in grads))
            moved = [grad.indices().tolist() for grad in grads]  # by SparseAdam, were they zero
            assert moved[0] == moved[1] or not moved[0][0]


@pytest.mark.parametrize("pooling", ["mean", "attention"])
@pytest.mark.parametrize("name", cases.BATCHES)
def test_gradients_of_the_skip_gram_match_a_double_loop(name: str, pooling: str) -> None:
    batch = cases.BATCHES[name]
    net = SkipGram(
        encoder(pooling), encoder(pooling, seed=1), "center_context", torch.zeros(cases.NUM_ITEMS)
    )
    copies = [
        [
            None if p is None else p.detach().clone().requires_grad_()
            for p in (side.table, side.attention)
        ]
        for side in (net.centers, net.contexts)
    ]
    expected = sum(
        cases.logistic(
            expected_vector(i, *copies[0]) @ expected_vector(j, *copies[1]), positive, negative
        )
        for i, j, positive, negative in cases.cells(batch)
    )
    expected.backward()
    total, _ = net.loss(batch)
    total.backward()
    torch.testing.assert_close(total, expected)
    for side, (table, attention) in zip((net.centers, net.contexts), copies, strict=True):
        torch.testing.assert_close(side.table.grad.to_dense(), table.grad)
        if attention is not None:
            torch.testing.assert_close(side.attention.grad.to_dense(), attention.grad)


def test_attention_sums_to_one_over_the_parts_that_an_item_has() -> None:
    made = encoder("attention")
    weights = made.part_weights(torch.arange(12)).detach().numpy()
    np.testing.assert_allclose(weights[:11].sum(1), 1)
    assert (weights[11] == 0).all()
    assert weights[3, 0] == 1  # no brand and no topic
    assert (weights[[9, 10], 0] == 0).all()  # cold: no vector of its own
    assert weights[10, 1] == 0  # its brand is met by no trained item


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_missing_side_information_contributes_nothing(pooling: str) -> None:
    made = encoder(pooling)
    torch.testing.assert_close(made(torch.tensor([3]))[0], made.table[3])
    made.table.data[len(TRAINED) :] += 100
    torch.testing.assert_close(made(torch.tensor([3]))[0], made.table[3])


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_a_cold_item_has_a_vector_from_its_side_information_alone(pooling: str) -> None:
    made = encoder(pooling)
    before = made.item_vectors()
    made.table.data[9:12] += 100  # rows of cold items themselves
    made.table.data[12 + 3] += 100  # a brand that only a cold item has
    torch.testing.assert_close(made.item_vectors(), before)
    assert made.can_encode(TRAINED).tolist() == [True] * 11 + [False]
    assert (before[9] != 0).all()
    made.table.data[12] += 100  # the brand that item 9 shares with trained items
    assert ((made.item_vectors() - before)[9] > 10).all()


def test_a_cold_item_comes_near_those_it_shares_values_with() -> None:
    half = [[0]] * 6 + [[1]] * 6
    items = cases.items_with({"brand": cases.field(half, 2)}, [1] * 5 + [0] + [1] * 5 + [0])
    net = skipgram_side_info(
        items,
        embedding_dim=8,
        l2=0.0,
        score="center_context",
        popularity_weight=0.5,
        fields=["brand"],
        pooling="mean",
        context_side_info=True,
        content_weight=0.0,
        kernel="auto",
    )
    optimizer = RowWiseAdagrad(net.parameters(), lr=0.1)
    rng = np.random.default_rng(0)
    for _ in range(200):
        batch = cases.pair_batch(16, 1)
        centers = rng.choice([0, 1, 2, 3, 4, 6, 7, 8, 9, 10], 16)
        offset = rng.integers(0, 5, 16)
        batch = batch._replace(
            centers=torch.from_numpy(centers),
            contexts=torch.from_numpy(centers // 6 * 6 + offset),
            negatives=torch.from_numpy((1 - centers // 6) * 6 + offset)[:, None],
        )
        optimizer.zero_grad()
        net.loss(batch)[0].backward()
        optimizer.step()
    vectors = net.score_vectors(torch.arange(12))
    cold = torch.tensor([5, 5, 11, 11])
    near, far, also_near, also_far = cases.pair_scores(vectors, cold, torch.tensor([0, 7, 7, 0]))
    assert near > far + 1
    assert also_near > also_far + 1


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pooling must be mean or attention or sum, got .max."):
        SideInfoEncoder(TRAINED, FIELDS, DIM, "max")


NO_VALUES = cases.field([[]] * 12, 0)


def test_fields_without_any_value_are_refused() -> None:
    """The message names them, and what the catalogue has."""
    brands = cases.field([[0]] * 6 + [[1]] * 6, 2)
    every = dict.fromkeys(("brand", "category", "price", "title"), NO_VALUES)
    options: dict[str, Any] = {
        "embedding_dim": 2, "l2": 0.0, "score": "cosine", "popularity_weight": 0.0,
        "pooling": "mean", "context_side_info": True,
        "content_weight": 0.0, "kernel": "auto",
    }  # fmt: skip
    none, one = (cases.items_with(x, [1] * 12) for x in (every, every | {"brand": brands}))
    with pytest.raises(ValueError, match=r"of fields=.brand,price., and it has no side"):
        skipgram_side_info(none, fields=["brand", "price"], **options)
    with pytest.raises(
        ValueError, match=r"of fields=.price., and it has brand: take fields=.brand."
    ):
        skipgram_side_info(one, fields=["price"], **options)
    skipgram_side_info(one, fields=["brand", "price"], **options)  # one of them is enough


def test_the_share_of_items_with_a_value_is_said(caplog: pytest.LogCaptureFixture) -> None:
    half = cases.field([[0]] * 6 + [[]] * 6, 1)
    made = SideInfoEncoder(torch.ones(12, dtype=torch.bool), [half, NO_VALUES], 2, "mean")
    with caplog.at_level("INFO"):
        tell_fields(SkipGram(made, made, "dot", torch.zeros(12), fields=["brand", "price"]))
    told, warned = (record.message for record in caplog.records)
    assert told == "side information: brand of 50%, price of 0% of the items"
    assert warned.startswith("no item that is trained has a value of price, so model.fields")
