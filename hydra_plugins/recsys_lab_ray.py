"""The launcher of `hydra/launcher=ray`, where Hydra looks for its plugins."""

from recsys_lab.run.ray_launcher import RaySweep


class RayLauncher(RaySweep):
    """Runs jobs on a Ray cluster; see `recsys_lab.run.ray_launcher`."""

    def __init__(
        self,
        address: str | None,
        num_cpus: float,
        num_gpus: float,
        n_jobs: int | None,
        retries: int,
    ) -> None:
        super().__init__(
            address=address, num_cpus=num_cpus, num_gpus=num_gpus, n_jobs=n_jobs, retries=retries
        )
