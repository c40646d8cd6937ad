"""A seeded sample of evaluation pairs, small enough to be scored often."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from recsys_lab.evaluation.slices import EvaluationPairs


class Sample(NamedTuple):
    """Some of the pairs, with their ends numbered anew.

    Attributes:
        pairs: over the sampled ends alone.
        queries: (q,) ascending; query k of `pairs` is queries[k]. Where items are queries, `items`.
        items: (n,) ascending; item k of `pairs` is items[k].
    """

    pairs: EvaluationPairs
    queries: np.ndarray
    items: np.ndarray


def sample_pairs(pairs: EvaluationPairs, max_pairs: int, seed: int) -> Sample:
    """At most `max_pairs` positives and negatives of each protocol, over the ends in them."""
    drawn = draw_pairs(pairs, max_pairs, seed)
    every = np.concatenate([drawn.positives, *drawn.negatives.values()])
    if pairs.queries is None:
        queries, items = (np.unique(every),) * 2
    else:
        queries, items = np.unique(every[:, 0]), np.unique(every[:, 1])

    def renumber(ids: np.ndarray) -> np.ndarray:
        ends = np.searchsorted(queries, ids[:, 0]), np.searchsorted(items, ids[:, 1])
        return np.stack(ends, axis=1)

    known = pairs.known[queries][:, items].tocsr()
    known.sort_indices()
    small = EvaluationPairs(
        num_items=len(items),
        positives=renumber(drawn.positives),
        negatives={name: renumber(ids) for name, ids in drawn.negatives.items()},
        known=known,
        seen=pairs.seen[items],
        queries=pairs.queries and pairs.queries.of(queries, items),
    )
    return Sample(small, queries, items)


def draw_pairs(pairs: EvaluationPairs, max_pairs: int, seed: int) -> EvaluationPairs:
    """At most `max_pairs` positives and negatives of each protocol, in their order."""
    rng = np.random.default_rng(seed)
    positives = _draw(pairs.positives, max_pairs, rng)
    negatives = {name: _draw(ids, max_pairs, rng) for name, ids in pairs.negatives.items()}
    return replace(pairs, positives=positives, negatives=negatives)


def _draw(ids: np.ndarray, max_pairs: int, rng: np.random.Generator) -> np.ndarray:
    if len(ids) <= max_pairs:
        return ids
    return ids[np.sort(rng.choice(len(ids), max_pairs, replace=False))]
