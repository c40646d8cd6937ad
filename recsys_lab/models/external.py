"""Vectors that were trained elsewhere, as a net without parameters."""

import logging
from typing import Literal

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from recsys_lab.data.batch import Batch
from recsys_lab.models.scoring import Score, ScoreVectors, score_vectors
from recsys_lab.readers.item_vectors import ItemVectors, VectorFileError
from recsys_lab.vectors.score_form import ScoreTables, recognise

log = logging.getLogger(__name__)

ExternalScore = Literal["auto", "cosine", "dot"]
_ROUNDING = 1e-6  # of a length of 1, in float32


class ExternalVectors(nn.Module):
    """Vectors of a file. They are no parameters, so a run of them is tested without training.

    Args:
        vectors: what the scores are made of.
        has_vector: (N,) bool; the other items have no score.
        score: its name.
        path: the file.
    """

    queries: Tensor
    keys: Tensor
    bias: Tensor
    has_vector: Tensor

    def __init__(self, vectors: ScoreVectors, has_vector: Tensor, score: Score, path: str) -> None:
        super().__init__()
        self.both_ways = vectors.both_ways
        self.score = score
        self.path = path
        for name, table in (*vectors._asdict().items(), ("has_vector", has_vector)):
            if name != "both_ways":
                self.register_buffer(name, table, persistent=False)

    def score_vectors(self, items: Tensor | None = None) -> ScoreVectors:
        """Vectors whose inner products are the scores among items (n,); all if left out."""
        tables = (self.queries, self.keys, self.bias)
        queries, keys, bias = tables if items is None else [table[items] for table in tables]
        return ScoreVectors(queries, keys, bias, self.both_ways)

    def can_score(self, seen: Tensor) -> Tensor:
        """Mask (N,) of the items with a vector; those of training say nothing of it."""
        return self.has_vector

    def probability(self, scores: Tensor) -> Tensor:
        """Scores (n,) brought into [0, 1]: (1 + s) / 2 of a cosine, else the logistic function."""
        if self.score == "cosine":
            return ((1 + scores) / 2).clamp(0, 1)
        return torch.sigmoid(scores)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """There is none.

        Raises:
            TypeError: always.
        """
        raise TypeError("vectors of a file are not trained: model=external has no loss")


def external_vectors(
    found: ItemVectors, raw_ids: pl.Series, score: ExternalScore, popularity: Tensor, path: str
) -> ExternalVectors:
    """The net of the vectors of a file, for the items of a catalogue.

    Args:
        found: contents of the file.
        raw_ids: (N,) of the catalogue.
        score: "auto" is the inner product of queries and keys if the file holds them, in the mean
            of both directions unless it is the same in both, and else the cosine.
        popularity: (N,) added to the score for both items.
        path: of the file, for messages.

    Raises:
        VectorFileError: no id is one of the catalogue, or the file lacks what the score needs.
    """
    folded = "query" in found.tables
    if folded and score != "auto":
        raise VectorFileError(f"score={score} needs plain vectors, {path} holds queries and keys")
    rows, places = _matches(found.ids, raw_ids, path)
    has_vector = np.zeros(len(raw_ids), bool)
    has_vector[rows] = True
    placed = {}
    for name, stored in found.tables.items():
        placed[name] = np.zeros((len(raw_ids), stored.shape[1]), np.float32)
        placed[name][rows] = stored[places]
    if folded:
        kind, vectors = _of_queries_and_keys(placed["query"], placed["key"], popularity)
    else:
        kind = "dot" if score == "dot" else "cosine"
        if kind == "cosine":
            has_vector &= placed["vector"].any(1)  # zeros have no direction
        # Dividing vectors of length 1 by what rounding left of it would change the last bit.
        product = "dot" if _are_units(placed["vector"]) else kind
        plain = torch.from_numpy(placed["vector"])
        vectors = score_vectors(plain, plain, popularity, product)
    return ExternalVectors(vectors, torch.from_numpy(has_vector), kind, path)


def _of_queries_and_keys(
    queries: np.ndarray, keys: np.ndarray, popularity: Tensor
) -> tuple[Score, ScoreVectors]:
    """The parts that the tables (N, E) were folded of; of others, both directions in the mean."""
    no_bias = np.zeros(len(keys), np.float32)
    parts = recognise(queries, keys) or ScoreTables(queries, keys, no_bias, both_ways=True)
    one, other, bias = (
        torch.from_numpy(np.ascontiguousarray(x)) for x in (parts.queries, parts.keys, parts.bias)
    )
    vectors = ScoreVectors(one, other, bias + popularity, parts.both_ways)
    if parts.both_ways:
        return "center_context", vectors
    return "cosine" if _are_units(parts.queries) else "dot", vectors


def _are_units(vectors: np.ndarray) -> bool:
    """Whether all vectors, but those of zeros, have length 1."""
    lengths = np.linalg.norm(vectors, axis=1)
    return bool((np.abs(lengths[lengths > 0] - 1) < _ROUNDING).all())


def _matches(ids: pl.Series, raw_ids: pl.Series, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Items of the catalogue that are in the file, and their places there."""
    items = pl.DataFrame({"item": raw_ids}).with_row_index("row")
    both = pl.DataFrame({"item": ids}).with_row_index("place").join(items, on="item")
    if not len(both):
        raise VectorFileError(
            f"none of the {len(ids):,} ids of {path} is an item of this catalogue: the file has "
            f"{ids[0]!r}, the catalogue {raw_ids[0]!r}; give the catalogue of these vectors"
        )
    few = 2 * len(both) < min(len(ids), len(raw_ids))
    log.log(
        logging.WARNING if few else logging.INFO,
        "%s: vectors of %d of %d items of the catalogue, and %d of ids that are not in it",
        path,
        len(both),
        len(raw_ids),
        len(ids) - len(both),
    )
    return both["row"].to_numpy().astype(np.int64), both["place"].to_numpy().astype(np.int64)
