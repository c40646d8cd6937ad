"""Inner products of the columns of items are near the cosines of their tf-idf vectors."""

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.compute.label_columns import idf, item_columns, value_columns

OWNERS = np.array([0, 0, 1, 1, 2, 3])
VALUES = np.array([0, 1, 0, 2, 3, 3])
WEIGHTS = idf(np.array([2, 1, 1, 2]), 5)


def columns_of_items(count: int) -> np.ndarray:
    return item_columns(OWNERS, VALUES, value_columns(WEIGHTS, count), 5)


def cosines() -> np.ndarray:
    """(5, 5); the last item has no value."""
    weighed = sparse.csr_matrix((np.ones(6), (OWNERS, VALUES)), (5, 4)).toarray() * WEIGHTS
    lengths = np.linalg.norm(weighed, axis=1, keepdims=True)
    unit = weighed / np.where(lengths > 0, lengths, 1)
    return unit @ unit.T


def test_the_weight_of_a_value_by_hand() -> None:
    np.testing.assert_allclose(idf(np.array([1, 5]), 5), [np.log(3) + 1, 1.0])


@pytest.mark.parametrize("count", [64, 128, 1 << 16])
def test_products_are_within_the_error_of_the_projection(count: int) -> None:
    found = columns_of_items(count)
    expected = cosines()
    deviation = np.sqrt((1 + expected**2) / count)
    products = found @ found.T
    assert (np.abs(products - expected) <= 3 * deviation + 1e-6).all()
    assert products[2, 3] == pytest.approx(1, abs=1e-6)  # one value each, the same: exact
    assert not found[4].any()


def test_signs_are_those_of_every_version() -> None:
    """The stream of PCG64 is fixed (NEP 19), and so are the vectors that folders hold."""
    signs = value_columns(np.ones(2), 64)
    assert (np.abs(signs) == 0.125).all()
    assert np.packbits(signs > 0).tobytes().hex() == "5f82c2d9cfeb0fa321d7d982f8bd1045"
    np.testing.assert_array_equal(value_columns(np.ones(5), 64)[:2], signs)
