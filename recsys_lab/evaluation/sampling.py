"""A seeded sample of evaluation pairs, small enough to be scored again and again."""

import numpy as np

from recsys_lab.evaluation.slices import EvaluationPairs


def sample_pairs(
    pairs: EvaluationPairs, most: int, seed: int
) -> tuple[np.ndarray, EvaluationPairs]:
    """At most `most` positives and negatives of each protocol, over the items that they name.

    Args:
        pairs: what to sample from.
        most: pairs of each kind; all of them if there are no more.
        seed: of the sample.

    Returns:
        (n,) the items of the sample, ascending, and the sample itself with those items numbered
        0 .. n - 1 in this order.
    """
    rng = np.random.default_rng(seed)
    positives = _draw(pairs.positives, most, rng)
    negatives = {name: _draw(ids, most, rng) for name, ids in pairs.negatives.items()}
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


def _draw(ids: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    if len(ids) <= most:
        return ids
    return ids[np.sort(rng.choice(len(ids), most, replace=False))]
