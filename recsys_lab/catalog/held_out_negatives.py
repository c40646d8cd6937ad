"""Negatives for evaluation: distinct pairs that are not known pairs of any split."""

from collections.abc import Iterator

import numpy as np

from recsys_lab.catalog.pairs import pair_keys
from recsys_lab.compute.ordering import sort_pairs
from recsys_lab.compute.sorted_rows import are_stored
from recsys_lab.readers.account import CatalogError

_ROUNDS = 200
_PIECE = 1 << 20


class _KnownPairs:
    """Pairs by their ascending keys, as rows: a row holds the keys of one head."""

    def __init__(self, keys: np.ndarray, num_items: int) -> None:
        self._keys = keys
        self._num_items = num_items
        self._starts = np.searchsorted(keys, np.arange(num_items + 1, dtype=np.int64) * num_items)

    def contain(self, keys: np.ndarray) -> np.ndarray:
        """Mask of the keys that are among them."""
        return are_stored(self._starts, self._keys, keys // self._num_items, keys)


def _sort_keys(keys: np.ndarray, num_items: int) -> tuple[np.ndarray, np.ndarray]:
    """The keys sorted, and the former place of each; equal keys keep their order."""
    heads, tails, places = sort_pairs(
        keys // num_items, keys % num_items, np.arange(len(keys)), num_items
    )
    return heads.astype(np.int64) * num_items + tails, places


def _first_of_each(keys: np.ndarray, num_items: int) -> np.ndarray:
    """Mask of the first occurrence of each key."""
    sorted_keys, places = _sort_keys(keys, num_items)
    return _mark_first(sorted_keys, places)


def _mark_first(sorted_keys: np.ndarray, places: np.ndarray) -> np.ndarray:
    mask = np.zeros(len(places), bool)
    mask[places[np.diff(sorted_keys, prepend=-1) != 0]] = True
    return mask


class TooFewNegativesError(CatalogError):
    """A protocol of negatives cannot be drawn for these pairs."""


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
        TooFewNegativesError: there are not that many such pairs.
    """
    known = _KnownPairs(known_keys, num_items)
    total = len(candidates) * (len(candidates) - 1) // 2
    if total <= 8 * (count + len(known_keys)):  # few pairs: choose among all of them
        rows, columns = np.triu_indices(len(candidates), k=1)
        keys = pair_keys(candidates[rows], candidates[columns], num_items)
        keys = np.sort(keys[~known.contain(keys)])
        if len(keys) < count:
            raise TooFewNegativesError(
                f"{count:,} uniform negatives are needed and only {len(keys):,} pairs of the "
                f"{len(candidates):,} items are not known pairs: hold out fewer pairs with "
                "val_fraction= and test_fraction="
            )
        keys = rng.choice(keys, count, replace=False, shuffle=True)
    else:
        keys = np.empty(0, np.int64)
        while len(keys) < count:
            ends = candidates[rng.integers(0, len(candidates), (2, 2 * (count - len(keys)) + 64))]
            keys = np.concatenate([keys, *_unknown_keys(ends[0], ends[1], known, num_items)])
            del ends
            keys = _first_distinct(keys, count, num_items)
    return np.stack([keys // num_items, keys % num_items], axis=1).astype(np.int32)


def _unknown_keys(
    heads: np.ndarray, tails: np.ndarray, known: _KnownPairs, num_items: int
) -> Iterator[np.ndarray]:
    """Keys of the pairs of two different ends that are not known, a million pairs at a time."""
    for first in range(0, len(heads), _PIECE):
        part = slice(first, first + _PIECE)
        keys = pair_keys(heads[part], tails[part], num_items)
        yield keys[(heads[part] != tails[part]) & ~known.contain(keys)]


def _first_distinct(keys: np.ndarray, count: int, num_items: int) -> np.ndarray:
    """The first `count` distinct keys, in their order; fewer where there are no more."""
    enough = count + count // 64 + 64  # as a rule; sorting all takes memory
    found = keys[:0]
    for size in (enough, len(keys)):
        if len(found) < count:
            found = keys[:size][_first_of_each(keys[:size], num_items)]
    return found[:count]


def degree_matched_negatives(
    positives: np.ndarray, known_keys: np.ndarray, num_items: int, rng: np.random.Generator
) -> np.ndarray:
    """Permute the tails of the positives, so that negatives have the degrees of the positives.

    "Implicit degree bias in the link prediction task" (arXiv 2405.14985). The two ends of each
    positive are first put in random order. Pairs that are known, repeated or have two equal ends
    exchange tails with others until none is left.

    Args:
        positives: (P, 2) item ids.
        known_keys: ascending keys of every known pair.
        num_items: N.
        rng: the generator.

    Returns:
        (P, 2) int32: every item occurs in as many negatives as positives.

    Raises:
        TooFewNegativesError: no such arrangement was found.
    """
    turned = rng.random(len(positives)) < 0.5
    heads = np.where(turned, positives[:, 1], positives[:, 0])
    tails = np.where(turned, positives[:, 0], positives[:, 1])
    return permuted_tails(heads, tails, known_keys, num_items, rng)


def permuted_tails(
    heads: np.ndarray,
    tails: np.ndarray,
    known_keys: np.ndarray,
    num_items: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Permute the tails of pairs until no pair is known, repeated or has two equal ends.

    Args:
        heads: (P,) ids, which stay where they are.
        tails: (P,) ids.
        known_keys: ascending keys of every known pair.
        num_items: ids are below it.
        rng: the generator.

    Returns:
        (P, 2) int32, heads and tails.

    Raises:
        TooFewNegativesError: no such arrangement was found.
    """
    tails = tails[rng.permutation(len(tails))]
    known = _KnownPairs(known_keys, num_items)
    keys = pair_keys(heads, tails, num_items)
    misplaced = (heads == tails) | known.contain(keys)
    bad = misplaced
    for _ in range(_ROUNDS):
        sorted_keys, places = _sort_keys(keys, num_items)
        bad = misplaced | ~_mark_first(sorted_keys, places)
        if not bad.any():
            return np.stack([heads, tails], axis=1).astype(np.int32)
        drawn = _KnownPairs(sorted_keys, num_items)
        swapped = _swap_tails(heads, tails, bad, (known, drawn), num_items, rng)
        keys[swapped] = pair_keys(heads[swapped], tails[swapped], num_items)
        misplaced[swapped] = (heads[swapped] == tails[swapped]) | known.contain(keys[swapped])
    raise TooFewNegativesError(
        f"{int(bad.sum()):,} of {len(heads):,} degree-matched negatives could not be placed: a "
        "few items take part in most pairs; leave the protocol out with "
        "negatives=[uniform], or use a larger catalogue"
    )


def _swap_tails(
    heads: np.ndarray,
    tails: np.ndarray,
    bad: np.ndarray,
    taken: tuple[_KnownPairs, _KnownPairs],
    num_items: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Swap the tails of bad pairs with those of partners, in place, where it leaves fewer bad ones.

    Pairs that are known or drawn already are bad. Returns the places of the swapped pairs.
    """
    one = rng.permutation(np.flatnonzero(bad))
    other = rng.choice(len(heads), len(one))
    apart = np.zeros(len(other), bool)
    apart[np.unique(other, return_index=True)[1]] = True
    apart &= ~bad[other]
    if 4 * apart.sum() < len(one):  # hardly a good pair left: pair all of them up
        one, other = np.split(rng.permutation(len(heads))[: len(heads) // 2 * 2], 2)
    else:
        one, other = one[apart], other[apart]
    after = np.zeros(len(one), np.int64)
    for ends in ((heads[one], tails[other]), (heads[other], tails[one])):
        keys = pair_keys(ends[0], ends[1], num_items)
        after += (ends[0] == ends[1]) | taken[0].contain(keys) | taken[1].contain(keys)
    before = bad[one].astype(np.int64) + bad[other]
    # Swaps that change nothing are taken half of the time: they lead out of dead ends.
    swap = (after == 0) | ((after <= before) & (rng.random(len(one)) < 0.5))
    one, other = one[swap], other[swap]
    tails[one], tails[other] = tails[other], tails[one]
    return np.concatenate([one, other])
