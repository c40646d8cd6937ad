import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.catalog.held_out_negatives import degree_matched_negatives, uniform_negatives
from recsys_lab.catalog.pairs import ItemPairs, build_pairs, pair_keys
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.catalog.split import Split, SplitOptions, given_split, split_pairs
from recsys_lab.evaluation.metrics import auc_roc
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.records import LabelledPairs

BOTH = ("uniform", "degree_matched")


def random_pairs(num_items: int, count: int, seed: int) -> ItemPairs:
    rng = np.random.default_rng(seed)
    heads, tails = rng.integers(0, num_items, (2, count))
    return build_pairs(heads, tails, np.ones(count), num_items)


def check_negatives(split: Split) -> None:
    known = set(split.known.keys.tolist())
    for protocol in split.val.negatives:
        for held in (split.val, split.test):
            ids = held.negatives[protocol]
            keys = pair_keys(ids[:, 0], ids[:, 1], split.num_items).tolist()
            assert len(keys) == len(held.pairs)
            assert len(set(keys)) == len(keys)
            assert not known & set(keys)
            assert (ids[:, 0] != ids[:, 1]).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(20, 60), st.integers(0, 5), st.sampled_from(["pairs", "items"]))
def test_parts_are_disjoint_and_complete(num_items: int, seed: int, by: str) -> None:
    pairs = random_pairs(num_items, 4 * num_items, seed)
    split = split_pairs(pairs, SplitOptions(by, 0.1, 0.15, ("uniform",), seed))
    parts = [set(p.keys.tolist()) for p in (split.train, split.val.pairs, split.test.pairs)]
    assert sum(map(len, parts)) == len(pairs)
    assert set.union(*parts) == set(pairs.keys.tolist())
    check_negatives(split)


def test_shares_are_exact_by_pairs() -> None:
    pairs = random_pairs(100, 1200, 0)
    split = split_pairs(pairs, SplitOptions("pairs", 0.1, 0.2, BOTH, 0))
    assert len(split.val.pairs) == round(0.1 * len(pairs))
    assert len(split.test.pairs) == round(0.2 * len(pairs))
    check_negatives(split)


def test_hidden_items_are_not_seen() -> None:
    pairs = random_pairs(200, 2000, 1)
    split = split_pairs(pairs, SplitOptions("items", 0.1, 0.1, BOTH, 0))
    hidden = ~split.seen
    assert 0.15 < hidden.mean() < 0.25
    assert hidden[split.test.pairs.ids].any(axis=1).all()
    assert hidden[split.val.pairs.ids].any(axis=1).all()
    assert not hidden[split.train.ids].any()


