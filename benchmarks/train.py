"""Skip-gram training against gensim: whole processes, the same walks, one pass each.

    python -m benchmarks.train --catalog synthetic
    python -m benchmarks.train --catalog FILE        (Amazon metadata)

Each trainer runs in a process of its own, in alternating order. Both read the walks of one epoch
from a file (gensim in its `corpus_file` form, its fastest); both are judged on the same validation
pairs, with cosine and with center . context in both directions.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from pytorch_lightning import Trainer, seed_everything
from rich.console import Console
from rich.table import Table

from recsys_lab.catalog.amazon import AmazonSource
from recsys_lab.catalog.prepared import PreparedData, prepare
from recsys_lab.catalog.split import SplitOptions
from recsys_lab.catalog.synthetic import SyntheticSource
from recsys_lab.data.modules import SequenceDataModule
from recsys_lab.data.sequences import Walks
from recsys_lab.evaluation.protocol import evaluate_auc
from recsys_lab.evaluation.scorers import VectorScorer
from recsys_lab.evaluation.slices import EvaluationPairs
from recsys_lab.experiment import known_items
from recsys_lab.final_test import evaluation_pairs
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.models.builders import skipgram
from recsys_lab.models.optimizers import RowWiseAdagrad
from recsys_lab.models.schedules import linear
from recsys_lab.models.scoring import Score, score_vectors
from recsys_lab.models.task import EmbeddingTask
from recsys_lab.threads import let_idle_threads_sleep

WINDOW, DIM, NEGATIVES, WALKS_PER_ITEM, WALK_LENGTH = 5, 128, 5, 10, 10
WEIGHTS = {"bought_together": 1.2, "also_bought": 1.0, "also_viewed": 0.5, "buy_after_viewing": 0.5}


def load(catalog: str, folder: Path) -> PreparedData:
    """Read and split the catalogue, once for all processes."""
    source = (
        SyntheticSource(num_items=10_000, seed=0, relation_weights=WEIGHTS, outside_items="keep")
        if catalog == "synthetic"
        else AmazonSource(catalog, WEIGHTS, "drop", False, 0, 0.01)
    )
    options = SplitOptions("pairs", 0.1, 0.1, ("uniform", "degree_matched"), 0)
    return prepare(source, options, folder)


def write_walks(prepared: PreparedData, folder: Path) -> int:
    """Write the walks of one epoch as .npy and as gensim's corpus file; returns their items."""
    train = prepared.split.train
    graph = ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)
    walks = Walks(graph, WALKS_PER_ITEM, WALK_LENGTH, seed=0)
    table = walks.draw(0, 0, walks.count)
    np.save(folder / "walks.npy", table)
    with (folder / "walks.txt").open("w") as file:
        for walk in table:
            file.write(" ".join(map(str, walk)) + "\n")
    return table.size


def judge(
    centers: torch.Tensor, contexts: torch.Tensor, pairs: EvaluationPairs
) -> dict[str, float]:
    """AUC of both scores on the seen validation pairs."""
    found = {}
    scores: tuple[Score, ...] = ("cosine", "center_context")
    for score in scores:
        vectors = score_vectors(centers, contexts, torch.zeros(len(centers)), score)
        metrics = evaluate_auc(VectorScorer(*vectors, torch.from_numpy(pairs.seen)), pairs)
        for protocol in ("uniform", "degree_matched"):
            found[f"{score}/{protocol}"] = float(metrics[f"auc/{protocol}/seen"] or "nan")
    return found


def train_ours(
    prepared: PreparedData, folder: Path, epochs: int, threads: int, rate: float
) -> dict[str, float]:
    """One `fit()` through Lightning."""
    torch.set_num_threads(threads)
    seed_everything(0, verbose=False)
    began = time.perf_counter()
    num_items = len(prepared.catalog)
    data = SequenceDataModule(
        prepared.catalog,
        prepared.split,
        0,
        walks_per_item=WALKS_PER_ITEM,
        walk_length=WALK_LENGTH,
        window=WINDOW,
        shrink_windows=True,
        subsample_threshold=0.0,
        negatives="in_batch",
        num_negatives=NEGATIVES,
        num_shared=20,
        negative_exponent=0.75,
        walks_per_batch=1200,
        walks_per_group=6,
        num_workers=1,
        walks_path=str(folder / "walks.npy"),
    )
    net = skipgram(
        known_items(prepared), embedding_dim=DIM, score="center_context", popularity_weight=0.0
    )
    task = EmbeddingTask(
        net,
        lambda parameters: RowWiseAdagrad(parameters, lr=rate),
        lambda progress, epoch_progress: linear(progress, epoch_progress, final=0.0),
        identity={},
        config={},
    )
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, datamodule=data)
    seconds = time.perf_counter() - began
    items = torch.arange(num_items)
    with torch.no_grad():
        quality = judge(net.centers(items), net.contexts(items), validation(prepared))
    return {"seconds": seconds, **quality}


