"""The part of the final test that ranks the labels of held-out items, where labels are nodes."""

import logging
from collections.abc import Callable

import numpy as np
from scipy import sparse

from recsys_lab.catalog.nodes import tells
from recsys_lab.compute.counts import count_of
from recsys_lab.evaluation.label_ranks import (
    MRR,
    LabelTargets,
    by_frequency,
    by_neighbours,
    by_vectors,
    means_with_intervals,
)
from recsys_lab.evaluation.scorers import VectorScorer
from recsys_lab.results.metric_names import LABELS
from recsys_lab.run.run_data import LABEL_FIELDS, Part, RunData, values_of

log = logging.getLogger(__name__)

MODEL = "model"
_MAX_CURVE_SCORES = 1e7
_LEAST = 1000  # items, however many scores they need


def label_targets(data: RunData, part: Part) -> list[LabelTargets]:
    """The held-out items of a part with their labels, for each field whose values are nodes.

    Held-out items occur in the part and in no training pair, and those of the test in no validation
    pair, either. A field that none of them has a value in is left out.
    """
    if data.catalog is None or not data.nodes.labels:
        return []
    seen, found = data.nodes.seen, []
    held = np.setdiff1d(data.held_items(part), np.flatnonzero(seen))
    if part == "test":
        held = np.setdiff1d(held, data.held_items("val"))
    for group in data.nodes.labels:
        has = values_of(data.catalog.field(group.name))
        items = held[np.diff(has.indptr)[held] > 0]
        if len(items) == 0:
            log.info(
                "no held-out item of the %s part has a label of %s, so none is ranked: split=items "
                "holds out items of a catalogue",
                "test" if part == "test" else "validation",
                group.name,
            )
            continue
        trained = sparse.csr_matrix(sparse.diags(seen.astype(np.float64)) @ has)
        trained.eliminate_zeros()
        found.append(LabelTargets(group.name, items, has[items], trained, group.rows))
    return found


def label_curves(data: RunData) -> dict[str, Callable[[VectorScorer], float]]:
    """The mean reciprocal rank of labels of validation items, by its column of the curve."""
    found: dict[str, Callable[[VectorScorer], float]] = {}
    for whole in label_targets(data, "val"):
        targets = whole.sample(max(1, int(_MAX_CURVE_SCORES // whole.num_labels)), seed=0)

        def measure(scorer: VectorScorer, targets: LabelTargets = targets) -> float:
            return float(targets.values(by_vectors(scorer, targets))[MRR].mean())

        found[column_of(whole.field)] = measure
    return found


def column_of(field: str) -> str:
    """The column of the curve for the labels of a field."""
    return f"val/label_mrr/{field}"


def label_test(
    scorer: VectorScorer, data: RunData, replicates: int, max_scores: float, seed: int
) -> dict[str, float]:
    """Metrics of the model and of baselines, `labels/<field>/<scorer>/<metric>`.

    Beside them stand intervals and differences (`means_with_intervals`), and counts.

    Args:
        scorer: of all nodes.
        data: of the run.
        replicates: of the bootstrap over items; 0 leaves intervals out.
        max_scores: a sample of the items is tested if more scores are needed.
        seed: of the sample and of the bootstrap.
    """
    metrics: dict[str, float] = {}
    for whole in label_targets(data, "test"):
        for_item = max(data.nodes.num_items, whole.num_labels)  # scores
        targets = whole.sample(max(_LEAST, int(max_scores // for_item)), seed)
        log.info(
            "ranking %s of %s for %s",
            count_of(targets.num_labels, "label"), targets.field,
            count_of(len(targets), "held-out item"),
        )  # fmt: skip
        scorers = {MODEL: by_vectors(scorer, targets), "most_frequent": by_frequency(targets)}
        for name, terms in _terms(data, targets.field).items():
            scorers[name] = by_neighbours(targets, terms)
        values = {name: targets.values(scores) for name, scores in scorers.items()}
        found = means_with_intervals(values, MODEL, replicates, seed)
        counts = {"count/items": len(targets), "count/labels": targets.num_labels}
        metrics |= {f"{LABELS}/{targets.field}/{k}": x for k, x in (found | counts).items()}
    return metrics


def _terms(data: RunData, label: str) -> dict[str, sparse.csr_matrix]:
    """(N, V) CSR of the terms of items by the name of a baseline: of titles, and of all fields.

    The fields that tell a label are left out, and so is a baseline without terms.
    """
    assert data.catalog is not None  # noqa: S101 - narrows the type
    names = [name for name in ("title", *LABEL_FIELDS, "price") if not tells(name, label)]
    found = {name: values_of(data.catalog.field(name)) for name in names}
    found = {name: terms for name, terms in found.items() if terms.nnz}
    terms = {"nearest_titles": found["title"]} if "title" in found else {}
    if set(found) - {"title"}:
        terms["nearest_items"] = sparse.hstack(list(found.values()), format="csr")
    return terms
