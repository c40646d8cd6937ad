"""The launcher of `hydra/launcher=ray`, where Hydra looks for its plugins."""

from recsys_lab.run.ray_launcher import RaySweep


class RayLauncher(RaySweep):
    """Runs jobs on a Ray cluster; see `recsys_lab.run.ray_launcher`."""
