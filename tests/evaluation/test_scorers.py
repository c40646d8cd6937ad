import numpy as np
import pytest
import torch

from recsys_lab.evaluation import scorers
from recsys_lab.evaluation.scorers import VectorScorer, cosine_scorer
from recsys_lab.models.scoring import score_vectors

NUM_ITEMS, DIM = 9, 5


def vectors(seed):
    return torch.randn(NUM_ITEMS, DIM, generator=torch.Generator().manual_seed(seed))


def unit_scorer(centers):
    return VectorScorer(*score_vectors(centers, centers, torch.zeros(len(centers)), "cosine"))


def both_ways_scorer(centers, contexts):
    bias = torch.zeros(len(centers))
    return VectorScorer(*score_vectors(centers, contexts, bias, "center_context"))


def all_pairs():
    return (ids.ravel() for ids in np.meshgrid(np.arange(NUM_ITEMS), np.arange(NUM_ITEMS)))


def test_scores_match_the_double_loop(monkeypatch):
    monkeypatch.setattr(scorers, "PAIRS_PER_CHUNK", 7)  # 81 pairs: chunks and a remainder
    queries, keys, bias = vectors(0), vectors(1), vectors(2)[:, 0]
    scorer = VectorScorer(queries, keys, bias)
    heads, tails = all_pairs()
    expected = [
        float(queries[i].double() @ keys[j].double() + bias[i] + bias[j])
        for i, j in zip(heads, tails, strict=True)
    ]
    np.testing.assert_allclose(scorer.score_pairs(heads, tails), expected, rtol=1e-5, atol=1e-5)
    rows = scorer.score_rows(np.arange(NUM_ITEMS))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows[heads, tails], expected, rtol=1e-5, atol=1e-5)


def test_unscorable_items_are_nan_in_pairs_rows_and_columns():
    scorable = np.ones(NUM_ITEMS, bool)
    scorable[[2, 5]] = False
    scorer = VectorScorer(vectors(0), vectors(0), scorable=scorable)
    heads, tails = all_pairs()
    expected = ~(scorable[heads] & scorable[tails])
    np.testing.assert_array_equal(np.isnan(scorer.score_pairs(heads, tails)), expected)
    rows = scorer.score_rows(np.arange(NUM_ITEMS))
    np.testing.assert_array_equal(np.isnan(rows[heads, tails]), expected)


def test_scoring_leaves_the_vectors_alone():
    queries, keys, bias = vectors(0), vectors(1), vectors(2)[:, 0]
    before = [tensor.clone() for tensor in (queries, keys, bias)]
    scorer = VectorScorer(queries.requires_grad_(), keys, bias, scorable=np.arange(NUM_ITEMS) > 3)
    scorer.score_pairs(np.arange(4), np.arange(4))
    scorer.score_rows(np.arange(4))
    for tensor, copy in zip((queries, keys, bias), before, strict=True):
        assert torch.equal(tensor, copy)


@pytest.mark.parametrize(
    "scorer", [unit_scorer(vectors(0)), both_ways_scorer(vectors(0), vectors(1))]
)
def test_scores_are_symmetric(scorer):
    heads, tails = all_pairs()
    forth, back = scorer.score_pairs(heads, tails), scorer.score_pairs(tails, heads)
    np.testing.assert_allclose(forth, back, atol=1e-6)
    rows = scorer.score_rows(np.arange(NUM_ITEMS))
    np.testing.assert_allclose(rows, rows.T, atol=1e-6)


def test_cosine_and_both_ways_by_hand():
    unit = unit_scorer(torch.tensor([[3.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
    np.testing.assert_allclose(
        unit.score_pairs(np.array([0, 0, 0]), np.array([0, 1, 2])), [1, 2**-0.5, 0], atol=1e-6
    )
    both = both_ways_scorer(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [5.0]]))
    assert both.score_pairs(np.array([0]), np.array([1])).tolist() == [(1 * 5 + 2 * 3) / 2]


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_precisions_and_read_only_arrays_are_scored_in_float32(kind, recwarn):
    table = np.full((NUM_ITEMS, DIM), 200.0, kind)  # the products overflow float16
    ids = np.array([1, 2])
    ids.flags.writeable = False
    scorer = VectorScorer(table, table)
    assert scorer.score_pairs(ids, ids).tolist() == [DIM * 200.0**2] * 2
    assert scorer.score_rows(ids).dtype == np.float32
    assert not recwarn.list


def test_no_pairs_and_no_queries_are_empty():
    scorer, nothing = unit_scorer(vectors(0)), np.empty(0, np.int32)
    assert scorer.score_pairs(nothing, nothing).shape == (0,)
    assert scorer.score_rows(nothing).shape == (0, NUM_ITEMS)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_diverged_vectors_are_refused(bad):
    broken = vectors(0)
    broken[3, 2] = bad
    with pytest.raises(ValueError, match="NaN or infinite"):
        VectorScorer(broken, vectors(1))
    with pytest.raises(ValueError, match="bias hold NaN or infinite"):
        VectorScorer(vectors(0), vectors(1), bias=broken[:, 2])


def test_overflowing_and_misshapen_vectors_are_refused():
    with pytest.raises(ValueError, match="overflow"):
        VectorScorer(vectors(0) * 1e20, vectors(1) * 1e20)
    with pytest.raises(ValueError, match="must agree"):
        VectorScorer(vectors(0), vectors(1)[:4])
    with pytest.raises(ValueError, match=r"bias must be \(9,\)"):
        VectorScorer(vectors(0), vectors(1), bias=torch.zeros(NUM_ITEMS, 1))


def test_item_vectors_are_scored_by_their_cosine():
    queries, scorable = vectors(0), np.arange(NUM_ITEMS) != 4
    queries[2] = 0.0  # has no direction
    model = VectorScorer(queries, vectors(1), vectors(2)[:, 0], both_ways=True, scorable=scorable)
    plain = cosine_scorer(model)
    heads, tails = all_pairs()
    table = queries.double().numpy()
    lengths = np.linalg.norm(table, axis=1)
    lengths[2] = 1.0
    expected = (table @ table.T / np.outer(lengths, lengths))[heads, tails]
    expected[(heads == 4) | (tails == 4)] = np.nan
    np.testing.assert_allclose(plain.score_pairs(heads, tails), expected, atol=1e-6)
    np.testing.assert_allclose(plain.score_rows(np.arange(9))[heads, tails], expected, atol=1e-6)


def test_a_model_that_is_the_cosine_of_its_vectors_has_no_second_score():
    vectors_with_a_dead_one = vectors(0)
    vectors_with_a_dead_one[3] = 0.0
    unit = torch.nn.functional.normalize(vectors_with_a_dead_one, dim=1)
    scorable = np.arange(NUM_ITEMS) != 3
    assert cosine_scorer(VectorScorer(unit, unit, scorable=scorable)) is None
    bias = torch.zeros(NUM_ITEMS)
    bias[0] = 0.5
    others = [
        VectorScorer(unit, unit, bias),
        VectorScorer(unit, vectors(1)),
        VectorScorer(unit * 2, unit * 2),
        VectorScorer(vectors(0), vectors(0)),
    ]
    assert all(cosine_scorer(scorer) is not None for scorer in others)
