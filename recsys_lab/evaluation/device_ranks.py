"""Ranks by operations of torch, for scores that are on a GPU: the scores never leave it."""

import numpy as np
import torch
from torch import Tensor

_ROWS = 64  # targets whose rows are compared at a time


def rank_rows(
    rows: Tensor,
    items: np.ndarray,
    bounds: np.ndarray,
    target: np.ndarray,
    indptr: np.ndarray,
    indices: np.ndarray,
) -> np.ndarray:
    """Filtered mid-ranks of target[bounds[u]:bounds[u + 1]] within rows[u], for pairs of items.

    Args:
        rows: (Q, N) scores of every item for the queries; overwritten.
        items: (Q,) the queries, which are no candidates.
        bounds: (Q + 1,).
        target: (T,), of which those from bounds[0] to bounds[Q] are ranked.
        indptr: (N + 1,) with `indices` the items known to each query, which are no candidates.
        indices: (E,).
    """
    rows.nan_to_num_(nan=-torch.inf)  # scores are finite, so that NaN ranks last and ties with NaN
    device, counts = rows.device, np.diff(bounds)
    ranked = target[bounds[0] : bounds[-1]]
    owner = np.repeat(np.arange(len(items)), counts)  # row of each target
    whose = torch.from_numpy(owner).to(device)
    score = rows[whose, torch.from_numpy(ranked.astype(np.int64)).to(device)]
    twice = _levels(rows, whose, score)
    known = _candidates_left_out(items, counts, indptr, indices)
    place, other = (torch.from_numpy(part).to(device) for part in known)
    values, scores = rows[whose[place], other], score[place]
    twice.index_add_(0, place, -_twice_ahead(values, scores))
    return 1.0 + 0.5 * twice.cpu().numpy()


def _twice_ahead(values: Tensor, scores: Tensor) -> Tensor:
    """Two for a value above its score, one for one at the same level."""
    return 2 * (values > scores).long() + (values == scores).long()


def _levels(rows: Tensor, whose: Tensor, score: Tensor) -> Tensor:
    """Sums of `_twice_ahead` over the whole row of each target, (t,) int64."""
    sums = torch.empty(len(score), dtype=torch.int64, device=rows.device)
    for low in range(0, len(score), _ROWS):
        some = slice(low, low + _ROWS)
        values, level = rows[whose[some]], score[some, None]
        sums[some] = 2 * (values > level).sum(1) + (values == level).sum(1)
    return sums


def _candidates_left_out(
    items: np.ndarray, counts: np.ndarray, indptr: np.ndarray, indices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of every target, the query and what is known of it: target and item, each (m,) int64."""
    queries = np.repeat(items, counts).astype(np.int64)  # of each target
    degrees = (indptr[queries + 1] - indptr[queries]).astype(np.int64)
    place = np.repeat(np.arange(len(queries)), degrees)
    ends = np.cumsum(degrees)
    at = np.arange(len(place)) + np.repeat(indptr[queries] - (ends - degrees), degrees)
    others = np.concatenate([indices[at].astype(np.int64), queries])
    return np.concatenate([place, np.arange(len(queries))]), others
