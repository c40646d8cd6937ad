"""The negative results of the article, brought about on purpose beside what mends them.

    python -m benchmarks.ablations                    (the embedded catalogue)
    python -m benchmarks.ablations --catalog FILE     (Amazon metadata)

Three mistakes, each against the same training without it:

- side information fails: each context is given the metadata of its *center*, or all items without
  metadata share one row;
- matrix factorisation does not learn on a large catalogue: the whole table is regularised, and
  dense Adam makes a full step of it for every row that waits for its next batch;
- learning stops after one epoch: the scheduler is made anew in every epoch, on the same optimiser.

The mistakes are written in `benchmarks.mistakes`, and are no options of the product.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Adam
from torch.optim.lr_scheduler import CosineAnnealingLR

from benchmarks import mistakes
from benchmarks.harness import show
from benchmarks.inputs import SPLIT, WEIGHTS
from benchmarks.small_fits import Net, Row, fit, judge, options, walks
from recsys_lab.catalog.pairs import ItemPairs
from recsys_lab.catalog.prepared import PreparedData, prepare
from recsys_lab.catalog.split import Split
from recsys_lab.data.batch import Items
from recsys_lab.data.modules import PairDataModule
from recsys_lab.models.builders import matrix_factorization, skipgram, skipgram_side_info
from recsys_lab.models.optimizers import RowWiseAdagrad
from recsys_lab.models.skipgram import SkipGram
from recsys_lab.readers.amazon import AmazonSource
from recsys_lab.readers.synthetic import SyntheticSource
from recsys_lab.run.run_data import known_items

FIELDS = ("brand", "category")


def side_information(prepared: PreparedData, dim: int, epochs: int) -> dict[str, Row]:
    """Ids alone; side information as it should be; shared missing row; metadata of the center.

    Trained with SparseAdam and scored by what is trained, center . context: row-wise Adagrad and
    cosines hide most of the harm.
    """
    items, split = known_items(prepared), prepared.split
    shared = items._replace(field=lambda name: mistakes.share_missing(items.field(name)))
    bare = torch.stack([items.field(name).offsets.diff() == 0 for name in FIELDS]).all(0)
    plain: dict[str, Any] = {
        "embedding_dim": dim,
        "l2": 0.0,
        "score": "center_context",
        "popularity_weight": 0.0,
        "kernel": "autograd",
    }

    def build(known: Items) -> SkipGram:
        side: dict[str, Any] = {"fields": FIELDS, "pooling": "mean", "context_side_info": True}
        side["content_weight"] = 0.0
        return skipgram_side_info(known, **plain, **side)

    nets: dict[str, Callable[[], SkipGram]] = {
        "ids alone": lambda: skipgram(items, **plain, cold_field=None, graph_weights=None),
        "side information": lambda: build(items),
        "items without metadata share a row": lambda: build(shared),
        "contexts take their center's metadata": lambda: mistakes.with_centers_metadata(
            build(items)
        ),
        "side information, vectors from N(0, 1)": lambda: mistakes.start_wide(build(items)),
        "center's metadata, vectors from N(0, 1)": lambda: mistakes.with_centers_metadata(
            mistakes.start_wide(build(items))
        ),
    }
    rows = {}
    for name, make in nets.items():
        torch.manual_seed(0)
        net = make()
        optimizer = torch.optim.SparseAdam(list(net.parameters()), lr=0.01)
        fit(net, walks(prepared), optimizer, range(epochs))
        alike = _mean_cosine(net, bare & (items.degrees > 0))
        rows[name] = judge(net, split) | {"cosine without metadata": alike}
    return rows


def _mean_cosine(net: SkipGram, mask: Tensor) -> float:
    """Mean cosine of two of the items of a mask (N,); not a number if there are fewer."""
    with torch.no_grad():
        unit = F.normalize(net.centers(torch.nonzero(mask)[:, 0]), dim=-1)
    count = len(unit)
    total = float(unit.sum(0).square().sum())  # of all ordered pairs, each with itself included
    return (total - count) / (count * (count - 1)) if count > 1 else float("nan")


def growing_catalogue(
    prepared: PreparedData, dim: int, epochs: int, copies: Sequence[int]
) -> dict[str, Row]:
    """AUC of both regularisations on the same pairs, as copies of the catalogue are put beside it.

    A copy has items and pairs of its own and shares none, so the task on the first stays the same;
    what grows is how many batches pass until a row is met again.
    """
    rows: dict[str, Row] = {}
    for count in copies:
        split = _repeat(prepared.split, count)
        degrees = np.bincount(split.train.ids.ravel(), minlength=split.num_items)
        items = known_items(prepared)._replace(degrees=torch.from_numpy(degrees))
        build = partial(matrix_factorization, items, embedding_dim=dim, biases=False,
                        loss="logistic", popularity_weight=0.0, kernel="autograd")  # fmt: skip
        torch.manual_seed(0)
        trained: dict[str, tuple[Net, Callable[..., torch.optim.Optimizer]]] = {
            "rows of the batch": (build(l2=0.003), partial(RowWiseAdagrad, lr=0.05)),
            "whole table, dense Adam": (
                mistakes.with_whole_table(build(l2=0.0)),
                partial(Adam, lr=0.01),
            ),
        }
        data = PairDataModule(split, 0, **options("pairs", batch_size=256))
        for name, (net, optimizer) in trained.items():
            fit(net, data, optimizer(net.parameters()), range(epochs))
            rows.setdefault(name, {})[f"{split.num_items:,} items"] = judge(net, split)["AUC"]
    return rows


def _repeat(split: Split, count: int) -> Split:
    """The training pairs `count` times, each time on items of their own; held out as before."""
    train, num_items = split.train, count * split.num_items
    shifts = np.repeat(np.arange(count, dtype=np.int32) * split.num_items, len(train))
    heads, tails = np.tile(train.heads, count) + shifts, np.tile(train.tails, count) + shifts
    repeated = ItemPairs(heads, tails, np.tile(train.weights, count), num_items)
    val, test = (
        replace(part, pairs=replace(part.pairs, num_items=num_items))
        for part in (split.val, split.test)
    )
    return Split(repeated, val, test)


def schedulers(prepared: PreparedData, dim: int, epochs: int) -> dict[str, Row]:
    """Cosine annealing over all epochs at once, and made anew in every epoch."""
    items, split = known_items(prepared), prepared.split
    rows = {}
    for name, is_anew in (("one scheduler", False), ("a new one in every epoch", True)):
        torch.manual_seed(0)
        net = skipgram(
            items,
            embedding_dim=dim,
            l2=0.0,
            score="cosine",
            popularity_weight=0.0,
            kernel="autograd",
            cold_field=None,
            graph_weights=None,
        )
        data, optimizer = walks(prepared), RowWiseAdagrad(net.parameters(), lr=0.05)
        rates: list[float] = []
        for period in [[epoch] for epoch in range(epochs)] if is_anew else [range(epochs)]:
            scheduler = CosineAnnealingLR(optimizer, len(period) * data.num_batches)
            rates += fit(net, data, optimizer, period, scheduler)
        rows[name] = {f"rate, epoch {e}": rate for e, rate in enumerate(rates, start=1)}
        rows[name] |= judge(net, split)
    return rows


def load(catalog: str, num_items: int, folder: Path) -> PreparedData:
    """Read and split a catalogue: "synthetic", or a file of Amazon metadata."""
    source = (
        SyntheticSource(num_items, 0, WEIGHTS, "keep")
        if catalog == "synthetic"
        else AmazonSource(catalog, WEIGHTS, "drop", False, 0, 0.01)
    )
    return prepare(source, SPLIT, folder)


def print_rows(title: str, rows: dict[str, Row]) -> None:
    """One table, four digits."""
    columns = list(next(iter(rows.values())))
    cells = [[name, *("-" if x != x else f"{x:.4f}" for x in row.values())]
             for name, row in rows.items()]  # fmt: skip
    show(title, [["", *columns], *cells])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the three ablations and print a table of each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablations", description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("--catalog", default="synthetic", help="synthetic, or a metadata file")
    parser.add_argument("--items", type=int, default=2000, help="of the synthetic catalogue")
    parser.add_argument("--dim", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 4, 16])
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        prepared = load(options.catalog, options.items, Path(folder))
    sizes = options.dim, options.epochs
    print_rows("Side information", side_information(prepared, *sizes))
    print_rows("A growing catalogue", growing_catalogue(prepared, *sizes, options.copies))
    print_rows("Learning rate", schedulers(prepared, *sizes))


if __name__ == "__main__":
    main()
