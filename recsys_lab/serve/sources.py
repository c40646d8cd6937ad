"""What fills a list of neighbours: the model of a run, or a baseline over its training pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recsys_lab.evaluation.baselines import BASELINES, TrainingData
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.serve.served_runs import ServedRun
from recsys_lab.vectors.search import NO_ROW, top_k

if TYPE_CHECKING:  # its module imports torch
    from recsys_lab.evaluation.scorers import Scorer

_METRICS = {"NDCG@10": "ndcg@10/all", "HR@10": "hr@10/all"}


class Nearest(NamedTuple):
    """The best items for an item, in descending order of their scores."""

    rows: np.ndarray  # (n,)
    scores: np.ndarray  # (n,)


@dataclass(frozen=True)
class Source:
    """Ranks the items of the catalogue of a run.

    Attributes:
        key: its name in addresses.
        name: its name on the page.
        detail: where it comes from, in a few words.
        run: whose items are ranked.
    """

    key: str
    name: str
    detail: str
    run: ServedRun

    @property
    def prefix(self) -> str:
        """Of its figures in `metrics.json`."""
        return "test"

    @property
    def figures(self) -> dict[str, float | None]:
        """NDCG@10 and HR@10 on the test pairs of the run; None where they were not measured."""
        return {x: self.run.metrics.get(f"{self.prefix}/{n}") for x, n in _METRICS.items()}

    def why_not(self, row: int) -> str:
        """Why an item has no neighbours, in a sentence; empty if it has."""
        found = self.run.embeddings
        return "" if found.scored[row] else f"No score: {found.why_not(row)}."

    def nearest(self, row: int, k: int, not_known: bool) -> Nearest:
        """At most k items, without the item itself.

        Args:
            row: of the item.
            k: length of the list.
            not_known: leave out the items that are a training pair with it.
        """
        found = self.run.embeddings
        allowed = found.scored.copy()
        if not_known:
            allowed[self.run.known(row)] = False
        rows, scores = top_k(
            found.queries[row : row + 1], found.keys, k, allowed, np.array([row])
        )
        is_item = rows[0] != NO_ROW
        return Nearest(rows[0][is_item], scores[0][is_item])


@dataclass(frozen=True)
class BaselineSource(Source):
    """A baseline of `evaluation.baselines` that knows the training pairs of a run.

    Attributes:
        baseline: its name in the table.
    """

    baseline: str

    @property
    def prefix(self) -> str:
        """Of its figures in `metrics.json`."""
        return f"baseline/{self.baseline}"

    @cached_property
    def scorer(self) -> "Scorer | None":
        """None where the training pairs do not allow it."""
        graph = self.run.graph.adjacency
        return BASELINES[self.baseline].build(TrainingData(graph, graph[:, :0]))

    def why_not(self, row: int) -> str:
        """An item without training pairs has no neighbours."""
        return "" if len(self.run.known(row)) else "No training pair holds this item."

    def nearest(self, row: int, k: int, not_known: bool) -> Nearest:
        """Items with a score of 0 have nothing in common with the item and are left out."""
        if self.scorer is None:
            return Nearest(np.empty(0, np.int64), np.empty(0, np.float32))
        scores = self.scorer.score_rows(np.array([row]))[0].copy()
        scores[row] = np.nan
        if not_known:
            scores[self.run.known(row)] = np.nan
        places = np.flatnonzero(np.isfinite(scores) & (scores != 0))
        best = places[np.lexsort((places, -scores[places]))][:k]
        return Nearest(best, scores[best])


def sources_of(runs: Sequence[ServedRun]) -> list[Source]:
    """The models of the runs, then the baselines of each distinct set of training pairs."""
    found: list[Source] = [Source(str(r.number), r.name, f"run {r.folder}", r) for r in runs]
    owners = {run.split: run for run in reversed(runs) if run.embeddings.pairs.height}
    for owner in sorted(owners.values(), key=lambda run: run.number):
        for name, baseline in BASELINES.items():
            if baseline.compared == "seen":  # those that know pairs and are worth a look
                key = f"{name}-{owner.number}" if len(owners) > 1 else name
                label = baseline.label or name.replace("_", " ")
                detail = f"over the training pairs of {owner.name}" if len(owners) > 1 else "a baseline, not trained"
                found.append(BaselineSource(key, label, detail, owner, name))
    return found
