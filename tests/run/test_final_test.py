import numpy as np
import polars as pl
import pytest
import torch

from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.pairs import ItemPairs
from recsys_lab.catalog.split import SplitOptions, split_pairs
from recsys_lab.evaluation.baselines import (
    BASELINES,
    AdamicAdar,
    Baseline,
    TrainingData,
    WalkProximity,
)
from recsys_lab.evaluation.intervals import (
    auc_statistic,
    bootstrap_intervals,
    ranking_difference,
    ranking_statistic,
)
from recsys_lab.evaluation.metrics import RANKING_METRICS
from recsys_lab.evaluation.protocol import judge
from recsys_lab.evaluation.ranking import evaluate_ranking
from recsys_lab.evaluation.scorers import VectorScorer
from recsys_lab.results.precision_recall import read_precision_recall
from recsys_lab.run.final_test import FinalTest, baseline_scorers
from recsys_lab.run.run_data import RunData

NUM_ITEMS, REPLICATES = 80, 20
KS = [10, 50]


def split_by(by, negatives=("uniform", "degree_matched")):
    """Items on a ring, each paired with its neighbours at up to four steps."""
    heads = np.repeat(np.arange(NUM_ITEMS), 4)
    tails = (heads + np.tile([1, 2, 3, 4], NUM_ITEMS)) % NUM_ITEMS
    low, high = np.minimum(heads, tails), np.maximum(heads, tails)
    order = np.lexsort((high, low))
    ones = np.ones(len(order), np.float32)
    pairs = ItemPairs(low[order].astype(np.int32), high[order].astype(np.int32), ones, NUM_ITEMS)
    return split_pairs(pairs, SplitOptions(by, 0.1, 0.2, negatives, 0))


def ring_scorer():
    """Cosine on the ring with noise: near what is to be found."""
    angle = 2 * np.pi * np.arange(NUM_ITEMS) / NUM_ITEMS
    noise = np.random.default_rng(0).normal(scale=0.2, size=(NUM_ITEMS, 2))
    vectors = torch.from_numpy(np.stack([np.cos(angle), np.sin(angle)], 1) + noise)
    unit = torch.nn.functional.normalize(vectors, dim=1)
    return VectorScorer(unit, unit)


def catalog_with_brands():
    """Four neighbours on the ring share a brand."""
    brands = [f"brand {item // 4}" for item in range(NUM_ITEMS)]
    ids = [f"{item:03d}" for item in range(NUM_ITEMS)]
    none = pl.Series([[]] * NUM_ITEMS, dtype=pl.List(pl.List(pl.String)))
    return ItemCatalog(pl.DataFrame({"item": ids, "brand": brands, "categories": none}))


def run_test(split, folder, replicates=REPLICATES):
    test = FinalTest(KS, max_scores=4e9, replicates=replicates)
    return test(ring_scorer(), RunData(split), folder, seed=3)


def test_intervals_and_differences_are_those_of_the_bootstrap(tmp_path):
    split = split_by("pairs")
    metrics = run_test(split, tmp_path)
    data = RunData(split)
    pairs = data.evaluation_pairs("test")
    judged = judge(ring_scorer(), pairs, KS, seed=3)
    expected = {
        "auc/uniform/seen": auc_statistic(pairs, judged.scores, "uniform", "seen"),
        "auc/degree_matched/seen": auc_statistic(pairs, judged.scores, "degree_matched", "seen"),
        "hr@10/all": ranking_statistic(judged.ranking, "hr@10"),
        "ndcg@10/all": ranking_statistic(judged.ranking, "ndcg@10"),
        "mrr/all": ranking_statistic(judged.ranking, "mrr"),
    }
    stored = {key for key in metrics if key.startswith("interval/test/")}
    assert stored == {f"interval/test/{n}/{bound}" for n in expected for bound in ("low", "high")}
    for name, statistic in expected.items():
        interval = bootstrap_intervals({name: statistic}, NUM_ITEMS, REPLICATES, seed=3)[name]
        assert metrics[f"interval/test/{name}/low"] == interval.low
        assert metrics[f"interval/test/{name}/high"] == interval.high
        assert interval.value == pytest.approx(metrics[f"test/{name}"], abs=1e-12)
    assert "interval/baseline/walk_proximity/mrr/all/low" in metrics

    other = judge(baseline_scorers(data.for_baselines())["baseline/adamic_adar"], pairs, KS, seed=3)
    paired = ranking_difference(judged.ranking, other.ranking, "ndcg@10")
    interval = bootstrap_intervals({"paired": paired}, NUM_ITEMS, REPLICATES, seed=3)["paired"]
    for bound in ("value", "low", "high"):
        key = f"difference/adamic_adar/ndcg@10/all/{bound}"
        assert metrics[key] == getattr(interval, bound)
    assert interval.value == pytest.approx(
        metrics["test/ndcg@10/all"] - metrics["baseline/adamic_adar/ndcg@10/all"], abs=1e-12
    )


