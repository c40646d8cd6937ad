"""Small evaluation sets with every awkward case in them."""

import numpy as np
from scipy import sparse

from recsys_lab.evaluation.slices import EvaluationPairs


class TableScorer:
    """Scores looked up in a symmetric (N, N) table, or one of queries (Q, N); NaN for none."""

    def __init__(self, table):
        self.table = np.asarray(table, np.float32)

    def score_pairs(self, heads, tails):
        return self.table[heads, tails]

    def score_rows(self, queries):
        return self.table[queries]


def symmetric(pairs, num_items):
    """Known pairs as a boolean CSR matrix, both ways."""
    matrix = np.zeros((num_items, num_items), bool)
    matrix[pairs[:, 0], pairs[:, 1]] = matrix[pairs[:, 1], pairs[:, 0]] = True
    return sparse.csr_matrix(matrix)


def random_pairs(num_items, seed, held_out=0.4):
    """Random known pairs, some held out; four items are cold; two negative protocols."""
    rng = np.random.default_rng(seed)
    every = np.stack(np.triu_indices(num_items, 1), axis=1).astype(np.int32)
    every = every[rng.permutation(len(every))]
    every = np.where(rng.random((len(every), 1)) < 0.5, every, every[:, ::-1])
    count = len(every) // 4
    known, others = every[:count], every[count:]
    seen = np.arange(num_items) >= 4
    return EvaluationPairs(
        num_items=num_items,
        positives=known[: int(held_out * count)],
        negatives={"uniform": others[:count], "degree_matched": others[count : count + 30]},
        known=symmetric(known, num_items),
        seen=seen,
    )


def random_table(num_items, seed, levels=6, unscored=()):
    """Symmetric scores with few levels, so that ties abound; NaN rows and columns."""
    rng = np.random.default_rng(seed)
    table = rng.integers(0, levels, (num_items, num_items)).astype(np.float32)
    table = np.minimum(table, table.T)
    table[list(unscored), :] = table[:, list(unscored)] = np.nan
    return TableScorer(table)
