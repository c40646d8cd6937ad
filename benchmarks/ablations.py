"""The negative results of the article, brought about on purpose beside what mends them.

    python -m benchmarks.ablations                    (the embedded catalogue)
    python -m benchmarks.ablations --catalog FILE     (Amazon metadata)

Three mistakes, each against the same training without it:

- side information fails: each context is given the metadata of its *center*, or all items without
  metadata share one row;
- matrix factorisation does not learn on a large catalogue: the whole table is regularised, and
  dense Adam makes a full step of it for every row that waits for its next batch;
- learning stops after one epoch: the scheduler is made anew in every epoch, on the same optimiser.

They are written here, as variations of the models, and are no options of the product.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Adam
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from recsys_lab.catalog.amazon import AmazonSource
from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.pairs import ItemPairs
from recsys_lab.catalog.prepared import PreparedData, prepare
from recsys_lab.catalog.split import Split, SplitOptions
from recsys_lab.catalog.synthetic import SyntheticSource
from recsys_lab.data.batch import Batch, FieldCodes, Items
from recsys_lab.data.modules import PairDataModule, SequenceDataModule
from recsys_lab.evaluation.protocol import evaluate_auc
from recsys_lab.evaluation.scorers import VectorScorer
from recsys_lab.experiment import known_items
from recsys_lab.final_test import evaluation_pairs
from recsys_lab.models.blocks import score_block
from recsys_lab.models.builders import matrix_factorization, skipgram, skipgram_side_info
from recsys_lab.models.encoders import SideInfoEncoder
from recsys_lab.models.losses import logistic_loss
from recsys_lab.models.mf import MatrixFactorization
from recsys_lab.models.optimizers import RowWiseAdagrad
from recsys_lab.models.skipgram import SkipGram

WEIGHTS = {"bought_together": 1.2, "also_bought": 1.0, "also_viewed": 0.5, "buy_after_viewing": 0.5}
WALKS = {
    "walks_per_item": 10,
    "walk_length": 10,
    "window": 2,
    "shrink_windows": True,
    "subsample_threshold": 0.0,
    "negatives": "in_batch",
    "num_negatives": 5,
    "num_shared": 20,
    "negative_exponent": 0.75,
    "walks_per_batch": 240,
    "walks_per_group": 6,
    "num_workers": 1,
}
PAIRS = {
    "batch_size": 256,
    "num_negatives": 5,
    "negative_exponent": 0.75,
    "use_weights": True,
    "num_workers": 1,
}
FIELDS = ("brand", "category")

Net = SkipGram | MatrixFactorization
Row = dict[str, float]  # by column


class CentersMetadata(SkipGram):
    """The skip-gram with side information whose contexts wear the metadata of their center.

    Training sees (own vector of the context + values of the center) / parts; scoring, as always,
    gives each item its own values.
    """

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """As that of the skip-gram, but for the contexts."""
        block, encoder = score_block(batch), self.contexts
        if not isinstance(encoder, SideInfoEncoder):
            raise TypeError(f"contexts without side information: {type(encoder).__name__}")
        center = self.centers(block.centers)  # (G, R, D)
        parts = encoder.present[block.centers].sum(-1, keepdim=True)  # (G, R, 1)
        own = F.embedding(block.centers, encoder.table, sparse=True)
        values = encoder(block.centers) - own / parts  # (G, R, D) what the center's metadata adds
        context = F.embedding(block.contexts, encoder.table, sparse=True)  # (G, C, D)
        logits = torch.bmm(center, context.transpose(1, 2)) / parts
        logits = logits + (center * values).sum(-1, keepdim=True)
        return logistic_loss(logits, block.positive, block.negative), block.num_positives


class WholeTable(MatrixFactorization):
    """Matrix factorisation that regularises every row in every step, in the batch or not."""

    whole_l2 = 1e-4

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The mean loss of a pair and the squared size of the whole table."""
        total, weight = super().loss(batch)
        return total / weight + self.whole_l2 * self.encoder.table.square().sum(), weight


# -- training and judging --------------------------------------------------------------------------


def fit(
    net: Net,
    data: PairDataModule | SequenceDataModule,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    scheduler: Callable[[int], LRScheduler | None] = lambda epoch: None,
) -> list[float]:
    """Train; `scheduler` is asked at the start of each epoch. Returns the rate of each epoch."""
    rates = []
    for epoch in range(epochs):
        steps = scheduler(epoch)
        rates.append(float(optimizer.param_groups[0]["lr"]))
        for number in range(data.num_batches):
            optimizer.zero_grad(set_to_none=True)
            net.loss(data.draw(epoch, number))[0].backward()
            optimizer.step()
            if steps is not None:
                steps.step()
    return rates


