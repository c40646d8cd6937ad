"""Training in several processes: what is refused, and whole runs of two ranks."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from recsys_lab.compute.started import Place, started_place
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.models.task import KEY, TrainingError
from recsys_lab.run import rank_worker, ranks
from recsys_lab.run.checkpoints import load_checkpoint
from recsys_lab.run.experiment import check_run, configure
from recsys_lab.run.rank_jobs import check_ranks
from recsys_lab.run.ranks import RankError, Started, check_size, open_store, say_bye
from tests.run_cases import ROOT, command, rows

TWO = ("trainer=ddp", "trainer.devices=2")
TORCHRUN = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "one", "MASTER_PORT": "29500",
}  # fmt: skip
AGENT = {"TORCHELASTIC_USE_AGENT_STORE": "True"}
SLURM = {
    "SLURM_STEP_ID": "0", "SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "1",
    "SLURM_NNODES": "2", "SLURM_STEP_NODELIST": "node[07-08]", "SLURM_JOB_ID": "1234567",
}  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, None),
        (TORCHRUN, Place(3, 4, 1, 2, "one", 29500)),
        (
            TORCHRUN | {"TORCHELASTIC_USE_AGENT_STORE": "True"},
            Place(3, 4, 1, 2, "one", 29500, True),
        ),
        (TORCHRUN | {"RANK": "0", "WORLD_SIZE": "1"}, None),
        (SLURM, Place(3, 4, 1, 2, "node07", 19567)),
        (SLURM | {"MASTER_ADDR": "a", "MASTER_PORT": "7"}, Place(3, 4, 1, 2, "a", 7)),
        (SLURM | {"SLURM_NTASKS": "1"}, None),
        ({name: value for name, value in SLURM.items() if name != "SLURM_STEP_ID"}, None),
    ],
)
def test_place_in_the_environment(
    variables: dict, place: Place | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in {*TORCHRUN, *SLURM}:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert started_place() == place


def test_number_of_started_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    check_size(2, 1)
    with pytest.raises(TrainingError, match=r"^trainer.num_nodes=2 needs a process for each rank"):
        check_size(4, 2)
    for name, value in (TORCHRUN | {"RANK": "0"}).items():
        monkeypatch.setenv(name, value)
    check_size(4, 2)
    with pytest.raises(TrainingError, match=r"^4 processes were started, and .* is 1: take"):
        check_size(1, 1)
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(TrainingError, match=r"^this is rank 1 .*serve_started"):
        check_size(4, 2)


def two_started() -> tuple[Started, Place, Any]:
    """Rank 0 of two processes that srun has started; rank 1, and the store as it sees it."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    first, second = (Place(rank, 2, rank, 2, "127.0.0.1", port) for rank in (0, 1))
    return Started(first), second, open_store(second)


def test_a_rank_that_ended_before_the_training_is_seen() -> None:
    started, second, store = two_started()
    say_bye(store, second)
    with pytest.raises(RankError, match=r"^rank 1 has ended$"):
        started.ranks("{}").connect(torch.device("cpu"))


def test_a_lost_rank_takes_no_more_jobs() -> None:
    started, _, _ = two_started()
    started.has_lost = True
    with pytest.raises(RankError, match=r"^a rank has ended in an earlier job: start the command"):
        started.ranks("{}")
    started.dismiss()  # without waiting for it


def test_rank_0_waits_until_the_others_have_seen_the_end() -> None:
    started, second, store = two_started()
    seen: list[bool] = []

    def serve() -> None:
        while not store.check(["end"]):
            time.sleep(0.01)
        time.sleep(0.2)
        seen.append(True)
        say_bye(store, second)

    other = threading.Thread(target=serve)
    other.start()
    started.dismiss()
    assert seen == [True]
    other.join()


def test_a_mistake_is_told_before_the_others_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    leads = SimpleNamespace(dismiss=lambda: told.append(capsys.readouterr().err))
    monkeypatch.setattr(rank_worker, "is_started", lambda: True)
    monkeypatch.setattr(ranks, "lead_started", lambda: leads)
    with pytest.raises(SystemExit) as ended, rank_worker.ranks_to_lead():
        sys.exit("unknown key")
    assert (told, ended.value.code) == (["unknown key\n"], 1)


