"""The training pairs by item, against a dictionary."""

import numpy as np
import polars as pl
import pytest

from recsys_lab.vectors.known_pairs import KnownPairs, relation_text

NAMES = ("also_bought", "also_viewed", "bought_together", "buy_after_viewing")


@pytest.mark.parametrize("shuffled", [False, True])
def test_relations_are_those_of_the_pairs(shuffled: bool) -> None:
    rng = np.random.default_rng(0)
    pairs = np.unique(np.sort(rng.integers(60, size=(400, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    masks = rng.integers(16, size=len(pairs)).astype(np.uint8)
    if shuffled:
        order = rng.permutation(len(pairs))
        pairs, masks = pairs[order], masks[order]
        pairs[::2] = pairs[::2, ::-1]
    table = pl.DataFrame({"head": pairs[:, 0], "tail": pairs[:, 1], "relations": masks})
    known = KnownPairs.from_table(table, NAMES, 62)  # two items without pairs
    by_pair = {frozenset(p): m for p, m in zip(pairs.tolist(), masks.tolist(), strict=True)}
    for row in range(62):
        others = rng.permutation(62)
        expected = [by_pair.get(frozenset((row, n))) for n in others.tolist()]
        names = [m and [x for b, x in enumerate(NAMES) if m & 1 << b] for m in expected]
        assert known.relations(row, others) == [[] if m == 0 else m for m in names]
        assert known.of(row).tolist() == sorted(
            n for n in range(62) if frozenset((row, n)) in by_pair
        )


def test_eight_relations_and_none() -> None:
    table = pl.DataFrame({"head": [0, 1], "tail": [1, 2], "relations": [255, 0]})
    names = [f"r{bit}" for bit in range(8)]
    assert KnownPairs.from_table(table, names, 3).relations(1, np.array([0, 2, 1])) == [
        names, [], None,
    ]  # fmt: skip
    none = KnownPairs.from_table(table.clear(), names, 3)
    assert none.relations(1, np.array([0, 2])) == [None, None]
    assert none.relations(1, np.empty(0, np.int64)) == []


def test_relations_in_human_words() -> None:
    assert relation_text(None) == "-"
    assert relation_text([]) == "paired"
    assert relation_text(["bought_together", "buy_after_viewing"]) == (
        "bought together, bought after viewing"
    )
    assert relation_text(["same_basket"]) == "same basket"
