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

    bad = np.ones(len(heads), bool)
    for _ in range(_ROUNDS):
        bad = _misplaced(heads, tails, known_keys, num_items)
        bad |= ~_first_of_each(pair_keys(heads, tails, num_items))
        if not bad.any():
            return np.stack([heads, tails], axis=1).astype(np.int32)
        _swap_tails(heads, tails, bad, known_keys, num_items, rng)
    raise CatalogError(
        f"{int(bad.sum()):,} of {len(positives):,} degree-matched negatives could not be placed: a "
        "few items take part in most pairs; leave the protocol out with "
        "split.negatives='[uniform]', or use a larger catalogue"
    )


def _misplaced(
    heads: np.ndarray, tails: np.ndarray, known_keys: np.ndarray, num_items: int
) -> np.ndarray:
    """Mask of pairs that are known or join an item to itself."""
    return (heads == tails) | _contains(known_keys, pair_keys(heads, tails, num_items))


def _swap_tails(
    heads: np.ndarray,
    tails: np.ndarray,
    bad: np.ndarray,
    known_keys: np.ndarray,
    num_items: int,
    rng: np.random.Generator,
) -> None:
    """Let each bad pair swap tails, in place, with a partner where that leaves fewer bad ones."""
    one = rng.permutation(np.flatnonzero(bad))
    other = rng.choice(len(heads), len(one))
    apart = _first_of_each(other) & ~bad[other]
    if 4 * apart.sum() < len(one):  # hardly a good pair left: pair all of them up
        one, other = np.split(rng.permutation(len(heads))[: len(heads) // 2 * 2], 2)
    else:
        one, other = one[apart], other[apart]
    keys = pair_keys(heads, tails, num_items)
    after = np.zeros(len(one), np.int64)
    for ends in ((heads[one], tails[other]), (heads[other], tails[one])):
        doubled = np.isin(pair_keys(*ends, num_items), keys)
        after += _misplaced(*ends, known_keys, num_items) | doubled
    before = bad[one].astype(np.int64) + bad[other]
    # Swaps that change nothing are taken half of the time: they lead out of dead ends.
    swap = (after == 0) | ((after <= before) & (rng.random(len(one)) < 0.5))
    one, other = one[swap], other[swap]
    tails[one], tails[other] = tails[other], tails[one]
