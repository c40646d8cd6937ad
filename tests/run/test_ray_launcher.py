"""The launcher on Ray, as far as it needs no Ray."""

import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from recsys_lab.compute import ray_nodes
from recsys_lab.compute.ray_cluster import ClusterError, check_cluster, connect
from recsys_lab.compute.ray_nodes import NodePool
from recsys_lab.compute.threads import CORES, usable_cores
from recsys_lab.config.configuration import register_resolvers
from recsys_lab.config.overrides import compose_jobs
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.run.argument_names import named
from recsys_lab.run.command_line import CONF
from recsys_lab.run.experiment import _sentence
from recsys_lab.run.job_checks import check_outlines
from recsys_lab.run.ray_launcher import RayOptions

OPTIONS = {"address": None, "num_cpus": 1, "num_gpus": 0, "n_jobs": None, "retries": 3}


def check(monkeypatch: pytest.MonkeyPatch, *words: str, has_ray: bool) -> None:
    found, spec = importlib.util.find_spec, ModuleSpec("ray", None) if has_ray else None
    find = lambda name, *_: spec if name == "ray" else found(name)  # noqa: E731
    monkeypatch.setattr("recsys_lab.compute.ray_cluster.find_spec", find)
    register_resolvers()
    jobs = compose_jobs(["-m", "hydra/launcher=ray", "seed=1,2", *words], CONF)
    assert jobs is not None
    check_outlines(jobs)


def test_without_ray_it_is_refused_early(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"^hydra/launcher=ray needs Ray: pip install 'recsys-lab"):
        check(monkeypatch, has_ray=False)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("num_cpus=0", r"hydra\.launcher\.num_cpus must be .*, got 0$"),
        ("num_gpus=-1", r"hydra\.launcher\.num_gpus must be .*, got -1$"),
        ("n_jobs=0", r"hydra\.launcher\.n_jobs must be .*, got 0$"),
        ("retries=many", r"hydra\.launcher\.retries must be .*, got 'many'$"),
        ("address=3", r"hydra\.launcher\.address must be .*, got 3$"),
    ],
)
def test_options_are_checked(monkeypatch: pytest.MonkeyPatch, word: str, told: str) -> None:
    check(monkeypatch, has_ray=True)
    with pytest.raises(ValueError, match=told):
        check(monkeypatch, f"hydra.launcher.{word}", has_ray=True)


@pytest.mark.parametrize("address", [None, "local"])
def test_either_starts_a_cluster_here(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict = {}
    ray = SimpleNamespace(is_initialized=lambda: False, __spec__=ModuleSpec("ray", None))
    ray.init = lambda **options: given.update(options)
    monkeypatch.setitem(sys.modules, "ray", ray)
    connect(address, "evaluation.ray")
    assert (given["address"], given["num_cpus"]) == ("local", usable_cores())


def test_an_address_is_tried_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After hours of training a mistake would come late; local starts nothing yet."""
    ray = SimpleNamespace(is_initialized=lambda: False, __spec__=ModuleSpec("ray", None))
    monkeypatch.setitem(sys.modules, "ray", ray)
    check_cluster("local", "evaluation.ray")
    with pytest.raises(ClusterError, match=r"at 127\.0\.0\.1:1 .*, or local to start one here$"):
        check_cluster("127.0.0.1:1", "evaluation.ray")


@pytest.mark.parametrize(
    ("mode", "has_token", "expected"),
    [(None, True, "token"), (None, False, "disabled"), ("disabled", True, "disabled")],
)
def test_a_cluster_is_met_with_the_token_of_the_user(
    mode: str | None,
    has_token: bool,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ray starts a cluster with a token where one lies, and its own clients do not look for it."""

    def init(**_: object) -> None:
        raise ConnectionError("refused")

    ray = SimpleNamespace(is_initialized=lambda: False, init=init, __spec__=ModuleSpec("ray", None))
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", mode or "")
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", *(() if mode else ("RAY_AUTH_MODE",))):
        monkeypatch.delenv(name, raising=False)
    if has_token:
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text("0123")
    with pytest.raises(ClusterError, match=rf"start one here; RAY_AUTH_MODE is {expected}, which"):
        check_cluster("auto", "evaluation.ray")


def test_a_test_that_has_lost_its_cluster_is_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised, named({}):
        raise ClusterError("no node of the Ray cluster is left")
    said = "no node of the Ray cluster is left"
    assert _sentence(raised.value, OmegaConf.create(), tmp_path) == said
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    on = f"{said}; go on with resume={tmp_path}"
    assert _sentence(raised.value, OmegaConf.create(), tmp_path) == on


def test_a_cluster_whose_nodes_do_not_begin_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nodes whose CPUs other work holds would be waited for in silence."""
    waits: list[float | None] = []

    def wait(running: list, timeout: float | None = None) -> tuple[list, list]:
        waits.append(timeout)
        return ([] if len(waits) == 1 else running[:1]), []

    call = SimpleNamespace(remote=lambda block: block)
    node = SimpleNamespace(begin=call, work=call)
    monkeypatch.setattr(ray_nodes, "_usable", lambda ray: [node])
    monkeypatch.setattr(ray_nodes, "_on_node", lambda ray, node: node)
    ray = SimpleNamespace(put=lambda make: "begun", wait=wait, get=lambda one: one)
    assert list(NodePool(ray).map(lambda: str, ["a", "b"])) == ["a", "b"]
    assert waits == [ray_nodes._PATIENCE, None, None, None]
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert told == ["no node of the Ray cluster has begun yet: others may hold its CPUs"]


def test_jobs_on_the_cluster_rank_on_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would wait for CPUs that they hold themselves."""
    check(monkeypatch, "evaluation.ray=auto", "test=false", has_ray=True)
    with pytest.raises(
        ConfigurationError, match=r"^evaluation\.ray does not go with hydra/launcher=ray"
    ):
        check(monkeypatch, "evaluation.ray=auto", has_ray=True)


@pytest.mark.parametrize(("num_cpus", "threads"), [(0.5, 1), (1, 1), (2.5, 2), (8, 8)])
def test_a_job_has_as_many_threads_as_cpus(
    num_cpus: float, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = RayOptions(**OPTIONS | {"num_cpus": num_cpus})
    monkeypatch.setitem(os.environ, CORES, str(options.num_threads))
    assert usable_cores() == threads


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Exception("The current node timed out.\nA log follows."), "The current node timed out"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_node_that_does_not_start_is_told_in_a_sentence(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(**_: object) -> None:
        raise error

    ray = SimpleNamespace(is_initialized=lambda: False, init=init, __spec__=ModuleSpec("ray", None))
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(ClusterError, match=rf"^no Ray cluster can be used at .* \({told}"):
        connect(None, "hydra/launcher=ray")
