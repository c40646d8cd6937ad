"""Ranks that Ray Train starts."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
import torch

from recsys_lab.config.overrides import compose_jobs
from recsys_lab.config.path_words import quoted
from recsys_lab.run.checkpoints import load_checkpoint
from recsys_lab.run.command_line import CONF
from recsys_lab.run.ray_train import command, train_worker
from tests.ray_nodes import ray_nodes
from tests.run_cases import ROOT, SMALL
from tests.run_cases import command as plain_command


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, r"^train_loop_config has nothing: it takes folder, .* and words"),
        ({"folder": "/runs/a", "word": []}, r"^train_loop_config has folder, word: it takes"),
        ({"folder": "runs/a", "words": []}, r"^folder=runs/a of train_loop_config is no absolute"),
    ],
)
def test_its_options_are_checked(config: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        train_worker(config)


def test_each_worker_is_a_rank() -> None:
    assert command("/runs/a", ["model=mf"], 3)[1:] == [
        "-m", "recsys_lab", "train",
        "trainer=ddp", "trainer.devices=1", "trainer.num_nodes=3", "model=mf",
        "hydra.run.dir='/runs/a'", "resume=auto",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["it's", "a b", "a,b=c", "{a}", "a'b 'c"])
def test_any_folder_is_that_of_the_run(name: str, tmp_path: Path) -> None:
    [word] = [w for w in command(str(tmp_path / name), [], 2) if w.startswith("hydra.run.dir=")]
    jobs = compose_jobs([word], CONF)
    assert jobs is not None
    assert jobs.folder == str(tmp_path / name)


def kill_rank(rank: int, folder: Path) -> None:
    """Kill the command of a rank once the run has a checkpoint."""
    while not (folder / "checkpoints" / "last.ckpt").exists():
        time.sleep(0.05)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text().split("\0")
            variables = (process / "environ").read_text().split("\0")
        except OSError:  # it has ended, or is another user's
            continue
        if f"hydra.run.dir={quoted(str(folder))}" in words and f"RANK={rank}" in variables:
            os.kill(int(process.name), signal.SIGKILL)


@pytest.mark.soak
def test_a_run_whose_rank_was_killed_goes_on(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    options = ("trainer.max_epochs=30", "test=false", f"prepared_dir={tmp_path / 'prepared'}")
    folder = tmp_path / "a run"
    with ray_nodes(3) as cluster:
        ray.init(cluster.address, runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}})
        killer = threading.Thread(target=kill_rank, args=(1, folder), daemon=True)
        killer.start()
        TorchTrainer(
            train_worker,
            train_loop_config={"folder": str(folder), "words": [*SMALL, *options]},
            scaling_config=ScalingConfig(num_workers=2, resources_per_worker={"CPU": 1}),
            run_config=RunConfig(
                storage_path=str(tmp_path / "ray"), failure_config=FailureConfig(max_failures=1)
            ),
        ).fit()
        killer.join(0)
        assert not killer.is_alive()
    assert "going on from" in (folder / "train.log").read_text()
    words = plain_command("trainer=ddp", "trainer.devices=2", *options)
    subprocess.run([*words, f"hydra.run.dir={tmp_path / 'plain'}"], cwd=tmp_path, check=True)
    one, other = (
        load_checkpoint(x / "checkpoints" / "last.ckpt") for x in (folder, tmp_path / "plain")
    )
    assert all(torch.equal(one["state_dict"][k], w) for k, w in other["state_dict"].items())