@pytest.mark.parametrize(("before", "now"), [(1, TWO), (2, ()), (3, TWO)])
def test_a_checkpoint_of_another_number_is_refused(before: int, now: tuple) -> None:
    experiment = configure(*now)
    told = "1 process" if before == 1 else f"{before} processes"
    with pytest.raises(TrainingError, match=f"was trained by {told}, this run has"):
        check_ranks(experiment, {KEY: {"ranks": before}})
    assert check_ranks(configure(*TWO), {KEY: {"ranks": 2}}) == 2
    assert check_ranks(configure(), {KEY: {}}) == 1  # of an earlier version


def test_models_that_train_themselves_are_refused() -> None:
    pytest.importorskip("gensim")
    configuration = configure("experiment=gensim_word2vec", *TWO).configuration
    with pytest.raises(ConfigurationError, match="in one process: take"):
        check_run(configuration)


def start(folder: Path, *overrides: str) -> subprocess.Popen:
    words = command(*TWO, f"hydra.run.dir={folder}", f"prepared_dir={folder.parent / 'prepared'}")
    more = ("trainer.max_epochs=20", "test=false", "exchange.every_n_batches=4", *overrides)
    log = (folder.parent / f"{folder.name}.out").open("a")
    return subprocess.Popen([*words, *more], cwd=folder.parent, stdout=log, stderr=log)


def children(process: subprocess.Popen) -> list[int]:
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(word) for word in path.read_text().split()]


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


@pytest.mark.soak
@pytest.mark.parametrize(
    ("who", "number", "status"),
    [
        ("child", signal.SIGKILL, 1),
        ("child", signal.SIGTERM, 128 + signal.SIGTERM),
        ("run", signal.SIGINT, 128 + signal.SIGINT),
        ("run", signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_an_end_of_one_ends_all_and_the_run_goes_on(
    tmp_path: Path, who: str, number: int, status: int
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert start(whole).wait(300) == 0
    process = start(stopped, "checkpoint.every_n_steps=7")
    last = stopped / "checkpoints" / "last.ckpt"
    while process.poll() is None and not last.exists():
        time.sleep(0.02)
    [child] = children(process)
    began = time.monotonic()
    os.kill(child if who == "child" else process.pid, number)
    assert process.wait(30) == status
    while alive(child):
        time.sleep(0.05)
        assert time.monotonic() - began < 30
    said = (tmp_path / "stopped.out").read_text()
    if status == 1:
        assert "rank 1 has ended: its process was ended by SIGKILL" in said
    if number != signal.SIGKILL or who == "child":
        assert f"resume={stopped}" in said
    words = [sys.executable, str(ROOT / "train.py"), f"resume={stopped}"]
    subprocess.run(words, cwd=tmp_path, check=True, timeout=900)
    found, expected = (load_checkpoint(x / "checkpoints" / "last.ckpt") for x in (stopped, whole))
    assert found["global_step"] == expected["global_step"]
    assert all(torch.equal(found["state_dict"][k], w) for k, w in expected["state_dict"].items())
    curves = [
        [{n: v for n, v in row.items() if "second" not in n} for row in rows(x)]
        for x in (stopped, whole)
    ]
    assert curves[0] == curves[1]


@pytest.mark.soak
def test_a_sweep_and_torchrun_train_the_same(tmp_path: Path) -> None:
    options = (*TWO, "test=false", f"prepared_dir={tmp_path / 'prepared'}")
    words = command("-m", *options, "seed=0,1", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    subprocess.run(words, cwd=tmp_path, check=True, timeout=900)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    run = command(*options, "seed=1", f"hydra.run.dir={tmp_path / 'run'}")
    subprocess.run([run[0], *launch, *run[1:]], cwd=tmp_path, check=True, timeout=900)
    places = (next((tmp_path / "sweep").glob("1_*")), tmp_path / "run")
    one, other = (load_checkpoint(x / "checkpoints" / "last.ckpt") for x in places)
    assert all(torch.equal(one["state_dict"][k], w) for k, w in other["state_dict"].items())
