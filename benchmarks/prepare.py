"""From raw records to alias tables, stage by stage."""

import argparse

from benchmarks.child import Stages
from benchmarks.harness import Comparison, Contender, Run
from benchmarks.inputs import SPLIT, WALK_LENGTH, WALKS_PER_ITEM, Inputs
from recsys_lab.catalog.pairs import build_pairs
from recsys_lab.catalog.split import assign_parts, split_pairs
from recsys_lab.data.sequences import Walks
from recsys_lab.graph.graph import ItemGraph


def measure(size: str, folder: str) -> Run:
    """All stages in one process."""
    stages, source = Stages(), Inputs(size, folder).source
    with stages("read the raw file"):
        records = source.read()
    num_items = records.items.height
    with stages("pairs"):
        pairs = build_pairs(records.sources, records.targets, records.weights, num_items)
    with stages("parts of the split, drawn alone"):
        assign_parts(pairs, SPLIT)
    with stages("split with its negatives"):
        train = split_pairs(pairs, SPLIT).train
    with stages("graph"):
        graph = ItemGraph.from_pairs(train.heads, train.tails, train.weights, num_items)
    with stages("alias tables and frequencies"):  # what walks need before they begin
        Walks(graph, WALKS_PER_ITEM, WALK_LENGTH, seed=0)
    seconds = sum(row["seconds"] for row in stages.rows.values())
    peak = max(row["peak_mb"] for row in stages.rows.values())
    return {"work": len(pairs), "seconds": seconds, "peak_mb": peak, "stages": stages.rows}


def add_options(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def compare(inputs: Inputs, options: argparse.Namespace) -> list[Comparison]:
    """Without peers: none does the same."""
    assert inputs.raw.exists()  # made before the clock runs
    contender = Contender.project("prepare", "prepare.measure", options.threads, **inputs.arguments)
    return [Comparison("preparing", "pairs").measure(options.choose([contender]), options.repeats)]
