"""A trained model with its data: its vectors, its test, and what it leaves in the run folder."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import torch
from pytorch_lightning.loggers import Logger

from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.compute.counts import count_of
from recsys_lab.evaluation.mixtures import Mixture
from recsys_lab.evaluation.scorers import Scorer, VectorScorer, first_items, on_device
from recsys_lab.models.mixed_ranker import NO_VECTORS
from recsys_lab.models.task import EmbeddingTask
from recsys_lab.results.curve import Row
from recsys_lab.results.write_errors import may_fail
from recsys_lab.run.board_curves import test_curves
from recsys_lab.run.board_results import write_board
from recsys_lab.run.boards import BoardLogger
from recsys_lab.run.mixed_lists import MAX_ITEMS, write_mixture
from recsys_lab.run.net_scorers import net_scorer
from recsys_lab.run.parts import Experiment, on_gpu
from recsys_lab.run.run_data import RunData
from recsys_lab.run.run_embeddings import embeddings_content
from recsys_lab.run.saving import save_all
from recsys_lab.run.use_loggers import failing, log_results, start_for_test
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.store import FOLDER as EMBEDDINGS
from recsys_lab.vectors.store import Content, write_embeddings

log = logging.getLogger(__name__)

Metrics = dict[str, Any]


@dataclass(frozen=True)
class Fitted:
    """A trained model and its data.

    Attributes:
        prepared: catalogue and split.
        experiment: the parts that it comes from.
        task: the LightningModule; `task.net` is the model, with the weights of the best checkpoint.
        folder: run folder.
        data: training graph and evaluation pairs.
        measured: seconds, speed, memory, versions and hashes, as in `metrics.json`.
        curve: rows of the learning curve by column.
        best: the monitored metric of the best checkpoint; None without training.
        loggers: of the training; the test is logged, too.
        step: batches that the model was trained for.
        has_trained: whether this run has trained it; not if a resumed one had come to its end.
        mixture: the scorer of `model=mixture`, which has lists of similar items and no vectors.
    """

    prepared: PreparedData
    experiment: Experiment
    task: EmbeddingTask
    folder: Path
    data: RunData
    measured: Metrics
    curve: Sequence[Row] = ()
    best: float | None = None
    loggers: Sequence[Logger] = ()
    step: int = 0
    has_trained: bool = False
    mixture: Mixture | None = None

    @property
    def scorer(self) -> Scorer:
        """Scores of all items by item id; items that cannot be scored give NaN."""
        return first_items(self.node_scorer, len(self.prepared.catalog))

    @property
    def node_scorer(self) -> Scorer:
        """Scores of all nodes, of which the items are the first; users and labels may follow."""
        if self.mixture is not None:
            return self.mixture
        return net_scorer(self.task, self.data.nodes.trained)

    def vectors(self, raw_ids: Sequence[str] | None = None) -> np.ndarray:
        """Item vectors (n, D) float32 of raw ids, or of all items in the order of the catalogue.

        Raises:
            CatalogError: a raw id is not in the catalogue.
            VectorsError: a mixture has no vectors.
        """
        if not isinstance(scorer := self.scorer, VectorScorer):
            raise VectorsError(NO_VECTORS)
        every = scorer.queries.cpu().numpy()
        return every[self._items(raw_ids)] if raw_ids is not None else every.copy()

    def score(self, heads: Sequence[str], tails: Sequence[str]) -> np.ndarray:
        """Scores (n,) of pairs of raw ids; NaN where the model cannot score an end.

        Raises:
            CatalogError: a raw id is not in the catalogue.
        """
        return self.scorer.score_pairs(self._items(heads), self._items(tails))

    def test(self) -> Metrics:
        """Test the model and the baselines, and save what was found: `measure` and `save`.

        Of a mixture, the lists of similar items, too (`save_lists`).
        """
        metrics = self.measure()
        self.save(metrics)
        self.save_lists(metrics)
        return metrics

    def measure(self) -> Metrics:
        """Test the model and the baselines; precision and recall go into the run folder."""
        with failing(self.loggers):
            options, seed = self.experiment, self.experiment.split.seed
            shows = options.progress_bar
            scorer = self.node_scorer
            if isinstance(scorer, VectorScorer) and on_gpu(options.configuration):
                scorer = on_device(scorer, torch.device("cuda"))
            found = options.evaluation(scorer, self.data, self.folder, seed, shows_progress=shows)
        return self.measured | found

    def save(self, metrics: Metrics) -> None:
        """Write `metrics.json`, the results for TensorBoard and `embeddings/`, unless switched off.

        The test goes to the loggers, too.

        Raises:
            WriteError: one of them cannot be written; the others are.
        """
        options = self.experiment
        best = {} if self.best is None else {options.monitor: self.best}
        used = self.loggers or start_for_test(options, self.folder)

        def show(content: Content | None) -> None:
            if any(isinstance(logger, BoardLogger) for logger in used):
                negatives = self.data.negatives("test")
                curves = test_curves(self.folder, metrics, negatives, self.task.net.probability)
                configuration, step = options.configuration, self.step
                write_board(self.folder, metrics, content, configuration, step, best, curves)

        try:
            save_all(
                self.folder,
                metrics,
                (lambda: self._embeddings(metrics)) if self.mixture is None else None,
                show,
                embeddings=options.embeddings,
                projector=options.projector,
                seed=options.split.seed,
            )
        finally:
            log_results(used, metrics, self.step)

    def show(self) -> None:
        """Give TensorBoard the settings and the best validation metric of a run without a test."""
        if any(isinstance(logger, BoardLogger) for logger in self.loggers):
            best = {} if self.best is None else {self.experiment.monitor: self.best}
            with may_fail("the results for TensorBoard"):
                write_board(
                    self.folder, {}, None, self.experiment.configuration, self.step, best, {}
                )

    def save_lists(self, metrics: Mapping[str, Any]) -> None:
        """Write the folder `embeddings/` of a mixture, unless switched off; of others do nothing.

        Of a large catalogue the log names the command that does so, since it takes hours.
        """
        if self.mixture is None or not self.experiment.embeddings:
            return
        if len(self.prepared.catalog) > MAX_ITEMS:
            log.info(
                "lists of similar items are not made yet: of %s they take long. This makes them, "
                "and goes on where it was stopped: python -m recsys_lab embed %s",
                count_of(len(self.prepared.catalog), "item"),
                quote(str(self.folder)),
            )
            return
        self.save_embeddings(metrics)

    def save_embeddings(self, metrics: Mapping[str, Any] | None = None) -> Path:
        """Write the folder `embeddings/`, which `Embeddings.load` reads; returns its path.

        That of a mixture has lists of similar items in place of vectors.

        Args:
            metrics: of the test; they are kept beside the vectors.
        """
        metrics = self.measured if metrics is None else metrics
        if self.mixture is not None:
            options = self.experiment
            return write_mixture(
                self.folder,
                self.mixture,
                int(self.task.net.list_length),  # type: ignore[attr-defined]
                self.prepared,
                options.configuration,
                metrics,
                shows_progress=options.progress_bar,
            )
        content = self._embeddings(metrics)
        write_embeddings(self.folder / EMBEDDINGS, content)
        return self.folder / EMBEDDINGS

    def _embeddings(self, metrics: Mapping[str, Any]) -> Content:
        if not isinstance(scorer := self.node_scorer, VectorScorer):
            raise VectorsError(NO_VECTORS)
        return embeddings_content(
            self.prepared,
            scorer,
            self.task.net,  # type: ignore[arg-type]
            self.experiment.configuration,
            metrics,
            self.data.users() if self.experiment.users else None,
            self.data.nodes,
            getattr(self.experiment.split, "query", None),
        )

    def _items(self, raw_ids: Sequence[str]) -> np.ndarray:
        return self.prepared.catalog.index(list(raw_ids))
