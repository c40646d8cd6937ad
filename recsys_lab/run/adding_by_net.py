"""New items of a run by its model: PinSage computes vectors from edges and side information."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recsys_lab.catalog.prepared import PreparedData, prepare
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.graph.visits import most_visited
from recsys_lab.models.encoders import SideInfoEncoder
from recsys_lab.models.pinsage import PinSage
from recsys_lab.models.scoring import score_vectors
from recsys_lab.models.skipgram import SkipGram
from recsys_lab.run.experiment import assemble
from recsys_lab.run.fitting import load
from recsys_lab.run.resuming import best_of
from recsys_lab.vectors.adding import NOTHING, PAIRS, SIDE_INFORMATION, AddedItems
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.encode import items_values, mean_of_values
from recsys_lab.vectors.new_items import NewItems
from recsys_lab.vectors.score_form import ScoreTables

_BLOCK = 1 << 14  # new items whose vectors are computed at a time


def is_asked(configuration: Mapping[str, Any]) -> bool:
    """Whether the model of a run gives vectors to items that come later."""
    target = str(configuration.get("model", {}).get("_target_", ""))
    return target == "recsys_lab.models.builders.pinsage"


def added_by_net(
    embeddings: Embeddings, new: NewItems, folder: Path, configuration: Mapping[str, Any]
) -> AddedItems:
    """Vectors of new items as the model computes them, from its best checkpoint.

    Walks from a new item choose its neighbours, as in training, in the graph of all pairs. Only
    items of the run are neighbours; walks pass items that came later, too.

    Args:
        embeddings: of the run, or those that were added to.
        new: the items.
        folder: of the run.
        configuration: of the run; its catalogue is read again, or taken from the prepared data.

    Raises:
        CatalogError: the catalogue of the run cannot be read.
        TrainingError: the checkpoint cannot be used.
    """
    experiment, model = assemble(dict(configuration)), configuration["model"]
    prepared = prepare(experiment.source, experiment.split, experiment.prepared_dir)
    net = load(prepared, experiment, folder, best_of(folder)).task.net
    assert isinstance(net, SkipGram)  # noqa: S101 - narrows the type
    neighbours, shares = _visited(embeddings, new, len(prepared.catalog), model)
    is_joined = np.asarray((shares > 0).any(1))
    vectors, has_values = [], np.zeros(len(new.items), bool)
    for encoder in (net.centers, net.contexts):
        assert isinstance(encoder, PinSage)  # noqa: S101 - narrows the type
        inputs, has_values = _inputs(encoder, new, prepared, model["fields"])
        vectors.append(_vectors(encoder, inputs, neighbours, shares))
    pairs = new.pairs
    ends = np.concatenate([pairs.heads, pairs.tails]).astype(np.int64) - len(embeddings)
    num_pairs = np.bincount(ends[ends >= 0], minlength=len(new.items))
    bias = _popularity(net, num_pairs, is_joined, model)
    found = score_vectors(vectors[0], vectors[1], torch.from_numpy(bias), net.score)
    source = np.where(is_joined, PAIRS, np.where(has_values, SIDE_INFORMATION, NOTHING))
    tables = ScoreTables(
        found.queries.numpy(), found.keys.numpy(), found.bias.numpy(), found.both_ways
    )
    return AddedItems(tables, source, num_pairs, None)


def _visited(
    embeddings: Embeddings, new: NewItems, num_items: int, model: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours and shares (n, T) of new items among the items of the run."""
    known, pairs = embeddings.pairs, new.pairs
    heads, tails, weights = (
        np.concatenate([known[name].to_numpy(), added])
        for name, added in (
            ("head", pairs.heads),
            ("tail", pairs.tails),
            ("weight", pairs.weights),
        )
    )
    graph = ItemGraph.from_pairs(heads, tails, weights, len(embeddings) + len(new.items))
    options = model["num_neighbours"], model["walks_per_item"], model["num_steps"]
    neighbours, shares = most_visited(graph, *options, seed=0, later=num_items)
    return neighbours[-len(new.items) :], shares[-len(new.items) :]  # without those added before


def _inputs(
    encoder: PinSage, new: NewItems, prepared: PreparedData, fields: Sequence[str]
) -> tuple[Tensor, np.ndarray]:
    """Layer 0 (n, D) of new items, from side information, and which items have some (n,)."""
    inputs, count = encoder.inputs, len(new.items)
    if not isinstance(inputs, SideInfoEncoder):
        dim = encoder.item_vectors(torch.zeros(1, dtype=torch.long)).shape[1]
        return torch.zeros(count, dim), np.zeros(count, bool)
    frames, tables = [], []
    first = 0
    for name, (used, vectors) in zip(fields, inputs.value_vectors(), strict=True):
        labels = pl.Series("label", prepared.catalog.field(name).labels, dtype=pl.String)
        values = pl.DataFrame({"field": [name] * len(labels), "label": labels})
        values = values.with_columns(value=first + np.arange(len(labels), dtype=np.int64))
        frames.append(values.filter(pl.Series(used.numpy())))
        tables.append(vectors.numpy())
        first += len(labels)
    edges = prepared.catalog.price_edges()
    parts = items_values(new.items, fields, edges, pl.concat(frames)).drop_nulls("value")
    means = mean_of_values(parts, np.concatenate(tables), count)
    has_values = np.bincount(parts["owner"].to_numpy(), minlength=count) > 0
    return torch.from_numpy(means), has_values


def _vectors(
    encoder: PinSage, inputs: Tensor, neighbours: np.ndarray, shares: np.ndarray
) -> Tensor:
    """Vectors (n, D) block by block."""
    tables = inputs, torch.from_numpy(neighbours.astype(np.int64)), torch.from_numpy(shares)
    blocks = zip(*(table.split(_BLOCK) for table in tables), strict=True)
    return torch.cat([encoder.new_vectors(*block) for block in blocks])


def _popularity(
    net: SkipGram, num_pairs: np.ndarray, is_joined: np.ndarray, model: Mapping[str, Any]
) -> np.ndarray:
    """The popularity term (n,): of so many pairs; where there is none, that of cold items."""
    cold = float(net.popularity.mean()) if model["fields"] else 0.0
    logs = model["popularity_weight"] * np.log1p(num_pairs)
    return np.where(is_joined, logs, cold).astype(np.float32)
