"""What the baselines of a test were made with, as sentences."""

from collections.abc import Mapping
from typing import Any

from recsys_lab.report.names import baseline_labels


def baseline_facts(metrics: Mapping[str, Any]) -> list[str]:
    """Parameters, the best baseline on validation, and baselines that are left out and why."""
    labels = baseline_labels(metrics)
    facts = []
    if chosen := _parameters(metrics):
        texts = [
            f"{labels.get(name, name)} {', '.join(f'{n} {x:g}' for n, x in own.items())}"
            for name, own in chosen.items()
        ]
        facts.append(f"Parameters of baselines: {'; '.join(texts)}.")
    if best := metrics.get("validation/best_baseline"):
        value = metrics[f"validation/baseline/{best}/ndcg@10"]
        label = labels.get(best, best)
        facts.append(f"The best baseline on validation is {label} (NDCG@10 {value:.4f}).")
    for key, reason in metrics.items():
        if key.startswith("left_out/"):
            name = key.partition("/")[2]
            facts.append(f"The baseline {name.replace('_', ' ')} is left out: {reason}.")
    return facts


def _parameters(metrics: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for key, value in metrics.items():
        if key.startswith("parameters/"):
            _, name, parameter = key.split("/")
            found.setdefault(name, {})[parameter.replace("_", " ")] = value
    return found
