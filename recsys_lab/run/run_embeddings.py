"""The embeddings of a fitted model, as the folder `embeddings/` keeps them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from torch import Tensor, nn

from recsys_lab.catalog.event_split import EventSplit
from recsys_lab.catalog.nodes import USER, Nodes
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.evaluation.scorers import VectorScorer
from recsys_lab.models.external import ExternalVectors
from recsys_lab.models.scoring import SideInfoVectors
from recsys_lab.models.skipgram import SkipGram
from recsys_lab.models.starspace import StarSpace
from recsys_lab.vectors.parquet_columns import as_column
from recsys_lab.vectors.score_form import ScoreTables
from recsys_lab.vectors.store import TEXT_COLUMNS, Content, SideInfo
from recsys_lab.vectors.stored_nodes import NodeVectors
from recsys_lab.vectors.users import UserHistories

_FACTS = ("seed", "hash/", "versions/", "git_commit")
_MEASURED = ("test/", "count/test/")


def embeddings_content(
    prepared: PreparedData,
    scorer: VectorScorer,
    net: nn.Module,
    configuration: Mapping[str, Any],
    metrics: Mapping[str, Any],
    users: UserHistories | None = None,
    nodes: Nodes | None = None,
    query: str | None = None,
) -> Content:
    """What `vectors.store.write_embeddings` writes of a model.

    Args:
        prepared: items and training pairs.
        scorer: of all nodes, the items first.
        net: its side information is kept, if it has any.
        configuration: of the run; empty where there is none.
        metrics: of the run; seed, hashes, versions and test metrics are kept.
        users: of an event log, to be kept beside the items; None: no user is.
        nodes: what has a vector; None: the items alone.
        query: whose history an event log is tested by, "user" or "session".
    """
    items = items_of(prepared)
    every = ScoreTables(
        _array(scorer.queries),
        _array(scorer.keys),
        _array(scorer.bias),
        scorer.both_ways,
        scorer.directed,
    )
    scorable, tables = _array(scorer.scorable), every.take(slice(items.height))
    side_info = net.side_info_vectors() if isinstance(net, SkipGram | StarSpace) else None
    info = info_of(prepared, configuration, metrics)
    info["score"] = "center_context" if scorer.both_ways else getattr(net, "score", "dot")
    info["file"] = net.path if isinstance(net, ExternalVectors) else None
    if users is not None:
        info["history"] = dataclasses.asdict(users.weigh)
    if isinstance(prepared.split, EventSplit):
        info["filter_history"] = prepared.split.filter_history
        info["query"] = query or "user"
    if side_info is not None:
        info["fields"] = [field.name for field in side_info.fields]
        info["size_exponent"] = side_info.size_exponent
        info |= _content_info(side_info)
        info["price_edges"] = prepared.catalog.price_edges().tolist()
        info["cold_bias"] = float(tables.bias[items["seen"].to_numpy()].mean())
    stored = None if side_info is None else _stored(side_info, prepared)
    beside = None if nodes is None else _beside(nodes, every, scorable)
    return Content(
        items, scorable[: items.height], tables, pairs_of(prepared), info, stored, users, beside
    )


def items_of(prepared: PreparedData) -> pl.DataFrame:
    """The items with their number of training pairs, as `vectors.store` keeps them."""
    train = prepared.split.train
    num_pairs = np.bincount(train.ids.ravel(), minlength=len(prepared.catalog))
    return prepared.catalog.items.select(TEXT_COLUMNS).with_columns(
        num_pairs=pl.Series(num_pairs.astype(np.int32)), seen=pl.Series(num_pairs > 0)
    )


def pairs_of(prepared: PreparedData) -> pl.DataFrame:
    """The training pairs, as `vectors.store` keeps them."""
    train = prepared.split.train
    return pl.DataFrame(
        {
            "head": train.heads,
            "tail": train.tails,
            "weight": train.weights,
            "relations": prepared.relations.of(train),
        }
    )


def info_of(
    prepared: PreparedData, configuration: Mapping[str, Any], metrics: Mapping[str, Any]
) -> dict[str, Any]:
    """What `embeddings.json` has of every run."""
    return {
        "model": configuration.get("model", {}),
        "relations": list(prepared.relations.names),
        "facts": _some(metrics, _FACTS),
        "metrics": _some(metrics, _MEASURED),
        "parent": None,
        "file": None,
    }


def _beside(nodes: Nodes, tables: ScoreTables, scorable: np.ndarray) -> NodeVectors | None:
    """The vectors of what is no item; None where there is nothing else."""
    if not nodes.groups:
        return None
    frames = [
        pl.DataFrame(
            {
                "row": np.arange(group.first, group.first + len(group)),
                "group": [group.name] * len(group),
                "name": group.names,
                "count": group.counts,
            }
        )
        for group in nodes.groups
        if group.name != USER  # users have a file of their own
    ]
    return NodeVectors(pl.concat(frames) if frames else None, tables, scorable)


def _content_info(found: SideInfoVectors) -> dict[str, float]:
    """How many columns of the vectors are content, and what its cosine weighs."""
    content = found.fields[0].content if found.fields else None
    count = 0 if content is None else content.shape[1]
    return {"content_dimension": count, "content_weight": found.content_weight}


def _stored(found: SideInfoVectors, prepared: PreparedData) -> SideInfo:
    """Side information with its labels, without the values that training never met."""
    frames = []
    for field in found.fields:
        trained = _array(field.trained)
        labels = pl.Series(prepared.catalog.field(field.name).labels, dtype=pl.String)
        vectors = {"center": field.centers, "context": field.contexts, "content": field.content}
        frames.append(
            pl.DataFrame({"label": labels.filter(pl.Series(trained))}).select(
                pl.lit(field.name).alias("field"),
                "label",
                *(as_column(x, _array(y)[trained]) for x, y in vectors.items() if y is not None),
            )
        )
    of_items = slice(len(prepared.catalog))
    weights = found.center_weights[of_items], found.context_weights[of_items]
    return SideInfo(pl.concat(frames), *map(_array, weights))


def _array(tensor: Tensor) -> np.ndarray:
    return np.asarray(tensor.detach().cpu().numpy())


def _some(metrics: Mapping[str, Any], prefixes: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name.startswith(prefixes)}
