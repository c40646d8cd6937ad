"""Lightning's trainer, of a run or of one of its ranks."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Trainer
from pytorch_lightning.profilers import PassThroughProfiler

from recsys_lab.config.targets import ConfigurationError, factory, parameters_of
from recsys_lab.run.argument_names import with_prefixes


def trainer_factory(section: Mapping[str, Any]) -> Callable[..., Trainer]:
    """Makes the trainer of a section; of several ranks that of one, by its number on its machine.

    Each rank has a trainer of one device. Lightning's own strategy would exchange all gradients in
    every step; ranks exchange what `recsys_lab.models.exchange` says.
    """
    arguments = {"trainer": set(parameters_of(section["_target_"])[0])}
    is_ddp = section.get("strategy") == "ddp"

    def call(*, local_rank: int = 0, **objects: Any) -> Trainer:
        try:
            own = _of_one(section, local_rank) if is_ddp else {}
            # else Lightning looks for processes that it has not started, and under Slurm handles
            # signals and starts jobs again itself
            objects["plugins"] = [*objects.get("plugins", ()), LightningEnvironment()]
            trainer = factory({**section, **own})(**objects)
        except (MisconfigurationException, ModuleNotFoundError, ValueError) as error:
            reason = with_prefixes(str(error).splitlines()[0].replace("`", ""), arguments)
            if section["accelerator"] != "cpu":
                reason = (
                    f"trainer.accelerator={section['accelerator']} with trainer.devices="
                    f"{section['devices']} cannot be used here ({reason}): try trainer=cpu"
                )
            raise ConfigurationError(reason) from error
        if not isinstance(profiler := trainer.profiler, PassThroughProfiler):
            profiler.filename = profiler.filename or "profile"  # else it goes into the log
        return trainer

    return call


def _of_one(section: Mapping[str, Any], local_rank: int) -> dict[str, Any]:
    """The arguments that differ for one rank."""
    is_gpu = section["accelerator"] != "cpu"
    found = torch.cuda.device_count()
    if is_gpu and found < section["devices"]:
        raise ValueError(f"there are {found} GPUs")
    return {"strategy": "auto", "num_nodes": 1, "devices": [local_rank] if is_gpu else 1}
