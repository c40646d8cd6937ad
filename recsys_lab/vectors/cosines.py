"""The rows of a table of vectors that are most like one of them, by their cosines."""

import numpy as np

from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.score_form import without_constants
from recsys_lab.vectors.search import NO_ROW, top_k


def directions(vectors: np.ndarray, *, biased: bool) -> np.ndarray:
    """Folded vectors (n, E) at length one, without the constants that carry biases."""
    plain = without_constants(vectors, biased=biased)
    lengths = np.linalg.norm(plain, axis=1, keepdims=True)
    return np.divide(plain, lengths, out=np.zeros_like(plain), where=lengths > 0)


def most_alike(
    unit: np.ndarray, row: int, k: int, allowed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The k allowed rows with the largest cosine with a row, and the cosines; at most k.

    Args:
        unit: (n, E) vectors of length one.
        row: it is left out.
        k: length of the list.
        allowed: (n,) bool.

    Raises:
        VectorsError: k is below 1.
    """
    return best_rows(unit[row], unit, k, allowed, row)


def best_rows(
    query: np.ndarray, keys: np.ndarray, k: int, allowed: np.ndarray, left_out: int = NO_ROW
) -> tuple[np.ndarray, np.ndarray]:
    """The k allowed rows of `keys` with the largest products with a query (E,); at most k.

    Raises:
        VectorsError: k is below 1.
    """
    if k < 1:
        raise VectorsError(f"k must be >= 1, got {k}")
    rows, scores = top_k(query[None], keys, k, allowed, np.array([left_out]))
    found = rows[0] != NO_ROW
    return rows[0][found], scores[0][found]
