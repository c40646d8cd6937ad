"""Skip-gram training: whole runs of `fit()` against gensim, on the same walks, with the AUC.

Both are judged on the same validation pairs, by the cosine of centers and by center . context, both
ways. gensim's seconds include its vocabulary, this project's the setting up of data and model.
"""

import argparse
from typing import Any

import numpy as np
import torch

import recsys_lab
from benchmarks.child import peak_mb, timed
from benchmarks.harness import Comparison, Contender, Run
from benchmarks.inputs import SEED, WALK_LENGTH, WALKS_PER_ITEM, Inputs
from recsys_lab.evaluation.protocol import PairScores, auc_metrics
from recsys_lab.evaluation.scorers import VectorScorer
from recsys_lab.run.run_data import RunData

DIM, WINDOW, NEGATIVES = 128, 5, 5
PROTOCOLS, SCORES = ("uniform", "degree_matched"), ("cosine", "center_context")
SHARED = (
    f"model.embedding_dim={DIM}",
    f"data.window={WINDOW}",
    f"data.num_negatives={NEGATIVES}",
    "data.negative_exponent=0.75",
    "model.l2=0.0",
    f"data.source.walks_per_item={WALKS_PER_ITEM}",
    f"data.source.walk_length={WALK_LENGTH}",
    f"seed={SEED}",
    "trainer.enable_progress_bar=false",
)
AUTOGRAD = ("model.kernel=autograd",)
CENTERS = ("model=skipgram_side_info", "model.context_side_info=false")
# With few items a batch holds 1,200 walks by default, with many this number.
LARGE_BATCHES = ("model.kernel=fused", "data.walks_per_batch=4800")
OURS = {  # overrides of the configuration by name; each is run at every rate and number of epochs
    "fused": ("model.kernel=fused",),
    "fused, groups of 4": ("model.kernel=fused", "data.walks_per_group=4"),
    "fused, large batches": LARGE_BATCHES,
    "fused, large batches, groups of 4": (*LARGE_BATCHES, "data.walks_per_group=4"),
    "autograd, ids only": AUTOGRAD,
    "autograd, side information": (*AUTOGRAD, "model=skipgram_side_info"),
    "side information": ("model=skipgram_side_info",),
    "side information of centers": CENTERS,
    "learned weights of centers": (*CENTERS, "model.pooling=attention"),
}
NAIVE = (  # as the article did: explicit pairs, autograd, SparseAdam, small batches
    *AUTOGRAD,
    "data.negatives=per_pair",
    "data.walks_per_batch=128",
    "optimizer=sparse_adam",
    "optimizer.lr=0.01",
    "trainer.limit_train_batches=300",
)


def measure(size: str, folder: str, overrides: list[str], walks: str) -> Run:
    """One `fit()` through Lightning, without curve and checkpoints."""
    from pytorch_lightning import seed_everything

    from recsys_lab.run.fitting import build_data, build_task
    from recsys_lab.run.run_data import RunData

    stored = ("data/source=stored_walks", f"data.source.path={walks}")
    experiment = recsys_lab.configure(*SHARED, *stored, *overrides)
    prepared = Inputs(size, folder).prepared
    seed_everything(experiment.seed, verbose=False)

    def fit() -> Any:
        data = build_data(RunData(prepared.split, prepared.catalog), experiment)
        task = build_task(prepared, experiment)
        quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_model_summary"), False)
        trainer = experiment.trainer(**quiet, callbacks=[counter])
        trainer.fit(task, datamodule=data)
        return task.net

    counter = _counter()
    net, measured = timed(fit)
    items = torch.arange(len(prepared.catalog))
    with torch.no_grad():
        quality = judge(net.centers(items), net.contexts(items), prepared)
    return {"work": counter.items, **measured, **quality}


def _counter() -> Any:
    """A callback that counts the items trained."""
    from pytorch_lightning import Callback

    class Counter(Callback):
        items = 0

        def on_train_batch_end(self, trainer, task, outputs, batch, batch_idx):  # type: ignore[no-untyped-def]
            self.items += batch.num_trained

    return Counter()


def gensim(size: str, folder: str, corpus: str, alpha: float, epochs: int, workers: int) -> Run:
    """Word2Vec of gensim with sg=1 in its `corpus_file` form, vocabulary included."""
    from gensim.models import Word2Vec

    model, measured = timed(
        lambda: Word2Vec(
            corpus_file=corpus,
            vector_size=DIM,
            window=WINDOW,
            negative=NEGATIVES,
            sg=1,
            min_count=1,
            sample=0,
            alpha=alpha,
            workers=workers,
            epochs=epochs,
            seed=SEED,
        )
    )
    measured["peak_mb"] = peak_mb()
    prepared = Inputs(size, folder).prepared
    centers = torch.zeros(len(prepared.catalog), DIM)
    contexts = torch.zeros_like(centers)
    place = torch.tensor([int(word) for word in model.wv.index_to_key])
    centers[place] = torch.from_numpy(model.wv.vectors)
    contexts[place] = torch.from_numpy(model.syn1neg)
    work = model.corpus_total_words * epochs
    return {"work": work, **measured, **judge(centers, contexts, prepared)}