def test_item_vectors_are_tested_as_the_model_is(tmp_path):
    data = RunData(split_by("pairs"))
    unit = ring_scorer().queries
    bias = torch.linspace(0, 1, NUM_ITEMS)
    test = FinalTest(KS, max_scores=4e9, replicates=REPLICATES)
    both = test(VectorScorer(2 * unit, 2 * unit, bias), data, tmp_path, seed=3)
    alone = test(VectorScorer(unit, unit), data, tmp_path, seed=3)
    assert not [key for key in alone if "item_vectors" in key]  # they are the model
    of_model = {
        key.replace("test/", "item_vectors/"): value
        for key, value in alone.items()
        if key.startswith(("test/", "interval/test/"))
    }
    assert {key: both[key] for key in both if "item_vectors/" in key} == pytest.approx(of_model)
    assert both["test/ndcg@10/all"] != both["item_vectors/ndcg@10/all"]


def test_metrics_are_those_of_the_protocol(tmp_path):
    split = split_by("pairs")
    metrics = run_test(split, tmp_path, replicates=0)
    assert not [key for key in metrics if key.startswith(("interval/", "difference/"))]
    pairs = RunData(split).evaluation_pairs("test")
    expected = judge(ring_scorer(), pairs, KS, seed=3).metrics()
    counts = ("pairs/", "queries/", "query_items/")
    for name, value in expected.items():
        is_count = name.startswith(counts)
        key = f"count/test/{name.removeprefix('pairs/')}" if is_count else f"test/{name}"
        assert metrics[key] == value
    assert list(read_precision_recall(tmp_path)) == ["all", "seen"]
    assert (tmp_path / "figures" / "precision_recall.png").is_file()


def test_split_by_items_has_intervals_of_all_and_of_one_cold_end(tmp_path):
    data = RunData(split_by("items", ("uniform",)), catalog_with_brands())
    metrics = FinalTest(KS, 4e9, REPLICATES)(ring_scorer(), data, tmp_path, 3)
    assert metrics["label/content"] == "content (tf-idf)"
    assert 0 < metrics["baseline/content/auc/uniform/one_cold"] < 1
    compared = {key.split("/")[1] for key in metrics if key.startswith("difference/")}
    assert compared == {"content"}
    assert metrics["count/test/seen"] == 0
    names = {key.split("/", 2)[2] for key in metrics if key.startswith("interval/test/")}
    metrics_of = ("auc/uniform", "hr@10", "ndcg@10", "mrr")
    assert names == {
        f"{metric}/{part}/{bound}"
        for metric in metrics_of
        for part in ("all", "one_cold")
        for bound in ("low", "high")
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replicates": 1}, "replicates must be 0 or an integer >= 2, got 1"),
        ({"ks": [10, 0]}, r"\[10, 0\]"),
    ],
)
def test_impossible_settings_are_refused_before_anything_is_scored(changes, message):
    with pytest.raises(ValueError, match=message):
        FinalTest(**({"ks": KS, "max_scores": 4e9, "replicates": 20} | changes))


