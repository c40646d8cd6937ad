"""Types: tuples of what rules say, from the coarsest to the finest, with rare ones made coarser."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TypeTable:
    """The types of R rules: nodes of a tree whose levels are the rules.

    Attributes:
        keys: by level, the node above times the number of codes plus the code, ascending.
        widths: by level, the number of codes, that of a missing value included.
        types: by level, the type that stands for each node, -1 for none.
        tuples: (T, R) the codes of each type, -2 beyond its level.
    """

    keys: tuple[np.ndarray, ...]
    widths: tuple[int, ...]
    types: tuple[np.ndarray, ...]
    tuples: np.ndarray

    def find(self, codes: np.ndarray) -> np.ndarray:
        """The type of each row of codes (n, R), (n,) int32, -1 for none.

        It is the one that stands for the row's finest node that has one.
        """
        found = np.full(len(codes), -1, np.int32)
        rows, node = np.arange(len(codes)), np.zeros(len(codes), np.int64)
        for level, (keys, width, types) in enumerate(
            zip(self.keys, self.widths, self.types, strict=True)
        ):
            wanted = node * width + codes[rows, level] + 1
            place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            exists = keys[place] == wanted
            rows, node = rows[exists], place[exists]
            found[rows] = np.where(types[node] >= 0, types[node], found[rows])
        return found

    def names(self, rules: Sequence[str], labels: Sequence[Sequence[str]]) -> list[str]:
        """Such as `age=35-44 | num_events=10-99`; a missing value is said to be unknown."""
        return [
            " | ".join(
                f"{rule}={'unknown' if code < 0 else values[code]}"
                for rule, values, code in zip(rules, labels, codes, strict=True)
                if code > -2
            )
            for codes in self.tuples.tolist()
        ]


def type_table(codes: np.ndarray, sizes: Sequence[int], min_events: int) -> TypeTable:
    """The types of entries.

    A tuple of at least `min_events` entries is a type. Those of rarer tuples that agree in all
    rules but the last are a coarser type together where they are as many; else the most frequent
    type that agrees in these rules stands for them; where there is none, the rule before the last
    is dropped likewise. An entry whose first rule has no type, or of which no rule says anything,
    has none.

    Args:
        codes: (n, R) of training, -1 where a rule says nothing.
        sizes: number of codes of each rule.
        min_events: at least 1.
    """
    widths = tuple(size + 1 for size in sizes)
    keys, nodes = [], []
    node = np.zeros(len(codes), np.int64)
    for level, width in enumerate(widths):
        found, node = np.unique(node * width + codes[:, level] + 1, return_inverse=True)
        keys.append(found)
        nodes.append(node)
    pending = (codes >= 0).any(axis=1)
    types: list[np.ndarray] = []  # the finest level first
    counts, tuples = np.empty(0, np.int64), np.empty((0, len(widths)), np.int64)
    for level in reversed(range(len(widths))):
        met = np.bincount(nodes[level][pending], minlength=len(keys[level]))
        names = _codes_of(codes, nodes[level], level, len(met))
        says = (names >= 0).any(axis=1)
        is_type = (met >= min_events) & says
        stands = np.where(is_type, len(counts) + np.cumsum(is_type) - 1, -1)
        if types:
            above = keys[level + 1] // widths[level + 1]
            best = _best_below(types[-1], above, counts, len(met))
            stands = np.where(says & (stands < 0), best, stands)
        counts = np.concatenate([counts, met[is_type]])
        tuples = np.concatenate([tuples, names[is_type]])
        types.append(stands)
        pending &= stands[nodes[level]] < 0
    return TypeTable(tuple(keys), widths, tuple(reversed(types)), tuples)


def _best_below(
    types: np.ndarray, above: np.ndarray, counts: np.ndarray, num_nodes: int
) -> np.ndarray:
    """The most frequent type below each node of a level, the first of equals, -1 for none.

    Args:
        types: of the nodes of the level below.
        above: the nodes that these belong to.
        counts: of the types.
        num_nodes: of the level.
    """
    below = np.flatnonzero(types >= 0)
    below = below[np.lexsort((-below, counts[types[below]]))]
    found = np.full(num_nodes, -1)
    found[above[below]] = types[below]  # of several the last stays
    return found


def _codes_of(codes: np.ndarray, node: np.ndarray, level: int, num_nodes: int) -> np.ndarray:
    """(nodes, R) the codes of each node of a level, -2 beyond it."""
    found = np.full((num_nodes, codes.shape[1]), -2, np.int64)
    found[node, : level + 1] = codes[:, : level + 1]
    return found
