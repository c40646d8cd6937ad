from statistics import NormalDist

import numpy as np
import pytest
from evaluation_cases import random_pairs, random_table, symmetric
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.evaluation.draws import Draws, first_negative
from recsys_lab.evaluation.intervals import (
    auc_statistic,
    bootstrap_intervals,
    difference,
    ranking_difference,
    ranking_statistic,
)
from recsys_lab.evaluation.metrics import auc_roc
from recsys_lab.evaluation.protocol import PairScores, evaluate_auc, score_evaluation_pairs
from recsys_lab.evaluation.ranking import RankingResult, evaluate_ranking
from recsys_lab.evaluation.slices import EvaluationPairs

NUM_ITEMS, SHIFT, NOISE = 60, 1.0, 0.3


def bootstrap_interval(statistic, num_items, *args, **options):
    return bootstrap_intervals({"it": statistic}, num_items, *args, **options)["it"]


def scored_by_item_effects(seed, effect=1.0):
    """Scores made of a random effect of each item, a shift for positives and little noise."""
    rng = np.random.default_rng(seed)
    every = np.stack(np.triu_indices(NUM_ITEMS, 1), axis=1)
    every = every[rng.permutation(len(every))]
    positives, negatives = every[:400], every[400:800]
    pairs = EvaluationPairs(
        num_items=NUM_ITEMS,
        positives=positives,
        negatives={"uniform": negatives},
        known=symmetric(positives, NUM_ITEMS),
        seen=np.ones(NUM_ITEMS, bool),
    )
    effects = effect * rng.standard_normal(NUM_ITEMS)

    def draw(ids):
        return effects[ids].sum(-1) + NOISE * rng.standard_normal(len(ids))

    return pairs, PairScores(draw(positives) + SHIFT, {"uniform": draw(negatives)})


def pair_bootstrap_width(scores, seed=0, replicates=200):
    rng = np.random.default_rng(seed)
    positive, negative = scores.positives, scores.negatives["uniform"]
    draws = [
        auc_roc(rng.choice(positive, len(positive)), rng.choice(negative, len(negative)))
        for _ in range(replicates)
    ]
    return np.subtract(*np.quantile(draws, [0.975, 0.025]))


def true_auc(effect):
    """Of a positive and a negative that share no item: a difference of normals."""
    return NormalDist().cdf(SHIFT / np.sqrt(4 * effect**2 + 2 * NOISE**2))


def test_items_give_wider_intervals_than_pairs_where_items_matter():
    # one item in every positive, as a hub is: pairs are far from independent
    rng = np.random.default_rng(0)
    ids = np.stack([np.repeat(np.arange(12), 40), np.tile(np.arange(12, 52), 12)], axis=1)
    effects = rng.standard_normal(12)
    result = RankingResult(
        query=ids[:, 0],
        target=ids[:, 1],
        rank=np.where(effects[ids[:, 0]] > 0, 1.0, 100.0),
        seen=np.ones(52, bool),
        ks=(10,),
        num_query_items=12,
    )
    by_item = bootstrap_interval(ranking_statistic(result, "hr@10"), 52)
    hits = result.values("hr@10")
    draws = [rng.choice(hits, len(hits)).mean() for _ in range(200)]
    by_pair = np.subtract(*np.quantile(draws, [0.975, 0.025]))
    assert by_item.high - by_item.low > 3 * by_pair


@pytest.mark.parametrize("effect", [1.0, 0.0])
def test_auc_interval_covers_the_truth_about_as_often_as_it_says(effect):
    trials, covered, by_item, by_pair = 60, 0, [], []
    for seed in range(trials):
        pairs, scores = scored_by_item_effects(seed, effect)
        statistic = auc_statistic(pairs, scores, "uniform")
        interval = bootstrap_interval(statistic, NUM_ITEMS, replicates=100, seed=seed)
        covered += interval.low <= true_auc(effect) <= interval.high
        by_item.append(interval.high - interval.low)
        if seed < 10:
            by_pair.append(pair_bootstrap_width(scores, seed))
    assert covered / trials >= 0.88  # nominal .95; two standard errors of 60 trials are .056
    ratio = np.mean(by_item) / np.mean(by_pair)
    # without item effects the product of weights is too wide, by no more than sqrt(3)
    assert ratio > 1.0
    if effect == 0.0:
        assert ratio < 2.0


