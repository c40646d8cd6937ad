import numpy as np
import pytest
from gensim.models import Word2Vec

from recsys_lab.data.windows import distance_weights, keep_probability, subsample, window_pairs
from recsys_lab.graph.counter import stream_key


def test_distance_weights_by_hand() -> None:
    np.testing.assert_allclose(distance_weights(5, 3, shrink=True), [0, 1, 2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(distance_weights(5, 3, shrink=False), [0, 1, 1, 1, 0])
    with pytest.raises(ValueError, match="window must be >= 1, got 0"):
        distance_weights(5, 0, shrink=True)


def test_shrinking_is_the_expectation_of_random_windows() -> None:
    sizes = np.random.default_rng(0).integers(1, 6, 200_000)  # word2vec: uniform in 1 .. window
    inside = [(sizes >= distance).mean() for distance in range(1, 6)]
    np.testing.assert_allclose(distance_weights(6, 5, shrink=True)[1:], inside, atol=5e-3)


@pytest.mark.parametrize("shrink", [True, False])
@pytest.mark.parametrize("window", [1, 2, 7])
def test_window_pairs_against_a_double_loop(window: int, shrink: bool) -> None:
    rng = np.random.default_rng(window)
    sequences = rng.integers(0, 9, (20, 6)).astype(np.int32)
    for row in sequences[::3]:
        row[rng.integers(1, 6) :] = -1
    by_distance = distance_weights(6, window, shrink=shrink)
    expected = []
    for row in sequences:
        items = [item for item in row if item >= 0]
        for place, center in enumerate(items):
            for other, context in enumerate(items):
                distance = abs(place - other)
                if 0 < distance <= window:
                    weight = (window + 1 - distance) / window if shrink else 1.0
                    expected.append((center, context, weight))
    centers, contexts, weights = window_pairs(sequences, by_distance)
    found = list(zip(centers, contexts, weights, strict=True))
    assert [f[:2] for f in found] == [e[:2] for e in expected]
    np.testing.assert_allclose([f[2] for f in found], [e[2] for e in expected], rtol=1e-6)


def test_keep_probability_is_that_of_gensim() -> None:
    counts = np.array([1000, 200, 50, 7, 1])
    model = Word2Vec(vector_size=2, min_count=1, sample=1e-2)
    model.build_vocab_from_freq({str(item): int(count) for item, count in enumerate(counts)})
    theirs = [model.wv.get_vecattr(str(item), "sample_int") / (2**32 - 1) for item in range(5)]
    np.testing.assert_allclose(keep_probability(counts, 1e-2), theirs, rtol=1e-5)
    assert keep_probability(counts, 0).tolist() == [1] * 5
    with pytest.raises(ValueError, match="subsample_threshold"):
        keep_probability(counts, -1)


def test_subsampling_keeps_the_expected_share_and_order() -> None:
    rng = np.random.default_rng(0)
    before = rng.integers(0, 4, (20_000, 10)).astype(np.int32)
    keep = np.array([1.0, 0.5, 0.1, 0.0], np.float32)
    after = before.copy()
    subsample(after, keep, 0, stream_key(1))
    kept = np.bincount(after[after >= 0], minlength=4) / np.bincount(before.ravel())
    np.testing.assert_allclose(kept, keep, atol=0.01)
    for old, new in zip(before[:50], after[:50], strict=True):
        new = new.tolist()
        items = [item for item in new if item >= 0]
        assert new == items + [-1] * (10 - len(items))
        remaining = iter(old.tolist())
        assert all(item in remaining for item in items)  # a subsequence, in order


def test_subsampling_is_a_function_of_the_sequence_number() -> None:
    sequences = np.random.default_rng(0).integers(0, 50, (64, 8)).astype(np.int32)
    keep = np.full(50, 0.5, np.float32)
    whole, part = sequences.copy(), sequences[40:].copy()
    subsample(whole, keep, 100, stream_key(3))
    subsample(part, keep, 140, stream_key(3))
    np.testing.assert_array_equal(whole[40:], part)
