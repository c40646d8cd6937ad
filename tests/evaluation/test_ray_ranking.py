"""Ranks counted on the nodes of a Ray cluster, one of which is lost."""

from collections.abc import Iterator

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.evaluation import ray_ranking
from recsys_lab.evaluation.baselines import AdamicAdar, Popularity
from recsys_lab.evaluation.content import ContentSimilarity
from recsys_lab.evaluation.ranking import evaluate_ranking
from recsys_lab.evaluation.ray_ranking import RayRanking, block_bounds
from recsys_lab.evaluation.scorers import Scorer, VectorScorer
from recsys_lab.evaluation.slices import EvaluationPairs
from recsys_lab.run.final_test import FinalTest
from tests.ray_nodes import ray_nodes

N, BLOCK = 3000, 512  # queries of a block here, which are a tile


def pairs_of(rng: np.random.Generator) -> EvaluationPairs:
    """A thousand held-out pairs."""
    drawn = np.unique(np.sort(rng.integers(0, N, (1000, 2)), axis=1), axis=0)
    drawn = drawn[drawn[:, 0] != drawn[:, 1]]
    both = np.concatenate([drawn, drawn[:, ::-1]])
    known = sparse.csr_matrix((np.ones(len(both), np.float32), both.T), (N, N))
    return EvaluationPairs(N, drawn, {}, known, np.ones(N, bool))


def scorers(rng: np.random.Generator, pairs: EvaluationPairs) -> list[Scorer]:
    """In tiles, in lists and in rows."""
    queries, keys = rng.normal(size=(2, N, 17)).astype(np.float32)
    labels = sparse.random_array((N, 40), density=0.05, rng=rng, format="csr")
    return [
        VectorScorer(queries, keys, both_ways=True),
        Popularity(pairs.known),
        AdamicAdar(pairs.known),
        ContentSimilarity(sparse.csr_matrix(labels)),
    ]


def test_blocks_cut_no_tile_and_no_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked:
        num_items, items = N, range(2 * BLOCK + 1)

    rng = np.random.default_rng(0)
    tiles, _, lists, rows = scorers(rng, pairs_of(rng))
    monkeypatch.setattr(ray_ranking, "_BLOCK", BLOCK)
    monkeypatch.setattr(ray_ranking, "rows_at_a_time", lambda num_items: 200)
    for scorer in (tiles, lists):
        assert block_bounds(scorer, Asked) == [0, 512, 1024, 1025]
    assert block_bounds(rows, Asked) == [0, 400, 800, 1025]


def test_it_is_refused_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys_lab.compute.ray_cluster.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^evaluation\.ray needs Ray: pip install"):
        FinalTest([10], 1e9, 0, ray="auto")


@pytest.fixture
def cluster() -> Iterator[object]:
    """Three nodes, and a head that runs nothing."""
    pytest.importorskip("ray", reason="needs the extra ray")
    with ray_nodes(3) as found:
        yield found


@pytest.mark.soak
def test_ranks_are_those_of_one_machine(cluster: object, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pairs = pairs_of(rng)
    monkeypatch.setattr(ray_ranking, "_BLOCK", BLOCK)
    monkeypatch.setattr(ray_ranking, "rows_at_a_time", lambda num_items: 200)
    on_nodes, lost = RayRanking(cluster.address), []
    for scorer in scorers(rng, pairs):
        done = []

        def lose(ranked: int, done: list[int] = done) -> None:
            done.append(ranked)
            if not lost:  # after the first block of the first scorer
                lost.append(next(iter(cluster.worker_nodes)))
                cluster.remove_node(lost[0], allow_graceful=False)

        here = evaluate_ranking(scorer, pairs)
        there = evaluate_ranking(scorer, pairs, progress=lose, rank=on_nodes)
        assert np.array_equal(here.rank, there.rank)
        assert sum(done) == len(pairs.query_items)
        assert len(done) > 1
    on_nodes.close()
    assert len(lost) == 1