def judge(centers: torch.Tensor, contexts: torch.Tensor, prepared: Any) -> Run:
    """AUC of both scores on the seen validation pairs, all of them."""
    pairs = RunData(prepared.split).evaluation_pairs("val")
    ends = np.concatenate([pairs.positives, *pairs.negatives.values()])
    heads, tails = ends[:, 0], ends[:, 1]
    unit = torch.nn.functional.normalize(centers, dim=-1)
    scores = {
        "cosine": VectorScorer(unit, unit).score_pairs(heads, tails),
        "center_context": VectorScorer(centers, contexts, both_ways=True).score_pairs(heads, tails),
    }
    cuts = np.cumsum([len(pairs.positives), *map(len, pairs.negatives.values())])[:-1]
    found = {}
    for name, values in scores.items():
        positives, *negatives = np.split(values.astype(np.float64), cuts)
        by_protocol = dict(zip(pairs.negatives, negatives, strict=True))
        metrics = auc_metrics(pairs, PairScores(positives, by_protocol))
        for protocol in PROTOCOLS:
            found[f"{name}/{protocol}"] = metrics[f"auc/{protocol}/seen"]
    return found


def add_options(parser: argparse.ArgumentParser) -> None:
    """Rates and numbers of epochs; few values of each make a search by coordinates."""
    parser.add_argument("--alphas", type=float, nargs="+", default=[0.025, 0.05, 0.1, 0.2])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.1, 0.2])
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="of gensim")
    parser.add_argument("--our-epochs", type=int, nargs="+", default=[1])


def compare(inputs: Inputs, options: argparse.Namespace) -> list[Comparison]:
    """All contenders; the notes tell when this project reaches gensim's best."""
    walks, corpus = str(inputs.walks), str(inputs.corpus)
    where, threads = inputs.arguments, options.threads
    contenders = [
        Contender.project(
            f"{name}, lr {rate:g}, {epochs} epochs",
            "train.measure",
            threads,
            walks=walks,
            overrides=[*overrides, f"optimizer.lr={rate}", f"trainer.max_epochs={epochs}"],
            **where,
        )
        for name, overrides in OURS.items()
        for epochs in options.our_epochs
        for rate in options.rates
    ]
    naive = [*NAIVE, "trainer.max_epochs=1"]
    contenders.append(
        Contender.project(
            "naive loop", "train.measure", threads, walks=walks, overrides=naive, **where
        )
    )
    contenders += [
        Contender.peer(
            f"gensim sg=1, alpha {alpha:g}, {epochs} epochs",
            "train.gensim",
            corpus=corpus,
            alpha=alpha,
            epochs=epochs,
            workers=threads,
            **where,
        )
        for epochs in options.epochs
        for alpha in options.alphas
    ]
    columns = {f"AUC {score}, {protocol}".replace("_", " "): f"{score}/{protocol}"
               for score in SCORES for protocol in PROTOCOLS}  # fmt: skip
    comparison = Comparison("skip-gram training", "items", columns=columns | {"s": "seconds"})
    return [comparison.measure(options.choose(contenders), options.repeats)]


def notes(comparison: Comparison) -> list[str]:
    """Seconds to gensim's best AUC, of each negative protocol and whichever score is better."""
    lines = []
    for protocol in PROTOCOLS:
        reached = sorted(
            (max(run[f"{score}/{protocol}"] for score in SCORES), run["seconds"], name)
            for name, runs in comparison.runs.items()
            for run in runs
        )
        peers = [row for row in reached if row[2].startswith("gensim")]
        if not peers:
            return []
        auc, seconds, name = peers[-1]
        lines.append(f"AUC, {protocol}: gensim's best is {auc:.4f} in {seconds:.1f} s ({name})")
        own = [row for row in reached if not row[2].startswith("gensim")]
        enough = sorted((s, n) for a, s, n in own if a >= auc)
        if enough:
            needed, name = enough[0]
            ratio = f"{seconds / needed:.1f} times"
            lines.append(f"  recsys_lab reaches it in {needed:.1f} s ({name}): {ratio}")
        elif own:
            lines.append(f"  recsys_lab reaches {own[-1][0]:.4f} ({own[-1][2]})")
    return lines
