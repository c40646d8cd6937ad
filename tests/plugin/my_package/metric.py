"""A ranking metric: 1 / rank within the first k, else 0."""

import numpy as np

from recsys_lab.evaluation.metrics import RANKING_METRICS


def cut_reciprocal_ranks(ranks: np.ndarray, k: int) -> np.ndarray:
    """1 / rank where rank <= k, else 0; the mean is MRR@k."""
    return np.where(ranks <= k, 1.0 / ranks, 0.0)


RANKING_METRICS["cut_mrr@k"] = cut_reciprocal_ranks
