"""Compiled slopes of the ranking losses, row by row of a block."""

import numpy as np

from recsys_lab.models.kernels import jit_piece


@jit_piece
def margin_slopes(
    scores: np.ndarray,
    positive: np.ndarray,
    negative: np.ndarray,
    columns: int,
    margin: float,
    slopes: np.ndarray,
) -> float:
    """Replace scores by the slopes of `losses.margin_loss`; returns the loss.

    Rows and columns are those of the weights (R, C), and the first `columns`; `slopes` (C,) is
    scratch.
    """
    rows = len(positive)
    loss = np.float32(0)
    for row in range(rows):
        slopes[:columns] = 0
        for own in range(columns):
            weight = positive[row, own]
            if weight <= 0:
                continue
            start = np.float32(margin) - scores[row, own]
            mass, total = np.float32(0), np.float32(0)
            for k in range(columns):
                excess = max(start + scores[row, k], np.float32(0))
                mass += negative[row, k] if excess > 0 else np.float32(0)
                total += negative[row, k] * excess
            if mass <= 0:
                continue
            loss += weight * total / mass
            slopes[own] -= weight
            share = weight / mass
            for k in range(columns):
                violates = start + scores[row, k] > 0
                slopes[k] += share * negative[row, k] if violates else np.float32(0)
        for k in range(columns):
            nothing = np.float32(0) * scores[row, k]  # NaN stays, in the loss as well
            scores[row, k] = slopes[k] + nothing
            loss += nothing
    return float(loss)


@jit_piece
def softmax_slopes(
    scores: np.ndarray,
    positive: np.ndarray,
    negative: np.ndarray,
    columns: int,
    temperature: float,
    powers: np.ndarray,
) -> float:
    """The same for `losses.softmax_loss` of scores over the temperature; `powers` is scratch."""
    rows = len(positive)
    inverse = np.float32(1 / temperature)
    loss = np.float32(0)
    for row in range(rows):
        mass, top, rest = np.float32(0), scores[row, 0], np.float32(0)
        for k in range(columns):
            mass += positive[row, k]
            top = max(top, scores[row, k])
        for k in range(columns):
            loss += np.float32(0) * scores[row, k]
            powers[k] = negative[row, k] * np.exp((scores[row, k] - top) * inverse)
            rest += powers[k]
        if not mass > 0 or rest == 0:
            for k in range(scores.shape[1]):
                scores[row, k] *= np.float32(0)  # NaN stays
            continue
        logarithm = np.log(rest / mass)
        all_missed = np.float32(0)
        for k in range(columns):
            if positive[row, k] > 0:
                x = logarithm - (scores[row, k] - top) * inverse
                e = np.exp(-abs(x))
                loss += positive[row, k] * (max(x, np.float32(0)) + np.log(np.float32(1) + e))
                missed = (np.float32(1) if x > 0 else e) / (np.float32(1) + e)
                scores[row, k] = -positive[row, k] * missed * inverse
                all_missed += positive[row, k] * missed
            else:
                scores[row, k] *= np.float32(0)
        for k in range(columns):
            scores[row, k] += all_missed * inverse * powers[k] / rest
    return float(loss)
