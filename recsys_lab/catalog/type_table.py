"""Types: tuples of what rules say, from the coarsest to the finest, with rare ones made coarser."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TypeTable:
    """The types of R rules as levels of a tree; a type is a node of the tree that is met enough.

    Attributes:
        keys: by level, the node above times the number of codes plus the code, ascending.
        widths: by level, the number of codes, that of a missing value included.
        types: by level, the type of each node, -1 for none.
        counts: (T,) int64, the entries of each type.
        tuples: (T, R) the codes of each type, -2 beyond its level.
        num_coarser: entries whose type is coarser than the last rule.
        num_without: entries without a type.
    """

    keys: tuple[np.ndarray, ...]
    widths: tuple[int, ...]
    types: tuple[np.ndarray, ...]
    counts: np.ndarray
    tuples: np.ndarray
    num_coarser: int
    num_without: int

    def find(self, codes: np.ndarray) -> np.ndarray:
        """The type of each row of codes (n, R), the finest that exists, (n,) int32; -1 for none."""
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

    A tuple of fewer than `min_events` entries loses its last rule and is counted with the others
    that did, until there are enough; what has lost all its rules has no type. An entry about which
    no rule says anything has none, either.

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
    without = int((~pending).sum())
    types, counts, tuples = [], [], []
    num_types = num_coarser = 0
    for level in reversed(range(len(widths))):
        met = np.bincount(nodes[level][pending], minlength=len(keys[level]))
        names = _codes_of(codes, nodes[level], level, len(met))
        is_type = (met >= min_events) & (names >= 0).any(axis=1)
        here = pending & is_type[nodes[level]]
        types.append(np.where(is_type, num_types + np.cumsum(is_type) - 1, -1))
        counts.append(met[is_type])
        tuples.append(names[is_type])
        num_types += int(is_type.sum())
        num_coarser += int(here.sum()) if level < len(widths) - 1 else 0
        pending &= ~here
    return TypeTable(
        tuple(keys), widths, tuple(reversed(types)), np.concatenate(counts).astype(np.int64),
        np.concatenate(tuples), num_coarser, without + int(pending.sum()),
    )  # fmt: skip


def _codes_of(codes: np.ndarray, node: np.ndarray, level: int, num_nodes: int) -> np.ndarray:
    """(nodes, R) the codes of each node of a level, -2 beyond it."""
    found = np.full((num_nodes, codes.shape[1]), -2, np.int64)
    found[node, : level + 1] = codes[:, : level + 1]
    return found

