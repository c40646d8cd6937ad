"""A baseline: items listed with equally many others are related."""

import numpy as np
from scipy import sparse

from recsys_lab.evaluation.baselines import BASELINES, Baseline


class SimilarDegree:
    """score(i, j) = -|degree_i - degree_j|."""

    def __init__(self, pairs: sparse.csr_matrix) -> None:
        self.degree = np.diff(pairs.indptr).astype(np.float32)  # (N,)

    def score_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """(P,) scores."""
        return -np.abs(self.degree[heads] - self.degree[tails])

    def score_rows(self, queries: np.ndarray) -> np.ndarray:
        """(Q, N) scores."""
        return -np.abs(self.degree[queries, None] - self.degree)


BASELINES["similar_degree"] = Baseline(lambda data: SimilarDegree(data.pairs))
