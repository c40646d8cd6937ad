"""Maximal marginal relevance against its formula, term by term."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_lab.vectors.diversity import diversify


def by_formula(scores: np.ndarray, vectors: np.ndarray, k: int, diversity: float) -> list[int]:
    span = max(scores) - min(scores)
    relevance = [(s - min(scores)) / span if span else 0.0 for s in scores]

    def cosine(i: int, j: int) -> float:
        lengths = np.linalg.norm(vectors[i]) * np.linalg.norm(vectors[j])
        return float(vectors[i] @ vectors[j] / lengths) if lengths else 0.0

    chosen = [int(np.argmax(relevance))]
    while len(chosen) < min(k, len(scores)):
        best, best_gain = -1, -np.inf
        for i in range(len(scores)):
            if i not in chosen:
                near = max(cosine(i, j) for j in chosen)
                gain = (1 - diversity) * relevance[i] - diversity * near
                if gain > best_gain + 1e-9:
                    best, best_gain = i, gain
        chosen.append(best)
    return chosen


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 15), st.floats(0, 1))
def test_the_choice_is_that_of_the_formula(seed: int, size: int, k: int, diversity: float) -> None:
    rng = np.random.default_rng(seed)
    scores = np.sort(rng.normal(size=size))[::-1]
    vectors = rng.normal(size=(size, 4))
    found = diversify(scores, vectors, k, diversity).tolist()
    assert found == by_formula(scores, vectors, k, diversity)


def test_a_copy_gives_way_to_another_kind() -> None:
    scores = np.array([1.0, 0.9, 0.5, 0.0])
    vectors = np.array([[1.0, 0], [1, 0], [0, 1], [0, -1]])
    assert diversify(scores, vectors, 3, 0.0).tolist() == [0, 1, 2]
    # 0.7 * 0.9 - 0.3 * 1 = 0.33 against 0.7 * 0.5 = 0.35
    assert diversify(scores, vectors, 3, 0.3).tolist() == [0, 2, 1]
    assert diversify(scores, vectors, 4, 1.0).tolist() == [0, 2, 3, 1]


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_scores_does_not_count(scale: float) -> None:
    rng = np.random.default_rng(0)
    scores, vectors = -np.sort(rng.normal(size=30)), rng.normal(size=(30, 3))
    expected = diversify(scores, vectors, 10, 0.4).tolist()
    assert diversify(scores * scale - 3 * scale, vectors, 10, 0.4).tolist() == expected
    assert expected != list(range(10))


def test_equal_scores_zero_vectors_and_no_candidates() -> None:
    equal = np.ones(3, np.float32)
    assert diversify(equal, np.zeros((3, 2)), 2, 0.5).tolist() == [0, 1]
    assert diversify(equal, np.array([[1.0, 0], [1, 0], [0, 1]]), 3, 0.5).tolist() == [0, 2, 1]
    assert diversify(np.empty(0, np.float32), np.empty((0, 2)), 5, 0.5).tolist() == []