def judge(net: Net, split: Split) -> Row:
    """AUC-ROC on the seen validation pairs, against both kinds of negatives."""
    pairs = evaluation_pairs(split.val, split)
    vectors = net.score_vectors(torch.arange(pairs.num_items))
    scorer = VectorScorer(*vectors, net.can_score(torch.from_numpy(pairs.seen)))
    metrics = evaluate_auc(scorer, pairs)
    names = {"AUC": "auc/uniform/seen", "AUC dm": "auc/degree_matched/seen"}
    return {title: float(metrics[name] or "nan") for title, name in names.items()}


# -- 1: side information ---------------------------------------------------------------------------


def side_information(prepared: PreparedData, dim: int, epochs: int) -> dict[str, Row]:
    """Ids alone; side information as it should be; shared missing row; metadata of the center.

    Trained with SparseAdam and scored by center . context, as the article's was: what was fit is
    what is scored. (Row-wise Adagrad and cosines hide most of the harm.)
    """
    items, split = known_items(prepared), prepared.split
    shared = Items(items.degrees, lambda name: share_missing(items.field(name)))
    bare = torch.stack([items.field(name).offsets.diff() == 0 for name in FIELDS]).all(0)
    options = {"embedding_dim": dim, "score": "center_context", "popularity_weight": 0.0}
    more = {"fields": FIELDS, "pooling": "mean", "context_side_info": True, **options}
    nets: dict[str, Callable[[], SkipGram]] = {
        "ids alone": lambda: skipgram(items, **options),
        "side information": lambda: skipgram_side_info(items, **more),
        "items without metadata share a row": lambda: skipgram_side_info(shared, **more),
        "contexts take their center's metadata": lambda: _with_centers_metadata(items, more),
        "side information, vectors from N(0, 1)": lambda: _start_wide(
            skipgram_side_info(items, **more)
        ),
        "center's metadata, vectors from N(0, 1)": lambda: _start_wide(
            _with_centers_metadata(items, more)
        ),
    }
    rows = {}
    for name, build in nets.items():
        torch.manual_seed(0)
        net = build()
        data = SequenceDataModule(prepared.catalog, split, 0, **WALKS)
        fit(net, data, torch.optim.SparseAdam(list(net.parameters()), lr=0.01), epochs)
        alike = _mean_cosine(net, bare & (items.degrees > 0))
        rows[name] = judge(net, split) | {"cosine without metadata": alike}
    return rows


def share_missing(field: FieldCodes) -> FieldCodes:
    """The field with one more value, which stands wherever there is none."""
    counts = field.offsets.diff()
    filled = counts.clamp_min(1)
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), filled.cumsum(0)])
    codes = torch.full((int(offsets[-1]),), field.cardinality)
    codes[torch.repeat_interleave(counts > 0, filled)] = field.codes
    return FieldCodes(offsets, codes, field.cardinality + 1)


def _with_centers_metadata(items: Items, options: dict[str, object]) -> SkipGram:
    net = skipgram_side_info(items, **options)  # type: ignore[arg-type]
    return CentersMetadata(net.centers, net.contexts, net.score, net.popularity)


def _start_wide(net: SkipGram) -> SkipGram:
    """Both tables as `nn.Embedding` starts them, which was the article's way."""
    for encoder in (net.centers, net.contexts):
        encoder.table.data.normal_()
    return net


def _mean_cosine(net: SkipGram, mask: Tensor) -> float:
    """Mean cosine of two of the items of a mask (N,); not a number if there are fewer."""
    with torch.no_grad():
        unit = F.normalize(net.centers(torch.nonzero(mask)[:, 0]), dim=-1)
    count = len(unit)
    total = float(unit.sum(0).square().sum())  # of all ordered pairs, each with itself included
    return (total - count) / (count * (count - 1)) if count > 1 else float("nan")


# -- 2: a growing catalogue ------------------------------------------------------------------------


