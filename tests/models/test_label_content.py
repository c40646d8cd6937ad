"""The cosine of labels in the score, against the content baseline."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from recsys_lab.data.batch import FieldCodes, Items
from recsys_lab.evaluation.content import ContentSimilarity
from recsys_lab.models.builders import skipgram_side_info
from recsys_lab.models.encoders import SideInfoEncoder
from recsys_lab.models.label_content import LabelContent
from recsys_lab.models.skipgram import SkipGram
from tests.models import model_cases as cases

BRANDS = cases.field([[0]] * 4 + [[1]] * 4 + [[2]] * 3 + [[]], 3)
CATEGORIES = cases.field([[n % 3, 3 + n % 4] for n in range(12)], 7)
PRICES = cases.field([[n % 2] for n in range(12)], 2)
ALL = {"brand": BRANDS, "category": CATEGORIES, "price": PRICES}
TRAINED = [2] * 11 + [0]  # the last item is cold, and has no brand
PAIRS = torch.cartesian_prod(torch.arange(12), torch.arange(12)).T


def net_of(weight: float, fields: tuple[str, ...] = ("brand", "category", "price"), **more: Any):
    torch.manual_seed(3)
    options: dict[str, Any] = {
        "embedding_dim": 4, "l2": 0.0, "score": "center_context", "popularity_weight": 0.5,
        "pooling": "mean", "context_side_info": True, "kernel": "autograd",
    }  # fmt: skip
    items: Items = cases.items_with(ALL, TRAINED)
    found = skipgram_side_info(
        items, fields=list(fields), content_weight=weight, **(options | more)
    )
    for encoder in (found.centers, found.contexts):
        torch.nn.init.normal_(encoder.table)  # type: ignore[arg-type, union-attr]
    return found


def scores(net: SkipGram, items: torch.Tensor | None = None) -> np.ndarray:
    return cases.pair_scores(net.score_vectors(items), *PAIRS).numpy()


def matrix(field: FieldCodes) -> sparse.csr_matrix:
    rows = field.codes.numpy(), field.offsets.numpy()
    return sparse.csr_matrix((np.ones(len(rows[0])), *rows), (12, field.cardinality))


def cosines() -> np.ndarray:
    labels = sparse.hstack([matrix(BRANDS), matrix(CATEGORIES)], format="csr")
    return ContentSimilarity(labels).score_pairs(*PAIRS.numpy())


@pytest.mark.parametrize("score", ["center_context", "cosine", "dot"])
def test_the_score_has_the_cosine_of_labels_times_the_weight(score: str) -> None:
    """In wide columns, where the projection is near exact; the price is no label."""
    plain, net = net_of(0, score=score), net_of(0.5, score=score)
    net.content = LabelContent(net.centers, net.fields, 0.5, count=1 << 16)
    np.testing.assert_allclose(scores(net) - scores(plain), 0.5 * cosines(), atol=0.01)


def test_the_columns_of_a_model_are_within_the_error_of_their_number() -> None:
    added = scores(net_of(0.5)) - scores(net_of(0))
    error = np.abs(added - 0.5 * cosines())
    assert (error <= 3.5 * 0.5 * np.sqrt((1 + cosines() ** 2) / 128)).all()
    same = PAIRS[0] == PAIRS[1]
    assert added[same].mean() == pytest.approx(0.5, abs=0.05)


def test_some_items_have_the_vectors_that_all_have() -> None:
    net, rows = net_of(0.5), torch.tensor([7, 0, 11])
    every, some = net.score_vectors(), net.score_vectors(rows)
    assert torch.equal(some.queries, every.queries[rows])
    assert torch.equal(some.keys, every.keys[rows])


def test_training_and_checkpoints_know_nothing_of_it() -> None:
    plain, net, again = net_of(0), net_of(0.5), net_of(0.5)
    assert net.state_dict().keys() == plain.state_dict().keys()
    batch = cases.pair_batch(8, 3)
    assert torch.equal(net.loss(batch)[0], plain.loss(batch)[0])
    torch.nn.init.zeros_(again.centers.table)
    again.load_state_dict(net.state_dict())
    for found, expected in zip(again.score_vectors()[:3], net.score_vectors()[:3], strict=True):
        assert torch.equal(found, expected)
    assert plain.score_vectors().queries.shape == (12, 4)
    assert net.score_vectors().queries.shape == (12, 4 + 128)


def test_a_value_that_no_trained_item_has_does_not_count() -> None:
    brands = cases.field([[0]] * 11 + [[1, 0]], 2)
    content = LabelContent(
        SideInfoEncoder(torch.tensor(TRAINED) > 0, [brands], 4, "mean"), ["brand"], 0.5
    )
    assert torch.equal(content.columns[11], content.columns[0])
    assert not content.of_values()[0][1].any()


def test_fields_without_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"content_weight=0.5 needs labels, and fields=.price."):
        net_of(0.5, fields=("price",))
