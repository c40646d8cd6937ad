"""Ranking for queries that are no items, against loops over lists and other libraries."""

import dataclasses
from itertools import permutations

import numpy as np
import pytest
from evaluation_cases import TableScorer
from query_cases import random_log, random_scores
from scipy import sparse
from sklearn.metrics import ndcg_score

from recsys_lab.evaluation import rank_counts
from recsys_lab.evaluation.chance import compare_with_chance, random_order
from recsys_lab.evaluation.draws import Draws
from recsys_lab.evaluation.intervals import (
    auc_statistic,
    bootstrap_intervals,
    ranking_difference,
    ranking_statistic,
)
from recsys_lab.evaluation.metrics import RANKING_METRICS
from recsys_lab.evaluation.protocol import evaluate_auc, judge, score_evaluation_pairs
from recsys_lab.evaluation.ranking import evaluate_ranking
from recsys_lab.evaluation.sampling import sample_pairs
from recsys_lab.evaluation.slices import EvaluationPairs, Queries
from recsys_lab.results.metric_names import RANKING, SLICES

Q, N = 12, 20


def level(score):
    return -np.inf if np.isnan(score) else float(score)


def lists_by_loop(table, pairs):
    """For each query with targets: its targets with their mid-ranks, and the ordered candidates."""
    found = {}
    for query in np.unique(pairs.positives[:, 0]):
        targets = pairs.positives[pairs.positives[:, 0] == query, 1].tolist()
        known = set(pairs.known[query].indices.tolist()) - set(targets)
        scores = {item: level(table[query, item]) for item in range(N) if item not in known}
        ranks = {}
        for target in targets:
            others = [score for item, score in scores.items() if item != target]
            better = sum(score > scores[target] for score in others)
            ranks[target] = 1 + better + sum(score == scores[target] for score in others) / 2
        shown = [x for x in sorted(scores, key=lambda x: (-scores[x], x)) if scores[x] > -np.inf]
        found[int(query)] = ranks, shown
    return found


def metrics_by_loop(lists, k):
    """Means over the queries, each metric as its textbook has it."""
    rows = []
    for ranks in lists:
        inside = [rank for rank in ranks if rank <= k]
        ideal = sum(1 / np.log2(1 + place) for place in range(1, min(len(ranks), k) + 1))
        rows.append(
            {
                f"hr@{k}": bool(inside),
                f"recall@{k}": len(inside) / len(ranks),
                f"precision@{k}": len(inside) / k,
                f"ndcg@{k}": sum(1 / np.log2(1 + rank) for rank in inside) / ideal,
                "mrr": 1 / min(ranks),
            }
        )
    means = {name: np.mean([row[name] for row in rows]) for name in rows[0]}
    both = means[f"precision@{k}"], means[f"recall@{k}"]
    return means | {f"f1@{k}": 2 * both[0] * both[1] / sum(both) if sum(both) else 0.0}


