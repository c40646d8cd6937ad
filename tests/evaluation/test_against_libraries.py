"""Ranks and ranking metrics against other libraries, on random scores with many ties."""

import numpy as np
import pytest
import torch
from evaluation_cases import random_pairs, random_table
from scipy.stats import rankdata
from sklearn.metrics import dcg_score, ndcg_score
from torchmetrics.functional.retrieval import (
    retrieval_hit_rate,
    retrieval_normalized_dcg,
    retrieval_reciprocal_rank,
)

from recsys_lab.evaluation.metrics import ranking_values
from recsys_lab.evaluation.ranking import evaluate_ranking

NAMES = ("hr@3", "ndcg@3", "mrr")


def queries(num_items=30, seeds=4):
    """Scores (n,) of a query's candidates, which of them is the target, and the rank found."""
    for seed in range(seeds):
        pairs, scorer = random_pairs(num_items, seed), random_table(num_items, seed, levels=12)
        result, known = evaluate_ranking(scorer, pairs, ks=(3,)), pairs.known.toarray()
        for query, target, rank in zip(result.query, result.target, result.rank, strict=True):
            is_candidate = ~known[query]
            is_candidate[query], is_candidate[target] = False, True
            items = np.flatnonzero(is_candidate)
            yield scorer.table[query, items].astype(float), items == target, rank


def of_torchmetrics(scores, is_target):
    both = torch.from_numpy(scores), torch.from_numpy(is_target.astype(int))
    found = (
        retrieval_hit_rate(*both, top_k=3),
        retrieval_normalized_dcg(*both, top_k=3),
        retrieval_reciprocal_rank(*both),
    )
    return [float(value) for value in found]


def test_ranks_and_metrics_are_those_of_other_libraries():
    untied = 0
    for scores, is_target, rank in queries():
        assert rank == rankdata(-scores, method="average")[is_target][0]
        ties = int((scores == scores[is_target]).sum())
        first = rank - (ties - 1) / 2
        ranks = first + np.arange(ties)  # of the target, in the orders of those that tie with it
        labels = is_target[None].astype(float)
        expected = float(ranking_values("ndcg@3", ranks).mean())
        assert dcg_score(labels, scores[None], k=3) == pytest.approx(expected)  # the mean of them
        if ties == 1:
            untied += 1
            ours = [float(ranking_values(name, np.array([rank]))[0]) for name in NAMES]
            assert ours == pytest.approx(of_torchmetrics(scores, is_target))
            assert ours[1] == pytest.approx(ndcg_score(labels, scores[None], k=3))
    assert untied > 20


def test_a_tied_target_gets_no_more_than_the_mean_of_torchmetrics_over_all_orders():
    """Where the tie lies within the cut-off: NDCG and MRR at mid-rank, HR alike."""
    compared = 0
    for scores, is_target, rank in queries(12, 12):
        tied = np.flatnonzero(scores == scores[is_target])
        if len(tied) < 2 or rank + (len(tied) - 1) / 2 > 3:
            continue
        compared += 1
        rows = []
        for place in range(len(tied)):  # of the target among the tied
            broken = scores.copy()
            others = tied[~is_target[tied]]
            broken[others[:place]] += 0.5
            broken[is_target] += 0.25
            rows.append(of_torchmetrics(broken, is_target))
        ours = [ranking_values(name, np.array([rank]))[0] for name in NAMES]
        mean = np.mean(rows, axis=0)
        assert ours[0] == mean[0] == 1
        assert (np.array(ours[1:]) < mean[1:]).all()
    assert compared > 10


@pytest.mark.soak
def test_metrics_are_those_of_ranx():
    """A package of many dependencies, which compiles for half a minute."""
    ranx = pytest.importorskip("ranx", reason="`make soak` installs it")
    relevant, ordered, ours = {}, {}, []
    for number, (scores, is_target, rank) in enumerate(queries()):
        if (scores == scores[is_target]).sum() == 1:
            ids = [f"i{place}" for place in range(len(scores))]
            relevant[f"q{number}"] = {ids[int(np.flatnonzero(is_target)[0])]: 1}
            ordered[f"q{number}"] = dict(zip(ids, map(float, scores), strict=True))
            ours.append([float(ranking_values(name, np.array([rank]))[0]) for name in NAMES])
    names = ["hit_rate@3", "ndcg@3", "mrr"]
    found = ranx.evaluate(ranx.Qrels(relevant), ranx.Run(ordered), names)
    np.testing.assert_allclose([found[name] for name in names], np.mean(ours, axis=0))
