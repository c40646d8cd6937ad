"""What of the libraries' objects can be set, with the ranges that their signatures lack.

An argument that has no effect here is not listed, so that it is refused.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, get_type_hints

from annotated_types import Ge, Interval

from recsys_lab.compute.ranges import Count, Epsilon, LearningRate, Positive, Share
from recsys_lab.config.targets import parameters_of

_Decay = Annotated[float, Interval(ge=0, lt=1)]
_PositiveShare = Annotated[float, Interval(gt=0, le=1)]
_OPTIMIZER: dict[str, Any] = {
    "lr": LearningRate,
    "eps": Epsilon,
    "betas": tuple[_Decay, _Decay],
    "lr_decay": Share,
    "initial_accumulator_value": Literal[0] | Positive,
    "momentum": Annotated[float, Ge(0)],  # this one and the next two are refused with the reason
    "weight_decay": Annotated[float, Ge(0)],
    "maximize": bool,
}
_TRAINER: dict[str, Any] = {
    "accelerator": Literal["auto", "cpu", "gpu", "cuda", "mps"],
    "devices": Any,  # this one and the next are checked in `trainer_arguments`
    "num_nodes": Any,
    "strategy": Literal["auto", "ddp"],
    "precision": Literal["32-true", "bf16-mixed", 32],
    "max_epochs": Literal[-1] | Count | None,
    "min_epochs": Count | None,
    "max_steps": Literal[-1] | Count,
    "min_steps": Count | None,
    "max_time": Any,  # this one and what is not here are checked in `trainer_arguments`
    "limit_train_batches": Count | _PositiveShare | None,
    "overfit_batches": Literal[0] | Count | _PositiveShare,
    "enable_progress_bar": bool,
    "profiler": Literal["simple", "advanced", "pytorch"] | None,  # or an object of its own
}

KNOWN_ARGUMENTS: dict[str, dict[str, Any]] = {
    "pytorch_lightning.Trainer": _TRAINER,
    "torch.optim.SGD": _OPTIMIZER,
    "torch.optim.SparseAdam": _OPTIMIZER,
}


def used_arguments(target: str) -> Mapping[str, Any]:
    """The arguments of a target that can be set, with their types and ranges; Any for no type."""
    parameters, constructor = parameters_of(target)
    hints = _hints(constructor)
    known = KNOWN_ARGUMENTS.get(target)
    if target.startswith("torch.optim."):
        known = _OPTIMIZER
    if known is None:
        return {name: hints.get(name, Any) for name in parameters}
    return {n: hints[n] if h is None else h for n, h in known.items() if n in parameters}


@cache
def _hints(constructor: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return get_type_hints(constructor, include_extras=True)
    except NameError:  # a library that imports types for type checkers alone
        return {}
