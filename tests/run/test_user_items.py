"""Models of items and users on the events of a log: every pair model ranks items for users."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

import recsys_lab
from recsys_lab.catalog.event_split import EventSplit
from recsys_lab.catalog.nodes import Group, NodeOptions, Nodes, find_nodes
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.models.task import TrainingError
from recsys_lab.readers.account import CatalogError
from recsys_lab.run.data_checks import check_trained
from recsys_lab.run.fitting import build_task
from recsys_lab.run.run_data import known_items, node_graph
from tests.run.test_event_runs import small_log, write_events

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory")
WORDS = (
    "catalog=events", "split=leave_one_out", "split.filter_history=false", "nodes.users=true",
    "model.embedding_dim=8", "trainer.enable_progress_bar=false", "num_threads=1", "logger=csv",
    "curve.every_n_batches=100", "evaluation.replicates=0", "projector=0",
)  # fmt: skip
INTERACTIONS = ("data=interactions", "data.batch_size=64", "trainer.max_epochs=15")
WALKS = ("data.walks_per_batch=40", "trainer.max_epochs=6")
ONE = ("model.one_table=true", "model.score=dot", "model.popularity_weight=0")
PINSAGE = ("model=pinsage", "model.num_neighbours=[5,3]", "model.walks_per_item=20", *ONE)
USER, POOLED = "history.vector=user", "history.vector=pooled"
CASES: dict[str, tuple[str, ...]] = {
    "mf": (*INTERACTIONS, "model=mf", USER),
    "mf_bias": (*INTERACTIONS, "model=mf_bias", USER),
    "skipgram": (*INTERACTIONS, "model=skipgram", USER),
    "starspace": (*INTERACTIONS, "model=starspace", USER),
    "lightgcn": (*INTERACTIONS, "model=lightgcn", *ONE, "model.loss=bpr", USER),
    "lightgcn_walks": (*WALKS, "model=lightgcn", *ONE, "nodes.graph=both", USER),
    "pinsage": (*INTERACTIONS, *PINSAGE, "model.low_rank_weight=0.2", USER),
}
MORE: dict[str, tuple[str, ...]] = {
    "lightgcn_two_tables": (*INTERACTIONS, "model=lightgcn", USER),
    "lightgcn_pooled": (*INTERACTIONS, "model=lightgcn", *ONE, POOLED),
    "pinsage_items": (*INTERACTIONS, *PINSAGE, "nodes.graph=items", USER),
    "pinsage_walks": (*WALKS, *PINSAGE, POOLED),
}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_events(tmp_path_factory.mktemp("log") / "log.csv", small_log(2))


def experiment_of(log: Path, *words: str) -> recsys_lab.Experiment:
    return recsys_lab.configure(
        *WORDS, f"catalog.path={log}", f"prepared_dir={log.parent / 'prepared'}", *words
    )


@pytest.fixture(scope="module")
def prepared(log: Path) -> PreparedData:
    experiment = experiment_of(log)
    return recsys_lab.prepare(experiment.source, experiment.split, experiment.prepared_dir)


@pytest.mark.parametrize("name", [*CASES, *(pytest.param(n, marks=pytest.mark.soak) for n in MORE)])
def test_items_are_ranked_for_users(
    name: str, log: Path, prepared: PreparedData, tmp_path: Path
) -> None:
    """Each user stays within ten of forty items; by chance a fourth of the targets is found."""
    found = recsys_lab.fit(prepared, experiment_of(log, *(CASES | MORE)[name]), tmp_path)
    last = [row["val/hr@10"] for row in found.curve if row["val/hr@10"] is not None][-1]
    assert last > 0.5


def test_a_model_that_trains_no_user_is_refused(
    log: Path, prepared: PreparedData, tmp_path: Path
) -> None:
    for words in (("model=skipgram",), ("model=lightgcn", "nodes.graph=items")):
        experiment = experiment_of(log, *WALKS, *words)
        with pytest.raises(ValueError, match=r"no vectors of user: .*data=interactions"):
            recsys_lab.fit(prepared, experiment, tmp_path)


def test_labels_that_stand_in_no_pair_are_refused(prepared: PreparedData) -> None:
    _, nodes = nodes_of(prepared, "auto")
    labels = Group("brand", pl.Series(["a"]), np.array([9]), len(nodes))
    both = replace(nodes, groups=(*nodes.groups, labels))
    net = SimpleNamespace(can_score=lambda met: met)
    trained = SimpleNamespace(frequencies=np.ones(len(both)))
    check_trained(trained, both, net)  # type: ignore[arg-type]
    trained.frequencies[-1] = 0
    with pytest.raises(ValueError, match="no vectors of brand: "):
        check_trained(trained, both, net)  # type: ignore[arg-type]


def nodes_of(prepared: PreparedData, graph: str) -> tuple[EventSplit, Nodes]:
    split = prepared.split
    assert isinstance(split, EventSplit)
    options = NodeOptions(users=True, graph=graph)  # type: ignore[arg-type]
    return split, find_nodes(split, prepared.catalog, options)


def matrix_of(split: EventSplit, nodes: Nodes) -> np.ndarray:
    return np.asarray(node_graph(split, nodes).adjacency.toarray())


def test_the_graph_has_the_training_events_and_no_others(prepared: PreparedData) -> None:
    split, nodes = nodes_of(prepared, "auto")
    expected = np.zeros((len(nodes), len(nodes)))
    for place in np.flatnonzero(split.part == 0):
        user, item = nodes.num_items + split.events.user[place], split.events.item[place]
        expected[user, item] += split.events.weight[place]
        expected[item, user] += split.events.weight[place]
    np.testing.assert_array_equal(matrix_of(split, nodes), expected)
    held = split.part > 0
    items = np.where(held, (split.events.item + 7) % nodes.num_items, split.events.item)
    moved = replace(split, events=replace(split.events, item=items))
    np.testing.assert_array_equal(matrix_of(moved, nodes), expected)
    of_items = np.zeros_like(expected)
    pairs = split.train
    of_items[pairs.heads, pairs.tails] = of_items[pairs.tails, pairs.heads] = pairs.weights
    np.testing.assert_array_equal(matrix_of(*nodes_of(prepared, "items")), of_items)
    np.testing.assert_array_equal(matrix_of(*nodes_of(prepared, "both")), expected + of_items)


def test_models_know_the_graph_of_the_nodes(prepared: PreparedData) -> None:
    split, nodes = nodes_of(prepared, "interactions")
    items, dense = known_items(prepared, nodes), matrix_of(split, nodes)
    assert items.group_firsts == (nodes.num_items,)
    offsets, neighbours, weights = items.neighbours()
    user = nodes.num_items + 3
    row = slice(int(offsets[user]), int(offsets[user + 1]))
    assert neighbours[row].tolist() == dense[user].nonzero()[0].tolist()
    assert weights[row].tolist() == dense[user][dense[user] > 0].tolist()
    visited = items.visited(4, 50, 1)
    met = visited.neighbours[user][visited.shares[user] > 0].tolist()
    assert met
    assert all(dense[user, other] > 0 for other in met)


def test_a_graph_of_interactions_needs_users(prepared: PreparedData) -> None:
    for graph in ("interactions", "both"):
        with pytest.raises(CatalogError, match=rf"graph={graph} needs nodes that have events"):
            find_nodes(prepared.split, prepared.catalog, NodeOptions(graph=graph))  # type: ignore[arg-type]
    assert nodes_of(prepared, "items")[1].hash != nodes_of(prepared, "both")[1].hash


def test_a_checkpoint_of_other_nodes_is_refused(log: Path, prepared: PreparedData) -> None:
    """Also where as many nodes stand in its tables."""
    experiment = experiment_of(log, *INTERACTIONS)
    users = find_nodes(prepared.split, prepared.catalog, NodeOptions(users=True))
    (group,) = users.groups
    renamed = replace(users, groups=(replace(group, names=group.names.reverse()),))
    checkpoint: dict[str, Any] = {}
    task = build_task(prepared, experiment, users)
    task.on_save_checkpoint(checkpoint)
    checkpoint["state_dict"] = task.state_dict()
    task.on_load_checkpoint(checkpoint)
    for others in (renamed, None):
        with pytest.raises(TrainingError, match=r"node hash .* use the nodes that it was trained"):
            build_task(prepared, experiment, others).on_load_checkpoint(checkpoint)
