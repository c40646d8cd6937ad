"""Columns of item vectors whose inner products are near the cosines of tf-idf vectors of labels.

A value, such as a brand, has C numbers +-idf / sqrt(C), so that their length is its idf. The
columns of an item are the sum of those of its values, over the root of the sum of their squared
idf: a projection by random signs (Achlioptas, Database-friendly random projections, PODS 2001) of
its tf-idf vector of length one. The inner product of two items has their cosine c as its mean over
the signs, and a standard deviation of sqrt((1 + c^2) / C) at most.
"""

import numpy as np
from scipy import sparse


def idf(owners: np.ndarray, num_items: int) -> np.ndarray:
    """(V,) weights of values that so many of N items have, the smoothed form of scikit-learn."""
    return np.asarray(np.log((1 + num_items) / (1 + owners)) + 1)


def value_columns(weights: np.ndarray, count: int) -> np.ndarray:
    """(V, C) float32 of values with weights (V,); C is a multiple of 64.

    The signs of value v are those bits of one fixed stream, the same ones with any version of numpy
    (NEP 19), which has no other use.
    """
    words = np.random.PCG64(0).random_raw(len(weights) * (count // 64)).astype("<u8")
    bits = np.unpackbits(words.view(np.uint8)).reshape(len(weights), count)
    scaled = (np.asarray(weights) / count**0.5).astype(np.float32)[:, None]
    return np.where(bits, scaled, -scaled)


def item_columns(
    owners: np.ndarray, values: np.ndarray, columns: np.ndarray, num_items: int
) -> np.ndarray:
    """(n, C) float32 of items; 0 without a value.

    Args:
        owners: (E,) item of each value that an item has.
        values: (E,) row of the value in `columns`.
        columns: (V, C) of the values; 0 for one that does not count.
        num_items: n.
    """
    shape = num_items, len(columns)
    has = sparse.csr_matrix((np.ones(len(owners), np.float32), (owners, values)), shape)
    squares = has.multiply(has) @ np.square(columns, dtype=np.float64).sum(1)  # (n,)
    scale = np.where(squares > 0, squares, 1.0) ** -0.5
    return np.asarray(has @ columns * scale[:, None]).astype(np.float32)
