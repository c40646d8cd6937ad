"""The compiled pieces of the fused step, one by one, against float64 and against autograd's."""

import numpy as np
import pytest
import torch
from model_cases import window_batch

from recsys_lab.models import kernels, products
from recsys_lab.models.blocks import window_weights


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 200.0])
def test_slopes_of_the_logistic_loss(scale: float) -> None:
    rng = np.random.default_rng(0)
    scores, positive, negative = rng.normal(0, scale, 1000), rng.random(1000), rng.random(1000)
    exact = 0.5 + 0.5 * np.tanh(scores / 2)
    loss = (positive * np.logaddexp(0, -scores) + negative * np.logaddexp(0, scores)).sum()
    found, *weights = (x.astype(np.float32) for x in (scores, positive, negative))
    slopes = kernels.logistic_slopes
    assert slopes(found, *weights, np.empty_like(found)) == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(found, (positive + negative) * exact - positive, atol=1e-6)


def test_a_positive_far_off_still_has_a_slope_of_one() -> None:
    scores = np.array([-20.0, -500.0], np.float32)
    kernels.logistic_slopes(scores, np.ones(2, np.float32), np.zeros(2, np.float32), scores * 0)
    assert scores == pytest.approx(-1, abs=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_no_number_shows_in_the_loss(value: float) -> None:
    scratch = np.empty(40, np.float32)
    for slopes, rest in ((kernels.logistic_slopes, [scratch]), (kernels.squared_slopes, [])):
        scores, ones = np.full(40, 0.1, np.float32), np.ones(40, np.float32)
        scores[17] = value
        assert not np.isfinite(slopes(scores, ones, ones, *rest))


@pytest.mark.parametrize("outweighs", [1.0, 1e9])
def test_weights_of_a_walk_that_outweighs_the_others(outweighs: float) -> None:
    batch = window_batch(1, 2, 10, 0)
    batch = batch._replace(
        column_weights=torch.ones(1, 20), distance_weights=batch.distance_weights.float()
    )
    batch.column_weights[0, 3] = outweighs
    items, weights = batch.items.clamp_min(0).numpy()[0], batch.column_weights.numpy()[0]
    positive, negative = np.zeros((2, 20, 20), np.float32)
    distances, none = batch.distance_weights.numpy(), np.zeros((20, 0), np.float32)
    kernels.weigh_windows(items, weights, distances, 5.0, none, none, positive, negative)
    expected = window_weights(batch._replace(items=torch.from_numpy(items[None])))[1][0]
    np.testing.assert_allclose(negative, expected, rtol=1e-5)


@pytest.mark.parametrize(("rows", "columns", "steps"), [(6, 16, 1), (7, 33, 5), (60, 60, 128)])
def test_a_product_of_small_matrices(rows: int, columns: int, steps: int) -> None:
    """Of whole tiles, narrow and wide ones, of a matrix that is read by columns."""
    rng = np.random.default_rng(0)
    height, width = (
        products.round_up(rows, products.ROWS),
        products.round_up(columns, products.WIDTH),
    )
    left = rng.normal(size=(steps, height)).astype(np.float32)
    right = rng.normal(size=(steps, width)).astype(np.float32)
    out = np.full((height, width), np.nan, np.float32)
    products.multiply(
        out.ravel(), 0, width, left.ravel(), 0, 1, height, right.ravel(), 0, width,
        rows, columns, steps,
    )  # fmt: skip
    np.testing.assert_allclose(out, left.T @ right, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [3, 16, 37])
def test_rows_become_columns(rows: int) -> None:
    matrix = np.arange(rows * 32, dtype=np.float32).reshape(rows, 32)
    out = np.zeros((32, rows + 2), np.float32)
    products.transpose(out.ravel(), rows + 2, np.r_[7, matrix.ravel()].astype("f4"), 1, rows, 32)
    np.testing.assert_array_equal(out[:, :rows], matrix.T)
    assert not out[:, rows:].any()
