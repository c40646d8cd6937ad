"""Parameters of baselines, chosen by NDCG@10 on validation, and baselines that are left out."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger(__name__)

Choice = tuple[float, ...]  # a value of each parameter


@dataclass
class Findings:
    """What was found while the baselines of a test were built.

    Attributes:
        parameters: by baseline; those that stand here already are taken, and not chosen again.
        values: NDCG@10 on validation by baseline, all on the same queries.
        left_out: why a baseline is not tested.
    """

    parameters: dict[str, dict[str, float]] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def leave_out(self, name: str, label: str, reason: str) -> None:
        """Note, and say, that a baseline is not tested."""
        log.info("the baseline %s is left out: %s", label, reason)
        self.left_out[name] = reason

    def metrics(self) -> dict[str, Any]:
        """`parameters/<baseline>/<parameter>`, `left_out/<baseline>`, `validation/baseline/...`.

        `validation/best_baseline` is the one with the best NDCG@10 there.
        """
        found: dict[str, Any] = {
            f"parameters/{name}/{parameter}": value
            for name, own in self.parameters.items()
            for parameter, value in own.items()
        }
        found |= {f"left_out/{name}": reason for name, reason in self.left_out.items()}
        found |= {f"validation/baseline/{n}/ndcg@10": value for n, value in self.values.items()}
        if self.values:
            found["validation/best_baseline"] = max(self.values, key=lambda n: self.values[n])
        return found


def best_choice(
    label: str,
    names: Sequence[str],
    choices: Sequence[Choice],
    value_of: Callable[[Choice], float],
    tried: dict[Choice, float],
) -> Choice:
    """The choice with the best NDCG@10 on validation, the first of equal ones.

    Args:
        label: of the baseline.
        names: of the parameters.
        choices: what is tried.
        value_of: measures a choice.
        tried: values of choices; those that stand here are not measured again.
    """
    if not (new := [choice for choice in choices if choice not in tried]):
        return max(choices, key=lambda choice: tried[choice])
    for choice in new:
        tried[choice] = value_of(choice)
    best = max(choices, key=lambda choice: tried[choice])
    log.info(
        "%s: %s has the best NDCG@10 on validation, of %s",
        label,
        said(names, best),
        ", ".join(f"{said(names, choice)} ({tried[choice]:.4f})" for choice in choices),
    )
    return best


def said(names: Sequence[str], choice: Sequence[float]) -> str:
    """Such as "penalty 50 and share 0.2"."""
    texts = [f"{name.replace('_', ' ')} {x:g}" for name, x in zip(names, choice, strict=True)]
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))
