"""Sweeps on a Ray cluster of several nodes in one machine."""

import re
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
    process = begin(cwd, *words)
    try:
        found = process.wait(300)
    finally:
        process.kill()  # if it takes longer; it ends with its cluster
    assert found == code, (cwd / "said").read_text()
    return (cwd / "said").read_text()


def wait_for(condition: Callable[[], Any], seconds: float = 300) -> None:  # beside other work
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def alone(cwd: Path, *words: str) -> dict:
    """What a job gives by itself."""
    ended(cwd, *words, "num_threads=1", "hydra.run.dir=alone")
    return results(cwd / "alone")


@pytest.fixture
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
    longer = (ITEMS, "trainer.max_epochs=100", "checkpoint.every_n_steps=10")
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


@pytest.fixture
def apart(cluster: Cluster, tmp_path: Path) -> Iterator[int]:
    """The process of a node that has an empty file system where the driver works."""
    hide = f"mount -t tmpfs none {tmp_path}"
    if subprocess.run(["unshare", "-m", "sh", "-c", hide], check=False).returncode:
        pytest.skip("a file system can be mounted by root alone")
    start = (
        f"{sys.executable} -m ray.scripts.scripts start --address={cluster.address} --num-cpus=1 "
        f"--object-store-memory={STORE} --block"
    )
    line = ["unshare", "-m", "sh", "-c", f"{hide} && cd / && exec {start}"]
    node = subprocess.Popen(line, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        cluster.connect()
        wait_for(lambda: ray.cluster_resources().get("CPU") == 1)
        ray.shutdown()
        yield node.pid
    finally:
        node.terminate()
        node.wait(30)


def test_a_folder_of_a_node_apart_is_brought_back(
    apart: int, cluster: Cluster, tmp_path: Path
) -> None:
    words = (ITEMS, "seed=0,1", at(cluster))
    assert "2 of 2 runs finished" in ended(tmp_path, *ON_RAY, *words)
    assert not (tmp_path / "outputs").exists()  # the node has prepared its data itself
    assert results(tmp_path / "sweep" / "1_seed=1") == alone(tmp_path, ITEMS, "seed=1")
    left = [path.name for path in (tmp_path / "sweep").rglob(".*")]
    assert set(left) == {".hydra", ".lock"} or set(left) == {".hydra"}

    longer = (ITEMS, "seed=2,3", at(cluster), "trainer.max_epochs=10000", "hydra.launcher.n_jobs=1")
    log = tmp_path / "sweep" / "0_seed=2" / "train.log"
    for start in ("training by", "going on from"):
        process = begin(tmp_path, *ON_RAY, *longer)
        there = Path(f"/proc/{apart}/root{log}")  # as the node sees it
        wait_for(lambda there=there, start=start: there.is_file() and start in there.read_text())
        time.sleep(2)
        process.terminate()
        assert process.wait(60) == 128 + 15
        assert start in log.read_text()
        assert not there.parent.exists()


def test_a_search_launches_trials_together(tmp_path: Path) -> None:
    search = ("hparams_search=optuna", "hydra/launcher=ray", "data.window=2,3", ITEMS)
    together = ("hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=2", "hydra.sweep.dir=sweep")
    said = ended(tmp_path, *search, *together)
    assert "1 run tested, 2 trials not tested" in said
    assert said.count("on a Ray cluster of 1 node") == 3  # two trials, the third, and the test
