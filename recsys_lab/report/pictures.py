"""The figures of a comparison, drawn from its tables."""

from pathlib import Path
from typing import NamedTuple

from recsys_lab.figures.canvas import MAX_SERIES
from recsys_lab.figures.many_runs import (
    Measured,
    draw_importance,
    draw_learning_curves,
    draw_precision_recall_panels,
    draw_time_against_quality,
)
from recsys_lab.report.columns import QUALITY, SECONDS
from recsys_lab.report.compared_labels import labels_of
from recsys_lab.report.comparison import COVERAGE, Entry, Table
from recsys_lab.report.searches import Search

_NEAR = 0.5  # share of the worst experiment; lower baselines would only stretch the axis
_CURVES = (
    "AUC-ROC on a sample of the validation pairs while training. A line is the mean over the "
    "seeds, its band reaches from the lowest seed to the highest; dotted lines are learning-rate "
    "resets. The x axis counts what was trained: items of walks for sequences, pairs for pairs."
)
_LABEL_CURVES = (
    " Labels of validation items are measured by their mean reciprocal rank, at the end of epochs."
)
_CLIFF = (
    "Precision and recall of “score at least the threshold”, test pairs against uniform negatives, "
    "first seed. Pairs that a model cannot score, because an end never occurred in training, all "
    "take one score: the median of the scored ones. In the curves over all pairs, recall and "
    "precision therefore jump at that one threshold - the cliff of the article's figures - while "
    "the curves over seen pairs are smooth. The constant makes the cliff, not the model."
)
_TIME = (
    "Seconds of training against NDCG@10 on the test pairs, mean over the seeds; bars are one "
    "standard deviation. Dashed lines: baselines and vectors of files, which were not trained "
    "here, if they are near. Where names would overlap, experiments are numbered, "
    "counted from the top of the table."
)
_IMPORTANCE = (
    "Share of each option in what tells the trials with a good {monitor} from the others, among "
    "the values that were tried, by Optuna's PED-ANOVA."
)


class Picture(NamedTuple):
    """A figure beside the tables: file name, title and caption."""

    name: str
    title: str
    caption: str


def draw_pictures(table: Table, folder: Path, suffix: str) -> list[Picture]:
    """Draw the figures that the runs of a table have data for.

    Args:
        table: its experiments, best first; of many, the first are drawn.
        folder: the pictures are written here.
        suffix: of their names; it distinguishes the tables of one folder.
    """
    pictures, experiments = [], table.experiments
    curves = {e.label: [run.curve for run in e.runs] for e in experiments}
    if curves := {label: seeds for label, seeds in curves.items() if any(seeds)}:
        name = f"learning_curves{suffix}.png"
        draw_learning_curves(curves, folder / name)
        caption = _CURVES + _LABEL_CURVES * bool(labels_of(table)) + _left_out(len(curves))
        pictures.append(Picture(name, "Learning curves", caption))
    panels = {e.label: e.runs[0].precision_recall for e in experiments}
    if panels := {label: panel for label, panel in panels.items() if panel}:
        name = f"precision_recall{suffix}.png"
        coverage = {e.label: e.values[COVERAGE].mean for e in experiments if COVERAGE in e.values}
        draw_precision_recall_panels(panels, coverage, folder / name)
        title = "Precision and recall against the threshold"
        pictures.append(Picture(name, title, _CLIFF + _left_out(len(panels))))
    if points := {e.label: m for e in experiments if (m := _measured(e)) is not None}:
        name = f"time_against_quality{suffix}.png"
        untrained = [*(e for e in experiments if not e.is_trained), *table.baselines]
        rated = [(e.label, e.values.get(QUALITY.key)) for e in untrained]
        lowest = _NEAR * min(point.quality for point in points.values())
        levels = {label: value.mean for label, value in rated if value and value.mean >= lowest}
        numbers = [n for n, e in enumerate(experiments, start=1) if e.label in points]
        draw_time_against_quality(points, levels, folder / name, QUALITY.title, numbers)
        pictures.append(Picture(name, "Training time against quality", _TIME))
    return pictures


def draw_search(search: Search, folder: Path, suffix: str) -> list[Picture]:
    """Draw the importance of what was searched, if it is known.

    Args:
        search: a search.
        folder: the picture is written here.
        suffix: of its name; it distinguishes the searches of one folder.
    """
    if not search.importance:
        return []
    name = f"importance{suffix}.png"
    draw_importance(search.importance, folder / name)
    caption = _IMPORTANCE.format(monitor=search.monitor)
    return [Picture(name, "Importance of the options", caption)]


def _measured(entry: Entry) -> Measured | None:
    seconds, quality = (entry.values.get(column.key) for column in (SECONDS, QUALITY))
    if seconds is None or quality is None:
        return None
    return Measured(seconds.mean, seconds.deviation or 0.0, quality.mean, quality.deviation or 0.0)


def _left_out(count: int) -> str:
    if count <= MAX_SERIES:
        return ""
    return f" Drawn are the {MAX_SERIES} experiments of {count} that are best by NDCG@10."
