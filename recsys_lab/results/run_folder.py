"""Run folders read back: configuration, metrics and curves, or the problem with the run."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from recsys_lab.results.curve import Row, read_curve
from recsys_lab.results.precision_recall import Curve, read_precision_recall

CONFIG = Path(".hydra", "config.yaml")
_UNREADABLE = (OSError, ValueError, OmegaConfBaseException, yaml.YAMLError)


@dataclass(frozen=True)
class Run:
    """One run folder.

    Attributes:
        folder: its path.
        config: its configuration with interpolations resolved; empty if it cannot be read.
        choices: choice of each configuration group, such as `model: skipgram`.
        metrics: `metrics.json`; empty if the run did not finish.
        problem: the reason why the run cannot be compared, or an empty text.
        curve: rows of the learning curve.
        precision_recall: curves on the test pairs by slice.
    """

    folder: Path
    config: Mapping[str, Any]
    choices: Mapping[str, Any]
    metrics: Mapping[str, Any]
    problem: str = ""
    curve: Sequence[Row] = ()
    precision_recall: Mapping[str, Curve] = field(default_factory=dict)

    @property
    def seed(self) -> Any:
        """Seed of training."""
        return self.metrics.get("seed", self.config.get("seed"))

    @property
    def vectors(self) -> str:
        """The file of the vectors that were tested without training, or an empty text."""
        return str(self.config.get("vectors") or "")

    @property
    def data(self) -> tuple[str, str]:
        """Hashes of split and vocabulary; runs with the same ones are comparable."""
        return str(self.metrics["hash/split"]), str(self.metrics["hash/vocabulary"])


def find_run_folders(folders: Iterable[Path]) -> list[Path]:
    """Every folder at or below the given ones that Hydra wrote a configuration into, once each."""
    configs = [config for folder in folders for config in folder.rglob(str(CONFIG))]
    found = {config.parents[1].resolve(): config.parents[1] for config in configs}
    return sorted(found.values(), key=_natural)


def read_run(folder: Path) -> Run:
    """Read a run folder; what is missing or damaged becomes the run's `problem`."""
    config: dict[str, Any] = {}
    choices = _read_choices(folder)
    try:
        config = _read_config(folder)
        metrics = _read_metrics(folder)
        curves = read_curve(folder), read_precision_recall(folder)
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Run(folder, config, choices, {}, reason)
    return Run(folder, config, choices, metrics, "", *curves)


def _read_config(folder: Path) -> dict[str, Any]:
    config = OmegaConf.load(folder / CONFIG)
    try:
        plain = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException:  # an interpolation that only Hydra resolves
        plain = OmegaConf.to_container(config, resolve=False)
    if not isinstance(plain, dict):
        raise ValueError(f"{CONFIG} holds no configuration")
    return {str(key): value for key, value in plain.items()}


def _read_choices(folder: Path) -> dict[str, Any]:
    try:
        hydra = OmegaConf.load(folder / ".hydra" / "hydra.yaml")
        choices = OmegaConf.select(hydra, "hydra.runtime.choices")
    except _UNREADABLE:
        return {}
    return dict(choices) if OmegaConf.is_dict(choices) else {}


def _read_metrics(folder: Path) -> dict[str, Any]:
    path = folder / "metrics.json"
    if not path.is_file():
        raise ValueError(_last_error(folder) or "unfinished: no metrics.json and no error logged")
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"metrics.json is damaged: {error}") from error
    needed = ("hash/split", "hash/vocabulary")
    if not isinstance(metrics, dict) or any(name not in metrics for name in needed):
        raise ValueError("metrics.json does not name its data: the hashes are missing")
    return metrics


def _last_error(folder: Path) -> str:
    """The message of the last ERROR line in the run's log."""
    lines: list[str] = []
    for log in sorted(folder.glob("*.log")):
        lines += log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line.partition(" ERROR")[2].strip() for line in lines if " ERROR" in line]
    return f"failed: {errors[-1]}" if errors else ""


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sorts `2_x` before `10_x`."""
    return [
        (0, int(head), part) if (head := part.partition("_")[0]).isdecimal() else (1, 0, part)
        for part in path.parts
    ]
