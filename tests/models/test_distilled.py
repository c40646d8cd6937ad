"""Distilled vectors: their loss by loops, what they start from, and what they refuse."""

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from recsys_lab.data.batch import Items, TeacherBatch
from recsys_lab.evaluation.scorers import VectorScorer
from recsys_lab.models.blocks import score_block
from recsys_lab.models.builders import distilled
from recsys_lab.models.distilled import DistilledVectors
from recsys_lab.models.encoders import IdEncoder
from recsys_lab.models.scoring import ScoreVectors
from tests.models.model_cases import pair_batch
from tests.vectors.stored import IDS, small_content, store

N, D = 8, 4


def model(start: ScoreVectors | None = None, dim: int = D) -> DistilledVectors:
    torch.manual_seed(1)
    return DistilledVectors(*(IdEncoder(N, d, 4.0) for d in (dim, dim, 1)), start=start)


def start() -> ScoreVectors:
    rng = torch.Generator().manual_seed(2)
    tables = (torch.randn(N, D, generator=rng) for _ in range(2))
    return ScoreVectors(*tables, torch.randn(N, generator=rng), both_ways=True)


def batch() -> TeacherBatch:
    return TeacherBatch(
        queries=torch.tensor([3, 0]),
        items=torch.tensor([[1, 5, 2], [7, 4, 0]]),
        shares=torch.tensor([[0.5, 0.3, 0.2], [0.75, 0.25, 0.0]]),
        negatives=torch.tensor([2, 6, 7, 0]),
        chances=torch.tensor([1.0, 0.5, 0.25, 0.8]),
        excluded=torch.tensor([[True, False, False, False], [False, False, True, True]]),
        num_trained=2,
    )


def score(vectors: ScoreVectors, i: int, j: int) -> float:
    q, k, b = (part.detach().double().numpy() for part in vectors[:3])
    return float((q[i] @ k[j] + q[j] @ k[i]) / 2 + b[j])


def expected_loss(net: DistilledVectors, begun: ScoreVectors | None) -> float:
    given, total, vectors = batch(), 0.0, net.score_vectors()
    for place, query in enumerate(given.queries.tolist()):
        shares = dict(zip(given.items[place].tolist(), given.shares[place].tolist(), strict=True))
        shares = {j: share for j, share in shares.items() if share > 0}
        mass = sum(math.exp(score(vectors, query, j)) for j in shares)
        for column, j in enumerate(given.negatives.tolist()):
            if not given.excluded[place, column]:
                mass += math.exp(score(vectors, query, j)) / float(given.chances[column])
        if begun is not None:
            shares = {j: s * math.exp(score(begun, query, j)) for j, s in shares.items()}
        for j, share in shares.items():
            chance = math.exp(score(vectors, query, j)) / mass
            total -= share / sum(shares.values()) * math.log(chance)
    return total


@pytest.mark.parametrize("begun", [None, start()])
def test_the_loss_is_that_of_the_loop(begun: ScoreVectors | None) -> None:
    net = model(begun)
    with torch.no_grad():
        net.centers.table.mul_(0.5)  # not what it started from
    loss, weight = net.loss(batch())
    assert float(weight) == 2
    assert loss.item() == pytest.approx(expected_loss(net, begun), rel=1e-5)
    loss.backward()
    assert net.centers.table.grad is not None


def test_a_teacher_is_learnt() -> None:
    torch.manual_seed(1)
    net = DistilledVectors(*(IdEncoder(N, d, 4.0, sparse=False) for d in (D, D, 1)))
    given, optimizer = batch(), torch.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(60):
        optimizer.zero_grad()
        net.loss(given)[0].backward()
        optimizer.step()
    scores = VectorScorer(*net.score_vectors()).score_rows(np.array([3, 0]))
    shares = torch.tensor(scores)[[[0], [1]], [[1, 5, 2], [7, 4, 0]]]
    assert torch.softmax(shares[0], 0).tolist() == pytest.approx([0.5, 0.3, 0.2], abs=0.03)
    assert torch.softmax(shares[1, :2], 0).tolist() == pytest.approx([0.75, 0.25], abs=0.03)


def test_training_begins_with_the_scores_of_the_start() -> None:
    queries = np.arange(N)
    expected = VectorScorer(*start()).score_rows(queries)
    found = VectorScorer(*model(start()).score_vectors()).score_rows(queries)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    wider = model(start(), dim=D + 3)
    assert torch.equal(wider.centers.table[:, :D], start().queries)
    assert wider.centers.table[:, D:].all()
    with pytest.raises(ValueError, match="embedding_dim must be >= 4, that of start, got 3"):
        model(start(), dim=3)


def test_the_start_is_read_from_a_file(tmp_path: Path) -> None:
    given, ids = start(), [f"i{n}" for n in range(N)]
    path = tmp_path / "some.npy"
    np.save(path, given.queries.numpy())
    path.with_suffix(".ids.txt").write_text("\n".join(ids))
    degrees = torch.ones(N, dtype=torch.long)
    items = Items(degrees, None, pl.Series(ids[::-1]), None, None)  # type: ignore[arg-type]
    net = distilled(items, embedding_dim=D, start=str(path))
    unit = torch.nn.functional.normalize(given.queries, dim=1).flip(0)
    torch.testing.assert_close(net.score_vectors().queries, unit)
    assert not {"start", "start_biases"} & net.state_dict().keys()


def test_a_run_is_the_start_with_its_second_vectors_and_biases(tmp_path: Path) -> None:
    content = small_content()
    path = store(tmp_path) / "embeddings" / "items.parquet"
    degrees = torch.tensor([2, 2, 1, 1, 0])
    items = Items(degrees, None, pl.Series(IDS), None, None)  # type: ignore[arg-type]
    net = distilled(items, embedding_dim=3, start=str(path))
    found = net.score_vectors()
    trained = torch.from_numpy(content.scored)  # the last item has no vectors
    for own, given in zip(found[:3], content.tables[:3], strict=True):
        torch.testing.assert_close(own[trained], torch.from_numpy(given)[trained])
    assert not torch.equal(found.queries, found.keys)


def test_other_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="data=teacher and model=distilled go together"):
        model().loss(pair_batch(3, 2))
    with pytest.raises(ValueError, match="data=teacher and model=distilled go together"):
        score_block(batch())
