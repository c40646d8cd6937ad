"""Negatives for evaluation: distinct pairs that are not known pairs of any split."""

import numpy as np

from recsys_lab.catalog.pairs import pair_keys
from recsys_lab.catalog.report import CatalogError

_ROUNDS = 200


def _contains(sorted_keys: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Mask of the keys that stand among the sorted ones."""
    if len(sorted_keys) == 0:
        return np.zeros(len(keys), bool)
    place = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    return sorted_keys[place] == keys


def _first_of_each(keys: np.ndarray) -> np.ndarray:
    """Mask of the first occurrence of each key."""
    mask = np.zeros(len(keys), bool)
    mask[np.unique(keys, return_index=True)[1]] = True
    return mask


def uniform_negatives(
    count: int,
    candidates: np.ndarray,
    known_keys: np.ndarray,
    num_items: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw distinct unordered pairs of candidates, uniformly among those that are not known.

    Args:
        count: how many, M.
        candidates: (C,) item ids to draw from, distinct.
        known_keys: ascending keys (`pair_keys`) of every known pair.
        num_items: N.
        rng: the generator.

    Returns:
        (M, 2) int32.

    Raises:
        CatalogError: there are not that many such pairs.
    """
    total = len(candidates) * (len(candidates) - 1) // 2
    if total <= 8 * (count + len(known_keys)):  # few pairs: choose among all of them
        rows, columns = np.triu_indices(len(candidates), k=1)
        keys = pair_keys(candidates[rows], candidates[columns], num_items)
        keys = np.sort(keys[~_contains(known_keys, keys)])
        if len(keys) < count:
            raise CatalogError(
                f"{count:,} uniform negatives are needed and only {len(keys):,} pairs of the "
                f"{len(candidates):,} items are not known pairs: hold out fewer pairs (split.*)"
            )
        keys = rng.choice(keys, count, replace=False, shuffle=True)
    else:
        keys = np.empty(0, np.int64)
        while len(keys) < count:
            ends = candidates[rng.integers(0, len(candidates), (2, 2 * (count - len(keys)) + 64))]
            drawn = pair_keys(ends[0], ends[1], num_items)
            good = (ends[0] != ends[1]) & ~_contains(known_keys, drawn)
            keys = np.concatenate([keys, drawn[good]])
            keys = keys[_first_of_each(keys)][:count]
    return np.stack([keys // num_items, keys % num_items], axis=1).astype(np.int32)


def degree_matched_negatives(
    positives: np.ndarray, known_keys: np.ndarray, num_items: int, rng: np.random.Generator
) -> np.ndarray:
    """Permute the tails of the positives, so that negatives have the degrees of the positives.

    "Implicit degree bias in the link prediction task" (arXiv 2405.14985). Each positive is turned
    round at random first. Pairs that come out known, doubled or with two equal ends exchange tails
    with others until none is left.

    Args:
        positives: (P, 2) item ids.
        known_keys: ascending keys of every known pair.
        num_items: N.
        rng: the generator.

    Returns:
        (P, 2) int32: every item stands in as many negatives as positives.

    Raises:
        CatalogError: no such arrangement was found.
    """
    turned = rng.random(len(positives)) < 0.5
    heads = np.where(turned, positives[:, 1], positives[:, 0])
    tails = np.where(turned, positives[:, 0], positives[:, 1])[rng.permutation(len(positives))]
    bad = np.ones(len(positives), bool)
    for _ in range(_ROUNDS):
        keys = pair_keys(heads, tails, num_items)
        bad = (heads == tails) | _contains(known_keys, keys) | ~_first_of_each(keys)
        if not bad.any():
            return np.stack([heads, tails], axis=1).astype(np.int32)
        stuck = np.flatnonzero(bad)
        partners = rng.choice(len(heads), min(len(heads), 2 * len(stuck) + 8), replace=False)
        moved = np.union1d(stuck, partners)
        tails[moved] = tails[rng.permutation(moved)]
    raise CatalogError(
        f"{int(bad.sum()):,} of {len(positives):,} degree-matched negatives could not be placed: a "
        "few items take part in most pairs; leave the protocol out with "
        "split.negatives='[uniform]', or use a larger catalogue"
    )
