"""The limits of a training: how far it is, and whether its schedule fits them."""

from typing import NamedTuple

from recsys_lab.models.schedules import Schedule


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
