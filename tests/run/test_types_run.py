"""Runs with types of users and of items, from a log to metrics."""

from pathlib import Path

import numpy as np
import pytest
import torch

import recsys_lab
from recsys_lab.catalog.nodes import find_nodes
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.models.cold_items import stand_ins
from recsys_lab.run.fitted import Fitted
from recsys_lab.run.fitting import build_task
from recsys_lab.run.run_data import known_items
from tests.run.test_presets import event_log


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("types")
    event_log(folder / "log.parquet")
    return folder


def prepared_with(folder: Path, *overrides: str) -> tuple[PreparedData, recsys_lab.Experiment]:
    experiment = recsys_lab.configure(
        "experiment=airbnb", f"catalog.path={folder / 'log.parquet'}", f"prepared_dir={folder}",
        "trainer=smoke", "curve.ranking_queries=50", "num_threads=1", "trainer.max_epochs=2",
        "trainer.limit_train_batches=1.0", "embeddings=false", *overrides,
    )  # fmt: skip
    source, split = experiment.source, experiment.split
    return recsys_lab.prepare(source, split, experiment.prepared_dir), experiment


def fitted(folder: Path, name: str, *overrides: str) -> Fitted:
    return recsys_lab.fit(*prepared_with(folder, *overrides), folder / name)


def tables(run: Fitted) -> list[np.ndarray]:
    return [x.detach().numpy().copy() for x in run.task.net.parameters()]


def test_queries_have_the_vectors_of_their_types(folder: Path) -> None:
    run = fitted(folder, "typed", "history.vector=user_type", "data.num_rejected_types=1",
                 "data.num_rejected=2")  # fmt: skip
    group = run.data.nodes.group("user_type")
    weights = run.data.history_weights("test")
    assert weights is not None
    found = group.of_queries["test"]
    assert weights.indices.tolist() == found[found >= 0].tolist()
    assert set(np.unique(weights.indices)) <= set(range(group.first, group.first + len(group)))
    metrics = run.measure()
    assert metrics["test/auc/uniform/all"] > 0.6  # of four cities
    again = tables(fitted(folder, "again", "history.vector=user_type", "data.num_rejected_types=1",
                          "data.num_rejected=2"))  # fmt: skip
    assert all((x == y).all() for x, y in zip(tables(run), again, strict=True))


@pytest.mark.parametrize("kernel", ["fused", "autograd"])
def test_all_nodes_learn(folder: Path, kernel: str) -> None:
    """Centers leave their start, and contexts are no longer zero."""
    run = fitted(folder, kernel, f"model.kernel={kernel}", "nodes.users=true")
    trained = run.data.nodes.counts > 0
    centers, contexts = tables(run)
    assert len(centers) == len(contexts) == len(trained)
    assert (np.abs(contexts[trained]).sum(1) > 0).all()
    assert (np.abs(contexts[~trained]).sum(1) == 0).all()
    start = 0.5 / centers.shape[1]
    assert (np.abs(centers[trained]).max(1) > start).mean() > 0.95
    assert (np.abs(centers[~trained]) <= start).all()


def test_cold_items_take_the_mean_of_their_type(folder: Path) -> None:
    words = "nodes.item_types=[category]", "model.cold_field=item_type"
    prepared, experiment = prepared_with(folder, *words)
    nodes = find_nodes(prepared.split, prepared.catalog, experiment.nodes)
    build_task(prepared, experiment, nodes)  # the model takes the field
    types = known_items(prepared, nodes).field("item_type")
    assert len(types.offsets) == len(nodes) + 1
    cities = prepared.catalog.field("category")
    degrees = torch.from_numpy(np.where(np.arange(len(nodes)) % 5 == 0, 0, 7))
    by_type = stand_ins(degrees, types)[: len(cities.offsets) - 1]
    plain = stand_ins(
        degrees[: len(by_type)],
        types._replace(
            offsets=torch.from_numpy(cities.offsets),
            codes=torch.from_numpy(cities.codes.astype(np.int64)),
            cardinality=cities.cardinality,
        ),
    )
    assert torch.equal(by_type, plain)
    assert (by_type >= 0).any()
