"""The scorers of a model while it trains and when it is tested."""

import numpy as np
import torch
from scipy import sparse

from recsys_lab.evaluation.pooled_scorer import pooled_scorer
from recsys_lab.evaluation.scorers import QueryScorer, VectorScorer
from recsys_lab.models.task import EmbeddingTask


def net_scorer(
    task: EmbeddingTask, seen: np.ndarray, items: np.ndarray | None = None
) -> VectorScorer:
    """Scorer of a model over all nodes, or those given (n,); its item k is then items[k].

    The vectors of a scorer over all nodes may be the tables that training updates, not copies.
    `seen` is the mask (V,) of the nodes that training meets.

    Raises:
        ValueError: a vector is not finite.
    """
    scorable = task.net.can_score(torch.from_numpy(seen).to(task.device))
    if items is None:
        return VectorScorer(*task.net.score_vectors(), scorable=scorable)
    ids = torch.from_numpy(np.asarray(items, np.int64)).to(task.device)
    return VectorScorer(*task.net.score_vectors(ids), scorable=scorable[ids])


def sample_scorer(
    task: EmbeddingTask, seen: np.ndarray, histories: sparse.csr_matrix, items: np.ndarray
) -> QueryScorer:
    """Scorer of the given items (n,), ascending, for queries with these histories (q, V).

    Its item k is items[k]. Only the items of the sample are encoded.
    """
    known = np.union1d(histories.indices, items)
    pooled = pooled_scorer(net_scorer(task, seen, known), histories[:, known])
    rows = torch.from_numpy(np.searchsorted(known, items)).to(pooled.keys.device)
    return QueryScorer(
        pooled.queries, pooled.keys[rows], pooled.bias[rows], pooled.scorable[rows],
        pooled.answerable,
    )  # fmt: skip