def growing_catalogue(
    prepared: PreparedData, dim: int, epochs: int, copies: Sequence[int]
) -> dict[str, Row]:
    """AUC of both regularisations on the same pairs, as copies of the catalogue are put beside it.

    A copy has items and pairs of its own and shares none, so the task on the first stays the same;
    what grows is how many batches pass until a row is met again.
    """
    rows: dict[str, Row] = {}
    for count in copies:
        catalog, split = _repeat(prepared.split, count)
        degrees = np.bincount(split.train.ids.ravel(), minlength=split.num_items)
        items = Items(torch.from_numpy(degrees), known_items(prepared).field)  # no field is asked
        build = partial(matrix_factorization, items, embedding_dim=dim, biases=False,
                        loss="logistic", popularity_weight=0.0)  # fmt: skip
        trained: dict[str, tuple[Net, Callable[..., torch.optim.Optimizer]]] = {}
        torch.manual_seed(0)
        trained["rows of the batch"] = build(l2=0.003), partial(RowWiseAdagrad, lr=0.05)
        torch.manual_seed(0)
        trained["whole table, dense Adam"] = _whole_table(build(l2=0.0)), partial(Adam, lr=0.01)
        for name, (net, optimizer) in trained.items():
            data = PairDataModule(catalog, split, 0, **PAIRS)
            fit(net, data, optimizer(net.parameters()), epochs)
            rows.setdefault(name, {})[f"{split.num_items:,} items"] = judge(net, split)["AUC"]
    return rows


def _whole_table(net: MatrixFactorization) -> WholeTable:
    return WholeTable(net.encoder, None, loss="logistic", l2=0.0, popularity=net.popularity)


def _repeat(split: Split, count: int) -> tuple[ItemCatalog, Split]:
    """The training pairs `count` times, each time on items of their own; held out as before."""
    train, num_items = split.train, count * split.num_items
    shifts = np.repeat(np.arange(count, dtype=np.int32) * split.num_items, len(train))
    heads, tails = np.tile(train.heads, count) + shifts, np.tile(train.tails, count) + shifts
    pairs = ItemPairs(heads, tails, np.tile(train.weights, count), num_items)
    held = [
        replace(part, pairs=replace(part.pairs, num_items=num_items))
        for part in (split.val, split.test)
    ]
    catalog = ItemCatalog(pl.DataFrame({"item": [f"{k:09d}" for k in range(num_items)]}))
    return catalog, Split(pairs, *held)


# -- 3: the scheduler ------------------------------------------------------------------------------


def schedulers(prepared: PreparedData, dim: int, epochs: int) -> dict[str, Row]:
    """Cosine annealing over all epochs at once, and made anew in every epoch."""
    items, split = known_items(prepared), prepared.split
    rows = {}
    for name, is_anew in (("one scheduler", False), ("a new one in every epoch", True)):
        torch.manual_seed(0)
        net = skipgram(items, embedding_dim=dim, score="cosine", popularity_weight=0.0)
        data = SequenceDataModule(prepared.catalog, split, 0, **WALKS)
        optimizer = RowWiseAdagrad(net.parameters(), lr=0.05)
        steps = data.num_batches * (1 if is_anew else epochs)
        once = CosineAnnealingLR(optimizer, steps)
        rates = fit(
            net,
            data,
            optimizer,
            epochs,
            lambda epoch, o=optimizer, s=steps, first=once, anew=is_anew: (  # type: ignore[misc]
                CosineAnnealingLR(o, s) if anew and epoch else first
            ),
        )
        rows[name] = {f"rate, epoch {e}": rate for e, rate in enumerate(rates, start=1)}
        rows[name] |= judge(net, split)
    return rows


# -- the command -----------------------------------------------------------------------------------


def load(catalog: str, num_items: int, folder: Path) -> PreparedData:
    """Read and split a catalogue: "synthetic", or a file of Amazon metadata."""
    source = (
        SyntheticSource(num_items, 0, WEIGHTS, "keep")
        if catalog == "synthetic"
        else AmazonSource(catalog, WEIGHTS, "drop", False, 0, 0.01)
    )
    options = SplitOptions("pairs", 0.1, 0.1, ("uniform", "degree_matched"), 0)
    return prepare(source, options, folder)


def print_rows(title: str, rows: dict[str, Row]) -> None:
    """One table, four digits."""
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("")
    for column in next(iter(rows.values())):
        table.add_column(column, justify="right")
    for name, row in rows.items():
        table.add_row(name, *("-" if x != x else f"{x:.4f}" for x in row.values()))
    Console(width=110).print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the three ablations and print a table of each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablations", description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("--catalog", default="synthetic", help="synthetic, or a metadata file")
    parser.add_argument("--items", type=int, default=3000, help="of the synthetic catalogue")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 4, 16])
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        prepared = load(options.catalog, options.items, Path(folder))
    dim, epochs = options.dim, options.epochs
    print_rows("Side information", side_information(prepared, dim, epochs))
    grown = growing_catalogue(prepared, dim, epochs, options.copies)
    print_rows("A growing catalogue", grown)
    print_rows("Learning rate", schedulers(prepared, dim, epochs))


if __name__ == "__main__":
    main()
