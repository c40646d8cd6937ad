import dataclasses

import numpy as np
import pytest
from evaluation_cases import TableScorer, random_pairs, random_table, symmetric
from scipy import sparse

from recsys_lab.evaluation.baselines import Popularity
from recsys_lab.evaluation.protocol import evaluate_auc, judge
from recsys_lab.evaluation.slices import EvaluationPairs, count_slices, slice_masks
from recsys_lab.results.metric_names import SLICES


def four_items(**changes):
    """0 - 1 known from training, 2 - 3, 0 - 2 and 1 - 3 held out; 2 and 3 are cold."""
    fields = {
        "num_items": 5,
        "positives": np.array([[2, 3], [0, 2], [3, 1]], np.int32),
        "negatives": {"uniform": np.array([[0, 3], [4, 1]], np.int32)},
        "known": symmetric(np.array([[0, 1], [2, 3], [0, 2], [1, 3]]), 5),
        "seen": np.array([True, True, False, False, True]),
    }
    return EvaluationPairs(**(fields | changes))


def test_slices_by_hand():
    masks = slice_masks(np.array([True, True, False, False]), np.array([[0, 1], [1, 2], [3, 2]]))
    assert tuple(masks) == SLICES
    assert {name: mask.tolist() for name, mask in masks.items()} == {
        "all": [True, True, True],
        "seen": [True, False, False],
        "one_cold": [False, True, False],
        "both_cold": [False, False, True],
    }
    assert count_slices(four_items()) == {"all": 3, "seen": 0, "one_cold": 2, "both_cold": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positives": np.array([[0, 5]])}, r"id 5 is not in \[0, 5\)"),
        ({"positives": np.array([[-1, 2]])}, "id -1 is not in"),
        ({"positives": np.array([[2, 2]])}, "1 self-pairs"),
        ({"positives": np.array([[0.0, 2.0]])}, "integers"),
        ({"positives": np.array([0, 2])}, "integers"),
        ({"positives": np.array([[0, 4]])}, "1 positives are not among the known"),
        ({"negatives": {"uniform": np.array([[0, 3], [3, 2]])}}, "1 of 2 uniform negatives"),
        ({"negatives": {"matched": np.array([[3, 3]])}}, "matched negatives hold 1 self-pairs"),
        ({"seen": np.ones(4, bool)}, r"seen must be \(5,\) bool"),
        ({"seen": np.ones(5)}, r"seen must be \(5,\) bool"),
        ({"known": sparse.csr_matrix((4, 4), dtype=bool)}, "known must be"),
        ({"known": sparse.csr_matrix(np.triu(np.ones((5, 5), bool), 1))}, "both ways"),
        ({"known": sparse.csr_matrix(np.ones((5, 5), bool))}, "5 self-pairs"),
    ],
)
def test_wrong_pairs_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        four_items(**changes)


def test_known_with_duplicate_entries_is_refused():
    twice = sparse.csr_matrix((np.ones(4, bool), [1, 1, 0, 0], [0, 2, 4, 4, 4, 4]), (5, 5))
    with pytest.raises(ValueError, match="sum_duplicates"):
        four_items(known=twice)


def auc_by_counting(table, positives, negatives):
    """The score of every pair of pairs, in a double loop."""
    won = [np.sign(table[i, j] - table[k, m]) / 2 + 0.5 for i, j in positives for k, m in negatives]
    return np.mean(won) if won else None


@pytest.mark.parametrize("seed", range(5))
def test_auc_matches_the_double_loop_in_every_slice(seed):
    pairs, scorer = random_pairs(18, seed), random_table(18, seed)
    metrics = evaluate_auc(scorer, pairs)
    for protocol, negatives in pairs.negatives.items():
        for name in SLICES:
            expected = auc_by_counting(
                scorer.table,
                pairs.positives[slice_masks(pairs.seen, pairs.positives)[name]],
                negatives[slice_masks(pairs.seen, negatives)[name]],
            )
            assert metrics[f"auc/{protocol}/{name}"] == (
                None if expected is None else pytest.approx(expected, abs=1e-12)
            )