@pytest.mark.parametrize("filters_history", [True, False])
@pytest.mark.parametrize("unscored", [(), (0, 6, 11)])
@pytest.mark.parametrize("seed", range(4))
def test_metrics_of_lists_are_those_of_the_loops(seed, unscored, filters_history, monkeypatch):
    monkeypatch.setattr(rank_counts, "CHUNK_BYTES", 4 * N * 5)  # five rows at a time
    monkeypatch.setattr(rank_counts, "CHUNK_ROWS", 1)
    pairs, _ = random_log(Q, N, seed, filters_history=filters_history)
    scorer = random_scores(Q, N, seed, unscored=unscored)
    lists = lists_by_loop(scorer.table, pairs)
    result = evaluate_ranking(scorer, pairs, ks=(3, 5))
    for query, target, rank in zip(result.query, result.target, result.rank, strict=True):
        assert rank == lists[query][0][target]
    metrics = result.metrics()
    slices = pairs.slices(pairs.positives)
    for k in (3, 5):
        for part in SLICES:
            asked = {tuple(pair) for pair in pairs.positives[slices[part]].tolist()}
            kept = [
                [rank for target, rank in ranks.items() if (query, target) in asked]
                for query, (ranks, _) in lists.items()
            ]
            kept = [ranks for ranks in kept if ranks]
            names = (f"hr@{k}", f"recall@{k}", f"precision@{k}", f"ndcg@{k}", f"f1@{k}", "mrr")
            if not kept:
                assert all(metrics[f"{name}/{part}"] is None for name in names)
                continue
            for name, value in metrics_by_loop(kept, k).items():
                assert metrics[f"{name}/{part}"] == pytest.approx(value), (name, part)
        shown = [item for _, items in lists.values() for item in items[:k]]
        assert metrics[f"catalog_coverage@{k}/all"] == len(set(shown)) / N
        counts = pairs.queries.item_counts
        bits = [-np.log2(max(counts[item], 1) / counts.sum()) for item in shown]
        assert metrics[f"novelty@{k}/all"] == pytest.approx(np.mean(bits))
    assert metrics["query_items/total"] == metrics["query_items/ranked"] == Q - 1


def test_a_list_by_hand():
    """Two targets and one item of the history among five: the first is second, the other last."""
    pairs = EvaluationPairs(
        num_items=5,
        positives=np.array([[0, 1], [0, 4]], np.int32),
        negatives={},
        known=sparse.csr_matrix(np.array([[1, 1, 0, 0, 1]], bool)),
        seen=np.array([True, True, True, True, False]),
        queries=Queries(np.array([True]), np.array([4, 2, 1, 1, 0])),
    )
    result = evaluate_ranking(TableScorer([[9, 7, 8, 2, 1]]), pairs, ks=(2,))
    assert result.rank.tolist() == [2, 4]
    metrics = result.metrics()
    gain = 1 / np.log2(3)
    assert metrics["ndcg@2/all"] == pytest.approx(gain / (1 + gain))
    assert metrics["ndcg@2/seen"] == pytest.approx(gain)
    assert (metrics["recall@2/all"], metrics["precision@2/all"], metrics["mrr/all"]) == (0.5,) * 3
    assert (metrics["hr@2/all"], metrics["hr@2/one_cold"], metrics["f1@2/all"]) == (1, 0, 0.5)
    assert metrics["catalog_coverage@2/all"] == 2 / 5  # items 2 and 1 are shown
    assert metrics["novelty@2/all"] == (3 + 2) / 2
    assert metrics["hr@2/both_cold"] is None


def test_ndcg_is_that_of_scikit_learn():
    pairs, history = random_log(Q, N, 3, most_targets=7)
    table = np.random.default_rng(0).permuted(np.tile(np.arange(N), (Q, 1)), axis=1)  # no ties
    found = evaluate_ranking(TableScorer(table), pairs, ks=(1, 4, 20)).metrics()
    labels = np.zeros((Q, N))
    labels[tuple(pairs.positives.T)] = 1
    scores = np.where(history & (labels == 0), -1, table)
    for k in (1, 4, 20):
        assert found[f"ndcg@{k}/all"] == pytest.approx(ndcg_score(labels[:-1], scores[:-1], k=k))


def one_target_each(seed):
    pairs, _ = random_log(Q, N, seed, most_targets=1)
    return pairs


def test_every_listed_metric_is_one_of_lists():
    pairs, _ = random_log(Q, N, 0)
    metrics = evaluate_ranking(random_scores(Q, N, 0), pairs, ks=(10, 20, 50)).metrics()
    assert {f"{metric.name}/all" for metric in RANKING} <= set(metrics)


def test_with_one_target_lists_equal_the_plain_metrics():
    result = evaluate_ranking(random_scores(Q, N, 0), one_target_each(0), ks=(3,))
    metrics = result.metrics()
    for name in ("hr@3", "ndcg@3", "mrr"):
        formula = RANKING_METRICS[name.replace("3", "k")]
        plain = formula(result.rank, 3) if "@" in name else formula(result.rank)
        assert metrics[f"{name}/all"] == pytest.approx(plain.mean(), abs=1e-15)
    assert metrics["recall@3/all"] == metrics["hr@3/all"]


