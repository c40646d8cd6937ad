"""Ranks of labels: three items by hand, and random scores against loops."""

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.evaluation import label_ranks as ranks
from recsys_lab.evaluation.label_ranks import LabelTargets
from recsys_lab.evaluation.scorers import VectorScorer

# Items 0, 1, 2 are in training, 3, 4 and 5 are held out; labels a, b, c.
TRAINED = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
TRUTH = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 1]])
TARGETS = LabelTargets(
    "category",
    np.array([3, 4, 5]),
    sparse.csr_matrix(TRUTH),
    sparse.csr_matrix(TRAINED),
    slice(6, 9),
)


def test_most_frequent_labels_of_three_items() -> None:
    """b is in two training items, a and c in one: a ranks at 2.5, b at 1, c at 2 or 2.5."""
    values = TARGETS.values(ranks.by_frequency(TARGETS))
    # Item 4 has b (before a alone: 1) and c (equal to a: 1.5, since b is true, too).
    np.testing.assert_allclose(values["mrr"], [1 / 2.5, (1 + 1 / 1.5) / 2, 1 / 2.5])
    np.testing.assert_allclose(values["hr@1"], [0, 0.5, 0])
    np.testing.assert_allclose(values["hr@10"], [1, 1, 1])


def test_neighbours_vote_by_their_similarity() -> None:
    """Item 3 has the words of item 0, item 4 those of 1 and 2, item 5 none."""
    words = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 1], [0, 0, 0]]
    scores = ranks.by_neighbours(TARGETS, sparse.csr_matrix(words))(np.arange(3))
    assert np.argsort(-scores[0], kind="stable").tolist() == [1, 0, 2]  # a and b, b more frequent
    assert scores[0, 0] == pytest.approx(1, abs=1e-5)
    assert scores[1] == pytest.approx([0, 0.5**0.5, 0.5**0.5], abs=1e-5)
    assert np.argsort(-scores[2], kind="stable").tolist() == [1, 0, 2]  # by frequency alone


def test_only_training_items_vote() -> None:
    """Item 4 is most like item 3, whose labels are held out."""
    words = sparse.csr_matrix([[1, 1], [0, 0], [0, 0], [1, 0], [1, 0], [0, 0]])
    assert ranks.by_neighbours(TARGETS, words)(np.array([1]))[0] == pytest.approx(
        [words_of_two(), words_of_two(), 0], abs=1e-5
    )


def words_of_two() -> float:
    """Cosine of the first word with both, of 6 items: 3 have the first, one the second."""
    first, second = np.log(7 / 4) + 1, np.log(7 / 2) + 1
    return float(first / np.hypot(first, second))


@pytest.mark.parametrize("seed", range(5))
def test_ranks_are_those_of_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(4, size=(30, 7)).astype(float)
    scores[rng.random(scores.shape) < 0.2] = np.nan
    truth = sparse.random_array((30, 7), density=0.3, rng=rng, format="csr")
    truth = sparse.csr_matrix(truth)
    expected = []
    for item, row in enumerate(scores):
        true = truth.indices[truth.indptr[item] : truth.indptr[item + 1]]
        for label in true:
            rank = 1.0
            for other in set(range(7)) - set(true.tolist()):
                if np.isnan(row[label]):
                    rank += 1
                elif not np.isnan(row[other]):
                    rank += float(row[other] > row[label]) + 0.5 * float(row[other] == row[label])
            expected.append(rank)
    np.testing.assert_allclose(ranks.label_ranks(scores, truth), expected)


@pytest.mark.parametrize("both_ways", [False, True])
def test_vectors_of_items_and_labels(both_ways: bool) -> None:
    rng = np.random.default_rng(0)
    queries, keys = rng.normal(size=(2, 9, 4)).astype(np.float32)
    bias, scorable = rng.normal(size=9).astype(np.float32), np.arange(9) != 7
    nodes = VectorScorer(queries, keys, bias, both_ways, scorable)
    scores = ranks.by_vectors(nodes, TARGETS)(np.array([0, 2]))
    products = queries[[3, 5]] @ keys[6:].T
    if both_ways:
        products = (products + keys[[3, 5]] @ queries[6:].T) / 2
    expected = products + bias[6:]
    expected[:, 1] = np.nan
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_intervals_hold_the_means_and_pair_the_items() -> None:
    rng = np.random.default_rng(1)
    base = rng.random(200)
    values = {"model": {"mrr": base + 0.1}, "other": {"mrr": base}}
    found = ranks.means_with_intervals(values, "model", 100, seed=0)
    assert found["other/mrr/low"] < found["other/mrr"] < found["other/mrr/high"]
    assert found["other/mrr/high"] - found["other/mrr/low"] == pytest.approx(
        2 * 1.96 * base.std() / 200**0.5, rel=0.3
    )
    for end in ("", "/low", "/high"):  # the same for every item, so certain
        assert found[f"difference/other/mrr{end}"] == pytest.approx(0.1)
    assert set(ranks.means_with_intervals(values, "model", 0, seed=0)) == {"model/mrr", "other/mrr"}


def test_a_sample_keeps_items_with_their_labels() -> None:
    few = TARGETS.sample(2, seed=0)
    assert len(few) == 2
    for item, row in zip(few.items, few.truth.toarray(), strict=True):
        np.testing.assert_array_equal(row, TRUTH[item - 3])
    assert TARGETS.sample(3, seed=0) is TARGETS
