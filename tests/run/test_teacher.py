"""What EASE ranks first for every item, against the dense formula."""

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.data.teacher_batches import RankedItems
from recsys_lab.evaluation.baselines import TrainingData
from recsys_lab.run import teacher
from recsys_lab.run.kept_ranking import kept_ranking
from recsys_lab.run.teacher import rank_by_ease

N = 30


class Data:
    """The part of `RunData` that is asked for."""

    folders: tuple[Path, Path] | None = None

    def __init__(self, adjacency: np.ndarray) -> None:
        self.adjacency = adjacency

    def for_baselines(self) -> TrainingData:
        return TrainingData(sparse.csr_matrix(self.adjacency), sparse.csr_matrix((N, 0)))


def data() -> Data:
    rng = np.random.default_rng(3)
    adjacency = np.triu(rng.random((N, N)) < 0.2, 1).astype(float)
    adjacency[:, [4, 9]] = adjacency[[4, 9]] = 0  # items without a pair
    return Data(adjacency + adjacency.T)


def data_in(folder: Path, name: str) -> Data:
    given = data()
    given.folders = folder / "catalogs" / name, folder / "splits" / name
    return given


def dense_scores(adjacency: np.ndarray) -> np.ndarray:
    """EASE of D^-1/2 A, penalty 4 means of the diagonal, both ways; S over all items."""
    kept = np.flatnonzero(adjacency.sum(1))
    some = adjacency[np.ix_(kept, kept)]
    x = some / np.sqrt(some.sum(1))[:, None]
    gram = x.T @ x
    p = np.linalg.inv(gram + 4 * np.trace(gram) / len(gram) * np.eye(len(gram)))
    b = -p / np.diag(p)
    np.fill_diagonal(b, 0)
    scores = np.zeros_like(adjacency)
    scores[np.ix_(kept, kept)] = x @ b + (x @ b).T
    return scores


@pytest.mark.parametrize("rows", [7, 1024])  # of a block
@pytest.mark.parametrize("num_ranked", [5, 1000])
def test_the_ranking_is_that_of_the_dense_formula(
    num_ranked: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher, "_ROWS", rows)
    given = data()
    expected = dense_scores(given.adjacency)
    expected[given.adjacency > 0] = 0
    np.fill_diagonal(expected, 0)
    expected = np.maximum(expected, 0)
    found = rank_by_ease(given, num_ranked)  # type: ignore[arg-type]
    assert found.queries.tolist() == [i for i in range(N) if i not in (4, 9)]
    assert found.items.shape == found.scores.shape == (N - 2, min(num_ranked, N - 3))
    for query, items, scores in zip(*found, strict=True):
        assert not set(items[scores > 0]) & {4, 9, query, *np.flatnonzero(given.adjacency[query])}
        np.testing.assert_allclose(scores, expected[query, items], rtol=1e-3, atol=1e-6)
        best = np.sort(expected[query])[::-1][: found.scores.shape[1]]
        np.testing.assert_allclose(np.sort(scores)[::-1], best, rtol=1e-3, atol=1e-6)


def test_more_items_than_ease_can_take_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "_MAX_ITEMS", 10)
    with pytest.raises(ValueError, match=r"matrix of all 28 items .* 10 are the most"):
        rank_by_ease(data(), 5)  # type: ignore[arg-type]


def test_a_later_run_on_the_same_data_takes_the_ranking_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = kept_ranking(data_in(tmp_path, "a"), 5)  # type: ignore[arg-type]
    asked: list[int] = []

    def rank(_: object, num_ranked: int) -> RankedItems:
        asked.append(num_ranked)
        return first

    monkeypatch.setattr(teacher, "rank_by_ease", rank)
    again = kept_ranking(data_in(tmp_path, "a"), 5)  # type: ignore[arg-type]
    assert not asked
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)
    kept_ranking(data_in(tmp_path, "a"), 6)  # type: ignore[arg-type]
    kept_ranking(data_in(tmp_path, "b"), 5)  # type: ignore[arg-type]
    assert asked == [6, 5]


def test_a_damaged_ranking_is_made_again(tmp_path: Path) -> None:
    first = kept_ranking(data_in(tmp_path, "a"), 5)  # type: ignore[arg-type]
    [file] = tmp_path.glob("teachers/*/ranked.npz")
    file.write_bytes(file.read_bytes()[:-200])
    again = kept_ranking(data_in(tmp_path, "a"), 5)  # type: ignore[arg-type]
    np.testing.assert_array_equal(first.items, again.items)
    assert np.load(file)["items"].shape == first.items.shape
