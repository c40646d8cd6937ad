"""One builder for each model: from plain numbers in a configuration to a network.

`items` is what is known of the items, `embedding_dim` is D. `popularity_weight` times the log of an
item's training pairs is added to its scores. The other arguments are those of the network.
"""

from typing import Literal

import torch
from torch import Tensor

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import (
    Count,
    Dimension,
    Exponent,
    FieldNames,
    Penalty,
    PopularityWeight,
    Threads,
)
from recsys_lab.data.batch import FieldCodes, Items
from recsys_lab.models.blocks import Kernel
from recsys_lab.models.encoders import IdEncoder, Pooling, SideInfoEncoder
from recsys_lab.models.external import ExternalScore, ExternalVectors, external_vectors
from recsys_lab.models.gensim_word2vec import GensimWord2Vec
from recsys_lab.models.history import HistoryModel
from recsys_lab.models.mf import Loss, MatrixFactorization
from recsys_lab.models.scoring import Score
from recsys_lab.models.skipgram import SkipGram
from recsys_lab.readers.vector_files import read_vectors

_MAX_DENSE_ITEMS = 50_000  # of tables whose gradients are dense
_FIELDS = ("brand", "category", "price")


@checked
def skipgram(
    items: Items,
    *,
    embedding_dim: Dimension,
    l2: Penalty,
    score: Score,
    popularity_weight: PopularityWeight,
    kernel: Kernel,
) -> SkipGram:
    """Skip-gram on item ids alone (word2vec)."""
    num_items = len(items.degrees)
    return SkipGram(
        centers=IdEncoder(num_items, embedding_dim),
        contexts=IdEncoder(num_items, embedding_dim, init_scale=0.0),
        score=score,
        popularity=_popularity(items, popularity_weight),
        l2=l2,
        kernel=kernel,
    )


@checked
def skipgram_side_info(
    items: Items,
    *,
    embedding_dim: Dimension,
    l2: Penalty,
    score: Score,
    popularity_weight: PopularityWeight,
    fields: FieldNames,
    pooling: Pooling,
    context_side_info: bool,
    kernel: Literal["auto", "autograd"],
) -> SkipGram:
    """Skip-gram on item ids and side information (GES and EGES).

    Centers and contexts each have their own encoder; an item brings its own side information, and
    never that of another.

    `fields` are fields of the catalogue, not all of them empty. Without `context_side_info`
    contexts are ids alone, and the score "center_context" cannot score cold items.
    """
    codes, trained = [items.field(name) for name in fields], items.degrees > 0
    _refuse_empty(items, dict(zip(fields, codes, strict=True)))
    context_codes = codes if context_side_info else []
    return SkipGram(
        centers=SideInfoEncoder(trained, codes, embedding_dim, pooling),
        contexts=SideInfoEncoder(trained, context_codes, embedding_dim, pooling, init_scale=0.0),
        score=score,
        popularity=_popularity(items, popularity_weight, impute_cold=True),
        l2=l2,
        kernel=kernel,
        fields=fields,
    )


def _refuse_empty(items: Items, fields: dict[str, FieldCodes]) -> None:
    """A model whose fields are all empty is one of ids alone."""
    if not fields or any(len(field.codes) for field in fields.values()):
        return
    others = [name for name in _FIELDS if name not in fields and len(items.field(name).codes)]
    has = ", ".join(others) or "no side information"
    instead = f"take fields=[{','.join(others)}], or" if others else "take"
    raise ValueError(
        f"no item of the catalogue has a value of fields=[{','.join(fields)}], and it has {has}: "
        f"{instead} a model of item ids alone, such as model=skipgram"
    )


@checked
def matrix_factorization(
    items: Items,
    *,
    embedding_dim: Dimension,
    biases: bool,
    loss: Loss,
    l2: Penalty,
    popularity_weight: PopularityWeight,
    kernel: Kernel,
) -> MatrixFactorization:
    """Matrix factorisation of the pairs, or of windows; `biases` are of items, and a global one."""
    num_items = len(items.degrees)
    spread = 0.5 * embedding_dim**0.5  # +- 0.5 / sqrt(D): first scores of about 1 / (12 sqrt(D))
    return MatrixFactorization(
        IdEncoder(num_items, embedding_dim, init_scale=spread),
        IdEncoder(num_items, 1, init_scale=0.0) if biases else None,
        loss=loss,
        l2=l2,
        popularity=_popularity(items, popularity_weight),
        kernel=kernel,
    )


@checked
def history(items: Items, *, embedding_dim: Dimension, l2: Penalty) -> HistoryModel:
    """The next item of a history, of users or sessions; it trains on data=histories."""
    num_items = len(items.degrees)
    spread = 2.0 * embedding_dim**0.5  # +- 2 / sqrt(D)
    sparse = num_items > _MAX_DENSE_ITEMS
    return HistoryModel(
        IdEncoder(num_items, embedding_dim, init_scale=spread, sparse=sparse),
        IdEncoder(num_items, embedding_dim, init_scale=0.1 * spread, sparse=sparse),
        IdEncoder(num_items, 1, init_scale=0.0, sparse=sparse),
        l2=l2,
    )


@checked
def gensim_word2vec(
    items: Items,
    *,
    embedding_dim: Dimension,
    sg: Literal[0, 1],
    window: Count,
    shrink_windows: bool,
    num_negatives: Count,
    negative_exponent: Exponent,
    workers: Threads,
    score: Score,
    popularity_weight: PopularityWeight,
) -> GensimWord2Vec:
    """word2vec by gensim."""
    settings = {"window": window, "shrink_windows": shrink_windows, "workers": workers, "sg": sg}
    return GensimWord2Vec(
        len(items.degrees),
        embedding_dim,
        settings | {"negative": num_negatives},
        negative_exponent,
        score,
        _popularity(items, popularity_weight),
    )


@checked
def external(
    items: Items,
    *,
    path: str,
    ids: str | None,
    score: ExternalScore,
    popularity_weight: PopularityWeight,
) -> ExternalVectors:
    """Vectors of a file; nothing is trained.

    `path` and `ids` are those of `readers.vector_files.read_vectors`.
    """
    popularity = _popularity(items, popularity_weight)
    found = read_vectors(path, ids, plain=score != "auto")
    return external_vectors(found, items.raw_ids, score, popularity, path)


def _popularity(items: Items, weight: float, *, impute_cold: bool = False) -> Tensor:
    """Popularity term (N,); a cold item has none, or that of the average seen item."""
    logs = torch.log1p(items.degrees.float())
    cold = items.degrees == 0
    if impute_cold:
        logs[cold] = logs[~cold].mean()
    return weight * logs
