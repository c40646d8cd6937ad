"""Run folders read back: configuration, metrics and curves, or the problem with the run."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from recsys_lab.results.curve import Row, read_curve
from recsys_lab.results.precision_recall import Curve, read_precision_recall
from recsys_lab.results.run_lock import is_in_use
from recsys_lab.results.run_metrics import FILE_NAME as METRICS
from recsys_lab.results.run_metrics import read_metrics
from recsys_lab.results.write_errors import explain

CONFIG = Path(".hydra", "config.yaml")
_LOGGED = re.compile(r"^\S+ (?=[A-Z]+ )")  # the time before the level
NOT_TESTED = "not tested"  # first words of what the trial of a search logs
_STOPPED = ("interrupted", "stopped by")  # first words of what a stopped run logs


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
    def is_trained(self) -> bool:
        """Whether vectors are trained: not those of a file, nor in a mixture of other runs."""
        return not (self.vectors or self.is_mixture)

    @property
    def is_mixture(self) -> bool:
        """Whether its scores are a mixture of those of other runs and of baselines."""
        return "runs" in (self.config.get("model") or {})

    @property
    def left_out(self) -> str:
        """The reason why the run is left out of comparisons, or an empty text."""
        if not self.problem and self.config.get("test") is False:
            return f"not tested: {how_to_test(self.folder)} does so"
        return self.problem

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
        if not (folder / METRICS).exists():
            return Run(folder, config, choices, {}, _problem_of(folder))
        metrics = read_metrics(folder)
        curves = read_curve(folder), read_precision_recall(folder)
    except OSError as error:
        return Run(folder, config, choices, {}, explain(error))
    except ValueError as error:
        return Run(folder, config, choices, {}, _first_line(error))
    return Run(folder, config, choices, metrics, "", *curves)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        return _plain_config(folder)
    except OSError:
        raise
    except Exception as error:  # of YAML and OmegaConf, which damaged files bring to almost any
        raise ValueError(f"{CONFIG} is damaged: {_first_line(error)}") from error


def _plain_config(folder: Path) -> dict[str, Any]:
    config = OmegaConf.load(folder / CONFIG)
    try:
        plain = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException:  # an interpolation that only Hydra resolves
        plain = OmegaConf.to_container(config, resolve=False)
    if not isinstance(plain, dict) or not plain:
        raise ValueError("it holds no configuration")
    if not isinstance(plain.get("seed"), int | None):
        raise ValueError(f"seed is {str(plain['seed'])[:40]}, not a whole number")
    return {str(key): value for key, value in plain.items()}


def _read_choices(folder: Path) -> dict[str, Any]:
    try:
        hydra = OmegaConf.load(folder / ".hydra" / "hydra.yaml")
        choices = OmegaConf.select(hydra, "hydra.runtime.choices")
        plain = OmegaConf.to_container(choices) if OmegaConf.is_dict(choices) else {}
    except Exception:  # as of the configuration; the names of the choices are a help only
        return {}
    return {str(name): value for name, value in plain.items()} if isinstance(plain, dict) else {}


def _problem_of(folder: Path) -> str:
    """Why a run has no metrics, by its lock and the last line of its log that tells."""
    if is_in_use(folder):
        return "still running"
    for line in reversed(_log_lines(folder)):
        level, _, message = _LOGGED.sub("", line).partition(" ")
        message = message.strip()
        if message.startswith(_STOPPED):
            return f"interrupted{_remedy(folder)}"
        if message.startswith(NOT_TESTED):
            return message
        if level == "ERROR":
            return f"failed: {message}"
    return f"unfinished: no {METRICS} and no error logged, as of a killed process{_remedy(folder)}"


def _remedy(folder: Path) -> str:
    if not (folder / "checkpoints" / "last.ckpt").is_file():
        return ""
    return f": python train.py {how_to_resume(folder)} goes on"


def _log_lines(folder: Path) -> list[str]:
    lines: list[str] = []
    for log in sorted(folder.glob("*.log")):
        with suppress(OSError):
            lines += log.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sorts `2_x` before `10_x`."""
    return [
        (0, int(head), part) if (head := part.partition("_")[0]).isdecimal() else (1, 0, part)
        for part in path.parts
    ]


def how_to_resume(folder: Path) -> str:
    """The word of a command line that goes on with a run, quoted for the shell."""
    return shlex.quote(f"resume={folder}")


def how_to_test(folder: Path) -> str:
    """The command that tests a run."""
    return f"python train.py {shlex.quote(f'evaluate={folder}')}"
