"""One builder for each model: from plain numbers in a configuration to a network.

`items` is what is known of the items, `embedding_dim` is D. `popularity_weight` times the log of an
item's training pairs is added to its scores. The other arguments are those of the network.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from annotated_types import MinLen
from torch import Tensor

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import (
    Count,
    Decay,
    Dimension,
    Exponent,
    FieldName,
    FieldNames,
    GraphWeights,
    LayerWeight,
    Margin,
    Penalty,
    PopularityWeight,
    Positive,
    Share,
    Threads,
)
from recsys_lab.data.batch import Items
from recsys_lab.models.blocks import Kernel
from recsys_lab.models.cold_items import stand_ins
from recsys_lab.models.distilled import DistilledVectors
from recsys_lab.models.encoders import IdEncoder, Pooling, SideInfoEncoder
from recsys_lab.models.external import ExternalScore, ExternalVectors, external_vectors
from recsys_lab.models.gensim_word2vec import GensimWord2Vec
from recsys_lab.models.graph_contexts import GraphContexts
from recsys_lab.models.history import HistoryModel
from recsys_lab.models.inputs import field_codes, over_inputs, scale_of_one_table
from recsys_lab.models.label_content import label_content
from recsys_lab.models.lightgcn import LightGCN
from recsys_lab.models.mf import Loss, MatrixFactorization
from recsys_lab.models.mixed_ranker import MixedRanker
from recsys_lab.models.pinsage import PinSage
from recsys_lab.models.scoring import Score
from recsys_lab.models.skipgram import PairLoss, SkipGram
from recsys_lab.models.spectral import SpectralVectors
from recsys_lab.models.starspace import Query, RankingLoss, Similarity, StarSpace
from recsys_lab.readers.vector_files import read_vectors

_MAX_DENSE_ITEMS = 50_000  # of tables whose gradients are dense


@checked
def skipgram(
    items: Items,
    *,
    embedding_dim: Dimension,
    l2: Penalty,
    score: Score,
    popularity_weight: PopularityWeight,
    kernel: Kernel,
    cold_field: FieldName | Literal["item_type"] | None,
    graph_weights: GraphWeights | None,
) -> SkipGram:
    """Skip-gram on item ids alone (word2vec).

    With `cold_field`, a field of the catalogue or the type of an item, an item that training does
    not meet has the mean vector of the three most frequent items of its first value there.
    `graph_weights` are those of the context vectors of each graph of data=relations.
    """
    num_items = len(items.degrees)
    others = None if cold_field is None else stand_ins(items.degrees, items.field(cold_field))
    centers = IdEncoder(num_items, embedding_dim, stand_ins=others)  # drawn before the contexts
    contexts = IdEncoder(num_items, embedding_dim, init_scale=0.0, stand_ins=others)
    if graph_weights is not None:
        if others is not None:
            raise ValueError(f"cold_field={cold_field} does not go with graph_weights: use null")
        contexts = GraphContexts(num_items, embedding_dim, graph_weights)
    return SkipGram(
        centers=centers,
        contexts=contexts,
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
    content_weight: Penalty,
    kernel: Literal["auto", "autograd"],
) -> SkipGram:
    """Skip-gram on item ids and side information (GES and EGES).

    Centers and contexts each have their own encoder; an item brings its own side information, and
    never that of another.

    `fields` are fields of the catalogue, not all of them empty. Without `context_side_info`
    contexts are ids alone, and the score "center_context" cannot score cold items.
    `content_weight` times the cosine of two items' labels is added to their score.
    """
    codes, trained = field_codes(items, fields), items.degrees > 0
    context_codes = codes if context_side_info else []
    centers = SideInfoEncoder(trained, codes, embedding_dim, pooling)
    return SkipGram(
        centers=centers,
        contexts=SideInfoEncoder(trained, context_codes, embedding_dim, pooling, init_scale=0.0),
        score=score,
        popularity=_popularity(items, popularity_weight, impute_cold=True),
        l2=l2,
        kernel=kernel,
        fields=fields,
        content=label_content(centers, fields, content_weight),
    )


@checked
def starspace(
    items: Items,
    *,
    embedding_dim: Dimension,
    fields: list[FieldName],
    own_vectors: bool,
    size_exponent: Share,
    score: Similarity,
    loss: RankingLoss,
    margin: Margin,
    temperature: Positive,
    query: Query,
    decay: Decay,
    popularity_weight: PopularityWeight,
    kernel: Literal["auto", "autograd"],
) -> StarSpace:
    """StarSpace on item ids and side information; `fields` may be empty.

    Without `own_vectors` an item that has a value is the bag of its values alone.
    `size_exponent` is the p of the scale size ** -p of a sum of so many features.
    """
    codes, trained = [items.field(name) for name in fields], items.degrees > 0
    encoder = SideInfoEncoder(
        trained,
        codes,
        embedding_dim,
        "sum",
        init_scale=embedding_dim**0.5,
        size_exponent=size_exponent,
        own_vectors=own_vectors,
    )
    return StarSpace(
        encoder,
        score=score,
        loss=loss,
        margin=margin,
        temperature=temperature,
        query=query,
        decay=decay,
        popularity=_popularity(items, popularity_weight, impute_cold=True),
        kernel=kernel,
        fields=fields,
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
    return MatrixFactorization(
        IdEncoder(num_items, embedding_dim, scale_of_one_table(embedding_dim)),
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
def distilled(items: Items, *, embedding_dim: Dimension, start: str | None) -> DistilledVectors:
    """Vectors that learn the ranking of a teacher; they train on data=teacher.

    `start` is a file of vectors to start from, as that of `external`.
    """
    num_items, found = len(items.degrees), None
    if start is not None:
        popularity = _popularity(items, 0.0)
        read = read_vectors(start)
        found = external_vectors(read, items.raw_ids, "auto", popularity, start).score_vectors()
    sparse, spread = num_items > _MAX_DENSE_ITEMS, 0.1 * embedding_dim  # +- 0.1
    return DistilledVectors(
        IdEncoder(num_items, embedding_dim, init_scale=spread, sparse=sparse),
        IdEncoder(num_items, embedding_dim, init_scale=spread, sparse=sparse),
        IdEncoder(num_items, 1, init_scale=0.0, sparse=sparse),
        start=found,
    )


@checked
def spectral(
    items: Items,
    *,
    embedding_dim: Dimension,
    degree_exponent: Exponent,
    self_weight: Penalty,
    length_exponent: Share,
    popularity_exponent: Exponent,
) -> SpectralVectors:
    """Leading directions of the training graph; they train on data=graph."""
    return SpectralVectors(
        items.degrees,
        embedding_dim,
        degree_exponent=degree_exponent,
        self_weight=self_weight,
        length_exponent=length_exponent,
        popularity_exponent=popularity_exponent,
    )


@checked
def lightgcn(
    items: Items,
    *,
    embedding_dim: Dimension,
    layer_weights: Annotated[list[LayerWeight], MinLen(1)],
    one_table: bool,
    loss: PairLoss,
    margin: Margin,
    l2: Penalty,
    score: Score,
    popularity_weight: PopularityWeight,
    fields: list[FieldName],
    kernel: Literal["auto", "autograd"],
) -> SkipGram:
    """Skip-gram of vectors that are smoothed over the training graph (LightGCN).

    `layer_weights` are those of the own vectors, of one hop, of two. `fields` of side information
    are pooled with the own vectors. With `one_table` an item has the same vector as a center and as
    a context.
    """
    return SkipGram(
        *over_inputs(
            lambda inputs: LightGCN(inputs, items.neighbours(), layer_weights),
            items, fields, embedding_dim, one_table,
        ),
        score=score,
        popularity=_popularity(items, popularity_weight, impute_cold=bool(fields)),
        l2=l2,
        kernel=kernel,
        loss=loss,
        margin=margin,
    )  # fmt: skip


@checked
def pinsage(
    items: Items,
    *,
    embedding_dim: Dimension,
    num_neighbours: Annotated[list[Count], MinLen(1)],
    walks_per_item: Count,
    num_steps: Count,
    neighbour_weight: LayerWeight,
    one_table: bool,
    loss: PairLoss,
    margin: Margin,
    low_rank_weight: Penalty,
    low_rank_margin: Margin,
    l2: Penalty,
    score: Score,
    popularity_weight: PopularityWeight,
    fields: list[FieldName],
    kernel: Literal["auto", "autograd"],
) -> SkipGram:
    """Skip-gram of vectors that are computed from the items that short walks visit (PinSage).

    `walks_per_item` walks of `num_steps` steps choose the neighbours of an item, once for a
    training; `num_neighbours` of them count at each hop. The other arguments are those of
    `lightgcn` and of `SkipGram`.
    """
    visited = items.visited(max(num_neighbours), walks_per_item, num_steps)
    return SkipGram(
        *over_inputs(
            lambda inputs: PinSage(
                inputs, visited, embedding_dim, num_neighbours, neighbour_weight,
                items.group_firsts,
            ),
            items, fields, embedding_dim, one_table,
        ),
        score=score,
        popularity=_popularity(items, popularity_weight, impute_cold=bool(fields)),
        l2=l2,
        kernel=kernel,
        loss=loss,
        margin=margin,
        low_rank_weight=low_rank_weight,
        low_rank_margin=low_rank_margin,
    )  # fmt: skip


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


@checked
def mixture(
    items: Items, *, runs: Sequence[str], baselines: Sequence[str], list_length: Count
) -> MixedRanker:
    """Scores of runs and baselines; nothing is trained but the weights of these."""
    return MixedRanker(runs, baselines, list_length)


def _popularity(items: Items, weight: float, *, impute_cold: bool = False) -> Tensor:
    """Popularity term (N,); a cold item has none, or that of the average seen item."""
    logs = torch.log1p(items.degrees.float())
    cold = items.degrees == 0
    if impute_cold:
        others = items.group_firsts[0] if items.group_firsts else len(logs)  # nodes, not items
        logs[cold] = logs[:others][~cold[:others]].mean()
    return weight * logs
