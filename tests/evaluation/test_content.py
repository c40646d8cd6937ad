import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.metrics.pairwise import cosine_similarity

from recsys_lab.evaluation.content import ContentSimilarity


def random_labels(num_items: int, num_labels: int, seed: int) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    dense = (rng.random((num_items, num_labels)) < 0.15) * rng.integers(1, 4, num_labels)
    dense[rng.random(num_items) < 0.2] = 0  # nothing is said of these items
    return sparse.csr_matrix(dense)


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_the_tf_idf_cosines_of_scikit_learn(seed: int) -> None:
    labels = random_labels(40, 25, seed)
    expected = cosine_similarity(TfidfTransformer().fit_transform(labels))
    empty = np.asarray(labels.sum(axis=1)).ravel() == 0
    expected[empty] = expected[:, empty] = np.nan
    assert empty.any()
    scorer = ContentSimilarity(labels)
    heads, tails = (ids.ravel() for ids in np.indices((40, 40)))
    np.testing.assert_allclose(scorer.score_pairs(heads, tails), expected[heads, tails], atol=1e-12)
    queries = np.array([7, 3, 3, 39])
    np.testing.assert_allclose(scorer.score_rows(queries), expected[queries], atol=1e-6)


def test_four_items_by_hand() -> None:
    """Two share a rare label, all that are described share a common one, one has no label."""
    scorer = ContentSimilarity(sparse.csr_matrix([[1, 1, 0], [1, 1, 0], [1, 0, 1], [0, 0, 0]]))
    common, rare, rarest = np.log(5 / 4) + 1, np.log(5 / 3) + 1, np.log(5 / 2) + 1
    apart = common**2 / np.hypot(common, rare) / np.hypot(common, rarest)
    scores = scorer.score_pairs(np.array([0, 0, 2, 3, 3]), np.array([1, 2, 1, 0, 3]))
    np.testing.assert_allclose(scores, [1, apart, apart, np.nan, np.nan])


def test_what_it_is_given_stays_as_it_is() -> None:
    labels = random_labels(10, 5, 0)
    before = labels.toarray()
    ContentSimilarity(labels)
    np.testing.assert_array_equal(labels.toarray(), before)


@pytest.mark.parametrize("count", [0.0, -1.0, np.nan, np.inf])
def test_counts_that_are_none_are_refused(count: float) -> None:
    labels = sparse.csr_matrix((np.array([1.0, count]), ([0, 1], [0, 0])), shape=(2, 1))
    with pytest.raises(ValueError, match="finite and positive"):
        ContentSimilarity(labels)
