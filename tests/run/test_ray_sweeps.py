"""Sweeps on a Ray cluster of several nodes in one machine."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.run_cases import ROOT, results

pytestmark = pytest.mark.soak
ray = pytest.importorskip("ray", reason="needs the extra ray")
from ray.cluster_utils import Cluster  # noqa: E402

STORE = 80 * 2**20
WORDS = ("trainer=smoke", "hydra.callbacks.sweep_end.page=false")
ITEMS = "catalog.num_items=500"
ON_RAY = ("-m", "hydra/launcher=ray", "hydra.sweep.dir=sweep")


def begin(cwd: Path, *words: str) -> subprocess.Popen:
    """The command, with all that it says in `said`."""
    with (cwd / "said").open("w") as said:
        line = [sys.executable, str(ROOT / "train.py"), *WORDS, *words]
        return subprocess.Popen(line, cwd=cwd, stdout=said, stderr=said)


def ended(cwd: Path, *words: str, code: int = 0) -> str:
    assert begin(cwd, *words).wait(300) == code, (cwd / "said").read_text()
    return (cwd / "said").read_text()


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def alone(cwd: Path, *words: str) -> dict:
    """What a job gives by itself."""
    ended(cwd, *words, "num_threads=1", "hydra.run.dir=alone")
    return results(cwd / "alone")


@pytest.fixture()
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head that runs nothing."""
    monkeypatch.setenv("RAY_worker_niceness", "0")
    found = Cluster(True, head_node_args={"num_cpus": 0, "object_store_memory": STORE})
    try:
        yield found
    finally:
        found.shutdown()


def at(cluster: Cluster) -> str:
    return f"hydra.launcher.address='{cluster.address}'"


def test_without_a_cluster_one_is_started_and_ended(tmp_path: Path) -> None:
    (tmp_path / "selves.csv").write_text("a,a\nb,b\n")
    ring = [f"i{a:03d},i{(a + step) % 200:03d}" for a in range(200) for step in (1, 2, 3)]
    (tmp_path / "ring.csv").write_text("\n".join(ring))
    words = ("catalog=edges", "catalog.path=selves.csv,ring.csv")
    said = ended(tmp_path, *ON_RAY, *words, code=1)
    assert "1 of 2 runs finished, 1 failed or stopped" in said
    assert "catalog.path=selves.csv: failed: " in said
    assert "Traceback" not in said
    again = ended(tmp_path, *ON_RAY, *words, code=1)
    assert again.count("finished before, skipped") == 1


def test_a_killed_node_loses_no_job(cluster: Cluster, tmp_path: Path) -> None:
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=STORE) for _ in range(3)]
    longer = (ITEMS, "trainer.max_epochs=300", "checkpoint.every_n_steps=10")
    process = begin(tmp_path, *ON_RAY, *longer, "seed=0,1,2", at(cluster))
    wait_for(lambda: len(list(tmp_path.glob("sweep/*/checkpoints/last.ckpt"))) == 3)
    cluster.remove_node(nodes[1], allow_graceful=False)
    said = tmp_path / "said"
    assert process.wait(300) == 0, said.read_text()
    assert "3 of 3 runs finished" in said.read_text()
    (number,) = re.findall(r"job (\d): its node or process was lost .* \(1 of 3", said.read_text())
    folder = tmp_path / "sweep" / f"{number}_seed={number}"
    assert "going on from" in (folder / "train.log").read_text()
    assert results(folder) == alone(tmp_path, *longer, f"seed={number}")
