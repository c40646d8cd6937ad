import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.catalog.pairs import ItemPairs, build_pairs


@settings(deadline=None)  # the first example compiles
@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 6), st.sampled_from([0.5, 1.0, 1.2])),
        max_size=40,
    )
)
def test_weights_are_summed_over_unordered_pairs(listings: list) -> None:
    expected: dict[tuple[int, int], float] = {}
    for source, target, weight in listings:
        if source != target:
            key = (min(source, target), max(source, target))
            expected[key] = expected.get(key, 0) + weight
    columns = list(zip(*listings, strict=True)) or [[], [], []]
    pairs = build_pairs(
        np.array(columns[0], np.int32), np.array(columns[1], np.int32), np.array(columns[2]), 7
    )
    assert list(zip(pairs.heads.tolist(), pairs.tails.tolist(), strict=True)) == sorted(expected)
    np.testing.assert_allclose(
        pairs.weights, [expected[key] for key in sorted(expected)], rtol=1e-6
    )


def test_three_items_by_hand() -> None:
    # 0 lists 1 (bought together) and 2; 1 lists 0 (also viewed); 2 lists itself.
    pairs = build_pairs(
        np.array([0, 0, 1, 2]), np.array([1, 2, 0, 2]), np.array([1.2, 1.0, 0.5, 1.0]), 3
    )
    assert pairs.ids.tolist() == [[0, 1], [0, 2]]
    np.testing.assert_allclose(pairs.weights, [1.7, 1.0])


@pytest.mark.parametrize(
    ("heads", "tails", "message"),
    [([1], [0], "smaller"), ([0, 0], [1, 1], "distinct"), ([0], [9], "outside")],
)
def test_malformed_pairs_are_refused(heads: list, tails: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ItemPairs(np.array(heads), np.array(tails), np.ones(len(heads), np.float32), 3)
