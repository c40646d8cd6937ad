"""What several processes lose that train copies of a model, and what they send to each other.

The ranks are simulated in this one process, one after the other, with the exchange of the product:
quality and bytes are those of real ranks, seconds are not. Every row is a whole training.
"""

import argparse
import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
from pytorch_lightning import seed_everything
from torch import nn

import recsys_lab
from benchmarks.child import peak_mb, timed
from benchmarks.harness import Comparison, Contender, Run
from benchmarks.inputs import Inputs
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.data.batch_module import BatchDataModule
from recsys_lab.evaluation.intervals import bootstrap_intervals, ranking_statistic
from recsys_lab.evaluation.protocol import judge
from recsys_lab.models.exchange import Exchange, ExchangeOptions
from recsys_lab.models.groups import ThreadGroup
from recsys_lab.models.optimizers import build_optimizers
from recsys_lab.models.updates import Updater, choose_updater
from recsys_lab.run.fitting import build_data, build_task
from recsys_lab.run.net_scorers import net_scorer
from recsys_lab.run.parts import Experiment
from recsys_lab.run.run_data import RunData

WALKS_PER_BATCH = 120  # small, so that many ranks can exchange often on a small catalogue
METRICS = {"HR@10": "hr@10", "NDCG@10": "ndcg@10"}
AUC = "auc/uniform/all"
REPLICATES = 100


