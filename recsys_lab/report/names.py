"""Names for people: of baselines and of experiments."""

from collections.abc import Mapping, Sequence
from typing import Any

from recsys_lab.results.run_folder import Run

_BASELINES = {"adamic_adar": "Adamic-Adar", "content": "content (tf-idf)"}
_NOT_SETTINGS = ("seed", "prepared_dir", "catalog.path", "catalog.val_path", "catalog.test_path")
_MAX_DIFFERENCES = 4


def baseline_label(name: str) -> str:
    """`common_neighbours` -> `common neighbours`."""
    return _BASELINES.get(name, name.replace("_", " "))


def settings(run: Run) -> dict[str, Any]:
    """The flat configuration without the seed and the places of files.

    Runs with equal settings are one experiment. What the input files hold is known by the hashes
    of split and vocabulary. A checkpoint that training was resumed from is no setting; one that was
    only evaluated is.
    """
    flat = _flatten(run.config)
    for name in _NOT_SETTINGS:
        flat.pop(name, None)
    if run.config.get("train", True):
        flat.pop("ckpt_path", None)
    return flat


def experiment_labels(runs: Sequence[Run]) -> list[str]:
    """One name for each run of a different experiment, by preset or model, told apart.

    Where names are the same, the settings that differ among their bearers are added.
    """
    labels = [_base_label(run) for run in runs]
    every = [_named_settings(run) for run in runs]
    for label in dict.fromkeys(labels):
        bearers = [k for k, other in enumerate(labels) if other == label]
        if len(bearers) > 1:
            differing = _differing([every[k] for k in bearers])
            for k in bearers:
                own = every[k]
                shown = [f"{n.rpartition('.')[2]}={own[n]}" for n in differing if n in own]
                more = ["..."] if len(shown) > _MAX_DIFFERENCES else []
                labels[k] = " ".join([label, *shown[:_MAX_DIFFERENCES], *more])
    counts: dict[str, int] = {}
    for k, label in enumerate(labels):
        counts[label] = counts.get(label, 0) + 1
        if counts[label] > 1:
            labels[k] = f"{label} #{counts[label]}"
    return labels


def _base_label(run: Run) -> str:
    if preset := run.choices.get("experiment"):
        return str(preset)
    if model := run.choices.get("model"):
        data = run.choices.get("data")
        return f"{model} on {data}" if data else str(model)
    target = _flatten(run.config).get("model._target_")
    return str(target).rpartition(".")[2] if target else run.folder.name


def _named_settings(run: Run) -> dict[str, Any]:
    """The settings, with the choice of each group for all that it sets."""
    choices = {n: v for n, v in run.choices.items() if v is not None and not n.startswith("hydra")}
    return {**choices, **settings(run)}


def _differing(flats: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of settings that are not the same everywhere; a group's choice stands for the group."""
    names = sorted({name for flat in flats for name in flat}, key=lambda n: ("." in n, n))
    differing = [n for n in names if any(flat.get(n) != flats[0].get(n) for flat in flats)]
    chosen = [name for name in differing if "." not in name]
    plain = [
        name
        for name in differing
        if name in chosen or not (name.split(".")[0] in chosen or name.endswith("_target_"))
    ]
    return plain or differing


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {
            name: leaf
            for key, inner in value.items()
            for name, leaf in _flatten(inner, f"{prefix}{key}.").items()
        }
    return {prefix.removesuffix("."): value}
