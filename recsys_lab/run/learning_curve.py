"""The callback that draws learning curves while a model trains."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from scipy import sparse

from recsys_lab.compute.checks import checked
from recsys_lab.compute.compiling import seconds_without_compiling
from recsys_lab.compute.ranges import Count, NumScores
from recsys_lab.data.batch import Batch
from recsys_lab.evaluation.metrics import precision_recall
from recsys_lab.evaluation.pooled_scorer import pooled_scorer
from recsys_lab.evaluation.protocol import evaluate_auc, score_evaluation_pairs, scores_by_slice
from recsys_lab.evaluation.ranking import evaluate_ranking
from recsys_lab.evaluation.sampling import sample_pairs
from recsys_lab.evaluation.scorers import Scorer, VectorScorer, first_items
from recsys_lab.evaluation.slices import EvaluationPairs
from recsys_lab.figures.one_run import (
    learning_curve_panels,
    precision_recall_panels,
    save_panels,
)
from recsys_lab.models.task import EmbeddingTask
from recsys_lab.results.curve import CurveFile, Row, points_every
from recsys_lab.results.metric_names import MAIN_METRICS
from recsys_lab.results.write_errors import WriteError, may_fail
from recsys_lab.run.best_checkpoint import BestCheckpoint
from recsys_lab.run.board_results import clear_board
from recsys_lab.run.boards import BoardLogger
from recsys_lab.run.net_scorers import net_scorer, sample_scorer
from recsys_lab.run.step_limit import may_save
from recsys_lab.run.tolerant import Tolerant

log = logging.getLogger(__name__)

_MAX_SHARE = 0.05  # of the training time; a curve that takes more gets a warning
_MIN_SECONDS = 60.0  # of training; shorter runs get no warning


class LearningCurve(Callback):
    """Scores a sample of the validation pairs every few batches, and logs the metrics.

    Rows go to `curve.csv` and to the loggers, under the same names; figures are drawn when
    training ends. The rows are kept in checkpoints, so a resumed run continues its curve.

    Args:
        pairs: validation pairs with their negatives.
        histories: (Q, V) what the nodes that stand for each query weigh; None: queries are items.
        trained: (V,) mask of the nodes that training meets; None: nodes are items, the seen ones.
        labels: metrics at the end of an epoch by their column, each of the scorer of all nodes.
        folder: run folder.
        every_n_batches: batches between two points; more where an epoch would have over 20 points.
        max_pairs: pairs of each kind in the sample.
        ranking_queries: items ranked against the full catalogue at the end of an epoch.
        max_scores: fewer items are ranked if the ranking needs more scores than this.
        seed: seed of the samples.
    """

    @checked
    def __init__(
        self,
        pairs: EvaluationPairs,
        folder: Path,
        *,
        histories: sparse.csr_matrix | None = None,
        trained: np.ndarray | None = None,
        labels: Mapping[str, Callable[[VectorScorer], float]] | None = None,
        every_n_batches: Count,
        max_pairs: Count,
        ranking_queries: Count,
        max_scores: NumScores,
        seed: int,
    ) -> None:
        self._pairs = pairs
        self._histories = histories
        self._trained = pairs.seen if trained is None else trained
        self._drawn = sample_pairs(pairs, max_pairs, seed)
        self._sample = self._drawn.pairs
        self._folder = folder
        self._every = every_n_batches
        self._queries = ranking_queries
        self._max_scores = max_scores
        self._seed = seed
        self._labels = labels or {}
        self._file = CurveFile(folder, list(pairs.negatives), self._labels)
        self.items_trained = 0
        self.fit_seconds = 0.0
        self.has_trained = False  # not if a resumed run had come to its end
        self._own_seconds = 0.0
        self._at_row = (0, 0.0)  # items and training seconds at the last row
        self._losses: list[torch.Tensor] = []
        self._clock = 0.0
        self._unwritten: WriteError | None = None
        self._is_due = False  # a point

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to continue the curve."""
        return {
            "rows": self.rows,
            "items": self.items_trained,
            "seconds": self._seconds(),
            "own_seconds": self._own_seconds,
            "losses": [float(loss) for loss in self._losses],  # since the last row
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the curve of a checkpoint."""
        self._file.rows = state_dict["rows"]
        self.items_trained = state_dict["items"]
        self.fit_seconds = state_dict["seconds"]
        self._own_seconds = state_dict["own_seconds"]
        self._losses = [torch.tensor(loss) for loss in state_dict["losses"]]
        self._at_row = (self.items_trained, self.fit_seconds - self._own_seconds)

    @property
    def rows(self) -> list[Row]:
        """The rows so far."""
        return self._file.rows

    @property
    def columns(self) -> list[str]:
        """Names of all values that a row can have."""
        return self._file.columns

    @property
    def items_per_second(self) -> float:
        """Mean of the run so far; the time of the curve's own points counts, compiling does not."""
        return self.items_trained / max(self._seconds(), 1e-9)

    def _seconds(self) -> float:
        passed = seconds_without_compiling() - self._clock if self._clock else 0.0
        return self.fit_seconds + passed

    # -- hooks ---------------------------------------------------------------------------------

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the rows that a resumed run has so far, which may be all."""
        self._file.rewrite()
        for row in self.rows:
            self._log(trainer, row, is_earlier=True)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock; the metrics of a run that goes on are no longer those of its end.

        The clock stands still while kernels compile, which only a first run has to wait for.
        """
        self._clock = seconds_without_compiling()
        if not trainer.should_stop:  # by a limit of steps that has been reached
            self.has_trained = True
            (self._folder / "metrics.json").unlink(missing_ok=True)
            clear_board(self._folder)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: EmbeddingTask, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Count the batch; every few batches, add a point."""
        self.items_trained += outputs["num_trained"]
        every = points_every(self._every, int(trainer.num_training_batches))
        self._is_due |= (batch_idx + 1) % every == 0
        if outputs["is_whole"]:  # else ranks have not exchanged yet
            self._losses.append(outputs["mean_loss"])
            if self._is_due:
                self._add_point(trainer, pl_module)
        if self._unwritten is not None and may_save(trainer, outputs, batch_idx):
            best = trainer.checkpoint_callback
            assert isinstance(best, BestCheckpoint)  # noqa: S101 - narrows the type
            try:
                trainer.save_checkpoint(best.last)
            except WriteError as error:
                log.error("%s", error)
            raise self._unwritten

    def on_train_epoch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: EmbeddingTask
    ) -> None:
        """End the epoch, which a limit may have cut short, with a point that has the ranking."""
        if self._losses:
            self._add_point(trainer, pl_module)
        began = seconds_without_compiling()
        ranking = self._rank(pl_module)
        self.rows[-1].update(ranking)
        try:
            self._file.rewrite()
            self._unwritten = None
        except WriteError as error:
            self._unwritten = error
        for name, value in self.rows[-1].items():
            if name.startswith("val/") and value is not None:
                pl_module.log(name, float(value), logger=False)  # for checkpoints to monitor
        self._log(trainer, {"step": trainer.global_step} | ranking)
        self._own_seconds += seconds_without_compiling() - began

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop if the file lacks rows of the last epoch, whose checkpoints are written.

        Raises:
            WriteError: it cannot be written.
        """
        if self._unwritten is not None:
            raise self._unwritten

    def on_fit_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: EmbeddingTask
    ) -> None:
        """Stop the clock, draw the figures, and warn if the curve took much of the time.

        Raises:
            WriteError: the last row could not be written.
        """
        self.fit_seconds, self._clock = self._seconds(), 0.0
        path, step = self._folder / "figures" / "learning_curve.png", trainer.global_step
        with may_fail("the figure of the learning curve"):
            panels = learning_curve_panels(self.rows)
            save_panels(panels, path)
            for board in _boards(trainer):
                board.add_panels(panels, step)
        with may_fail("the figure of precision and recall on validation pairs"):
            self._log_precision_recall(trainer, pl_module)
        share = self._own_seconds / max(self.fit_seconds, 1e-9)
        if share > _MAX_SHARE and self.fit_seconds > _MIN_SECONDS:
            log.warning(
                "the learning curve took %.0f %% of the training time: raise "
                "curve.every_n_batches (now %d) or lower curve.max_pairs",
                100 * share,
                self._every,
            )
        if self._unwritten is not None:
            raise self._unwritten

    # -- points --------------------------------------------------------------------------------

    def _add_point(self, trainer: Trainer, task: EmbeddingTask) -> None:
        # Waits for the device, so do it rarely.
        loss = float(torch.stack([loss.cpu() for loss in self._losses]).mean())
        task.check_finite(loss)
        began = seconds_without_compiling()
        self._losses.clear()
        self._is_due = False
        seconds = self._seconds()
        row: Row = {
            "step": trainer.global_step,
            "epoch": trainer.current_epoch,
            "items": self.items_trained,
            "seconds": round(seconds, 4),
            "train/loss": loss,
            "train/lr": task.rate,
            "train/items_per_second": self._speed(seconds),
        }
        scorer = self._scorer_of_sample(task)
        for name, value in evaluate_auc(scorer, self._sample).items():
            if f"val/{name}" in self.columns:
                row[f"val/{name}"] = value
        try:
            self._file.append(row)
        except WriteError as error:
            self._unwritten = error
        self._log(trainer, row)
        self._own_seconds += seconds_without_compiling() - began

    def _scorer_of_sample(self, task: EmbeddingTask) -> Scorer:
        items, queries = self._drawn.items, self._drawn.queries
        if self._histories is None:
            return net_scorer(task, self._trained, items)
        return sample_scorer(task, self._trained, self._histories[queries], items)

    def _speed(self, seconds: float) -> float:
        """Items per second since the last row, scoring left out."""
        training = seconds - self._own_seconds
        items, passed = self.items_trained - self._at_row[0], training - self._at_row[1]
        self._at_row = (self.items_trained, training)
        return round(items / max(passed, 1e-9), 1)

    def _rank(self, task: EmbeddingTask) -> Row:
        """Full-catalogue ranking of a sample of the validation queries."""
        nodes, num_items = net_scorer(task, self._trained), self._pairs.num_items
        scorer: Scorer = first_items(nodes, num_items)
        if self._histories is not None:
            scorer = pooled_scorer(nodes, self._histories, num_items)
        budget = min(self._queries * self._pairs.num_items, self._max_scores)
        ranking = evaluate_ranking(scorer, self._pairs, max_scores=budget, seed=self._seed)
        row: Row = {f"val/{name}": ranking.mean(name) for name in MAIN_METRICS}
        return row | {name: measure(nodes) for name, measure in self._labels.items()}

    def _log_precision_recall(self, trainer: Trainer, task: EmbeddingTask) -> None:
        protocol = next(iter(self._sample.negatives))
        scorer = self._scorer_of_sample(task)
        every = score_evaluation_pairs(scorer, self._sample)
        scores = scores_by_slice(self._sample, every, protocol)
        if "all" not in scores:
            return
        positive, negative = scores["all"]
        labels = np.repeat([1, 0], [len(positive), len(negative)])
        both = torch.from_numpy(np.concatenate([positive, negative]))
        probabilities = task.net.probability(both).numpy()
        curves = {name: precision_recall(*pair) for name, pair in scores.items()}
        title = f"validation pairs against {protocol.replace('_', '-')} negatives"
        path = self._folder / "figures" / "precision_recall_validation.png"
        panels = precision_recall_panels(curves, title)
        save_panels(panels, path)
        for board in _boards(trainer):
            step = trainer.global_step
            board.add_pr_curve(f"val/precision_recall/{protocol}", labels, probabilities, step)
            board.add_panels(panels, step)

    def _log(self, trainer: Trainer, row: Row, *, is_earlier: bool = False) -> None:
        metrics = {name: value for name, value in row.items() if "/" in name and value is not None}
        for logger in trainer.loggers:
            if is_earlier and isinstance(logger, Tolerant) and logger.has_curve:
                continue
            logger.log_metrics(metrics, step=int(row["step"] or 0))


def _boards(trainer: Trainer) -> list[BoardLogger]:
    """The TensorBoard writers; none where the run has other loggers."""
    return [x for x in trainer.loggers if isinstance(x, BoardLogger)]
