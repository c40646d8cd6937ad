"""The final test, stage by stage, of a model with center and context vectors."""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.child import Stages, timed
from benchmarks.harness import Comparison, Contender, Run
from benchmarks.inputs import Inputs
from benchmarks.train import DIM
from recsys_lab.evaluation.baselines import BASELINES
from recsys_lab.evaluation.metrics import auc_roc
from recsys_lab.evaluation.protocol import Judgement, score_evaluation_pairs
from recsys_lab.evaluation.ranking import evaluate_ranking
from recsys_lab.evaluation.scorers import VectorScorer, cosine_scorer
from recsys_lab.models.scoring import score_vectors
from recsys_lab.results.metric_names import ITEM_VECTORS
from recsys_lab.run import final_test
from recsys_lab.run.run_data import RunData


def measure(size: str, folder: str, replicates: int, max_scores: float) -> Run:
    """What `FinalTest` does; the vectors are random, since costs do not depend on them."""
    stages, prepared = Stages(), Inputs(size, folder).prepared
    split, data = prepared.split, RunData(prepared.split, prepared.catalog)
    ks = (10, 50)
    made = torch.Generator().manual_seed(0)
    shape = (split.num_items, DIM)
    centers, contexts = (torch.randn(shape, generator=made) / DIM for _ in range(2))
    with stages("evaluation pairs"):
        pairs = data.evaluation_pairs("test")
    with stages("vectors"):
        vectors = score_vectors(centers, contexts, torch.zeros(split.num_items), "center_context")
        model = VectorScorer(*vectors, scorable=torch.from_numpy(split.seen))
    with stages("baselines"):
        baselines = final_test.baseline_scorers(data.for_baselines())
    judged = {}
    with stages("item vectors, cosine"):
        cosine = cosine_scorer(model)
    assert cosine is not None  # the model takes contexts, too
    for name, scorer in {"test": model, ITEM_VECTORS: cosine, **baselines}.items():
        label = "model" if name == "test" else name
        with stages(f"{label}: pairs"):
            scores = score_evaluation_pairs(scorer, pairs)
        with stages(f"{label}: ranking"):
            ranking = evaluate_ranking(scorer, pairs, ks, max_scores, seed=0)
        judged[name] = Judgement(pairs, scores, ranking)
    with stages("metrics of all"):
        metrics = final_test.collect_metrics(judged, BASELINES)
    with stages(f"intervals, {replicates} replicates"):
        final_test.intervals(judged, metrics, BASELINES, replicates, seed=0)
    with stages("precision and recall"), tempfile.TemporaryDirectory() as run_folder:
        final_test.save_precision_recall(judged["test"], Path(run_folder))
    seconds = sum(row["seconds"] for row in stages.rows.values())
    peak = max(row["peak_mb"] for row in stages.rows.values())
    queries = len(np.unique(judged["test"].ranking.query))
    return {
        "work": len(pairs.positives),
        "queries": queries,
        "seconds": seconds,
        "peak_mb": peak,
        "stages": stages.rows,
    }


def auc(size: str, folder: str, by: str) -> Run:
    """AUC of all test pairs, in float64 with ties, from scores in memory."""
    from sklearn.metrics import roc_auc_score

    count = len(Inputs(size, folder).prepared.split.test.pairs)
    rng = np.random.default_rng(0)
    positive, negative = np.round(rng.normal(((1.0,), (0.0,)), size=(2, count)), 6)
    labels, both = np.repeat([1, 0], count), np.concatenate([positive, negative])
    if by == "recsys_lab":
        value, measured = timed(auc_roc, positive, negative)
    else:
        value, measured = timed(roc_auc_score, labels, both)
    return {"work": 2 * count, "auc": value, **measured}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `evaluation.*` that decide its cost, with their defaults."""
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--max-scores", type=float, default=1e9)


def compare(inputs: Inputs, options: argparse.Namespace) -> list[Comparison]:
    """The final test, without peers, since none does the same; and AUC, which scikit-learn has."""
    assert inputs.prepared is not None  # made before the clock runs
    contender = Contender.project(
        "final test",
        "evaluate.measure",
        options.threads,
        replicates=options.replicates,
        max_scores=options.max_scores,
        **inputs.arguments,
    )
    comparison = Comparison("final test", "test pairs", columns={"queries ranked": "queries"})
    where = inputs.arguments
    areas = [
        Contender.project(
            "AUC, recsys_lab", "evaluate.auc", options.threads, by="recsys_lab", **where
        ),
        Contender.peer("AUC, scikit-learn", "evaluate.auc", by="scikit-learn", **where),
    ]
    return [
        comparison.measure(options.choose([contender]), options.repeats),
        Comparison("AUC-ROC of all test pairs", "pairs", columns={"AUC": "auc"}).measure(
            options.choose(areas), options.repeats
        ),
    ]
