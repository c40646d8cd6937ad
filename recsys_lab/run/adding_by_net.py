"""New items and users of a run by its model: PinSage computes vectors from edges and values."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recsys_lab.catalog.nodes import USER
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.graph.visits import most_visited
from recsys_lab.models.encoders import SideInfoEncoder
from recsys_lab.models.pinsage import PinSage
from recsys_lab.models.scoring import score_vectors
from recsys_lab.models.skipgram import SkipGram
from recsys_lab.run.experiment import assemble
from recsys_lab.run.fitting import load
from recsys_lab.run.later_graph import LaterGraph
from recsys_lab.run.resuming import best_of
from recsys_lab.vectors.adding import NOTHING, PAIRS, SIDE_INFORMATION, AddedItems
from recsys_lab.vectors.adding_users import LaterUsers, OwnVectors
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.encode import items_values, mean_of_values
from recsys_lab.vectors.new_items import NewItems
from recsys_lab.vectors.score_form import ScoreTables

_BLOCK = 1 << 14  # new items whose vectors are computed at a time


def computes_later_vectors(configuration: Mapping[str, Any]) -> bool:
    """Whether the model of a run computes vectors of items and users that come later."""
    target = str(configuration.get("model", {}).get("_target_", ""))
    return target == "recsys_lab.models.builders.pinsage"


def added_by_net(
    embeddings: Embeddings,
    new: NewItems,
    later: LaterUsers | None,
    folder: Path,
    configuration: Mapping[str, Any],
) -> tuple[AddedItems, OwnVectors | None]:
    """Vectors of new items and users as the model computes them, from its best checkpoint.

    Walks from a new node choose its neighbours, as in training, in the graph of the run with the
    pairs and events that came later. Only nodes of the run are neighbours; walks pass later ones.

    Args:
        embeddings: of the run, or those that were added to.
        new: the items.
        later: users of a later log, and their events; None without one.
        folder: of the run.
        configuration: of the run; its catalogue is read again, or taken from the prepared data.

    Returns:
        the items, and the users that are nodes of the model; None where users are none.

    Raises:
        CatalogError: the catalogue of the run cannot be read.
        TrainingError: the checkpoint cannot be used.
    """
    experiment, model = assemble(dict(configuration)), configuration["model"]
    prepared = experiment.prepare()
    fitted = load(prepared, experiment, folder, best_of(folder))
    net, nodes = fitted.task.net, fitted.data.nodes
    assert isinstance(net, SkipGram)  # noqa: S101 - narrows the type
    graph = LaterGraph(embeddings, new, later, prepared.split, nodes)
    options = max(model["num_neighbours"]), model["walks_per_item"], model["num_steps"]
    visited = most_visited(graph.build(), *options, seed=0, later=len(nodes))
    added = _items(net, new, prepared, model, [x[graph.new_items] for x in visited])
    if graph.user_group is None:
        return added, None
    group = 1 + [group.name for group in nodes.groups].index(USER)
    neighbours, shares = (x[graph.new_users] for x in visited)
    vectors = [_vectors(encoder, None, neighbours, shares, group) for encoder in _encoders(net)]
    tables = _tables(net, vectors, torch.zeros(len(shares)))
    return added, OwnVectors(graph.users, tables, _is_joined(shares))


def _items(
    net: SkipGram,
    new: NewItems,
    prepared: PreparedData,
    model: Mapping[str, Any],
    visited: Sequence[np.ndarray],
) -> AddedItems:
    """New items with these neighbours and shares (n, T)."""
    is_joined = _is_joined(visited[1])
    vectors, has_values = [], np.zeros(len(new.items), bool)
    for encoder in _encoders(net):
        inputs, has_values = _inputs(encoder, new, prepared, model["fields"])
        vectors.append(_vectors(encoder, inputs, visited[0], visited[1]))
    of_items = net.popularity[: len(prepared.catalog)]
    cold = float(of_items.mean()) if model["fields"] else 0.0
    logs = model["popularity_weight"] * np.log1p(new.num_pairs)
    bias = torch.from_numpy(np.where(is_joined, logs, cold).astype(np.float32))
    source = np.where(is_joined, PAIRS, np.where(has_values, SIDE_INFORMATION, NOTHING))
    return AddedItems(_tables(net, vectors, bias), source, new.num_pairs, None)


def _encoders(net: SkipGram) -> list[PinSage]:
    """Of centers and of contexts; one may have both roles."""
    found = [net.centers, net.contexts]
    assert all(isinstance(encoder, PinSage) for encoder in found)  # noqa: S101 - narrows the type
    return found  # type: ignore[return-value]


def _is_joined(shares: np.ndarray) -> np.ndarray:
    return np.asarray((shares > 0).any(1))


def _tables(net: SkipGram, vectors: Sequence[Tensor], bias: Tensor) -> ScoreTables:
    """Center and context vectors in the form of the score."""
    found = score_vectors(vectors[0], vectors[1], bias, net.score)
    return ScoreTables(
        found.queries.numpy(), found.keys.numpy(), found.bias.numpy(), found.both_ways
    )


def _inputs(
    encoder: PinSage, new: NewItems, prepared: PreparedData, fields: Sequence[str]
) -> tuple[Tensor, np.ndarray]:
    """Layer 0 (n, D) of new items, from side information, and which items have some (n,)."""
    inputs, count = encoder.inputs, len(new.items)
    if not isinstance(inputs, SideInfoEncoder):
        return torch.zeros(count, encoder.embedding_dim), np.zeros(count, bool)
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
    encoder: PinSage,
    inputs: Tensor | None,
    neighbours: np.ndarray,
    shares: np.ndarray,
    group: int = 0,
) -> Tensor:
    """Vectors (n, D) block by block; without inputs, of nodes of which nothing else is known."""
    if inputs is None:
        inputs = torch.zeros(len(shares), encoder.embedding_dim)
    tables = inputs, torch.from_numpy(neighbours.astype(np.int64)), torch.from_numpy(shares)
    blocks = zip(*(table.split(_BLOCK) for table in tables), strict=True)
    return torch.cat([encoder.new_vectors(a, b, c, group) for a, b, c in blocks])
