"""Margin ranking and softmax losses against loops over positives and their negatives."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recsys_lab.models import ranking_kernels
from recsys_lab.models.losses import margin_loss, softmax_loss


def margin_by_loop(scores: Tensor, positive: Tensor, negative: Tensor, margin: float) -> float:
    total = 0.0
    for row in range(scores.shape[0]):
        for p in torch.nonzero(positive[row])[:, 0].tolist():
            violators = [
                (float(negative[row, n]), margin - float(scores[row, p]) + float(scores[row, n]))
                for n in range(scores.shape[1])
                if negative[row, n] > 0 and float(scores[row, n]) > float(scores[row, p]) - margin
            ]
            if violators:
                weight = sum(w for w, _ in violators)
                total += float(positive[row, p]) * sum(w * h for w, h in violators) / weight
    return total


def softmax_by_loop(scores: Tensor, positive: Tensor, negative: Tensor) -> float:
    total = 0.0
    for row in range(scores.shape[0]):
        mass = float(positive[row].sum())
        for p in torch.nonzero(positive[row])[:, 0].tolist():
            own = math.exp(float(scores[row, p]))
            rest = sum(
                float(negative[row, n]) / mass * math.exp(float(scores[row, n]))
                for n in range(scores.shape[1])
            )
            total -= float(positive[row, p]) * math.log(own / (own + rest))
    return total


def a_block(seed: int, groups: int, rows: int, columns: int) -> tuple[Tensor, Tensor, Tensor]:
    """Scores in quarters, so that many differences are exactly a margin of a quarter."""
    made = torch.Generator().manual_seed(seed)
    shape = groups, rows, columns
    scores = torch.randint(-4, 5, shape, generator=made).double() / 4
    kinds = torch.randint(0, 3, shape, generator=made)
    weights = torch.rand(shape, generator=made, dtype=torch.float64) + 0.1
    return scores, weights * (kinds == 1), weights * (kinds == 2)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 4), st.integers(1, 7))
def test_against_loops(seed: int, groups: int, rows: int, columns: int) -> None:
    scores, positive, negative = a_block(seed, groups, rows, columns)
    flat = [part.flatten(0, 1) for part in (scores, positive, negative)]
    found = margin_loss(scores, positive, negative, 0.25)
    assert float(found) == pytest.approx(margin_by_loop(*flat, 0.25), abs=1e-9)
    found = softmax_loss(scores, positive, negative)
    assert float(found) == pytest.approx(softmax_by_loop(*flat), abs=1e-9)


def test_by_hand() -> None:
    """The positive scores .5: of .625, .375 and .25 the last is exactly the margin below it."""
    scores = torch.tensor([[[0.5, 0.625, 0.375, 0.25]]], requires_grad=True)
    positive = torch.tensor([[[2.0, 0.0, 0.0, 0.0]]])
    negative = torch.tensor([[[0.0, 1.0, 1.0, 1.0]]])
    loss = margin_loss(scores, positive, negative, 0.25)
    assert loss.item() == pytest.approx(2 * (0.375 + 0.125) / 2)
    loss.backward()
    torch.testing.assert_close(scores.grad, torch.tensor([[[-2.0, 1.0, 1.0, 0.0]]]))
    alone = softmax_loss(torch.zeros(1, 1, 2), torch.tensor([[[1.0, 0.0]]]), negative[..., :2])
    assert float(alone) == pytest.approx(math.log(2))


def test_without_positives_nothing_is_lost() -> None:
    scores = torch.randn(2, 3, 4, requires_grad=True)
    nothing = torch.zeros(2, 3, 4)
    for loss in (
        margin_loss(scores, nothing, nothing + 1, 0.1),
        softmax_loss(scores, nothing, nothing + 1),
    ):
        assert loss.item() == 0
        loss.backward()
        assert torch.isfinite(scores.grad).all()


def test_gradcheck() -> None:
    _, positive, negative = a_block(3, 2, 3, 5)
    scores = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: margin_loss(s, positive, negative, 0.4), (scores,))
    assert torch.autograd.gradcheck(lambda s: softmax_loss(s, positive, negative), (scores,))


@pytest.mark.parametrize("slopes", [ranking_kernels.margin_slopes, ranking_kernels.softmax_slopes])
def test_a_score_that_is_no_number_is_seen(slopes: Callable[..., float]) -> None:
    scores = np.array([[0.5, np.nan, 0.25]], np.float32)
    positive, negative = np.array([[[1, 0, 0]], [[0, 1, 1]]], np.float32)
    assert math.isnan(slopes(scores, positive, negative, 3, 0.5, 0 * positive[0]))
    assert np.isnan(scores).any()
