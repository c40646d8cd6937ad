"""`hydra/launcher=ray`: the jobs of a sweep on the nodes of a Ray cluster."""

import logging
import math
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, configure_log, filter_overrides, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict, read_write

from recsys_lab.compute.checks import check_value
from recsys_lab.compute.counts import count_of
from recsys_lab.compute.ranges import Count, CountOrZero
from recsys_lab.compute.ray_cluster import check_ray, connect
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.run.ray_jobs import NodeJob, run_here
from recsys_lab.run.sweep_jobs import is_finished

OPTION = "hydra/launcher=ray"
_SECTION = "hydra.launcher"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RayOptions:
    """What a job may use, and where.

    Attributes:
        address: of the cluster; None starts one on this machine.
        num_cpus: of a job.
        num_gpus: of a job.
        n_jobs: that run at a time at the most; None for as many as there is room for.
        retries: of a job whose node or process is lost.
    """

    address: str | None
    num_cpus: Annotated[float, Interval(ge=0.01, le=1024)]
    num_gpus: Annotated[float, Interval(ge=0, le=1024)]
    n_jobs: Count | None
    retries: CountOrZero

    def __post_init__(self) -> None:
        for field in fields(self):
            check_value(f"{_SECTION}.{field.name}", getattr(self, field.name), field.type)

    @property
    def num_threads(self) -> int:
        """Of a job."""
        return max(1, math.floor(self.num_cpus))


def check_launcher(launcher: Mapping[str, Any]) -> bool:
    """Whether it is this launcher, with sound options and Ray installed; nothing is started.

    Args:
        launcher: section `hydra.launcher`, of any launcher.

    Raises:
        ValueError: naming the option.
    """
    if not str(launcher.get("_target_", "")).endswith("RayLauncher"):
        return False
    check_ray(OPTION)
    RayOptions(**{str(name): x for name, x in launcher.items() if name != "_target_"})
    return True


class RaySweep(Launcher):
    """Runs each job as a Ray task in a process of its own.

    Args:
        options: of `RayOptions`.
    """

    def __init__(self, **options: Any) -> None:
        self._options = RayOptions(**options)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra passes."""
        self._context, self._task, self._config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs; those that have finished before are skipped.

        Raises:
            ConfigurationError: the cluster cannot be used.
            Interrupted: a signal has come; the jobs that ran have stopped, with a checkpoint.
        """
        from recsys_lab.run.ray_driver import RayJobs

        setup_globals()
        configure_log(self._config.hydra.hydra_logging, self._config.hydra.verbose)
        sweep = Path(self._config.hydra.sweep.dir).absolute()
        sweep.mkdir(parents=True, exist_ok=True)
        ray = connect(self._options.address, OPTION)
        self._tell_cluster(ray.nodes(), len(job_overrides))
        done: dict[int, JobReturn] = {}
        jobs: dict[int, NodeJob] = {}
        with _marker_in(sweep) as marker:
            for place, words in enumerate(job_overrides):
                number = initial_job_idx + place
                job = self._job(number, words, sweep, marker)
                log.info("\t#%d : %s", number, " ".join(filter_overrides(words)))
                if job.config.get("skip_finished") and is_finished(job.folder):
                    done[number] = self._run_here(job)
                else:
                    jobs[number] = job
            done |= RayJobs(ray, self._options, jobs).run()
        return [done[number] for number in sorted(done)]

    def _tell_cluster(self, nodes: Sequence[Mapping[str, Any]], num_jobs: int) -> None:
        options, alive = self._options, [node["Resources"] for node in nodes if node["Alive"]]
        for name, wanted in (("CPU", options.num_cpus), ("GPU", options.num_gpus)):
            most = max((node.get(name, 0) for node in alive), default=0)
            if wanted <= most:
                continue
            key = f"{_SECTION}.num_{name.lower()}s={wanted:g}"
            if options.address is None:
                raise ConfigurationError(f"{key} is more than this machine has ({most:g})")
            log.warning("%s: no node has more than %g now, so jobs wait for one", key, most)
        cpus = count_of(int(sum(node.get("CPU", 0) for node in alive)), "CPU")
        gpus = f" num_gpus={options.num_gpus:g}" if options.num_gpus else ""
        log.info(
            "%s on a Ray cluster of %s with %s; each takes num_cpus=%g%s",
            count_of(num_jobs, "job"), count_of(len(alive), "node"), cpus, options.num_cpus, gpus,
        )  # fmt: skip

    def _job(self, number: int, words: Sequence[str], sweep: Path, marker: Path) -> NodeJob:
        """A job whose folder has its name: it depends on what is there."""
        config = self._context.config_loader.load_sweep_config(self._config, list(words))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        HydraConfig.instance().set_config(config)
        name = str(config.hydra.sweep.subdir)
        with read_write(config.hydra):  # the same on every node
            config.hydra.sweep.subdir = name.replace("${", r"\${")
            config.hydra.sweep.dir = str(sweep).replace("${", r"\${")
        folder = sweep / name
        return NodeJob(
            self._context, self._task, config, Singleton.get_state(), Path.cwd(), folder, marker,
            self._options.num_threads, has_earlier=folder.is_dir(),
        )  # fmt: skip

    def _run_here(self, job: NodeJob) -> JobReturn:
        """Let a job of this process say that it has finished before."""
        returned = run_here(job)
        configure_log(self._config.hydra.hydra_logging, self._config.hydra.verbose)
        return returned


@contextmanager
def _marker_in(sweep: Path) -> Iterator[Path]:
    """A file by which a node knows that it sees this folder."""
    marker = sweep / f".driver-{secrets.token_hex(8)}"
    marker.touch(exist_ok=False)
    try:
        yield marker
    finally:
        marker.unlink(missing_ok=True)
