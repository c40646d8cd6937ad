from itertools import permutations

import numpy as np
import pytest
from evaluation_cases import TableScorer, random_pairs, random_table, symmetric

from recsys_lab.evaluation.baselines import Popularity
from recsys_lab.evaluation.chance import compare_with_chance, random_order
from recsys_lab.evaluation.ranking import evaluate_ranking
from recsys_lab.evaluation.slices import EvaluationPairs
from recsys_lab.run.run_data import RunData


def five_items():
    """0 - 1 is from training, 0 - 2 and 3 - 4 are held out; item 4 is cold."""
    return EvaluationPairs(
        num_items=5,
        positives=np.array([[0, 2], [3, 4]], np.int32),
        negatives={},
        known=symmetric(np.array([[0, 1], [0, 2], [3, 4]]), 5),
        seen=np.array([True, True, True, True, False]),
    )


def test_a_random_order_is_the_mean_over_all_orders():
    pairs, tables = five_items(), [np.tile(order, (5, 1)) for order in permutations(range(5))]
    results = [evaluate_ranking(TableScorer(table), pairs, ks=(1, 3, 10)) for table in tables]
    found = random_order(results[0], pairs)
    rows = [result.metrics() for result in results]
    assert set(found) == {name for name in rows[0] if not name.startswith("quer")}
    for name, value in found.items():
        if name.endswith("both_cold"):
            assert value is None
        else:
            assert value == pytest.approx(np.mean([row[name] for row in rows])), name
    assert found["hr@1/all"] == pytest.approx((1 / 3 + 3 * 1 / 4) / 4)


@pytest.mark.parametrize("seed", range(3))
def test_a_tie_is_the_mean_rank_over_all_orders_of_the_tied(seed):
    """Also where the tied are those without a score, which come last."""
    pairs = five_items()
    levels = random_table(5, seed, levels=2, unscored=[4] if seed else []).table
    found = evaluate_ranking(TableScorer(levels), pairs).rank
    lowest = np.where(np.isnan(levels), -1.0, levels)
    orders = [
        evaluate_ranking(TableScorer(lowest + 0.1 * np.array(order)), pairs).rank
        for order in permutations(range(5))
    ]
    np.testing.assert_allclose(found, np.mean(orders, axis=0))


def test_a_model_is_held_against_chance_and_popularity(planted):
    data = RunData(planted.split)
    pairs, graph = data.evaluation_pairs("val"), data.for_baselines().pairs
    rng = np.random.default_rng(0)
    noise = rng.random((pairs.num_items, pairs.num_items))
    good = noise + 0.1 * graph.toarray() + 0.1 * (graph @ graph).toarray()
    for scorer, verdict in (
        (TableScorer(np.minimum(noise, noise.T)), "chance"),
        (Popularity(graph), "popularity"),
        (TableScorer(np.minimum(good, good.T)), None),
    ):
        row = compare_with_chance(scorer, pairs, 1e8, seed=0)
        assert row["no_better_than"] == verdict
        assert row["auc/uniform/seen/chance"] == 0.5
        for name in ("auc/uniform/seen", "auc/degree_matched/seen", "ndcg@10/all"):
            assert row[f"{name}/low"] <= row[f"{name}/value"] <= row[f"{name}/high"]
    nothing = compare_with_chance(
        TableScorer(np.full((20, 20), np.nan)), random_pairs(20, 0), 1e8, seed=0
    )
    assert nothing["no_better_than"] == "chance"
    assert "auc/uniform/seen/value" not in nothing  # it has none
