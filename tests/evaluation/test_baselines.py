import re

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.evaluation import baselines
from recsys_lab.evaluation.baseline_choice import Findings
from recsys_lab.evaluation.baselines import (
    BASELINES,
    MAX_CHOICE_ITEMS,
    MAX_EASE_ITEMS,
    AdamicAdar,
    CommonNeighbors,
    Popularity,
    ResourceAllocation,
    RP3Beta,
    TrainingData,
    WalkProximity,
)
from recsys_lab.evaluation.pair_ease import ease_of_pairs
from recsys_lab.evaluation.ranking import evaluate_ranking
from recsys_lab.evaluation.slices import EvaluationPairs
from tests.run_cases import ROOT

OVER_PAIRS = [name for name in BASELINES if name != "content"]


def built(name, pairs):
    """A baseline of the table, for items without labels."""
    labels = sparse.csr_matrix((pairs.shape[0], 0))
    return BASELINES[name].build(TrainingData(pairs, labels))


def random_graph(num_items, density, seed):
    """Symmetric float32 weights; the last two items are isolated."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((num_items, num_items)) < density, 1)
    upper[:, -2:] = False
    weights = np.where(upper, rng.integers(1, 5, upper.shape), 0)
    return sparse.csr_matrix((weights + weights.T).astype(np.float32))


def adjacency(graph):
    return (graph.toarray() > 0).astype(float)


def dense_common(graph):
    return adjacency(graph) @ adjacency(graph)


def dense_adamic_adar(graph):
    edges = adjacency(graph)
    degree = edges.sum(1)
    value = np.array([1 / np.log(d) if d >= 2 else 0.0 for d in degree])
    return edges @ np.diag(value) @ edges


def dense_resource_allocation(graph):
    edges = adjacency(graph)
    return edges @ np.diag(1 / np.maximum(edges.sum(1), 1)) @ edges


def transitions(graph):
    weights = graph.toarray().astype(float)
    strength = weights.sum(1, keepdims=True)
    return np.divide(weights, strength, out=np.zeros_like(weights), where=strength > 0)


def dense_walks(graph, steps):
    """The chances to meet: R + R^T with R = P + P^2 + ..."""
    chance = transitions(graph)
    reach = sum(np.linalg.matrix_power(chance, step) for step in range(1, steps + 1))
    return reach + reach.T


def dense_weighted_walks(graph, growth, exponent, hub_exponent):
    weights = graph.toarray().astype(float)
    strength = weights.sum(1)
    mean = strength[strength > 0].mean()
    strength[strength == 0] = np.inf
    hub = np.diag((strength / mean) ** -hub_exponent / mean)
    meet = weights + growth * weights @ hub @ weights
    meet += growth**2 * weights @ hub @ weights @ hub @ weights
    return meet * (strength[:, None] ** -exponent + strength**-exponent)


def dense_rp3(graph, alpha, beta):
    """As the article has it, with the two factors of the query that make it symmetric."""
    chance = transitions(graph)
    raised = np.where(chance > 0, np.maximum(chance, 1e-99) ** alpha, 0.0)
    strength = np.maximum(graph.toarray().astype(float).sum(1), 1)
    scores = np.linalg.matrix_power(raised, 3) / strength**beta
    return scores * strength[:, None] ** (alpha - beta)


ORACLES = [
    pytest.param(CommonNeighbors, {}, dense_common, id="common"),
    pytest.param(AdamicAdar, {}, dense_adamic_adar, id="adamic-adar"),
    pytest.param(ResourceAllocation, {}, dense_resource_allocation, id="resource-allocation"),
    *(
        pytest.param(
            WalkProximity,
            {"steps": n, "growth": 1.0, "exponent": 1.0, "hub_exponent": 1.0},
            lambda graph, n=n: dense_walks(graph, n),
            id=f"walk-{n}",
        )
        for n in (1, 2, 3, 4)
    ),
    pytest.param(
        WalkProximity,
        {"growth": 0.3, "exponent": 0.6, "hub_exponent": 0.8},
        lambda graph: dense_weighted_walks(graph, 0.3, 0.6, 0.8),
        id="walk-exponents",
    ),
    *(
        pytest.param(
            RP3Beta,
            {"alpha": alpha, "beta": beta},
            lambda graph, alpha=alpha, beta=beta: dense_rp3(graph, alpha, beta),
            id=f"rp3-{alpha}-{beta}",
        )
        for alpha, beta in ((1.0, 0.0), (0.7, 0.4), (1.5, 1.0))
    ),
]


@pytest.mark.parametrize(("baseline", "options", "oracle"), ORACLES)
@pytest.mark.parametrize("density", [0.03, 0.3])
@pytest.mark.parametrize("num_threads", [1, 3])
def test_matches_dense_algebra(baseline, options, oracle, density, num_threads, monkeypatch):
    monkeypatch.setattr("recsys_lab.compute.threads._chosen", num_threads)
    graph = random_graph(40, density, seed=int(100 * density))
    expected = oracle(graph)
    scorer = baseline(graph, **options)
    heads, tails = (~np.eye(40, dtype=bool)).nonzero()
    order = np.random.default_rng(0).permutation(len(heads))
    heads, tails = heads[order].astype(np.int32), tails[order].astype(np.int32)
    rtol = 1e-6 if baseline is RP3Beta else 1e-12  # its weights are float32
    np.testing.assert_allclose(scorer.score_pairs(heads, tails), expected[heads, tails], rtol=rtol)
    # several queries to a thread, some twice; 38 and 39 are isolated
    queries = np.random.default_rng(1).integers(0, 40, 60).astype(np.int32)
    rows = scorer.score_rows(queries)
    assert rows.dtype == np.float32
    off = queries[:, None] != np.arange(40)
    np.testing.assert_allclose(rows[off], expected[queries][off], rtol=1e-6)


@pytest.mark.parametrize("name", OVER_PAIRS)
def test_is_symmetric_to_the_bit_and_finite(name):
    graph = random_graph(30, 0.2, seed=3)
    scorer = built(name, graph)
    heads, tails = (ids.ravel() for ids in np.meshgrid(np.arange(30), np.arange(30)))
    forth = scorer.score_pairs(heads, tails)
    np.testing.assert_array_equal(forth, scorer.score_pairs(tails, heads))
    assert np.isfinite(forth).all()
    assert np.isfinite(scorer.score_rows(np.arange(30))).all()


@pytest.mark.parametrize("name", OVER_PAIRS)
def test_graph_without_pairs_scores_a_tie(name):
    scorer = built(name, sparse.csr_matrix((4, 4), dtype=np.float32))
    pairs = scorer.score_pairs(np.array([0, 1]), np.array([2, 3]))
    assert np.isfinite(pairs).all()
    assert pairs[0] == pairs[1]
    assert scorer.score_rows(np.array([1])).shape == (1, 4)
    assert scorer.score_pairs(np.empty(0, int), np.empty(0, int)).shape == (0,)
    assert scorer.score_rows(np.empty(0, int)).shape == (0, 4)


def kite():
    """Item 0 - 1 (weight 2), 0 - 2, 1 - 2; item 3 hangs on 2."""
    weights = np.zeros((4, 4), np.float32)
    for i, j, weight in [(0, 1, 2), (0, 2, 1), (1, 2, 1), (2, 3, 1)]:
        weights[i, j] = weights[j, i] = weight
    return sparse.csr_matrix(weights)


def test_four_items_by_hand():
    heads, tails = np.array([0, 0, 2]), np.array([1, 3, 3])
    # degrees 2, 2, 3, 1; item 2 is the one common neighbour of 0 and 1, and of 0 and 3
    assert Popularity(kite()).score_pairs(heads, tails).tolist() == [4, 2, 3]
    assert CommonNeighbors(kite()).score_pairs(heads, tails).tolist() == [1, 1, 0]
    np.testing.assert_allclose(
        AdamicAdar(kite()).score_pairs(heads, tails), [1 / np.log(3), 1 / np.log(3), 0]
    )
    # two steps from 0 to 3 go by way of 2: 1/3 * 1/3; from 3 to 0: 1 * 1/3
    two = WalkProximity(kite(), steps=2, growth=1, exponent=1, hub_exponent=1).score_pairs(
        heads, tails
    )
    assert two[1] == pytest.approx(1 / 9 + 1 / 3)
    # the third step from 0 to 3: by 1 and 2 (2/3 * 1/3 * 1/3); back: by 2 and 1 (1 * 1/3 * 2/3)
    three = WalkProximity(kite(), steps=3, growth=1, exponent=1, hub_exponent=1).score_pairs(
        heads, tails
    )
    assert three[1] == pytest.approx(two[1] + 2 / 27 + 2 / 9)
    allocated = ResourceAllocation(kite()).score_pairs(heads, tails)
    np.testing.assert_allclose(allocated, [1 / 3, 1 / 3, 0])
    # three steps from 0 to 3 have 2/27, times the strength 3 of item 0, over the root of 3 x 1
    rp3 = RP3Beta(kite(), alpha=1.0, beta=0.5).score_pairs(heads, tails)
    assert rp3[1] == pytest.approx(2 / 27 * 3 / 3**0.5)


def test_popularity_puts_isolated_items_last_and_ties_equal_products():
    weights = np.zeros((9, 9), np.float32)
    weights[0, 1:7] = weights[1:7, 0] = 1  # a star: degree 6, six of degree 1, two of 0
    weights[1, 2] = weights[2, 1] = 1
    scorer = Popularity(sparse.csr_matrix(weights))
    hub_cold, leaves, cold = scorer.score_pairs(np.array([0, 3, 7]), np.array([7, 4, 8]))
    assert cold < hub_cold < leaves == 1.0
    rows = scorer.score_rows(np.array([7, 0]))
    assert np.argsort(-rows[0], kind="stable")[0] == 0
    assert (rows[:, 7] < rows[:, 3]).all()


@pytest.mark.parametrize("name", OVER_PAIRS)
@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.triu(np.ones((3, 3)), 1), "both ways"),
        (np.ones((3, 3)), "self-pairs"),
        (np.array([[0, -1.0], [-1, 0]]), "finite and positive"),
        (np.array([[0, np.nan], [np.nan, 0]]), "finite and positive"),
        (np.ones((2, 3)), "square"),
    ],
)
def test_other_matrices_are_refused(name, matrix, message):
    with pytest.raises(ValueError, match=message):
        built(name, sparse.csr_matrix(matrix.astype(np.float32)))


def test_duplicate_entries_are_one_pair_and_the_matrix_is_left_alone():
    rows, columns = np.array([0, 0, 1, 1, 1, 2]), np.array([1, 1, 0, 0, 2, 1])
    graph = sparse.csr_matrix((np.ones(6, np.float32), columns, [0, 2, 5, 6]), (3, 3))
    assert Popularity(graph).score_pairs(rows[[0, 4]], columns[[0, 4]]).tolist() == [2, 2]
    assert graph.nnz == 6


def test_zero_steps_are_refused():
    with pytest.raises(ValueError, match="steps must be >= 1, got 0"):
        WalkProximity(kite(), steps=0)


def test_the_content_baseline_needs_labels():
    assert built("content", kite()) is None
    labels = sparse.csr_matrix(np.array([[1, 0], [1, 0], [0, 1], [0, 0]], float))
    scorer = BASELINES["content"].build(TrainingData(kite(), labels))
    assert scorer.score_pairs(np.array([0, 0]), np.array([1, 2])).tolist() == [1.0, 0.0]


TUNED = [
    ("walk_proximity", "_WALK_CHOICES", WalkProximity, ((3.0, 0.0), (0.01, 2.0), (1.0, -1.0))),
    ("rp3_beta", "_RP3_CHOICES", RP3Beta, ((2.5, 0.1), (0.1, 0.9), (0.8, -1.0))),
    ("ease", "_EASE_CHOICES", ease_of_pairs, ((1.0, 1.0, -1.0), (50.0, 0.0, 0.5), (0.1, 0.5, 1.0))),
]
PARAMETERS = {
    "walk_proximity": ("growth", "exponent"),
    "rp3_beta": ("alpha", "beta"),
    "ease": ("penalty", "row_exponent", "column_exponent"),
}


@pytest.mark.parametrize(("name", "constant", "make", "choices"), TUNED)
def test_parameters_are_those_that_rank_validation_best(name, constant, make, choices, monkeypatch):
    """Of the choices that are tried; those that are said are taken without a try."""
    graph = random_graph(40, 0.2, seed=5)
    positives = np.argwhere(np.triu(graph.toarray(), 1) > 0).astype(np.int32)[::3]
    known = sparse.csr_matrix(graph.toarray() > 0)
    pairs = EvaluationPairs(40, positives, {}, known, np.ones(40, bool))
    labels, every = sparse.csr_matrix((40, 0)), np.arange(40)
    owns = [dict(zip(PARAMETERS[name], choice, strict=True)) for choice in choices]
    made = [make(graph, **own) for own in owns]
    values = [evaluate_ranking(scorer, pairs).mean("ndcg@10") for scorer in made]
    assert len(set(values)) == 3
    worst, middle, best = np.argsort(values).tolist()
    for last, places in ((best, (worst, best, middle)), (middle, (middle, worst))):
        tried = tuple(choices[k] for k in places)
        monkeypatch.setattr(baselines, constant, tried)
        data = TrainingData(graph, labels, pairs)
        found = BASELINES[name].build(data)
        assert data.findings.parameters[name] == owns[last]
        assert data.findings.values[name] == values[last]
        np.testing.assert_array_equal(found.score_rows(every), made[last].score_rows(every))
    said = TrainingData(graph, labels, pairs, findings=Findings({name: owns[worst]}))
    monkeypatch.setattr(TrainingData, "quality", None)
    rows = BASELINES[name].build(said).score_rows(every)
    np.testing.assert_array_equal(rows, made[worst].score_rows(every))


def test_the_limits_of_the_configuration_are_those_of_the_code():
    text = (ROOT / "conf" / "config.yaml").read_text()
    found = dict(re.findall(r"(max_choice_items|max_ease_items): (\d+)", text))
    assert found == {
        "max_choice_items": str(MAX_CHOICE_ITEMS), "max_ease_items": str(MAX_EASE_ITEMS)
    }  # fmt: skip
