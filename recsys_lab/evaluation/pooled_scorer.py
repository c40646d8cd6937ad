"""Scores of items for queries, such as users, by the items of their history."""

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from recsys_lab.evaluation.histories import pooled_vectors
from recsys_lab.evaluation.scorers import QueryScorer, VectorScorer


def pooled_scorer(
    nodes: VectorScorer, weights: sparse.csr_matrix, num_items: int | None = None
) -> QueryScorer:
    """Score an item for a query by the weighted mean of its scores for the query's items.

    score(q, j) = sum_i w_qi score(i, j) / sum_i w_qi, less what is the same for all j: the mean of
    the biases of the history. Items of a history without a score count for nothing, and a query of
    none but such items has no score.

    Args:
        nodes: scores of two of V nodes, of which the first N are the items.
        weights: (Q, V) CSR, what the items of a history weigh, or what else stands for a query.
        num_items: N; None: all nodes are items.
    """
    scorable = nodes.scorable.cpu().numpy()
    known = sparse.csr_matrix(weights @ sparse.diags(scorable.astype(np.float32)))
    known.eliminate_zeros()
    queries, keys, ranked = nodes.queries, nodes.keys, slice(num_items)
    pooled = _pool(known, queries)
    if nodes.both_ways:
        pooled = torch.cat([pooled, _pool(known, keys)], dim=1) / 2
        keys = torch.cat([keys, queries], dim=1)
    answerable = torch.from_numpy(np.diff(known.indptr) > 0)
    answerable = answerable.to(keys.device)
    return QueryScorer(pooled, keys[ranked], nodes.bias[ranked], nodes.scorable[ranked], answerable)


def _pool(weights: sparse.csr_matrix, vectors: Tensor) -> Tensor:
    return torch.from_numpy(pooled_vectors(weights, vectors.cpu().numpy())).to(vectors.device)
