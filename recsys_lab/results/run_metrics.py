"""`metrics.json` of a run folder, read and checked."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

FILE_NAME = "metrics.json"
_NEEDED = ("hash/split", "hash/vocabulary")
_TEXTS = ("hash/", "label/", "fit/kernel", "git_commit", "versions/", "data/read_as/")
_NUMBERS = (
    "test/", "item_vectors/", "baseline/", "interval/", "difference/", "count/", "fit/",
    "data/num_",
)  # fmt: skip
_LARGEST = 1e15  # no run measures or counts more


def read_metrics(folder: Path) -> dict[str, Any]:
    """The metrics of a run.

    Raises:
        ValueError: the file is damaged, or it is not that of a run.
    """
    path = folder / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
        metrics = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise ValueError(f"{FILE_NAME} is damaged: {reason}") from error
    if not isinstance(metrics, dict) or any(name not in metrics for name in _NEEDED):
        raise ValueError(f"{FILE_NAME} does not name its data: the hashes are missing")
    _check_values(metrics)
    return metrics


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _check_values(metrics: Mapping[str, Any]) -> None:
    for name, value in metrics.items():
        if value is None and name not in _NEEDED:
            continue
        if name.startswith(_TEXTS):
            wanted = "" if isinstance(value, str) else "a text"
        elif name == "seed":
            wanted = "" if type(value) is int else "a whole number"
        else:
            is_number = not name.startswith(_NUMBERS) or _is_measured(value)
            wanted = "" if is_number else "a number that a run can measure"
        if wanted:
            shown = json.dumps(value)[:40]
            raise ValueError(f"{FILE_NAME} is damaged: {name} is {shown}, not {wanted}")


def _is_measured(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _LARGEST  # which NaN is not