def train_gensim(
    prepared: PreparedData, folder: Path, epochs: int, workers: int, alpha: float
) -> dict[str, float]:
    """Gensim's Word2Vec with sg=1, vocabulary included."""
    from gensim.models import Word2Vec

    began = time.perf_counter()
    model = Word2Vec(
        corpus_file=str(folder / "walks.txt"),
        vector_size=DIM,
        window=WINDOW,
        negative=NEGATIVES,
        sg=1,
        min_count=1,
        sample=0,
        alpha=alpha,
        workers=workers,
        epochs=epochs,
        seed=0,
    )
    seconds = time.perf_counter() - began
    centers = torch.zeros(len(prepared.catalog), DIM)
    contexts = torch.zeros_like(centers)
    place = torch.tensor([int(word) for word in model.wv.index_to_key])
    centers[place] = torch.from_numpy(model.wv.vectors)
    contexts[place] = torch.from_numpy(model.syn1neg)
    return {"seconds": seconds, **judge(centers, contexts, validation(prepared))}


def validation(prepared: PreparedData) -> EvaluationPairs:
    """The validation pairs, all of them."""
    return evaluation_pairs(prepared.split.val, prepared.split)


def run_alone(arguments: list[str]) -> dict[str, float]:
    """Run one trainer in a process of its own."""
    let_idle_threads_sleep()
    command = [sys.executable, "-m", "benchmarks.train", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Compare, or run one trainer if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalog", default="synthetic", help="synthetic, or a metadata file")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--alphas", type=float, nargs="+", default=[0.025, 0.05, 0.1, 0.2])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.1, 0.2])
    parser.add_argument("--only", choices=("recsys_lab", "gensim"), help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        prepared = load(options.catalog, options.folder)
        train = train_ours if options.only == "recsys_lab" else train_gensim
        result = train(prepared, options.folder, options.epochs, options.threads, options.rate)
        print(json.dumps(result))
        return
    with tempfile.TemporaryDirectory() as folder:
        items = write_walks(load(options.catalog, Path(folder)), Path(folder))
        compare(options, Path(folder), items * options.epochs)


def compare(options: argparse.Namespace, folder: Path, items: int) -> None:
    """Alternate the trainers and print their medians and ratios."""
    shared = ["--catalog", options.catalog, "--epochs", str(options.epochs)]
    shared += ["--threads", str(options.threads), "--folder", str(folder)]
    trainers = {f"recsys_lab, lr {rate:g}": ("recsys_lab", rate) for rate in options.rates}
    trainers |= {f"gensim sg=1, alpha {alpha:g}": ("gensim", alpha) for alpha in options.alphas}
    results: dict[str, list[dict[str, float]]] = {name: [] for name in trainers}
    for _ in range(options.repeats):
        for name, (only, rate) in trainers.items():
            results[name].append(run_alone([*shared, "--only", only, "--rate", str(rate)]))
    table = Table(title=f"{items:,} items trained, {options.threads} threads, "
                        f"{options.repeats} alternating repeats")  # fmt: skip
    for column in (
        "trainer",
        "1,000 items/s (min - max)",
        "ratio",
        "AUC cosine",
        "AUC center . context",
    ):
        table.add_column(column, justify="left" if column == "trainer" else "right")
    gensim = [run["seconds"] for name, runs in results.items() if "gensim" in name for run in runs]
    base = statistics.median(gensim)  # its learning rate does not change its speed
    for name, runs in results.items():
        speeds = sorted(items / run["seconds"] for run in runs)
        table.add_row(
            name,
            " - ".join(f"{speed / 1000:,.0f}" for speed in (speeds[0], speeds[-1])),
            f"{base / statistics.median(run['seconds'] for run in runs):.2f}",
            *(f"{runs[0][f'{s}/uniform']:.4f}" for s in ("cosine", "center_context")),
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
