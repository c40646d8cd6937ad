"""The part of the final test that asks all scorers by single clicks: metrics, a line, a picture."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from recsys_lab.evaluation.baselines import Baseline
from recsys_lab.evaluation.click_ranks import (
    NAME,
    Clicks,
    asked_by,
    click_interval,
    click_metrics,
)
from recsys_lab.evaluation.scorers import Scorer
from recsys_lab.figures.one_run import draw_click_ranks
from recsys_lab.results.write_errors import may_fail

log = logging.getLogger(__name__)


class ClickTest:
    """The ranks of the test targets by each click before them, of all scorers.

    Args:
        clicks: None measures nothing.
        replicates: of the bootstrap; 0 leaves intervals out.
        seed: of the bootstrap.
    """

    def __init__(self, clicks: Clicks | None, replicates: int, seed: int) -> None:
        self._clicks = clicks if clicks is not None and len(clicks) else None
        self._replicates, self._seed = replicates, seed
        self._ranks: dict[str, dict[str, float]] = {}  # metrics by the scorer's name
        self._intervals: dict[str, float] = {}

    def add(self, name: str, scorer: Scorer | None) -> None:
        """Measure a scorer of items or of queries, if clicks can ask it."""
        clicks = self._clicks
        if clicks is None or scorer is None or (asked := asked_by(scorer, clicks)) is None:
            return
        ranks = clicks.ranks(asked)
        self._ranks[name] = click_metrics(name, ranks, clicks)
        if self._replicates:
            seed = self._seed
            self._intervals |= click_interval(name, ranks, clicks, self._replicates, seed)

    def end(self, table: Mapping[str, Baseline], folder: Path) -> dict[str, float]:
        """All metrics, also of a random order, which are drawn into the run folder, and said."""
        if (clicks := self._clicks) is None:
            return {}
        self._ranks["chance"] = click_metrics("chance", clicks.chance, clicks)
        names = {name: _words(name, table) for name in self._ranks}
        means = [f"{said} {self._ranks[n][f'{n}/{NAME}/all']:.3f}" for n, said in names.items()]
        log.info(
            "mean rank of the target among the shown, by similarity to %s clicks before it: %s",
            f"{len(clicks):,}",
            ", ".join(means),
        )
        with may_fail("the figure of clicks"):
            curves = {said: _curve(self._ranks[name]) for name, said in names.items()}
            draw_click_ranks(curves, folder / "figures" / "click_ranks.png")
        counts = {f"count/clicks/{k}": int(n) for k, n in enumerate(np.bincount(clicks.place)) if n}
        merged = {key: value for one in self._ranks.values() for key, value in one.items()}
        return merged | self._intervals | counts


def _curve(metrics: Mapping[str, float]) -> dict[int, float]:
    """Mean rank by the place of the click."""
    places = {key.rpartition("/")[2]: value for key, value in metrics.items()}
    return {int(place): value for place, value in places.items() if place != "all"}


def _words(name: str, table: Mapping[str, Baseline]) -> str:
    """A scorer's name for people."""
    if name == "test":
        return "this model"
    plain = name.rpartition("/")[2]
    return (plain in table and table[plain].label) or plain.replace("_", " ")