def test_a_split_is_a_function_of_its_seed() -> None:
    pairs = random_pairs(100, 800, 0)
    one, same, other = (
        split_pairs(pairs, SplitOptions("pairs", 0.1, 0.1, BOTH, seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.test.pairs.keys, same.test.pairs.keys)
    np.testing.assert_array_equal(
        one.test.negatives["degree_matched"], same.test.negatives["degree_matched"]
    )
    assert not np.array_equal(one.test.pairs.keys, other.test.pairs.keys)


def test_degree_matched_negatives_keep_every_degree(planted: PreparedData) -> None:
    held = planted.split.test
    ours = np.bincount(held.pairs.ids.ravel(), minlength=len(planted.catalog))
    theirs = np.bincount(held.negatives["degree_matched"].ravel(), minlength=len(planted.catalog))
    np.testing.assert_array_equal(ours, theirs)


def test_popularity_is_blind_under_degree_matched_negatives(planted: PreparedData) -> None:
    split = planted.split
    degrees = np.bincount(split.train.ids.ravel(), minlength=split.num_items) + 0.5
    scores = {name: np.log(degrees[ids]).sum(axis=1) for name, ids in split.test.negatives.items()}
    positive = np.log(degrees[split.test.pairs.ids]).sum(axis=1)
    assert abs(auc_roc(positive, scores["degree_matched"]) - 0.5) < 0.02
    assert auc_roc(positive, scores["uniform"]) > 0.65


def test_uniform_negatives_are_uniform() -> None:
    rng = np.random.default_rng(0)
    known = np.sort(pair_keys(np.array([0, 1]), np.array([1, 2]), 5))
    counts: dict[tuple[int, ...], int] = {}
    for _ in range(4000):
        for pair in uniform_negatives(2, np.arange(5), known, 5, rng):
            counts[tuple(pair)] = counts.get(tuple(pair), 0) + 1
    assert len(counts) == 8  # 10 pairs of five items, less the two known ones
    assert max(counts.values()) / min(counts.values()) < 1.2


def test_many_candidates_are_drawn_without_listing_all_pairs() -> None:
    known = random_pairs(5000, 2000, 0)
    drawn = uniform_negatives(3000, np.arange(5000), known.keys, 5000, np.random.default_rng(0))
    keys = pair_keys(drawn[:, 0], drawn[:, 1], 5000)
    assert len(np.unique(keys)) == 3000
    assert not np.isin(keys, known.keys).any()


def test_a_shortfall_is_an_error() -> None:
    complete = build_pairs(*np.triu_indices(4, k=1), np.ones(6), 4)
    with pytest.raises(CatalogError, match="only 0 pairs"):
        uniform_negatives(1, np.arange(4), complete.keys, 4, np.random.default_rng(0))
    star = build_pairs(np.zeros(9, int), np.arange(1, 10), np.ones(9), 10)
    with pytest.raises(CatalogError, match="degree-matched"):
        degree_matched_negatives(star.ids, star.keys, 10, np.random.default_rng(0))
    split = split_pairs(star, SplitOptions("pairs", 0.2, 0.2, ("uniform",), 0))
    check_negatives(split)


def test_tiny_catalogues_are_refused_with_a_sentence() -> None:
    one = build_pairs(np.array([0]), np.array([1]), np.ones(1), 2)
    with pytest.raises(CatalogError, match="part of the split is empty"):
        split_pairs(one, SplitOptions("pairs", 0.1, 0.1, BOTH, 0))


CHAIN = build_pairs(np.arange(11), np.arange(1, 12), np.ones(11), 12)
GIVEN = SplitOptions("pairs", 0.1, 0.1, ("uniform",), 0)


def labelled(*pairs: tuple[int, int, int]) -> LabelledPairs:
    heads, tails, labels = np.array(pairs).T
    return LabelledPairs(heads, tails, labels.astype(bool))


def test_given_pairs_are_used_and_kept_apart() -> None:
    val = labelled((5, 0, 1), (0, 3, 1), (1, 3, 0), (4, 5, 0))
    split = given_split(CHAIN, {"val": val, "test": labelled((3, 0, 1), (2, 9, 0))}, GIVEN)
    assert split.test.pairs.ids.tolist() == [[0, 3]]
    assert split.val.pairs.ids.tolist() == [[0, 5]]  # 0-3 is for test
    assert split.val.negatives["given"].tolist() == [[1, 3]]  # 4-5 is a training pair
    assert split.test.negatives["given"].tolist() == [[2, 9]]


def test_given_pairs_leave_training() -> None:
    given_pairs = {"val": labelled((1, 0, 1), (0, 4, 0)), "test": labelled((7, 6, 1), (1, 5, 0))}
    split = given_split(CHAIN, given_pairs, GIVEN)
    assert len(split.train) == 9
    assert [0, 1] not in split.train.ids.tolist()
    assert [6, 7] not in split.train.ids.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"val_fraction": 0.0}, "^val_fraction must be > 0 and < 1"),
        ({"test_fraction": 1.5}, "^test_fraction must be > 0 and < 1"),
        ({"val_fraction": 0.6, "test_fraction": 0.5}, "must be below 1"),
        ({"negatives": ("popular",)}, "^negatives must"),
        ({"by": "users"}, "^by must"),
    ],
)
def test_bad_options_are_named(change: dict, message: str) -> None:
    options = {"by": "pairs", "val_fraction": 0.1, "test_fraction": 0.1, "negatives": BOTH}
    with pytest.raises(ValueError, match=message):
        SplitOptions(**{**options, "seed": 0, **change})
