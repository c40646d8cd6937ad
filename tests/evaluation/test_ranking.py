import dataclasses

import numpy as np
import pytest
from evaluation_cases import TableScorer, random_pairs, random_table, symmetric

from recsys_lab.evaluation import rank_counts
from recsys_lab.evaluation.baselines import CommonNeighbors, WalkProximity
from recsys_lab.evaluation.metrics import RANKING_METRICS
from recsys_lab.evaluation.ranking import evaluate_ranking
from recsys_lab.evaluation.scorers import VectorScorer
from recsys_lab.evaluation.slices import EvaluationPairs
from recsys_lab.results.metric_names import SLICES


def rank_by_loop(table, known, query, target):
    """Filtered mid-rank with the unscored last, one candidate after the other."""

    def level(item):
        return -np.inf if np.isnan(table[query, item]) else float(table[query, item])

    better = ties = 0
    for item in range(len(table)):
        if item in (query, target) or known[query, item]:
            continue
        better += level(item) > level(target)
        ties += level(item) == level(target)
    return 1 + better + ties / 2


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("unscored", [(), (0, 6, 11)])
def test_ranks_match_the_double_loop(seed, unscored, monkeypatch):
    monkeypatch.setattr(rank_counts, "CHUNK_BYTES", 4 * 20 * 3)  # three rows at a time
    monkeypatch.setattr(rank_counts, "CHUNK_ROWS", 1)
    pairs, scorer = random_pairs(20, seed), random_table(20, seed, unscored=unscored)
    result = evaluate_ranking(scorer, pairs)
    known = pairs.known.toarray()
    expected = {
        (i, j): rank_by_loop(scorer.table, known, i, j)
        for pair in pairs.positives.tolist()
        for i, j in (pair, pair[::-1])
    }
    got = zip(result.query.tolist(), result.target.tolist(), result.rank.tolist(), strict=True)
    assert {(i, j): rank for i, j, rank in got} == expected


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_tiles_rank_as_rows_do(both_ways, seed, monkeypatch):
    monkeypatch.setattr(rank_counts, "TILE_QUERIES", 5)
    monkeypatch.setattr(rank_counts, "TILE_ITEMS", 7)
    monkeypatch.setattr(rank_counts, "QUERY_TILES", 2)
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, (2, 20, 16)) / 2  # products are exact, and many tie
    vectors[:, 5] = vectors[:, 6]  # two items are the same to all
    bias, scorable = rng.integers(0, 3, 20) / 2, rng.random(20) > 0.2
    scorer = VectorScorer(*vectors, bias, both_ways, scorable)
    pairs = random_pairs(20, seed)
    result = evaluate_ranking(scorer, pairs)
    by_rows = evaluate_ranking(TableScorer(scorer.score_rows(np.arange(20))), pairs)
    assert result.rank.tolist() == by_rows.rank.tolist()
    sides = scorer.queries_side(np.array([0])), scorer.items_side(np.arange(20))
    assert np.isnan(scorer.score_tile(*sides)).any()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("build", [CommonNeighbors, WalkProximity])
def test_lists_rank_as_rows_do(build, seed):
    pairs = random_pairs(30, seed)
    rng = np.random.default_rng(seed)
    ids = np.argwhere(np.triu(rng.random((30, 30)) < 0.08, 1))
    scorer = build(symmetric(ids, 30))
    table = scorer.score_rows(np.arange(30))
    assert 0.1 < (table == 0).mean() < 0.9
    result, by_rows = (evaluate_ranking(x, pairs) for x in (scorer, TableScorer(table)))
    assert result.rank.tolist() == by_rows.rank.tolist()


def test_equal_vectors_tie_wherever_they_stand():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((2, 3000, 24))
    copies = np.arange(3, 3000, 611)
    vectors[:, copies] = vectors[:, [1]]
    ids = np.array([[0, 1]])
    pairs = EvaluationPairs(3000, ids, {}, symmetric(ids, 3000), np.ones(3000, bool))
    scorer = VectorScorer(*vectors, both_ways=True)
    rank = evaluate_ranking(scorer, pairs).rank[0]
    row = np.delete(scorer.score_rows(np.array([0]))[0], [0, 1, *copies])
    target = scorer.score_pairs(np.array([0]), np.array([1]))[0]
    assert rank == 1 + (row > target).sum() + len(copies) / 2


def three_pairs():
    """Of six items, 0 - 1 is from training; 0 - 2 and 3 - 4 are held out."""
    return EvaluationPairs(
        num_items=6,
        positives=np.array([[0, 2], [3, 4]], np.int32),
        negatives={},
        known=symmetric(np.array([[0, 1], [0, 2], [3, 4]]), 6),
        seen=np.array([True, True, False, True, True, False]),
    )