def test_the_difference_is_to_the_best_baseline_on_validation(tmp_path, monkeypatch):
    """Whichever it is, also one that is compared for no other reason."""
    data = RunData(split_by("pairs"))
    metrics = FinalTest(KS, 4e9, REPLICATES)(ring_scorer(), data, tmp_path, seed=3)
    pairs = data.evaluation_pairs("val")
    values = {
        name.removeprefix("baseline/"): evaluate_ranking(scorer, pairs).mean("ndcg@10")
        for name, scorer in baseline_scorers(data.for_baselines()).items()
    }
    prefix, suffix = "validation/baseline/", "/ndcg@10"
    stated = {
        key.removeprefix(prefix).removesuffix(suffix): value
        for key, value in metrics.items()
        if key.startswith(prefix)
    }
    assert stated == pytest.approx(values)
    assert {"ease", "resource_allocation", "rp3_beta"} < set(values)
    best = max(values, key=values.get)
    assert metrics["validation/best_baseline"] == best
    assert f"difference/{best}/ndcg@10/all/low" in metrics
    perfect = Baseline(lambda data: ring_scorer())
    monkeypatch.setitem(BASELINES, "perfect", perfect)
    monkeypatch.setattr(TrainingData, "quality", lambda _, s: float(isinstance(s, VectorScorer)))
    metrics = FinalTest(KS, 4e9, REPLICATES)(ring_scorer(), data, tmp_path, seed=3)
    assert metrics["validation/best_baseline"] == "perfect"
    assert metrics["difference/perfect/ndcg@10/all/value"] == 0.0


def test_a_baseline_that_is_left_out_is_stated_with_the_reason(tmp_path):
    data = RunData(split_by("pairs"))
    few = NUM_ITEMS - 1
    test = FinalTest(
        KS, 4e9, 0, (), max_choice_items=few, max_ease_items=few, max_local_ease_items=few
    )
    metrics = test(ring_scorer(), data, tmp_path, seed=3)
    assert "80 items, the most is 79 (evaluation.max_local" in metrics["left_out/ease"]
    assert "80 items, the most is 79" in metrics["left_out/rp3_beta"]
    assert not [key for key in metrics if "baseline/ease" in key or "baseline/rp3" in key]
    assert "validation/best_baseline" not in metrics
    usual = {"growth": 2.0, "exponent": 0.7}
    assert usual == {n: metrics[f"parameters/walk_proximity/{n}"] for n in usual}
    expected = judge(WalkProximity(data.for_baselines().pairs), data.evaluation_pairs("test"), KS)
    assert metrics["baseline/walk_proximity/mrr/all"] == expected.metrics()["mrr/all"]


def test_metrics_and_baselines_of_ones_own_are_tested_and_compared(tmp_path, monkeypatch):
    mine = Baseline(lambda data: AdamicAdar(data.pairs), "My own", compared="seen")
    monkeypatch.setitem(BASELINES, "mine", mine)
    monkeypatch.setitem(BASELINES, "impossible", Baseline(lambda data: None))
    monkeypatch.setitem(RANKING_METRICS, "precision@k", lambda ranks, k: (ranks <= k) / k)
    metrics = run_test(split_by("pairs"), tmp_path)
    assert metrics["label/mine"] == "My own"
    assert metrics["test/precision@10/all"] == pytest.approx(metrics["test/hr@10/all"] / 10)
    for name in ("auc/uniform/seen", "ndcg@10/all", "precision@50/seen"):
        assert metrics[f"baseline/mine/{name}"] == metrics[f"baseline/adamic_adar/{name}"]
    name = "hr@10/all/value"
    assert metrics[f"difference/mine/{name}"] == metrics[f"difference/adamic_adar/{name}"]
    assert not [key for key in metrics if "impossible" in key]


def test_ten_is_measured_beside_the_cut_offs_that_are_asked_for(tmp_path):
    test = FinalTest([3], max_scores=4e9, replicates=REPLICATES)
    metrics = test(ring_scorer(), RunData(split_by("pairs")), tmp_path, seed=3)
    found = {key.split("/")[1] for key in metrics if key.startswith("test/") and "@" in key}
    assert found == {"hr@3", "hr@10", "ndcg@3", "ndcg@10"}
    assert "interval/test/hr@10/all/low" in metrics
    assert "interval/test/mrr/all/low" in metrics


def test_the_parts_of_a_run_share_the_known_pairs_and_the_graph():
    data = RunData(split_by("pairs"))
    val, test = data.evaluation_pairs("val"), data.evaluation_pairs("test")
    assert val.known is test.known
    assert data.graph is data.graph
    assert data.for_baselines().pairs.nnz == 2 * len(data.split.train)
