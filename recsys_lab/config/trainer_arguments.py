"""What of Lightning's trainer cannot be used here, with the reason; limits that fit together."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from recsys_lab.compute.checks import check_value
from recsys_lab.compute.ranges import Count
from recsys_lab.config.targets import ConfigurationError

_NO_LOOP = "has no effect: the learning curve validates, set curve.every_n_batches or curve."
_ONE_DEVICE = "has no effect on one device"
REFUSED = {
    "accumulate_grad_batches": "cannot be used: every batch is a step; take larger batches, by "
    "data.walks_per_batch or data.batch_size",
    "barebones": "cannot be used: it would leave no curve and no checkpoint",
    "benchmark": "has no effect: it tunes convolutions",
    "callbacks": "cannot be set: take callbacks= without trainer.",
    "check_val_every_n_epoch": f"{_NO_LOOP}ranking_queries",
    "default_root_dir": "cannot be set: take hydra.run.dir",
    "detect_anomaly": "cannot be used: kernels and sparse updates are no part of autograd; a loss "
    "that is not finite stops the run anyway",
    "deterministic": "has no effect: the same seed repeats a run to the bit, on a CPU",
    "enable_autolog_hparams": "has no effect: the configuration is in .hydra/ and in checkpoints",
    "enable_checkpointing": "cannot be set: the best checkpoint is what is tested",
    "enable_model_summary": "has no effect",
    "fast_dev_run": "cannot be used: it would test untrained weights; take debug=fast_dev_run",
    "gradient_clip_algorithm": "is not supported: gradients are not clipped",
    "gradient_clip_val": "is not supported: the rows of a batch are updated in place; lower "
    "optimizer.lr",
    "inference_mode": f"{_NO_LOOP}max_pairs",
    "limit_predict_batches": "has no effect: there is no such loop",
    "limit_test_batches": "has no effect: the test has evaluation.max_scores",
    "limit_val_batches": f"{_NO_LOOP}max_pairs",
    "log_every_n_steps": "has no effect: set curve.every_n_batches",
    "logger": "cannot be set: take logger= without trainer.",
    "model_registry": "has no effect",
    "num_sanity_val_steps": f"{_NO_LOOP}max_pairs",
    "plugins": "cannot be set: the run has its own",
    "reload_dataloaders_every_n_epochs": "has no effect: every epoch draws its batches anew",
    "sync_batchnorm": _ONE_DEVICE,
    "use_distributed_sampler": _ONE_DEVICE,
    "val_check_interval": f"{_NO_LOOP}ranking_queries",
}
NOT_LISTED = frozenset(
    {*REFUSED, "min_epochs", "min_steps", "overfit_batches", "precision", "profiler"}
)  # arguments that no file of conf/trainer names
_DURATION = (
    "as DD:HH:MM:SS or by names such as {minutes: 90}, and longer than nothing (days, hours, "
    "minutes and seconds as whole numbers)"
)
_UNITS = ("days", "hours", "minutes", "seconds")


def check_trainer(trainer: Mapping[str, Any], *, may_stop: bool = False) -> None:
    """Refuse arguments that would change nothing or spoil a run, and limits that are none.

    Args:
        trainer: the section.
        may_stop: whether a callback may end training early.

    Raises:
        ConfigurationError: naming the argument and what to do.
    """
    for name in trainer:
        if name in REFUSED:
            raise ConfigurationError(f"trainer.{name} {REFUSED[name]}")
    for name in ("devices", "accelerator", "enable_progress_bar"):
        if name not in trainer:
            raise ConfigurationError(f"trainer.{name} is needed")
    _check_ranks(trainer)
    _check_limits(trainer, may_stop)


def _check_ranks(trainer: Mapping[str, Any]) -> None:
    strategy = trainer.get("strategy", "auto")  # others are refused where values are checked
    for name in ("devices", "num_nodes"):
        count = trainer.get(name, 1)
        try:
            check_value(f"trainer.{name}", count, Count)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        if count > 1 and strategy == "auto":
            raise ConfigurationError(
                f"trainer.{name}={count} is of several processes: add trainer=ddp, or leave it out"
            )
    if strategy == "ddp" and trainer["accelerator"] not in ("cpu", "gpu", "cuda"):
        raise ConfigurationError(
            f"trainer.accelerator={trainer['accelerator']} cannot be used with trainer=ddp: take "
            "cpu or gpu"
        )


def _check_limits(trainer: Mapping[str, Any], may_stop: bool) -> None:
    duration = trainer.get("max_time")
    if duration is not None and not _seconds(duration) > 0:
        raise ConfigurationError(f"trainer.max_time must be given {_DURATION}, got {duration!r}")
    unlimited = trainer.get("max_epochs") in (None, -1) and trainer.get("max_steps", -1) == -1
    if unlimited and duration is None:
        raise ConfigurationError(
            "training would never end: set trainer.max_epochs, trainer.max_steps or "
            "trainer.max_time"
        )
    for name in ("min_epochs", "min_steps"):
        least, most = trainer.get(name), trainer.get(name.replace("min", "max"))
        try:
            check_value(f"trainer.{name}", least, Count | None)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        if least is not None and duration is None and not may_stop:
            raise ConfigurationError(
                f"trainer.{name} has no effect without trainer.max_time or "
                "callbacks=early_stopping: only these end a run early"
            )
        if isinstance(least, int) and isinstance(most, int) and 0 < most < least:
            limit = f"trainer.{name.replace('min', 'max')}={most}"
            raise ConfigurationError(
                f"trainer.{name}={least} is more than {limit}: lower the one or raise the other"
            )


def _seconds(duration: Any) -> float:
    """Seconds of a duration as Lightning takes it; 0 for anything else."""
    if isinstance(duration, str):
        parts = duration.split(":")
        if len(parts) != len(_UNITS) or not all(x.isascii() and x.isdigit() for x in parts):
            return 0.0
        if any(len(part) != 2 for part in parts[1:]):
            return 0.0
        duration = dict(zip(_UNITS, map(int, parts), strict=True))
    if not isinstance(duration, Mapping) or not set(duration) <= set(_UNITS):
        return 0.0
    if any(not isinstance(x, int) or isinstance(x, bool) or x < 0 for x in duration.values()):
        return 0.0
    try:
        return timedelta(**duration).total_seconds()
    except OverflowError:
        return 0.0
