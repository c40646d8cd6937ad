"""Scores of items for queries, such as users, by the items of their history."""

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from recsys_lab.evaluation.histories import pooled_vectors
from recsys_lab.evaluation.scorers import QueryScorer, VectorScorer


def pooled_scorer(items: VectorScorer, weights: sparse.csr_matrix) -> QueryScorer:
    """Score an item for a query by the weighted mean of its scores for the query's items.

    score(q, j) = sum_i w_qi score(i, j) / sum_i w_qi, less what is the same for all j: the mean of
    the biases of the history. Items of a history without a score count for nothing, and a query of
    none but such items has no score.

    Args:
        items: scores of two items.
        weights: (Q, N) CSR, what the items of a history weigh.
    """
    scorable = items.scorable.cpu().numpy()
    known = sparse.csr_matrix(weights @ sparse.diags(scorable.astype(np.float32)))
    known.eliminate_zeros()
    queries, keys = items.queries, items.keys
    pooled = _pool(known, queries)
    if items.both_ways:
        pooled = torch.cat([pooled, _pool(known, keys)], dim=1) / 2
        keys = torch.cat([keys, queries], dim=1)
    answerable = torch.from_numpy(np.diff(known.indptr) > 0)
    return QueryScorer(pooled, keys, items.bias, items.scorable, answerable.to(keys.device))


def _pool(weights: sparse.csr_matrix, vectors: Tensor) -> Tensor:
    return torch.from_numpy(pooled_vectors(weights, vectors.cpu().numpy())).to(vectors.device)
