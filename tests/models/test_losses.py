import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from recsys_lab.models.losses import bpr_loss, logistic_loss


def test_against_binary_cross_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 9, dtype=torch.float64, generator=generator) * 5
    positive = torch.rand(7, 9, dtype=torch.float64, generator=generator)
    negative = torch.rand(7, 9, dtype=torch.float64, generator=generator)
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    loss = logistic_loss(ours, positive, negative)
    one = F.binary_cross_entropy_with_logits(
        theirs, torch.ones_like(theirs), positive, reduction="sum"
    )
    zero = F.binary_cross_entropy_with_logits(
        theirs, torch.zeros_like(theirs), negative, reduction="sum"
    )
    torch.testing.assert_close(loss, one + zero)
    (3 * loss).backward()
    (3 * (one + zero)).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize(("score", "slope"), [(-20.0, -1.0), (-200.0, -1.0), (0.0, -0.5)])
def test_a_bad_positive_still_gets_its_gradient(score: float, slope: float) -> None:
    logits = torch.tensor([score], requires_grad=True)
    loss = logistic_loss(logits, torch.ones(1), torch.zeros(1))
    loss.backward()
    assert np.isfinite(float(loss.detach()))
    torch.testing.assert_close(logits.grad, torch.tensor([slope]))


def test_gradcheck() -> None:
    logits = torch.randn(5, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: logistic_loss(s, weights, 1 - weights), (logits,))


def test_bpr_against_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 5, dtype=torch.float64, generator=generator)
    positive = torch.rand(2, 4, 5, dtype=torch.float64, generator=generator)
    positive *= torch.tensor([1.0, 0, 0, 1, 0])
    positive[0, 1] = 0  # a row without positives
    negative = torch.rand(2, 4, 5, dtype=torch.float64, generator=generator)
    negative *= torch.tensor([0.0, 1, 1, 0, 1])
    negative[1, 2] = 0  # a row without negatives
    expected = 0.0
    for g, r, p, n in itertools.product(range(2), range(4), range(5), range(5)):
        lead = float(logits[g, r, p] - logits[g, r, n])
        share = float(negative[g, r, n] / negative[g, r].sum()) if negative[g, r].any() else 0.0
        expected += float(positive[g, r, p]) * share * math.log1p(math.exp(-lead))
    assert float(bpr_loss(logits, positive, negative)) == pytest.approx(expected)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: bpr_loss(s, positive, negative), (logits,))


def test_bpr_by_hand() -> None:
    """Two positives of weight 1 and 2 lead the only negative by 1 and -1."""
    logits = torch.tensor([[[1.0, -1.0, 0.0]]])
    loss = bpr_loss(logits, torch.tensor([[[1.0, 2.0, 0.0]]]), torch.tensor([[[0.0, 0.0, 7.0]]]))
    assert float(loss) == pytest.approx(math.log1p(math.e**-1) + 2 * math.log1p(math.e))
