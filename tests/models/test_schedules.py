import math
from functools import partial

import pytest
import torch

from recsys_lab.models.plan import Plan, check_plan
from recsys_lab.models.schedules import constant, cosine, cosine_restarts, linear


def test_by_hand() -> None:
    assert constant(0.7, 0.1) == 1
    assert linear(0.0, 0.0, final=0.2) == 1
    assert math.isclose(linear(0.5, 0.0, final=0.2), 0.6)
    assert math.isclose(cosine(0.5, 0.0, final=0.0), 0.5)
    assert math.isclose(cosine(1.0, 0.0, final=0.1), 0.1)


@pytest.mark.parametrize("steps", [4, 7])
def test_restarts_are_those_of_torch(steps: int) -> None:
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=steps)
    for step in range(3 * steps):
        ours = cosine_restarts(step / (3 * steps), (step % steps) / steps, final=0.0)
        assert math.isclose(ours, theirs.get_last_lr()[0], abs_tol=1e-9)
        optimizer.step()
        theirs.step()


def test_cosine_is_that_of_torch() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10, eta_min=0.2)
    for step in range(10):
        assert math.isclose(cosine(step / 10, 0.0, final=0.2), theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize(
    ("plan", "steps"),
    [
        (Plan(3), 15), (Plan(3, 13), 13), (Plan(3, 99), 15), (Plan(-1, 13), 13), (Plan(None, 2), 2),
        (Plan(-1), None), (Plan(None), None),
    ],
)  # fmt: skip
def test_the_limit_that_comes_first_is_the_plan(plan: Plan, steps: int | None) -> None:
    """In epochs of five batches."""
    assert plan.steps(5) == steps
    for step in range(20):
        expected = 0.0 if steps is None else min(step / steps, 1.0)
        assert plan.progress(step / 5, step) == pytest.approx(expected)


def test_a_schedule_without_an_end_needs_no_plan() -> None:
    for schedule in (constant, partial(cosine_restarts, final=0.0), partial(linear, final=1.0)):
        check_plan(Plan(-1), schedule)
    for schedule in (partial(cosine, final=0.0), partial(linear, final=0.5)):
        check_plan(Plan(-1, 9), schedule)
        with pytest.raises(ValueError, match=r"depends on the number of steps.*schedule=constant"):
            check_plan(Plan(-1), schedule)
