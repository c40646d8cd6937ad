"""A plain training loop and its AUC, for small fits without Lightning."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.optim.lr_scheduler import LRScheduler

from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.catalog.split import Split
from recsys_lab.data.modules import PairDataModule, SequenceDataModule
from recsys_lab.data.sequences import Walks
from recsys_lab.evaluation.protocol import evaluate_auc
from recsys_lab.evaluation.scorers import VectorScorer
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.models.mf import MatrixFactorization
from recsys_lab.models.skipgram import SkipGram
from recsys_lab.run.run_data import RunData

CONF = Path(__file__).parents[1] / "conf" / "data"

Net = SkipGram | MatrixFactorization
Row = dict[str, float]  # by column


def options(kind: str, **changes: float) -> dict[str, Any]:
    """What a configuration file sets of a data module, with some changes."""
    found = yaml.safe_load((CONF / f"{kind}.yaml").read_text()) | changes
    return {name: value for name, value in found.items() if name not in ("_target_", "defaults")}


def walks(prepared: PreparedData) -> SequenceDataModule:
    """Windows with word2vec's negatives, in batches that suit a small catalogue."""
    settings = options("sequences", walks_per_batch=240, num_negatives=5, negative_exponent=0.75)
    train = prepared.split.train
    graph = ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)
    return SequenceDataModule(Walks(graph, seed=0, **options("source/walks")), 0, **settings)


def fit(
    net: Net,
    data: PairDataModule | SequenceDataModule,
    optimizer: torch.optim.Optimizer,
    epochs: Iterable[int],
    scheduler: LRScheduler | None = None,
) -> list[float]:
    """Train for the epochs of these numbers; returns the rate at the start of each."""
    rates = []
    for epoch in epochs:
        rates.append(float(optimizer.param_groups[0]["lr"]))
        for number in range(data.num_batches):
            optimizer.zero_grad(set_to_none=True)
            net.loss(data.draw(epoch, number))[0].backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
    return rates


def judge(net: Net, split: Split) -> Row:
    """AUC-ROC on the seen validation pairs, against both kinds of negatives."""
    held = RunData(split).evaluation_pairs("val")
    vectors = net.score_vectors(torch.arange(held.num_items))
    metrics = evaluate_auc(
        VectorScorer(*vectors, scorable=net.can_score(torch.from_numpy(held.seen))), held
    )
    names = {"AUC": "uniform", "AUC dm": "degree_matched"}
    return {title: float(metrics[f"auc/{name}/seen"] or "nan") for title, name in names.items()}