def test_statistics_at_equal_weights_are_the_metrics():
    pairs, scorer = random_pairs(20, 0), random_table(20, 0, unscored=(7, 8))
    scores, ones = score_evaluation_pairs(scorer, pairs), Draws(np.ones((20, 1)))
    metrics = evaluate_auc(scorer, pairs)
    for part in ("all", "seen", "one_cold"):
        statistic = auc_statistic(pairs, scores, "uniform", part)
        assert statistic(ones)[0] == pytest.approx(metrics[f"auc/uniform/{part}"], abs=1e-12)
    result = evaluate_ranking(scorer, pairs, ks=(3,))
    for metric in ("hr@3", "ndcg@3", "mrr"):
        statistic = ranking_statistic(result, metric, "seen")
        assert statistic(ones)[0] == pytest.approx(result.metrics()[f"{metric}/seen"], abs=1e-12)


def test_weighted_statistics_by_hand():
    pairs, scores = scored_by_item_effects(0)
    weights = np.random.default_rng(1).integers(0, 3, NUM_ITEMS).astype(float)
    copies = weights[pairs.positives].prod(-1).astype(int)
    of_negatives = weights[pairs.negatives["uniform"]].prod(-1).astype(int)
    expected = auc_roc(
        np.repeat(scores.positives, copies), np.repeat(scores.negatives["uniform"], of_negatives)
    )
    value = auc_statistic(pairs, scores, "uniform")(Draws(weights[:, None]))[0]
    assert value == pytest.approx(expected, abs=1e-12)

    result = RankingResult(
        query=np.array([0, 1]),
        target=np.array([1, 2]),
        rank=np.array([1.0, 4.0]),
        seen=np.ones(3, bool),
        ks=(10,),
        num_query_items=2,
    )
    # weights 2 * 3 and 3 * 5
    value = ranking_statistic(result, "mrr")(Draws(np.array([[2.0], [3.0], [5.0]])))[0]
    assert value == pytest.approx((6 * 1.0 + 15 * 0.25) / 21)


@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 5), min_size=1))
@settings(max_examples=80, deadline=None)
def test_weighted_auc_matches_counting(positive, negative):
    count = len(positive) + len(negative)
    ends = np.stack([np.arange(count), np.full(count, count)], axis=1)
    ids = ends[: len(positive)]
    pairs = EvaluationPairs(
        num_items=count + 1,
        positives=ids,
        negatives={"uniform": ends[len(positive) :]},
        known=symmetric(ids, count + 1),
        seen=np.ones(count + 1, bool),
    )
    positive, negative = np.array(positive, float), np.array(negative, float)
    weights = np.random.default_rng(count).random((count + 1, 3)) + 0.01
    statistic = auc_statistic(pairs, PairScores(positive, {"uniform": negative}), "uniform")
    areas = statistic(Draws(weights))
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)  # (P, M)
    assert areas.shape == (3,)
    for lane, area in enumerate(areas):
        each = weights[: len(positive), lane, None] * weights[len(positive) : count, lane]
        assert area == pytest.approx((each * wins).sum() / each.sum(), abs=1e-12)


def test_draws_weigh_pairs_anew_after_each_draw():
    pairs, _ = scored_by_item_effects(0)
    rng = np.random.default_rng(0)
    draws = Draws(rng.random((NUM_ITEMS, 3)))
    for weights in (draws.ends[:, :3].copy(), rng.random((NUM_ITEMS, 2))):
        draws.draw(weights.T)
        assert draws.count == weights.shape[1]
        found = draws.of_pairs(pairs)
        assert found is draws.of_pairs(pairs)
        assert found.ctypes.data % 64 == 0
        for first, ids in (
            (0, pairs.positives),
            (first_negative(pairs, "uniform"), pairs.negatives["uniform"]),
        ):
            rows = found[first : first + len(ids), : draws.count]
            np.testing.assert_array_equal(rows, weights[ids[:, 0]] * weights[ids[:, 1]])


