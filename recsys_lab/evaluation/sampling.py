"""A seeded sample of evaluation pairs, small enough to be scored often."""

from dataclasses import replace

import numpy as np

from recsys_lab.evaluation.slices import EvaluationPairs


def sample_pairs(
    pairs: EvaluationPairs, max_pairs: int, seed: int
) -> tuple[np.ndarray, EvaluationPairs]:
    """At most `max_pairs` positives and negatives of each protocol, over the items in them.

    Returns (n,) the items of the sample, ascending, and the sample itself with those items numbered
    0 .. n - 1 in this order.
    """
    drawn = draw_pairs(pairs, max_pairs, seed)
    positives, negatives = drawn.positives, drawn.negatives
    items = np.unique(np.concatenate([positives, *negatives.values()]))
    known = pairs.known[items][:, items].tocsr()
    known.sort_indices()
    return items, EvaluationPairs(
        num_items=len(items),
        positives=np.searchsorted(items, positives),
        negatives={name: np.searchsorted(items, ids) for name, ids in negatives.items()},
        known=known,
        seen=pairs.seen[items],
    )


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