def test_a_plugins_metric_is_the_mean_over_targets_then_queries(monkeypatch):
    monkeypatch.setitem(RANKING_METRICS, "rank", lambda ranks: ranks)
    pairs, _ = random_log(Q, N, 1)
    result = evaluate_ranking(random_scores(Q, N, 1), pairs)
    ranks = [result.rank[result.query == query].mean() for query in np.unique(result.query)]
    assert result.metrics()["rank/all"] == pytest.approx(np.mean(ranks))


@pytest.mark.parametrize("targets", [1, 2, 3])
def test_a_random_order_is_the_mean_over_all_orders(targets):
    known = np.zeros((2, 6), bool)
    known[0, : targets + 1] = known[1, 5] = True  # item `targets` is in the history of query 0
    positives = np.array([*([0, item] for item in range(targets)), [1, 5]], np.int32)
    pairs = EvaluationPairs(
        num_items=6,
        positives=positives,
        negatives={},
        known=sparse.csr_matrix(known),
        seen=np.arange(6) > 0,
        queries=Queries(np.ones(2, bool), np.ones(6, int)),
    )
    results = [
        evaluate_ranking(TableScorer(np.tile(order, (2, 1))), pairs, ks=(1, 3, 10))
        for order in permutations(range(6))
    ]
    rows = [result.metrics() for result in results]
    for name, value in random_order(results[0], pairs).items():
        expected = [row[name] for row in rows]
        if name.startswith("f1"):  # of the expected means
            continue
        assert value == (None if expected[0] is None else pytest.approx(np.mean(expected))), name


@pytest.mark.parametrize("seed", range(3))
def test_auc_matches_counting_in_every_slice(seed):
    pairs, _ = random_log(Q, N, seed)
    scorer = random_scores(Q, N, seed)
    metrics = evaluate_auc(scorer, pairs)
    seen_query, seen_item = pairs.queries.seen, pairs.seen
    for protocol, negatives in pairs.negatives.items():
        for part, cold_ends in (("seen", 0), ("one_cold", 1), ("both_cold", 2), ("all", None)):
            both = []
            for ids in (pairs.positives, negatives):
                cold = [2 - int(seen_query[q]) - int(seen_item[i]) for q, i in ids]
                kept = [n for n, c in enumerate(cold) if cold_ends in (None, c)]
                both.append([scorer.table[tuple(ids[n])] for n in kept])
            wins = [np.sign(one - two) / 2 + 0.5 for one in both[0] for two in both[1]]
            expected = pytest.approx(np.mean(wins)) if wins else None
            assert metrics[f"auc/{protocol}/{part}"] == expected


def test_intervals_weigh_queries_and_items():
    pairs, _ = random_log(Q, N, 5)
    scorer = random_scores(Q, N, 5)
    judgement = judge(scorer, pairs, ks=(3,))
    metrics, ones = judgement.metrics(), Draws(np.ones((Q + N, 1)))
    for name in ("hr@3", "ndcg@3", "mrr", "recall@3"):
        for part in ("all", "seen"):
            value = ranking_statistic(judgement.ranking, name, part)(ones)[0]
            assert value == pytest.approx(metrics[f"{name}/{part}"])
    auc = auc_statistic(pairs, judgement.scores, "uniform")
    assert auc(ones)[0] == pytest.approx(metrics["auc/uniform/all"])
    weights = np.random.default_rng(0).random(Q + N)
    result = judgement.ranking
    total = value = 0.0
    for query, target, rank in zip(result.query, result.target, result.rank, strict=True):
        each = weights[query] * weights[Q + target] / (result.query == query).sum()
        total, value = total + each, value + each * (rank <= 3)
    found = ranking_statistic(result, "recall@3")(Draws(weights[:, None]))[0]
    assert found == pytest.approx(value / total)
    expected = [
        np.sign(scorer.table[q, i] - scorer.table[p, j]) / 2 + 0.5
        for q, i in pairs.positives
        for p, j in pairs.negatives["uniform"]
    ]
    by_hand = [
        weights[q] * weights[Q + i] * weights[p] * weights[Q + j]
        for q, i in pairs.positives
        for p, j in pairs.negatives["uniform"]
    ]
    assert auc(Draws(weights[:, None]))[0] == pytest.approx(np.average(expected, weights=by_hand))
    same = bootstrap_intervals(
        {"it": ranking_difference(result, result, "recall@3")}, Q + N, replicates=3
    )["it"]
    assert (same.low, same.value, same.high) == (0, 0, 0)


