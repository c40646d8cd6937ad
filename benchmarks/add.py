"""New items: added to a trained model, against a training that had them.

    python -m benchmarks add --catalog FILE --preset skipgram

A tenth of the items is hidden with all their pairs, and the model is trained on the rest. The
hidden items are then added with their training pairs, or from their side information alone. The
full training has them from the start. HR@10 and NDCG@10 are those of the held-out pairs with a
hidden end, over the full catalogue. The work is the hidden items, the seconds are those of adding
them or of the full training.
"""

import argparse
import shutil
from dataclasses import fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import recsys_lab
from benchmarks.child import timed
from benchmarks.harness import Comparison, Contender, Run
from benchmarks.inputs import Inputs
from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.pairs import ItemPairs, build_pairs
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.catalog.relations import PairRelations
from recsys_lab.catalog.split import HeldOut, Split
from recsys_lab.evaluation.ranking import evaluate_ranking
from recsys_lab.evaluation.scorers import VectorScorer
from recsys_lab.evaluation.slices import EvaluationPairs
from recsys_lab.run.add import objective_of
from recsys_lab.run.run_data import RunData
from recsys_lab.vectors.adding import add_items
from recsys_lab.vectors.folding import Passes
from recsys_lab.vectors.new_items import NewItems
from recsys_lab.vectors.score_form import ScoreTables

FULL, PAIRS, SIDE = "full training", "add, with pairs", "add, side information alone"
ITEM_COLUMNS = ["item", "title", "brand", "categories", "price"]


class Remaining(PreparedData):
    """Prepared data without the hidden items."""

    @cached_property
    def relations(self) -> PairRelations:
        """None: they do not matter here."""
        empty = self.split.train.take(np.zeros(len(self.split.train), bool))
        return PairRelations((), empty, np.empty(0, np.uint8))


def hide(prepared: PreparedData, share: float, seed: int) -> np.ndarray:
    """Mask (N,) of the hidden items, a share of those that have pairs."""
    items = prepared.split.known.items
    rng = np.random.default_rng(seed)
    hidden = np.zeros(prepared.split.num_items, bool)
    hidden[rng.choice(items, round(share * len(items)), replace=False)] = True
    return hidden


def rows_without(hidden: np.ndarray) -> np.ndarray:
    """Row of each item where the others come first and the hidden ones behind them."""
    rows = np.cumsum(~hidden) - 1
    rows[hidden] = (~hidden).sum() + np.arange(hidden.sum())
    return rows.astype(np.int32)


def without(prepared: PreparedData, hidden: np.ndarray) -> PreparedData:
    """The catalogue and split without the hidden items."""
    rows, count = rows_without(hidden), int((~hidden).sum())

    def pairs(part: ItemPairs) -> ItemPairs:
        kept = part.take(~hidden[part.ids].any(1))
        return ItemPairs(rows[kept.heads], rows[kept.tails], kept.weights, count)

    def held(part: HeldOut) -> HeldOut:
        negatives = {k: rows[ids[~hidden[ids].any(1)]] for k, ids in part.negatives.items()}
        return HeldOut(pairs(part.pairs), negatives)

    split = prepared.split
    changed = {
        "catalog": ItemCatalog(prepared.catalog.items.filter(pl.Series(~hidden))),
        "split": Split(pairs(split.train), held(split.val), held(split.test)),
        "vocabulary_hash": f"{prepared.vocabulary_hash} without {hidden.sum()}",
        "split_hash": f"{prepared.split_hash} without {hidden.sum()}",
    }
    names = [field.name for field in fields(prepared)]
    return Remaining(**{name: getattr(prepared, name) for name in names} | changed)


def hidden_items(prepared: PreparedData, hidden: np.ndarray, *, with_pairs: bool) -> NewItems:
    """The hidden items as new ones, with their training pairs or without any."""
    rows, train = rows_without(hidden), prepared.split.train
    theirs = train.take(hidden[train.ids].any(1) & with_pairs)
    pairs = build_pairs(rows[theirs.heads], rows[theirs.tails], theirs.weights, len(hidden))
    items = prepared.catalog.items.filter(pl.Series(hidden)).select(ITEM_COLUMNS)
    return NewItems(items, pairs, np.zeros(len(pairs), np.uint8), int((~hidden).sum()))


def measure(
    by: str,
    catalog: str,
    folder: str,
    overrides: list[str],
    part: str,
    share: float,
    seed: int,
    passes: dict[str, Any],
    changes: dict[str, Any],
) -> Run:
    """HR@10 and NDCG@10 of the held-out pairs with a hidden end."""
    words = ["trainer.enable_progress_bar=false", *overrides]
    words += ["catalog=amazon", f"catalog.path={catalog}", "catalog.outside_items=drop"]
    experiment = recsys_lab.configure(*words)
    prepared = recsys_lab.prepare(experiment.source, experiment.split, Path(folder) / "prepared")
    hidden = hide(prepared, share, seed)
    if by == FULL:
        run = Path(folder) / "full"
        shutil.rmtree(run, ignore_errors=True)
        fitted, measured = timed(recsys_lab.fit, prepared, experiment, run)
        scorer = fitted.scorer
    else:
        embeddings = recsys_lab.Embeddings.load(_reduced(prepared, hidden, experiment, folder))
        new = hidden_items(prepared, hidden, with_pairs=by == PAIRS)
        objective = replace(objective_of(experiment.configuration), **changes)
        assert len(embeddings.score_tables.keys)  # is read before the clock runs
        options = objective, Passes(**passes)
        added, measured = timed(add_items, embeddings, new, *options)
        scorer = _scorer(embeddings, added.tables, added.source != "nothing", hidden)
    return {"work": int(hidden.sum()), **measured, **_figures(scorer, prepared, hidden, part)}


