"""Learning-rate schedules: the share of the base rate at a step, as a formula without state.

`progress` is the share of all steps already taken, in [0, 1); `epoch_progress` the share of the
current epoch. A formula of the step is right after a resume, too.
"""

import math
from collections.abc import Callable

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import Share

Schedule = Callable[[float, float], float]


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