class Ranks:
    """Copies of a model that are trained in turns."""

    def __init__(self, data: RunData, prepared: PreparedData, experiment: Experiment,
                 size: int, options: ExchangeOptions) -> None:  # fmt: skip
        self.module = cast(BatchDataModule, build_data(data, experiment))
        self.task = build_task(prepared, experiment)
        self.size = size
        self.sent = self.exchanges = self._epoch = 0
        self._experiment = experiment
        net = cast(nn.Module, self.task.net)
        self._nets = [net, *(copy.deepcopy(net) for _ in range(size - 1))]
        self._optimizers = [build_optimizers(experiment.optimizer, net) for net in self._nets]
        self._updaters = list(map(self._updater, self._nets, self._optimizers))
        groups = ThreadGroup.among(size)
        self.places = self.module.draw(0, 0).num_trained
        self._exchanges = [
            Exchange(optimizers, options, group)
            for optimizers, group in zip(self._optimizers, groups, strict=True)
        ]
        self._pool = ThreadPoolExecutor(size)
        numbers = range(size)
        list(self._pool.map(self._begin, numbers))

    def _updater(self, net: Any, optimizers: Any) -> Updater:
        def set_gradients(loss: Any) -> None:
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            loss.backward()

        return choose_updater(net, optimizers[0], self.module.frequencies, set_gradients)

    def _begin(self, rank: int) -> None:
        batches = len(range(rank, self.module.num_batches, self.size))
        frequencies, places = self.module.frequencies, self.places
        self._exchanges[rank].begin(batches, frequencies, places, lambda: self._epoch)

    @property
    def every_n_batches(self) -> int:
        """Batches of each rank between two exchanges."""
        return self._exchanges[0].every_n_batches

    def train(self, epochs: int) -> int:
        """Train as `epochs` of a run; returns the items trained."""
        total, items = self.module.num_batches, 0
        for epoch in range(epochs):
            self._epoch = epoch
            for done in range(1, -(-total // self.size) + 1):
                for rank in range(self.size):
                    number = (done - 1) * self.size + rank
                    if number < total:
                        items += self._step(rank, epoch, number, epochs)
                if self.size > 1:
                    self._exchange(done, total)
        return items

    def _step(self, rank: int, epoch: int, number: int, epochs: int) -> int:
        share = number / self.module.num_batches
        batch, optimizers = self.module.draw(epoch, number), self._optimizers[rank]
        rate = optimizers[0].defaults["lr"] * self._experiment.schedule(
            (epoch + share) / epochs, share
        )
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        self._updaters[rank].update(batch, rate)
        for optimizer in optimizers:
            optimizer.step()
        return batch.num_trained

    def _exchange(self, done: int, total: int) -> None:
        """As ranks do that come to their ends at different times: the last exchange is of all."""
        least, most = total // self.size, -(-total // self.size)
        if done == least != most:
            return
        due = done if done < least else None
        sent = list(self._pool.map(
            lambda x: x.exchange() if due is None else x.after_batch(due), self._exchanges
        ))  # fmt: skip
        self.sent += max(sent)
        self.exchanges += any(sent)


def _parts(catalog: str | None, size: str, folder: str, overrides: list[str]) -> Any:
    """The experiment and its data: of a metadata file, or of the benchmarks' own catalogue."""
    own = [] if catalog is None else [
        "catalog=amazon", f"catalog.path={catalog}", "catalog.outside_items=drop"
    ]  # fmt: skip
    experiment = recsys_lab.configure(*own, f"prepared_dir={folder}/prepared", *overrides)
    if catalog is None:
        return experiment, Inputs(size, folder).prepared
    return experiment, recsys_lab.prepare(
        experiment.source, experiment.split, experiment.prepared_dir
    )


def measure(
    catalog: str | None,
    size: str,
    folder: str,
    ranks: int,
    every: int | None,
    precision: Any,
    epochs: int,
    seeds: list[int],
    overrides: list[str],
) -> Run:
    """One row: means over seeds, the lowest and highest HR@10, and the interval of the first."""
    rows, work, seconds = [], 0, {"seconds": 0.0, "cpu_seconds": 0.0}
    for seed in seeds:
        experiment, prepared = _parts(catalog, size, folder, [*overrides, f"seed={seed}"])
        seed_everything(seed, verbose=False)
        data = RunData(prepared.split, prepared.catalog)
        options = ExchangeOptions(every, precision)
        copies = Ranks(data, prepared, experiment, ranks, options)
        items, took = timed(copies.train, epochs)
        work, seconds = work + items, {name: seconds[name] + took[name] for name in seconds}
        rows.append({**_quality(copies, data, with_interval=seed == seeds[0]),
                     "bytes": copies.sent * ranks / items,
                     "exchanges": copies.exchanges, "every": copies.every_n_batches})  # fmt: skip
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[-1]}
    lows = {f"{n}/{name}": float(f([r[name] for r in rows]))
            for n, f in (("least", min), ("most", max)) for name in ("hr@10",)}  # fmt: skip
    interval = {name: rows[0][name] for name in ("low", "high")}
    return {"work": work, **seconds, "peak_mb": peak_mb(), **means, **lows, **interval}


def _quality(copies: Ranks, data: RunData, *, with_interval: bool) -> dict[str, float]:
    pairs = data.evaluation_pairs("val")
    found = judge(net_scorer(copies.task, data.nodes.trained), pairs, (10,))
    row = {name: found.ranking.mean(name) for name in METRICS.values()}
    row["auc"] = float(found.metrics()[AUC] or 0)
    if with_interval:
        statistic = {"hr": ranking_statistic(found.ranking, "hr@10")}
        whole = bootstrap_intervals(statistic, len(pairs.seen_ends), REPLICATES)["hr"]
        row |= {"low": whole.low, "high": whole.high}
    return row


def add_options(parser: argparse.ArgumentParser) -> None:
    """The grid of trainings."""
    parser.add_argument("--catalog", type=Path, help="a file of Amazon metadata, such as Beauty's")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--every", type=int, nargs="+", default=[0], help="batches; 0: chosen")
    parser.add_argument("--precisions", nargs="+", default=["32"], choices=["32", "bf16"])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--overrides", nargs="+", default=[], help="of the configuration")


def _grid(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    for ranks in options.ranks:
        for every in options.every if ranks > 1 else [0]:
            for precision in options.precisions if ranks > 1 else ["32"]:
                words = f", every {every} batches" if every else ", as chosen" * (ranks > 1)
                name = f"{ranks} ranks{words}{', bf16' * (precision == 'bf16')}"
                yield (
                    name,
                    {
                        "ranks": ranks,
                        "every": every or None,
                        "precision": precision if precision == "bf16" else 32,
                    },
                )


def compare(inputs: Inputs, options: argparse.Namespace) -> list[Comparison]:
    """All rows, against one rank."""
    catalog = None if options.catalog is None else str(options.catalog.absolute())
    overrides = [f"data.walks_per_batch={WALKS_PER_BATCH}", *options.overrides]
    shared = {"catalog": catalog, "epochs": options.epochs, "seeds": options.seeds}
    contenders = [
        Contender.project(
            name, "exchange.measure", 1, **cell, **shared, overrides=overrides, **inputs.arguments
        )
        for name, cell in _grid(options)
    ]
    columns = {**METRICS, "least": "least/hr@10", "most": "most/hr@10", "interval from": "low",
               "to": "high", "AUC": "auc", "bytes sent per item": "bytes", "exchanges": "exchanges",
               "batches between": "every"}  # fmt: skip
    comparison = Comparison("ranks that exchange", "items", columns=columns)
    return [comparison.measure(options.choose(contenders), options.repeats)]