def test_a_sample_keeps_scores_and_known_pairs():
    pairs, _ = random_log(Q, N, 2)
    scorer = random_scores(Q, N, 2)
    whole = sample_pairs(pairs, 10_000, seed=0)
    assert whole.pairs.queries.seen.tolist() == pairs.queries.seen[whole.queries].tolist()
    few = sample_pairs(pairs, 5, seed=0)
    assert len(few.pairs.positives) == 5
    small = TableScorer(scorer.table[few.queries][:, few.items])
    scores = score_evaluation_pairs(small, few.pairs)
    ends = few.queries[few.pairs.positives[:, 0]], few.items[few.pairs.positives[:, 1]]
    assert set(zip(*map(np.ndarray.tolist, ends), strict=True)) <= set(
        map(tuple, pairs.positives.tolist())
    )
    np.testing.assert_array_equal(scores.positives, scorer.table[ends])
    known = few.pairs.known.toarray()
    np.testing.assert_array_equal(known, pairs.known.toarray()[few.queries][:, few.items])


def test_a_sample_of_the_queries_is_ranked_where_scores_are_limited():
    pairs, _ = random_log(Q, N, 2)
    scorer = random_scores(Q, N, 2)
    full, part = evaluate_ranking(scorer, pairs), evaluate_ranking(scorer, pairs, max_scores=5 * N)
    kept = np.isin(full.query, part.query)
    np.testing.assert_array_equal(part.rank, full.rank[kept])
    assert part.metrics()["query_items/ranked"] == 5
    assert part.metrics()["query_items/total"] == Q - 1


def test_a_model_is_held_against_chance():
    rng = np.random.default_rng(0)
    pairs, _ = random_log(300, 60, 0, most_targets=2)
    noise = rng.random((300, 60))
    good = noise + 0.8 * pairs.known.toarray()
    for table, verdict in ((noise, "chance"), (good, None)):
        row = compare_with_chance(TableScorer(table), pairs, 1e8, seed=0)
        assert row["no_better_than"] == verdict
        assert row["ndcg@10/all/low"] <= row["ndcg@10/all/value"] <= row["ndcg@10/all/high"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positives": np.array([[12, 1]])}, r"id 12 is not in \[0, 12\)"),
        ({"positives": np.array([[0, 20]])}, r"id 20 is not in \[0, 20\)"),
        ({"known": sparse.csr_matrix((N, N), dtype=bool)}, r"known must be \(12, 20\)"),
        ({"queries": Queries(np.ones(Q), np.ones(N, int))}, r"seen of queries must be \(12,\)"),
        ({"queries": Queries(np.ones(Q, bool), np.ones(3, int))}, r"item_counts must be \(20,\)"),
    ],
)
def test_wrong_pairs_are_refused(changes, message):
    pairs, _ = random_log(Q, N, 0)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(pairs, **changes)


def test_no_positives_give_no_values():
    pairs, _ = random_log(Q, N, 0)
    nothing = dataclasses.replace(pairs, positives=np.empty((0, 2), np.int32))
    metrics = judge(random_scores(Q, N, 0), nothing).metrics()
    assert {value for value in metrics.values() if value is not None} == {0}
