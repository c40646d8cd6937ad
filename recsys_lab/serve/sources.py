"""What fills a list of neighbours: the model of a run, or a baseline over its training pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from recsys_lab.evaluation.baselines import BASELINES, TrainingData
from recsys_lab.serve.served_runs import ServedRun
from recsys_lab.vectors.listed_items import OneList, listed
from recsys_lab.vectors.store import TEXT_COLUMNS

if TYPE_CHECKING:  # its module imports torch
    from recsys_lab.evaluation.scorers import Scorer

_METRICS = {"NDCG@10": "ndcg@10/all", "HR@10": "hr@10/all"}


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

    def nearest(self, row: int, k: int, not_known: bool) -> pl.DataFrame:
        """At most k items, without the item itself, in the columns of `Embeddings.similar`.

        Args:
            row: of the item.
            k: length of the list.
            not_known: leave out the items that are a training pair with it.
        """
        found = self.run.embeddings
        allowed = found.scored.copy()
        allowed[row] = False
        if not_known:
            allowed[found.known_pairs.of(row)] = False
        return self._table(row, *self._best(row, k, allowed))

    def _best(self, row: int, k: int, allowed: np.ndarray) -> OneList:
        """Rows and scores of at most k items that a mask (N,) allows."""
        found = self.run.embeddings
        return found.screen.top_k(found.query(row)[0], k, allowed)

    def why_few(self, count: int, k: int) -> str:
        """Why there are no more neighbours than count, in a sentence; empty if that needs none."""
        return "" if count else "There is no other item with a score."

    def _table(self, row: int, rows: np.ndarray, scores: np.ndarray) -> pl.DataFrame:
        found = self.run.embeddings
        return found.items.select(*TEXT_COLUMNS, "seen")[rows].with_columns(
            pl.Series("score", scores),
            pl.Series("relation", found.relations(row, rows), dtype=pl.List(pl.String)),
        )


@dataclass(frozen=True)
class ListSource(Source):
    """The lists that a run has in place of vectors."""

    def _best(self, row: int, k: int, allowed: np.ndarray) -> OneList:
        [(rows, scores)] = listed(self.run.embeddings, np.array([row]))
        kept = np.flatnonzero(allowed[rows])[:k]
        return rows[kept], scores[kept]

    def why_few(self, count: int, k: int) -> str:
        """The length of the lists, where that may be the reason."""
        found = self.run.embeddings
        if count < k and found.lists is not None and found.lists.length < found.scored.sum() - 1:
            return f"This run keeps the best {found.lists.length:,} of each item alone."
        return super().why_few(count, k)


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
        data = TrainingData(graph, graph[:, :0])
        chosen = f"parameters/{self.baseline}/"  # by the test of the run
        metrics = self.run.metrics.items()
        if own := {n.removeprefix(chosen): x for n, x in metrics if n.startswith(chosen)}:
            data.findings.parameters[self.baseline] = own
        return BASELINES[self.baseline].build(data)

    def why_not(self, row: int) -> str:
        """An item without training pairs has no neighbours."""
        known = self.run.embeddings.known_pairs.of(row)
        return "" if len(known) else "No training pair holds this item."

    def nearest(self, row: int, k: int, not_known: bool) -> pl.DataFrame:
        """Items with a score of 0 have nothing in common with the item and are left out."""
        found = self.run.embeddings
        scores = np.zeros(len(found))
        if self.scorer is not None:
            scores = self.scorer.score_rows(np.array([row]))[0]
        is_asked = np.isfinite(scores) & (scores != 0)
        is_asked[row] = False
        if not_known:
            is_asked[found.known_pairs.of(row)] = False
        rows = _best(scores, np.flatnonzero(is_asked), k)
        return self._table(row, rows, scores[rows])


def _best(scores: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """The k rows with the largest scores, in descending order; equal scores by row."""
    if len(rows) > k:
        least = np.partition(scores[rows], len(rows) - k)[len(rows) - k]
        rows = rows[scores[rows] >= least]
    return rows[np.lexsort((rows, -scores[rows]))][:k]


def sources_of(runs: Sequence[ServedRun]) -> list[Source]:
    """The models of the runs, then the baselines of each distinct set of training pairs."""
    found: list[Source] = [
        (Source if r.embeddings.lists is None else ListSource)(
            str(r.number), r.name, f"run {r.folder}", r
        )
        for r in runs
    ]
    owners = {run.split: run for run in reversed(runs) if run.embeddings.pairs.height}
    for owner in sorted(owners.values(), key=lambda run: run.number):
        for name, baseline in BASELINES.items():
            if baseline.compared == "seen":  # those that know pairs and are worth a look
                key = f"{name}-{owner.number}" if len(owners) > 1 else name
                label = baseline.label or name.replace("_", " ")
                detail = f"pairs of {owner.name}" if len(owners) > 1 else "a baseline, not trained"
                found.append(BaselineSource(key, label, detail, owner, name))
    return found