def _reduced(prepared: PreparedData, hidden: np.ndarray, experiment: Any, folder: str) -> Path:
    """The run without the hidden items; it is trained once."""
    run = Path(folder) / "without"
    if not (run / "embeddings").is_dir():
        shutil.rmtree(run, ignore_errors=True)
        recsys_lab.fit(without(prepared, hidden), experiment, run).save_embeddings()
    return run


def _scorer(
    embeddings: recsys_lab.Embeddings, added: ScoreTables, scored: np.ndarray, hidden: np.ndarray
) -> VectorScorer:
    """Scores of all items by their rows in the full catalogue."""
    rows, known = rows_without(hidden), embeddings.score_tables
    queries, keys, bias = (
        np.concatenate([getattr(known, name), getattr(added, name)])[rows]
        for name in ("queries", "keys", "bias")
    )
    scorable = np.concatenate([embeddings.scored, scored])[rows]
    return VectorScorer(queries, keys, bias, known.both_ways, scorable)


def _figures(
    scorer: VectorScorer, prepared: PreparedData, hidden: np.ndarray, part: str
) -> dict[str, float]:
    """The ranking of the pairs with a hidden end; of pairs by which end is the query, too."""
    held = prepared.split.val if part == "val" else prepared.split.test
    ids = held.pairs.ids
    known = RunData(prepared.split).evaluation_pairs("val").known
    theirs = ids[hidden[ids].any(1)]
    pairs = EvaluationPairs(len(hidden), theirs, {}, known, prepared.split.seen)
    result = evaluate_ranking(scorer, pairs, ks=(10,), max_scores=1e9)
    found = {}
    for metric in ("hr@10", "ndcg@10"):
        values = result.values(metric)
        found[metric] = float(values.mean())
        found[f"{metric}, query new"] = float(values[hidden[result.query]].mean())
        found[f"{metric}, target new"] = float(values[hidden[result.target]].mean())
    return found


def _folder(inputs: Inputs, catalog: str, preset: str, overrides: list[str]) -> Path:
    """Where the runs of a model are kept."""
    name = " ".join([preset, *overrides]).replace("/", "_")
    return Path(inputs.folder).resolve() / "add" / Path(catalog).name.partition(".")[0] / name


def add_options(parser: argparse.ArgumentParser) -> None:
    """The catalogue, the model, and how items are folded in."""
    parser.add_argument("--catalog", default="", help="Amazon metadata; else that of --size")
    parser.add_argument("--preset", nargs="+", default=["skipgram"], help="of conf/experiment")
    parser.add_argument("--overrides", nargs="*", default=[], help="as for train.py")
    parser.add_argument("--part", choices=["val", "test"], default="test")
    parser.add_argument("--share", type=float, default=0.1, help="of the items that are hidden")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of items")
    usual = Passes()
    parser.add_argument("--passes", type=int, default=usual.count)
    parser.add_argument("--rate", type=float, default=usual.rate)
    parser.add_argument("--drawn", type=int, default=usual.num_drawn, help="negatives of a pass")
    parser.add_argument("--l2", type=float, help="in place of that of the run")
    parser.add_argument("--negatives", type=float, help="in place of those of the run")


def compare(inputs: Inputs, options: argparse.Namespace) -> list[Comparison]:
    """One comparison for each preset."""
    catalog = options.catalog if inputs.size != "tiny" else ""
    catalog = str(Path(catalog or inputs.raw).resolve())
    passes = {"count": options.passes, "rate": options.rate, "num_drawn": options.drawn}
    changes = {"l2": options.l2, "num_negatives": options.negatives}
    columns = {"HR@10": "hr@10", "NDCG@10": "ndcg@10", "NDCG@10, query new": "ndcg@10, query new",
               "NDCG@10, target new": "ndcg@10, target new"}  # fmt: skip
    found = []
    for preset in options.preset[: 1 if inputs.size == "tiny" else None]:
        words = [f"experiment={preset}", f"num_threads={options.threads}", *options.overrides]
        arguments = {
            "catalog": catalog, "overrides": words, "part": options.part, "share": options.share,
            "seed": options.seed, "passes": passes,
            "changes": {name: value for name, value in changes.items() if value is not None},
            "folder": str(_folder(inputs, catalog, preset, options.overrides)),
        }  # fmt: skip
        contenders = [
            Contender.project(by, "add.measure", options.threads, by=by, **arguments)
            for by in (FULL, PAIRS, SIDE)
        ]
        comparison = Comparison(f"New items, {preset}", "items", FULL, columns)
        found.append(comparison.measure(options.choose(contenders), options.repeats))
    return found
