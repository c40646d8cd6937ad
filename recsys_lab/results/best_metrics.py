"""Which checkpoint of a run was tested, as `metrics.json` has it."""

from collections.abc import Mapping
from typing import Any

_STEP, _EPOCH = "best/step", "best/epoch"


def best_metrics(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What a best checkpoint says of itself: `best/step`, `best/epoch` and `best/<monitor>`.

    Args:
        stored: the contents of the checkpoint. The epoch is counted from 1.
    """
    found: dict[str, Any] = {
        _STEP: int(stored["global_step"]),
        _EPOCH: int(stored["epoch"]) + 1,
    }
    for state in (stored.get("callbacks") or {}).values():
        if isinstance(state, Mapping) and state.get("best_model_score") is not None:
            found[f"best/{state['monitor']}"] = float(state["best_model_score"])
    return found


def describe_best(metrics: Mapping[str, Any]) -> str:
    """The checkpoint in words, such as "step 300, epoch 2, val/ndcg@10 0.1234"; else empty."""
    if _STEP not in metrics:
        return ""
    names = [name for name in metrics if name.startswith("best/") and name not in (_STEP, _EPOCH)]
    values = [f"{name.removeprefix('best/')} {metrics[name]:.4f}" for name in names]
    return ", ".join([f"step {metrics[_STEP]:,}", f"epoch {metrics[_EPOCH]:,}", *values])
