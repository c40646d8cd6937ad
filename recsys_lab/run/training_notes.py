"""What is said of a training before it begins and when it has ended."""

import logging
import sys
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.profilers import PassThroughProfiler

from recsys_lab.models.encoders import SideInfoEncoder
from recsys_lab.models.task import EmbeddingNet
from recsys_lab.run.step_limit import reason_of_end

log = logging.getLogger(__name__)

_LONG = 1.0  # seconds of compiling that are worth a line


def tell_fields(net: EmbeddingNet) -> None:
    """Name the fields of side information of a model, with their share of the items."""
    encoder: Any = getattr(net, "centers", getattr(net, "encoder", None))
    names: Any = getattr(net, "fields", ())
    if not (isinstance(encoder, SideInfoEncoder) and names):
        return
    shares = encoder.present[:, 1:].float().mean(0).tolist()
    found = dict(zip(names, shares, strict=True))
    told = ", ".join(f"{name} of {share:.0%}" for name, share in found.items())
    log.info("side information: %s of the items", told)
    if empty := [name for name, share in found.items() if not share]:
        log.warning(
            "no item that is trained has a value of %s, so model.fields need not name it",
            " or ".join(empty),
        )


def tell_compiling(seconds: float) -> None:
    """Name the time that compiling took, if it is worth a line."""
    if seconds >= _LONG:
        log.info("compiling took %.1f s, which fit/seconds leaves out", seconds)


def tell_nothing_left(trainer: Trainer) -> None:
    """Say that a resumed run had come to its end before."""
    ends = reason_of_end(trainer)
    remedy = f"{ends} has ended it" if ends else "more epochs need a larger trainer.max_epochs="
    log.info("nothing is left to train: %s", remedy)


def print_profile(trainer: Trainer) -> None:
    """Print the seconds of each part, where a profiler was asked for."""
    profiler: Any = trainer.profiler  # type: ignore[attr-defined]
    if not isinstance(profiler, PassThroughProfiler):
        sys.stdout.write(f"{profiler.summary()}\n")
