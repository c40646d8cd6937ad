"""Names of baselines and experiments in tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recsys_lab.report.used_runs import with_used_runs
from recsys_lab.results.run_folder import Run

_NOT_SETTINGS = (
    "seed",
    "prepared_dir",
    "max_memory_gb",
    "prepare",  # both give the same
    "ray_address",
    "evaluation.ray",
    "catalog.path",
    "catalog.val_path",
    "catalog.test_path",
    "catalog.items_path",
    "catalog.users_path",
    "vectors",  # model.path says it
    "embeddings",  # what a run leaves and shows changes no result
    "users",
    "projector",
    "model.list_length",
    "trainer.enable_progress_bar",
    "resume_with_changes",
    "resume",
    "evaluate",
    "test",
    "skip_finished",
    "checkpoint._target_",
    "checkpoint.every_n_steps",
    "checkpoint.every_n_minutes",
    "catalog.columns.source",  # the hashes of the data stand for how a list of edges is read
    "catalog.columns.target",
    "catalog.columns.weight",
    "catalog.columns.type",
    "catalog.separator",
    "catalog.comment",
    "catalog.repeats",
    "catalog.undirected",
)
_NOT_GROUPS = ("logger", "debug")  # what a debugging preset changes are settings
_USED_WITHOUT_TRAINING = ("catalog", "split", "model", "evaluation")
_AS_BEFORE: dict[str, Any] = {  # older runs do not say so
    "trainer.max_steps": -1,
    "trainer.max_time": None,
    "history._target_": "recsys_lab.evaluation.histories.HistoryWeights",
    "history.decay": 0.7,
    "history.last": None,
    "history.vector": "pooled",
    "nodes._target_": "recsys_lab.catalog.nodes.NodeOptions",
    "nodes.users": False,
    "nodes.user_types": [],
    "nodes.item_types": [],
    "nodes.min_events": 10,
    "nodes.labels": [],
    "nodes.graph": "auto",
    "exchange._target_": "recsys_lab.models.exchange.ExchangeOptions",
    "exchange.every_n_batches": None,
    "exchange.precision": 32,
    **{f"catalog.item_columns.{field}": None for field in ("title", "brand", "category", "price")},
    "catalog.outside_items": "drop",
    "evaluation.max_choice_items": 50_000,
    "evaluation.max_ease_items": 4_000,
    "evaluation.max_local_ease_items": 0,
}
_MAX_DIFFERENCES = 4


def baseline_labels(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Labels of the baselines of a run, by name: its own, or its name with blanks."""
    names = dict.fromkeys(key.split("/")[1] for key in metrics if key.startswith("baseline/"))
    return {name: metrics.get(f"label/{name}", name.replace("_", " ")) for name in names}


def is_setting(name: str) -> bool:
    """Whether a key of the configuration is one of the experiment, not of its seed or its files."""
    return name not in _NOT_SETTINGS


def settings(run: Run, users: Sequence[Path] = ()) -> dict[str, Any]:
    """The flat configuration without the seed and the places of files.

    Runs with equal settings are one experiment. The hashes of split and vocabulary stand for the
    contents of the input files, and what other runs are, of which this one was made, for their
    places. A checkpoint that training was resumed from is no setting; one that was only evaluated
    is. Of a run that trains no vectors, what belongs to training is none.

    Args:
        run: whose settings.
        users: folders of runs that use it, which it is not made of.
    """
    folders = *users, run.folder
    flat = with_used_runs(
        flatten(run.config), folders, lambda used: (_base_label(used), settings(used, folders))
    )
    flat = {k: v for k, v in flat.items() if k not in _AS_BEFORE or v != _AS_BEFORE[k]}
    for name in _NOT_SETTINGS:
        flat.pop(name, None)
    flat = {name: value for name, value in flat.items() if name.split(".")[0] not in _NOT_GROUPS}
    if not run.is_trained:
        flat = {n: v for n, v in flat.items() if n.split(".")[0] in _USED_WITHOUT_TRAINING}
    if run.config.get("train", True):
        flat.pop("ckpt_path", None)
    return flat


def experiment_labels(runs: Sequence[Run]) -> list[str]:
    """A distinct name for each run, each of another experiment, by preset or model.

    Equal names get the settings in which their runs differ.
    """
    labels = [_base_label(run) for run in runs]
    every = [named_settings(run) for run in runs]
    for label in dict.fromkeys(labels):
        equal = [k for k, other in enumerate(labels) if other == label]
        if len(equal) > 1:
            differing = _differing([every[k] for k in equal])
            for k in equal:
                own = every[k]
                shown = [f"{n.rpartition('.')[2]}={own[n]}" for n in differing if n in own]
                more = ["..."] if len(shown) > _MAX_DIFFERENCES else []
                labels[k] = " ".join([label, *shown[:_MAX_DIFFERENCES], *more])
    repeats = [labels[:k].count(label) for k, label in enumerate(labels)]
    return [f"{label} #{n + 1}" if n else label for label, n in zip(labels, repeats, strict=True)]


def _base_label(run: Run) -> str:
    if run.vectors:
        return f"external: {Path(run.vectors).name}"
    if preset := run.choices.get("experiment"):
        return str(preset)
    if model := run.choices.get("model"):
        data = run.choices.get("data")
        return f"{model} on {data}" if data else str(model)
    target = flatten(run.config).get("model._target_")
    return str(target).rpartition(".")[2] if target else run.folder.name


def named_settings(run: Run) -> dict[str, Any]:
    """The settings, and the choice of each configuration group."""
    of_training = (
        ("data", "optimizer", "schedule", "trainer", "callbacks") if not run.is_trained else ()
    )
    unused = (*of_training, *_NOT_GROUPS)
    choices = {
        n: v
        for n, v in run.choices.items()
        if v is not None and not n.startswith("hydra") and n not in unused
    }
    return {**choices, **settings(run)}


def _differing(flats: Sequence[Mapping[str, Any]]) -> list[str]:
    """Settings that differ among runs; where a group's choice differs, only the choice."""
    names = sorted({name for flat in flats for name in flat}, key=lambda n: ("." in n, n))
    differing = [n for n in names if any(flat.get(n) != flats[0].get(n) for flat in flats)]
    chosen = [name for name in differing if "." not in name]
    hidden = [n for n in differing if n.split(".")[0] in chosen or n.endswith("_target_")]
    return [n for n in differing if n in chosen or n not in hidden] or differing


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """A configuration with the whole key of each value, such as `model.embedding_dim`."""
    if isinstance(value, Mapping):
        return {
            name: leaf
            for key, inner in value.items()
            for name, leaf in flatten(inner, f"{prefix}{key}.").items()
        }
    return {prefix.removesuffix("."): value}
