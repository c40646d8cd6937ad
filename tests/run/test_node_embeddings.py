"""What a run leaves of nodes beside its items, against the scores of its model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import recsys_lab
from recsys_lab.catalog.nodes import find_nodes
from recsys_lab.run.event_run_data import run_data
from recsys_lab.run.fitted import Fitted
from recsys_lab.run.fitting import build_task
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from tests.run.test_event_runs import WORDS, small_log, write_events

USERS = 30


def untrained(folder: Path, *words: str, base: Sequence[str] = WORDS) -> tuple[Fitted, Embeddings]:
    """A model with random vectors, and the embeddings that it leaves."""
    path = write_events(folder / "log.csv", small_log(users=USERS))
    items = sorted({item for items in small_log(users=USERS).values() for item in items})
    table = folder / "items.csv"
    table.write_text("item,category\n" + "".join(f"{x},group-{x[1]}\n" for x in items))
    every = (
        f"catalog.path={path}", f"catalog.items_path={table}", "split=leave_one_out",
        "nodes.users=true", "nodes.labels=[category]",
    )  # fmt: skip
    experiment = recsys_lab.configure(*base, f"prepared_dir={folder}/prepared", *every, *words)
    prepared = recsys_lab.prepare(experiment.source, experiment.split, experiment.prepared_dir)
    nodes = find_nodes(prepared.split, prepared.catalog, experiment.nodes)
    data = run_data(prepared.split, prepared.catalog, experiment.history, nodes=nodes)
    task = build_task(prepared, experiment, nodes)
    rng = np.random.default_rng(0)
    for table in task.net.parameters():
        table.data.copy_(table.new_tensor(rng.normal(size=table.shape)))
    fitted = Fitted(prepared, experiment, task, folder / "run", data, {})
    fitted.save_embeddings()
    return fitted, Embeddings.load(folder / "run")


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fitted, Embeddings]:
    return untrained(tmp_path_factory.mktemp("pooled"))


def test_users_with_own_vectors_have_the_scores_of_curve_and_test(tmp_path: Path) -> None:
    fitted, found = untrained(tmp_path, "history.vector=user")
    scorer = fitted.data.asked(fitted.node_scorer, "test")
    expected = scorer.score_rows(np.arange(USERS))
    scores = found.users.queries @ found.keys.T
    seen = np.isfinite(expected[0])
    np.testing.assert_allclose(scores[:, seen], expected[:, seen], rtol=1e-4, atol=1e-4)
    assert len(found.users.like("user-003", 2)) == 2
    assert found.info["history"]["vector"] == "user"


def test_users_are_pooled_though_they_have_vectors(pooled: tuple[Fitted, Embeddings]) -> None:
    _, found = pooled
    given = found.for_history(small_log(users=USERS)["user-003"], 5)["item"].to_list()
    assert found.for_user("user-003", 5)["item"].to_list() == given
    assert found.users.table["own"].all()
    assert found.nodes.groups == ["category"]  # users are in their own file


def test_scores_of_nodes_are_those_of_the_model(pooled: tuple[Fitted, Embeddings]) -> None:
    fitted, found = pooled
    scorer, nodes = fitted.node_scorer, fitted.data.nodes
    labels, users = nodes.group("category"), nodes.group("user")
    item = int(found.index(["i11"])[0])
    for name, score, count in found.nearest("category", 9, item="i11").rows():
        place = labels.names.to_list().index(name)
        pair = np.array([item]), np.array([labels.first + place])
        assert score == pytest.approx(float(scorer.score_pairs(*pair)[0]), rel=1e-4, abs=1e-5)
        assert count == labels.counts[place]
    for name, score, _ in found.nearest("user", 5, item="i11").rows():
        pair = np.array([item]), np.array([users.first + int(name[-3:])])
        assert score == pytest.approx(float(scorer.score_pairs(*pair)[0]), rel=1e-4, abs=1e-5)
    for row in found.for_node("category", "group-2", 5).iter_rows(named=True):
        other = int(found.index([row["item"]])[0])
        pair = np.array([labels.first + 2]), np.array([other])
        expected = float(scorer.score_pairs(*pair)[0])
        assert row["score"] == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert len(found) == len(fitted.prepared.catalog)


def test_without_users_no_file_names_one(tmp_path: Path) -> None:
    _, found = untrained(tmp_path, "users=false")
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or b"user-0" not in path.read_bytes()
    with pytest.raises(VectorsError, match="holds no users"):
        found.nearest("user", item="i11")


def test_a_run_that_asks_by_sessions_says_what_a_user_is(tmp_path: Path) -> None:
    _, found = untrained(tmp_path, "split.query=session")
    assert found.info["query"] == "session"
    assert len(found.for_user("user-003", 3)) == 3  # the user's whole history
    with pytest.raises(VectorsError, match="of a session, rank by its items with for_history"):
        found.for_user("session-9")


def test_types_of_users_and_items_answer_as_nodes(tmp_path: Path) -> None:
    """A user whose vector is that of its type has the list of the type."""
    words = ("nodes.user_types=[num_events]", "nodes.item_types=[category]", "nodes.min_events=5")
    fitted, found = untrained(tmp_path, *words, "history.vector=user_type")
    types = fitted.data.nodes.group("user_type")
    assert types.of_users is not None
    user = "user-003"
    name = types.names[int(types.of_users[3]) - types.first]
    listed = found.for_user(user, 5, not_known=False)["item"].to_list()
    assert found.for_node("user_type", name, 5)["item"].to_list() == listed
    assert found.nodes.groups == ["user_type", "item_type", "category"]
    near = found.nearest("item_type", 9, node=("user_type", name))
    assert near.height == len(fitted.data.nodes.group("item_type"))
    assert found.nearest("user_type", 1, user=user).height == 1
