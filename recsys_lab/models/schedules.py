"""Learning-rate schedules: the share of the base rate at a step, as a formula without state.

`progress` is the share of all steps already taken, in [0, 1); `epoch_progress` the share of the
current epoch. A formula of the step is right after a resume, too.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Share

Schedule = Callable[[float, float], float]


class Plan(NamedTuple):
    """The limits of a training, of which the first to be reached ends it.

    Attributes:
        max_epochs: -1 or None is no limit.
        max_steps: -1 is no limit.
    """

    max_epochs: int | None
    max_steps: int = -1

    def progress(self, epochs: float, steps: int) -> float:
        """Share of the planned steps that are taken, in [0, 1]; 0 without a limit.

        Args:
            epochs: passed so far, with the share of the current one.
            steps: taken so far.
        """
        by_epochs = epochs / self.max_epochs if self.max_epochs and self.max_epochs > 0 else 0.0
        by_steps = steps / self.max_steps if self.max_steps > 0 else 0.0
        return min(max(by_epochs, by_steps), 1.0)

    def steps(self, num_batches: int) -> int | None:
        """The planned steps, by the number of batches of an epoch; None without a limit."""
        by_epochs = (self.max_epochs or -1) * num_batches
        return min((limit for limit in (by_epochs, self.max_steps) if limit > 0), default=None)


def constant(progress: float, epoch_progress: float) -> float:
    """The base rate throughout."""
    return 1.0


@checked
def linear(progress: float, epoch_progress: float, *, final: Share) -> float:
    """A straight line from the base rate to `final` times it, as word2vec does."""
    return 1.0 - (1.0 - final) * progress


@checked
def cosine(progress: float, epoch_progress: float, *, final: Share) -> float:
    """Half a cosine wave from the base rate to `final` times it.

    Loshchilov and Hutter, SGDR (ICLR 2017), equation 5, without restarts.
    """
    return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * progress))


@checked
def cosine_restarts(progress: float, epoch_progress: float, *, final: Share) -> float:
    """The same wave in every epoch, with a warm restart at its start: the article's schedule."""
    return cosine(epoch_progress, epoch_progress, final=final)


def check_plan(plan: Plan, schedule: Schedule) -> None:
    """Refuse a schedule that ends with the planned steps if their number is open.

    Raises:
        ValueError: naming what to set.
    """
    if plan.steps(1) is not None:
        return
    if len({schedule(progress, 0.0) for progress in (0.0, 0.5, 1.0)}) > 1:
        raise ValueError(
            "the rate of this schedule depends on the number of steps, which max_time leaves open: "
            "set max_epochs= or max_steps= too, or take schedule=constant"
        )
