"""Small logs with every awkward case: several targets, cold items, queries without a seen item."""

import numpy as np
from evaluation_cases import TableScorer
from scipy import sparse

from recsys_lab.evaluation.slices import EvaluationPairs, Queries


def random_log(num_queries, num_items, seed, most_targets=4, filters_history=True):
    """Pairs of queries and items, and their histories (Q, N) bool; items 0 and 1 are cold.

    The first query has a history of a cold item alone; the last has no target.
    """
    rng = np.random.default_rng(seed)
    history = rng.random((num_queries, num_items)) < 0.2
    history[:, :2] = False
    history[0], history[0, 0] = False, True
    targets = np.zeros((num_queries, num_items), bool)
    for query in range(num_queries - 1):
        chosen = rng.choice(num_items, rng.integers(1, most_targets + 1), replace=False)
        targets[query, chosen] = True  # some are in the history, too
    known = targets | history if filters_history else targets
    seen = history[1:].any(0)
    negatives = np.argwhere(~(known | history | targets)).astype(np.int32)
    rng.shuffle(negatives)
    return (
        EvaluationPairs(
            num_items=num_items,
            positives=np.argwhere(targets).astype(np.int32),
            negatives={"uniform": negatives[:40], "degree_matched": negatives[40:70]},
            known=sparse.csr_matrix(known),
            seen=seen,
            queries=Queries((history & seen).any(1), history[1:].sum(0)),
        ),
        history,
    )


def random_scores(num_queries, num_items, seed, levels=6, unscored=()):
    """Few levels, so that ties abound; items and one query without a score."""
    table = np.random.default_rng(seed).integers(0, levels, (num_queries, num_items)).astype(float)
    table[:, list(unscored)] = np.nan
    if unscored:
        table[2] = np.nan
    return TableScorer(table)
