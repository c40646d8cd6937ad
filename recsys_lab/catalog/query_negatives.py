"""Negatives for the evaluation of queries: distinct (query, item) of items not met by the query."""

import numpy as np

from recsys_lab.catalog.held_out_negatives import TooFewNegativesError, permuted_tails

_ROUNDS = 20  # of drawing at random; what is left then is drawn from lists


def uniform_query_negatives(
    queries: np.ndarray,
    candidates: np.ndarray,
    known_keys: np.ndarray,
    num_items: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw an item for each of some queries, uniformly among those that the query has not met.

    Args:
        queries: (M,) a query for each negative, ascending.
        candidates: (C,) item ids to draw from, distinct.
        known_keys: ascending keys query * N + item of everything that a query has met.
        num_items: N.
        rng: the generator.

    Returns:
        (M, 2) int32, distinct, in the order of `queries`.

    Raises:
        TooFewNegativesError: a query has met too many items.
    """
    rows = queries.astype(np.int64) * num_items
    keys = np.full(len(queries), -1, np.int64)
    for _ in range(_ROUNDS):
        left = np.flatnonzero(keys < 0)
        if not len(left):
            break
        drawn = rows[left] + rng.choice(candidates, len(left))
        # Of equal ones the first place counts; what was drawn in an earlier round is taken.
        distinct, first = np.unique(drawn, return_index=True)
        free = ~_are_among(known_keys, distinct) & ~_are_among(np.sort(keys), distinct)
        keys[left[first[free]]] = distinct[free]
    left = np.flatnonzero(keys < 0)
    for row in np.unique(rows[left]):
        places = left[slice(*np.searchsorted(rows[left], [row, row + 1]))]
        met = slice(*np.searchsorted(known_keys, [row, row + num_items]))
        own = slice(*np.searchsorted(rows, [row, row + 1]))
        taken = np.concatenate([known_keys[met], keys[own]])
        keys[places] = _draw_from_list(row + candidates, len(places), taken, rng)
    return np.stack([keys // num_items, keys % num_items], axis=1).astype(np.int32)


def degree_matched_query_negatives(
    targets: np.ndarray,
    known_keys: np.ndarray,
    num_queries: int,
    num_items: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Permute the items of the targets over their queries: items and queries keep their counts.

    Args:
        targets: (M, 2) distinct (query, item).
        known_keys: ascending keys query * N + item of everything that a query has met.
        num_queries: Q.
        num_items: N.
        rng: the generator.

    Returns:
        (M, 2) int32.

    Raises:
        TooFewNegativesError: no such arrangement was found.
    """
    both = num_queries + num_items  # one numbering: the queries, then the items
    known = known_keys // num_items * both + num_queries + known_keys % num_items
    drawn = permuted_tails(targets[:, 0], targets[:, 1] + num_queries, known, both, rng)
    return drawn - np.array([0, num_queries], np.int32)


def _are_among(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Mask of wanted keys that are among ascending keys."""
    if not len(keys):
        return np.zeros(len(wanted), bool)
    place = np.searchsorted(keys, wanted).clip(0, len(keys) - 1)
    return np.asarray(keys[place] == wanted)


def _draw_from_list(
    keys: np.ndarray, count: int, taken: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    free = keys[~np.isin(keys, taken)]
    if len(free) < count:
        raise TooFewNegativesError(
            f"{count:,} uniform negatives are needed for a query that has not met {len(free):,} of "
            f"{len(keys):,} items: hold out less, or leave the protocol out with "
            "negatives=[degree_matched]"
        )
    return rng.choice(np.sort(free), count, replace=False)
