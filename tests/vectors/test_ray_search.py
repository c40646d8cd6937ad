"""Lists of all items, searched on the nodes of a Ray cluster."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from recsys_lab.vectors import neighbours as room
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.neighbours import SearchOptions, write_neighbours
from tests.ray_nodes import ray_nodes

pytestmark = pytest.mark.soak
ray = pytest.importorskip("ray", reason="needs the extra ray")
from ray.cluster_utils import Cluster  # noqa: E402

NUM_ITEMS = 5000


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Three nodes, and a head that runs nothing."""
    with ray_nodes(3) as found:
        yield found


def test_it_writes_the_same_file(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recsys_lab.vectors.ray_search import search_on_ray

    vectors = np.random.default_rng(0).normal(size=(NUM_ITEMS, 33)).astype(np.float32)
    frame = pl.DataFrame({"item": [f"i{n:04d}" for n in range(NUM_ITEMS)]})
    frame = frame.with_columns(vector=pl.Series(vectors, dtype=pl.Array(pl.Float32, 33)))
    frame.write_parquet(tmp_path / "vectors.parquet")
    found, on_nodes = Embeddings.load(tmp_path / "vectors.parquet"), search_on_ray(cluster.address)
    monkeypatch.setattr(room, "_BLOCK", 300)
    monkeypatch.setattr(room, "EXACT_ITEMS", 0)
    for options in (SearchOptions(exact=True), SearchOptions(min_recall=0.5)):
        here, there = tmp_path / "here.parquet", tmp_path / "there.parquet"
        with threadpool_limits(1):  # of the BLAS, as on the nodes: it rounds by how it divides work
            write_neighbours(found, here, 10, options)

        def stop(done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_neighbours(found, there, 10, options, stop, on_nodes)
        write_neighbours(found, there, 10, options, nodes=on_nodes)  # which goes on
        assert here.read_bytes() == there.read_bytes()

    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    end = time.monotonic() + 60
    while sum(node["Alive"] for node in ray.nodes()) > 3:
        assert time.monotonic() < end
        time.sleep(0.5)
    write_neighbours(found, there, 10, SearchOptions(min_recall=0.5), nodes=on_nodes)
    assert here.read_bytes() == there.read_bytes()
