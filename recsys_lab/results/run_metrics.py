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
_MEASURED = ("test/", "baseline/", "validation/", "chance/")
_SHARES = frozenset(("auc", "ap", "hr", "ndcg", "mrr", "recall", "precision", "map"))
_ROUNDING = 1e-6  # above 1, of sums of shares


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
            raise ValueError(f"{FILE_NAME} is damaged: {name} is {_show(value)}, not {wanted}")
        is_within = _is_measured(value) and -_ROUNDING <= value <= 1 + _ROUNDING
        if _is_share(name) and not is_within:
            raise ValueError(f"{FILE_NAME}: {name} is {_show(value)}, not within 0 and 1")


def _show(value: Any) -> str:
    return json.dumps(value)[:40]


def _is_share(name: str) -> bool:
    """Whether the metric is one of ranks or an area, with or without a cut-off: 0 to 1."""
    parts = name.split("/")
    return name.startswith(_MEASURED) and any(x.partition("@")[0] in _SHARES for x in parts[1:])


def _is_measured(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _LARGEST  # which NaN is not
