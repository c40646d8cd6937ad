import numpy as np
import pytest

from recsys_lab.catalog.pairs import ItemPairs
from recsys_lab.catalog.relations import PairRelations


def pairs_of(*pairs: tuple[int, int]) -> ItemPairs:
    heads, tails = np.array(pairs, np.int32).T
    return ItemPairs(heads, tails, np.ones(len(pairs), np.float32), 9)


RELATIONS = PairRelations(
    ("bought", "viewed", "both"), pairs_of((0, 1), (0, 2), (1, 2)), np.array([1, 3, 6], np.uint8)
)


def test_shares_of_relations_in_the_weight_of_pairs() -> None:
    asked, weights = pairs_of((0, 1), (0, 2), (0, 5), (1, 2)), {"bought": 1.5, "viewed": 0.5}
    bought = RELATIONS.shares(["bought"], asked, weights)
    assert bought.tolist() == [1, 0.75, 0, 0]  # the third pair is not known
    others = RELATIONS.shares(["viewed", "both"], asked, weights)
    assert others.tolist() == [0, 0.25, 0, 1]
    assert RELATIONS.shares(["viewed"], asked, weights)[3] == pytest.approx(0.5 / 1.5)


def test_a_name_of_no_relation_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no sold; those of the pairs are bought, viewed"):
        RELATIONS.shares(["bought", "sold"], pairs_of((0, 1)), {})
