"""The results of a run for TensorBoard: scalars, hyper-parameters and texts, written once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from recsys_lab.report.published_logs import published_for
from recsys_lab.results.metric_names import RANKING, unlisted_metrics
from recsys_lab.run.board_texts import configuration_text, neighbours_text, results_text
from recsys_lab.vectors.store import Content

_SUFFIX = ".results"  # of the file, which a later test replaces


def write_board(
    folder: Path,
    metrics: Mapping[str, Any],
    content: Content | None,
    configuration: Mapping[str, Any],
    step: int,
    best: Mapping[str, float],
    curves: Mapping[str, np.ndarray],
) -> None:
    """Write a file of events beside those of training.

    TensorBoard's table of hyper-parameters shows the keys of all runs. So no run lists the columns:
    TensorBoard would take the list of one run for all of them.

    Args:
        folder: run folder.
        metrics: of the test; empty where a run is not tested.
        content: items and vectors; None where they are not asked for.
        configuration: of the run; empty where there is none.
        step: batches trained.
        best: the monitored metric of the best checkpoint, by its name; empty without training.
        curves: precision and recall of the test by negative protocol (`board_curves.counts_of`).
    """
    clear_board(folder)
    with SummaryWriter(str(folder), filename_suffix=_SUFFIX) as board:
        for name, value in (board_metrics(metrics) | best_names(best)).items():
            board.add_scalar(name, value, step)
        for protocol, counts in curves.items():
            name, num = f"test/precision_recall/{protocol}", counts.shape[1]
            board.add_pr_curve_raw(name, *counts, global_step=step, num_thresholds=num)
        if metrics.get("count/test/all"):
            published = published_for(configuration, metrics)
            board.add_text("results/1_metrics", results_text(metrics, published), step)
        if content is not None:
            board.add_text("results/2_neighbours", neighbours_text(content), step)
        if configuration:  # which only Hydra gives
            from recsys_lab.run.hyper_parameters import hyper_parameters

            board.add_text("results/3_configuration", configuration_text(configuration), step)
            for summary in hparams(hyper_parameters(configuration, folder), {})[1:]:
                board._get_file_writer().add_summary(summary)


def clear_board(folder: Path) -> None:
    """Remove what `write_board` wrote: it is not of a run that goes on."""
    for earlier in folder.glob(f"events.out.tfevents.*{_SUFFIX}"):
        earlier.unlink(missing_ok=True)


def best_names(best: Mapping[str, float]) -> dict[str, float]:
    """Names such as `val/best/ndcg@10`."""
    return {f"val/best/{name.removeprefix('val/')}": value for name, value in best.items()}


def board_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The test metrics that have a value: AUC of all and seen pairs, or with a cold end; ranking.

    Their names depend on the data alone, so that runs on the same data are compared by them.
    """
    is_cold = 2 * metrics.get("count/test/seen", 0) < metrics.get("count/test/all", 0)
    ranking = [*(metric.name for metric in RANKING), *unlisted_metrics(metrics)]
    names = [f"test/{name}/all" for name in ranking]
    parts = ["one_cold" if is_cold else "seen"]
    if metrics.get("count/test/seen") != metrics.get("count/test/all"):
        parts.insert(0, "all")  # else it says the same again
    for part in parts:
        names += [x for x in metrics if x.startswith("test/auc/") and x.endswith(f"/{part}")]
    return {name: float(metrics[name]) for name in names if metrics.get(name) is not None}