def test_ranks_by_hand():
    table = np.zeros((6, 6))
    table[0] = [9, 8, 5, 7, 5, 1]  # itself and its neighbour 1 do not count: 7 above, a tie at 5
    table[2] = [4, 4, 9, 4, 4, 4]  # five candidates all tie
    table[3] = [0, np.nan, 0, 9, np.nan, 3]  # the target is unscored, and so is item 1
    table[4] = np.nan  # an unscored query
    result = evaluate_ranking(TableScorer(table), three_pairs(), ks=(2,))
    assert result.query.tolist() == [0, 2, 3, 4]
    assert result.target.tolist() == [2, 0, 4, 3]
    assert result.rank.tolist() == [2.5, 3.0, 4.5, 3.0]
    metrics = result.metrics()
    assert metrics["hr@2/all"] == 0.0
    assert metrics["mrr/seen"] == pytest.approx((1 / 4.5 + 1 / 3) / 2)
    assert metrics["mrr/one_cold"] == pytest.approx((1 / 2.5 + 1 / 3) / 2)
    assert metrics["mrr/both_cold"] is None
    assert [metrics[f"queries/{part}"] for part in ("all", "seen", "both_cold")] == [4, 2, 0]


def test_metrics_are_those_of_the_ranks():
    result = evaluate_ranking(random_table(20, 1), random_pairs(20, 1), ks=(1, 3))
    metrics, seen = result.metrics(), result.slices()["seen"]
    assert 0 < seen.sum() < len(seen)
    for part, ranks in (("all", result.rank), ("seen", result.rank[seen])):
        gains = [1 / np.log2(1 + rank) if rank <= 3 else 0 for rank in ranks]
        assert metrics[f"hr@3/{part}"] == pytest.approx(np.mean([rank <= 3 for rank in ranks]))
        assert metrics[f"ndcg@3/{part}"] == pytest.approx(np.mean(gains))
        assert metrics[f"mrr/{part}"] == pytest.approx(np.mean([1 / rank for rank in ranks]))


def test_extreme_scores_keep_their_order():
    extreme = np.finfo(np.float32)
    table = np.zeros((6, 6))
    table[0] = [0, 0, extreme.max, np.inf, extreme.min, -np.inf]
    assert evaluate_ranking(TableScorer(table), three_pairs()).rank[0] == 2.0


def test_a_sample_is_ranked_where_the_catalogue_is_too_large():
    pairs, scorer = random_pairs(20, 2), random_table(20, 2)
    full = evaluate_ranking(scorer, pairs)
    part = evaluate_ranking(scorer, pairs, max_scores=12 * 20 + 3, seed=0)
    items = np.unique(part.query)
    kept = np.isin(full.query, items)
    np.testing.assert_array_equal(part.target, full.target[kept])  # all targets of the sampled
    np.testing.assert_array_equal(part.rank, full.rank[kept])
    metrics = part.metrics()
    assert metrics["query_items/ranked"] == len(items) == 12
    assert metrics["query_items/total"] == len(np.unique(full.query)) > 12
    again = evaluate_ranking(scorer, pairs, max_scores=12 * 20 + 3, seed=0)
    np.testing.assert_array_equal(again.query, part.query)
    other = evaluate_ranking(scorer, pairs, max_scores=12 * 20 + 3, seed=1)
    assert set(other.query) != set(part.query)
    assert evaluate_ranking(scorer, pairs, max_scores=1).metrics()["query_items/ranked"] == 1


def test_chunking_and_pair_order_change_nothing(monkeypatch):
    pairs, scorer = random_pairs(20, 3), random_table(20, 3)
    whole = evaluate_ranking(scorer, pairs)
    monkeypatch.setattr(rank_counts, "CHUNK_BYTES", 1)
    monkeypatch.setattr(rank_counts, "CHUNK_ROWS", 1)
    turned = dataclasses.replace(pairs, positives=pairs.positives[::-1, ::-1].copy())
    np.testing.assert_array_equal(evaluate_ranking(scorer, turned).rank, whole.rank)


@pytest.mark.parametrize(("bytes_held", "most"), [(4 * 20 * 4, 4), (4 * 20, 3)])
def test_no_more_rows_than_asked_for_are_held(bytes_held, most, monkeypatch):
    monkeypatch.setattr(rank_counts, "CHUNK_BYTES", bytes_held)
    monkeypatch.setattr(rank_counts, "CHUNK_ROWS", 3)
    sizes = []

    class Watched(TableScorer):
        def score_rows(self, queries):
            sizes.append(len(queries))
            return super().score_rows(queries)

    result = evaluate_ranking(Watched(random_table(20, 0).table), random_pairs(20, 0))
    assert max(sizes) == most
    assert sum(sizes) == result.num_query_items  # each query item is scored once


def test_wrong_requests_are_refused():
    pairs, scorer = three_pairs(), TableScorer(np.zeros((6, 5)))
    with pytest.raises(ValueError, match=r"score_rows must return \(4, 6\), got \(4, 5\)"):
        evaluate_ranking(scorer, pairs)
    with pytest.raises(ValueError, match="ks must be >= 1"):
        evaluate_ranking(scorer, pairs, ks=(0,))


def test_a_metric_of_ones_own_is_computed_in_every_slice(monkeypatch):
    monkeypatch.setitem(RANKING_METRICS, "precision@k", lambda ranks, k: (ranks <= k) / k)
    monkeypatch.setitem(RANKING_METRICS, "rank", lambda ranks: ranks)
    metrics = evaluate_ranking(random_table(20, 1), random_pairs(20, 1), ks=(2, 4)).metrics()
    for part in SLICES:
        for k in (2, 4):
            hits = metrics[f"hr@{k}/{part}"]
            expected = None if hits is None else pytest.approx(hits / k)
            assert metrics[f"precision@{k}/{part}"] == expected
        assert (metrics[f"rank/{part}"] is None) == (metrics[f"queries/{part}"] == 0)