@pytest.mark.parametrize("seed", range(3))
def test_unscored_pairs_take_the_median_and_coverage_is_stated(seed):
    pairs, scorer = random_pairs(18, seed), random_table(18, seed, levels=50, unscored=(1, 7, 9))
    metrics = evaluate_auc(scorer, pairs)
    for protocol, negatives in pairs.negatives.items():
        ids = np.concatenate([pairs.positives, negatives])
        filled = scorer.table.copy()
        filled[np.isnan(filled)] = np.nanmedian(scorer.table[ids[:, 0], ids[:, 1]])
        expected = auc_by_counting(filled, pairs.positives, negatives)
        assert metrics[f"auc/{protocol}/all"] == pytest.approx(expected, abs=1e-12)
    touched = np.isin(pairs.positives, [1, 7, 9]).any(-1)
    for name, mask in slice_masks(pairs.seen, pairs.positives).items():
        expected = (~touched[mask]).mean() if mask.any() else None
        assert metrics[f"coverage/{name}"] == expected


def test_undefined_metrics_are_none():
    table = np.zeros((5, 5))
    table[2:4, :] = table[:, 2:4] = np.nan  # a scorer that knows no cold item
    metrics = evaluate_auc(TableScorer(table), four_items())
    assert metrics == {
        "auc/uniform/all": None,  # all three positives have a cold end
        "auc/uniform/seen": None,  # no positives
        "auc/uniform/one_cold": None,
        "auc/uniform/both_cold": None,  # no negatives
        "coverage/all": 0.0,
        "coverage/seen": None,
        "coverage/one_cold": 0.0,
        "coverage/both_cold": 0.0,
    }


def test_empty_split_is_all_none():
    empty = np.empty((0, 2), np.int32)
    pairs = four_items(positives=empty, negatives={"uniform": empty})
    metrics = judge(TableScorer(np.zeros((5, 5))), pairs).metrics()
    counts = {key: value for key, value in metrics.items() if value is not None}
    assert set(counts.values()) == {0}
    assert {key.split("/")[0] for key in counts} == {"pairs", "queries", "query_items"}


def test_infinite_scores_are_extremes():
    table = np.zeros((5, 5))
    for i, j in four_items().positives:
        table[i, j] = table[j, i] = np.inf
    assert evaluate_auc(TableScorer(table), four_items())["auc/uniform/all"] == 1.0


def test_a_judgement_puts_everything_into_one_row():
    metrics = judge(random_table(18, 0), random_pairs(18, 0), ks=(1, 5)).metrics()
    parts = {
        *(
            f"auc/{protocol}/{part}"
            for protocol in ("uniform", "degree_matched")
            for part in SLICES
        ),
        *(
            f"{name}/{part}"
            for name in ("coverage", "pairs", "queries", "mrr", "hr@1", "hr@5", "ndcg@1", "ndcg@5")
            for part in SLICES
        ),
        "query_items/ranked",
        "query_items/total",
    }
    assert set(metrics) == parts
    assert metrics["queries/all"] == 2 * metrics["pairs/all"]
    assert all(value is None or type(value) in (int, float) for value in metrics.values())


def test_wrong_shapes_are_refused():
    pairs = dataclasses.replace(four_items(), negatives={})

    class Column(TableScorer):
        def score_pairs(self, heads, tails):
            return self.table[heads, tails][:, None]

    with pytest.raises(ValueError, match=r"score_pairs must return \(3,\), got \(3, 1\)"):
        evaluate_auc(Column(np.zeros((5, 5))), pairs)


def test_popularity_is_at_chance_under_degree_matched_negatives():
    """Tails permuted among the positives keep the degrees, which is all that popularity sees."""
    rng = np.random.default_rng(0)
    num_items = 4000
    pairs = (num_items * rng.random((30_000, 2)) ** 1.6).astype(np.int32)  # skewed degrees
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    pairs = rng.permutation(pairs)
    test, train = pairs[:4000], pairs[4000:]
    known, graph = symmetric(pairs, num_items), symmetric(train, num_items).astype(np.float32)

    def unknown(candidates):
        new = np.asarray(~known[candidates[:, 0], candidates[:, 1]]).ravel()
        return candidates[new & (candidates[:, 0] != candidates[:, 1])]

    flipped = np.where(rng.random((len(test), 1)) < 0.5, test, test[:, ::-1])
    shuffled = np.stack([flipped[:, 0], rng.permutation(flipped[:, 1])], axis=1)
    evaluation = EvaluationPairs(
        num_items=num_items,
        positives=test,
        negatives={
            "uniform": unknown(rng.integers(0, num_items, (4000, 2), dtype=np.int32)),
            "degree_matched": unknown(shuffled),
        },
        known=known,
        seen=np.diff(graph.indptr) > 0,
    )
    metrics = evaluate_auc(Popularity(graph), evaluation)
    assert metrics["auc/uniform/all"] > 0.6
    assert metrics["auc/degree_matched/all"] == pytest.approx(0.5, abs=0.02)
