"""The content baseline: items are similar if they share rare labels."""

import numpy as np
from scipy import sparse

from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.label_columns import idf
from recsys_lab.compute.parallel import run_parts


class ContentSimilarity:
    """Cosine of the tf-idf vectors of two items' labels, such as brand and categories.

    A model with side information should beat it on items without training pairs. A label that n of
    N items have weighs ln((1 + N) / (1 + n)) + 1, the smoothed form of scikit-learn. Pairs are not
    used, so seen and cold items are scored alike. A pair with an end without any label has no
    score: NaN, which the protocol imputes and counts in the coverage.

    Args:
        labels: (N, V) CSR, stored where an item has a label; values are counts.

    Raises:
        ValueError: a count is not finite and positive.
    """

    def __init__(self, labels: sparse.csr_matrix) -> None:
        matrix = sparse.csr_matrix(labels, dtype=np.float64, copy=True)
        matrix.sum_duplicates()
        if not (np.isfinite(matrix.data).all() and (matrix.data > 0).all()):
            raise ValueError("counts of labels must be finite and positive")
        num_items, num_labels = matrix.shape
        owners = np.bincount(matrix.indices, minlength=num_labels)  # (V,) items with the label
        matrix.data *= idf(owners, num_items)[matrix.indices]
        self.described = np.diff(matrix.indptr) > 0  # (N,)
        norms = np.sqrt(matrix.multiply(matrix).sum(axis=1)).A1  # (N,)
        matrix.data /= np.repeat(norms, np.diff(matrix.indptr))
        self.num_items = num_items
        self._rows = matrix.indptr, matrix.indices, matrix.data
        by_label = matrix.tocsc()  # (V,) lists of items
        self._items = by_label.indptr, by_label.indices, by_label.data

    def score_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """(P,) float64 in [0, 1]."""
        scores = np.empty(len(heads))
        _multiply_pairs(self._rows, np.asarray(heads), np.asarray(tails), scores)
        scores[~(self.described[heads] & self.described[tails])] = np.nan
        return scores

    def score_rows(self, queries: np.ndarray) -> np.ndarray:
        """(Q, N) float32 in [0, 1]; the caller bounds Q."""
        queries = np.asarray(queries)
        scores = np.zeros((len(queries), self.num_items), np.float32)

        def score_part(low: int, high: int) -> None:
            some = queries[low:high], scores[low:high]
            _multiply_rows(self._rows, self._items, self.described, *some)

        run_parts(score_part, len(queries))
        return scores


@jit()
def _multiply_pairs(rows, heads, tails, out):  # type: ignore[no-untyped-def]
    """Inner products of pairs of sparse rows, whose indices ascend."""
    indptr, indices, data = rows
    for p in range(len(heads)):
        i, j = indptr[heads[p]], indptr[tails[p]]
        total = 0.0
        while i < indptr[heads[p] + 1] and j < indptr[tails[p] + 1]:
            if indices[i] == indices[j]:
                total += data[i] * data[j]
                i, j = i + 1, j + 1
            elif indices[i] < indices[j]:
                i += 1
            else:
                j += 1
        out[p] = total


@jit()
def _multiply_rows(rows, items, described, queries, out):  # type: ignore[no-untyped-def]
    """Inner products of sparse rows with all rows, label by label; `out` starts at 0.

    NaN where a row of either is empty, which `described` tells.
    """
    empty = np.flatnonzero(~described)
    indptr, indices, data = rows
    item_indptr, item_indices, item_data = items
    for q in range(len(queries)):
        for i in range(indptr[queries[q]], indptr[queries[q] + 1]):
            label, value = indices[i], data[i]
            for k in range(item_indptr[label], item_indptr[label + 1]):
                out[q, item_indices[k]] += value * item_data[k]
        if not described[queries[q]]:
            out[q] = np.nan
        for item in empty:
            out[q, item] = np.nan
