"""What curve and test score users with, against sums over their histories."""

from pathlib import Path

import numpy as np
import pytest

import recsys_lab
from recsys_lab.run.net_scorers import sample_scorer
from tests.run.test_event_runs import fitted, small_log, write_lists

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory")
LOG = small_log(seed=1, users=60)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> recsys_lab.Fitted:
    folder = tmp_path_factory.mktemp("scorers")
    path: Path = write_lists(folder / "log.txt", LOG)
    words = (f"catalog.path={path}", "catalog.layout=sequences", "split=leave_one_out")
    return fitted(folder, *words, "model.popularity_weight=1", "split.filter_history=false")


@pytest.mark.parametrize(("part", "held_out"), [("val", 2), ("test", 1)])
def test_a_user_is_scored_by_what_came_before_the_target(
    run: recsys_lab.Fitted, part: str, held_out: int
) -> None:
    """All but the last two of a user's items for validation, all but the last for the test."""
    ids = {name: row for row, name in enumerate(run.prepared.catalog.raw_ids)}
    users = [0, 7, 33]
    rows = run.data.asked(run.scorer, part).score_rows(np.array(users))  # type: ignore[arg-type]
    bias = run.scorer.bias.numpy()
    for user, row in zip(users, rows, strict=True):
        history = [ids[item] for item in LOG[f"user-{user:03d}"][:-held_out]]
        weights = 0.7 ** np.arange(len(history) - 1, -1, -1)
        every = run.scorer.score_rows(np.array(history)) - bias[history][:, None]
        np.testing.assert_allclose(row, weights @ every / weights.sum(), rtol=1e-4, atol=1e-5)


def test_the_sample_of_the_curve_has_the_scores_of_the_whole(run: recsys_lab.Fitted) -> None:
    histories = run.data.history_weights("val")
    assert histories is not None
    users, items = np.array([2, 5, 41]), np.array([1, 4, 9, 30])
    seen = run.prepared.split.seen
    sample = sample_scorer(run.task, seen, histories[users], items)
    whole = run.data.asked(run.scorer, "val").score_rows(users)
    np.testing.assert_allclose(
        sample.score_rows(np.arange(3)), whole[:, items], rtol=1e-5, atol=1e-6
    )