def test_statistics_do_not_depend_on_who_else_is_asked():
    pairs, scores = scored_by_item_effects(2)
    result = evaluate_ranking(random_table(NUM_ITEMS, 0), pairs)
    asked = {
        "auc": auc_statistic(pairs, scores, "uniform"),
        "mrr": ranking_statistic(result, "mrr"),
    }
    together = bootstrap_intervals(asked, NUM_ITEMS, replicates=11, seed=4)
    for name, statistic in asked.items():
        alone = bootstrap_interval(statistic, NUM_ITEMS, replicates=11, seed=4)
        assert together[name] == alone
    rng = np.random.default_rng(4)
    draws = [
        asked["mrr"](Draws(rng.standard_exponential((NUM_ITEMS, 1))))[0] for _ in range(11)
    ]  # blocks of draws are draws
    bounds = np.quantile(draws, [0.025, 0.975])
    assert (together["mrr"].low, together["mrr"].high) == pytest.approx(bounds, abs=1e-12)


def test_interval_is_seeded_and_holds_its_value():
    pairs, scores = scored_by_item_effects(3)
    statistic = auc_statistic(pairs, scores, "uniform")
    interval = bootstrap_interval(statistic, NUM_ITEMS, seed=0)
    assert interval.low < interval.value < interval.high
    assert interval == bootstrap_interval(statistic, NUM_ITEMS, seed=0)
    assert interval != bootstrap_interval(statistic, NUM_ITEMS, seed=1)


def test_paired_difference_is_narrower_than_two_intervals():
    pairs, scorer = random_pairs(40, 1), random_table(40, 1, levels=40)
    first = evaluate_ranking(scorer, pairs)
    noise = np.random.default_rng(0).normal(scale=0.2, size=(40, 40)).astype(np.float32)
    second = evaluate_ranking(type(scorer)(scorer.table + noise), pairs)
    paired = bootstrap_interval(ranking_difference(first, second, "mrr"), 40)
    alone = bootstrap_interval(ranking_statistic(first, "mrr"), 40)
    assert paired.high - paired.low < 0.7 * (alone.high - alone.low)
    same = bootstrap_interval(ranking_difference(first, first, "mrr"), 40)
    assert (same.low, same.value, same.high) == (0.0, 0.0, 0.0)


def test_auc_difference_is_paired_too():
    pairs, scores = scored_by_item_effects(5)
    statistic = auc_statistic(pairs, scores, "uniform")
    worse = PairScores(scores.positives - 0.5, scores.negatives)
    gain = difference(statistic, auc_statistic(pairs, worse, "uniform"))
    interval = bootstrap_interval(gain, NUM_ITEMS)
    assert 0 < interval.low < interval.value < interval.high


def test_impossible_requests_are_refused():
    pairs, scorer = random_pairs(20, 0), random_table(20, 0)
    scores, result = score_evaluation_pairs(scorer, pairs), evaluate_ranking(scorer, pairs)
    other = evaluate_ranking(scorer, random_pairs(20, 1))
    with pytest.raises(ValueError, match="different queries"):
        ranking_difference(result, other, "mrr")
    with pytest.raises(ValueError, match="metric must be"):
        ranking_statistic(result, "recall@3")
    with pytest.raises(ValueError, match="replicates must be >= 2, got 1"):
        bootstrap_interval(ranking_statistic(result, "mrr"), 20, replicates=1)
    silent = PairScores(
        np.full_like(scores.positives, np.nan),
        {"uniform": np.full_like(scores.negatives["uniform"], np.nan)},
    )
    with pytest.raises(ValueError, match="lacks scored"):
        auc_statistic(pairs, silent, "uniform")
    nobody = RankingResult(result.query, result.target, result.rank, np.ones(20, bool), (10,), 3)
    with pytest.raises(ValueError, match="no queries in slice 'both_cold'"):
        ranking_statistic(nobody, "mrr", "both_cold")
