"""`resume=` and `evaluate=`: the words of an earlier run, before Hydra composes its configuration.

A run folder holds the words of its command line and the configuration that came of them. Both are
words of the new command line, before those that are typed now; the configuration only where the
words do not lead to it, since defaults have changed or presets are gone.
"""

import glob
import logging
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from recsys_lab.config.changes import IS_KEY, changes, flat
from recsys_lab.config.command_words import parse
from recsys_lab.config.overrides import compose_words
from recsys_lab.config.path_words import quoted
from recsys_lab.config.targets import ConfigurationError
from recsys_lab.results.files import write_text
from recsys_lab.results.latest_run import RUNS, resolve_run
from recsys_lab.results.precision_recall import FILE_NAME as PRECISION_RECALL
from recsys_lab.results.run_folder import CONFIG
from recsys_lab.results.run_lock import is_in_use
from recsys_lab.results.run_metrics import FILE_NAME
from recsys_lab.results.run_metrics import FILE_NAME as METRICS

log = logging.getLogger(__name__)

RESUME, EVALUATE, AUTO = "resume", "evaluate", "auto"
CHECKPOINTS = "checkpoints/*.ckpt"

# of one command only
_HERE = (RESUME, EVALUATE, "train", "ckpt_path", "resume_with_changes", "skip_finished")
_STORED = (CONFIG.name, "hydra.yaml", "overrides.yaml")
_UNREADABLE = (OSError, ValueError, OmegaConfBaseException, YAMLError)


def with_earlier_words(words: Sequence[str], conf: Path) -> list[str]:
    """The words of a command line with those of the run that it names by `resume=` or `evaluate=`.

    Changes to the folder in which that run was started, so that its relative paths are found.

    Args:
        words: after the program's name.
        conf: the configuration tree.

    Raises:
        ConfigurationError: the run cannot be gone on with or evaluated.
        ValueError: no run is the latest.
    """
    options = parse(words)
    try:
        typed = OverridesParser.create().parse_overrides(options.overrides)
    except HydraException:
        return list(words)  # told by the check of all words
    values = {o.key_or_group: _text(o) for o in typed if o.key_or_group in (*_HERE, "test")}
    resume, evaluate = values.get(RESUME), values.get(EVALUATE)
    if not (resume or evaluate):
        return list(words)
    _check_combination(values)
    before = [word for word in words if word not in options.overrides]  # such as --config-dir
    if resume == AUTO:
        found = [] if _has_folder(options, typed) else _same_unfinished(words, conf)
        return [*words, *found]
    name = RESUME if resume else EVALUATE
    if options.multirun:
        raise ConfigurationError(
            f"{name}={resume or evaluate} is for one run: a sweep goes on with resume=auto and the "
            "hydra.sweep.dir= that it had"
        )
    folder = find_run(str(resume or evaluate), CHECKPOINTS if resume else FILE_NAME)
    if resume:
        typed = _without_folder(typed, folder)
    run = _Earlier(folder)
    run.check(typed, name, changes_model=values.get("resume_with_changes", "").lower() == "true")
    own = run.resumed() if resume else run.evaluated()
    earlier = run.words(typed, conf, before)
    rest = [str(o.input_line) for o in typed if o.key_or_group not in (RESUME, EVALUATE)]
    run.change_folder()
    return [*before, *earlier, *rest, *own]


def find_run(name: str, holding: str) -> Path:
    """The folder of a run, for `latest` the newest one that holds files of the given names.

    Raises:
        ConfigurationError: there is none.
    """
    folder = resolve_run(Path(name).expanduser(), holding)
    if folder.is_file():
        raise ConfigurationError(
            f"{folder} is a file: name the folder of a run, or a checkpoint with ckpt_path="
        )
    if not folder.is_dir():
        raise ConfigurationError(f"there is no folder {folder}: name the folder of a run")
    if (
        not (folder / CONFIG).is_file()
        or not (folder / CONFIG).with_name("overrides.yaml").exists()
    ):
        raise ConfigurationError(
            f"{folder} is not the folder of a run, which has {CONFIG}: name a folder such as "
            f"{RUNS}/..."
        )
    return folder.resolve()


def _text(override: Override) -> str:
    """The value as text, empty for null; a path with `${` is written with a backslash before it."""
    value = override.value()
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value).replace(r"\${", "${")


def _is_value(word: str) -> bool:
    """Whether a stored word is one for a value or a group of the project that is taken up."""
    try:
        override = OverridesParser.create().parse_override(word)
    except HydraException:
        return False
    key, package = override.key_or_group, override.package or "_"
    names = (key.replace("/", "."), package)
    return key not in _HERE and all(IS_KEY.fullmatch(name) for name in names)


def _check_combination(values: Mapping[str, str]) -> None:
    given = [f"{name}={values[name]}" for name in (RESUME, EVALUATE) if values.get(name)]
    if values.get("ckpt_path"):
        given.append(f"ckpt_path={values['ckpt_path']}")
    if "train" in values and (EVALUATE in values or values["train"].lower() != "true"):
        given.append(f"train={values['train']}")
    if EVALUATE in values and values.get("test", "true").lower() != "true":
        given.append(f"test={values['test']}")
    if len(given) > 1:
        raise ConfigurationError(f"{given[0]} cannot be combined with {given[1]}: leave one out")


def _without_folder(typed: Sequence[Override], folder: Path) -> list[Override]:
    """The typed words without that for the folder of the run, which may be the same alone."""
    for override in typed:
        is_other = override.key_or_group == "hydra.run.dir"
        if is_other and Path(_text(override)).expanduser().resolve() != folder:
            raise ConfigurationError(
                f"{RESUME}= goes on in the folder that it names: leave {override.input_line} out, "
                "or take ckpt_path= to go on in another folder"
            )
    return [override for override in typed if override.key_or_group != "hydra.run.dir"]


def _has_folder(options: Any, typed: Sequence[Override]) -> bool:
    """Whether the words say where the run goes, or Hydra gives each job its place."""
    return options.multirun or any(
        o.key_or_group in ("hydra.run.dir", "hydra.mode") or o.is_sweep_override() for o in typed
    )


def _same_unfinished(words: Sequence[str], conf: Path) -> list[str]:
    """The word for the folder of the newest unfinished run with the same options; none if none."""
    try:
        wanted = _settings(compose_words(words, conf))
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError):
        return []  # told by the check of all words
    newest: dict[Path, int] = {}
    for path in RUNS.glob(f"*/{CHECKPOINTS}"):
        folder = path.parents[1]
        newest[folder] = max(newest.get(folder, 0), path.stat().st_mtime_ns)
    for folder in sorted(newest, key=lambda one: newest[one], reverse=True):
        if (folder / FILE_NAME).exists() or is_in_use(folder):
            continue
        try:
            stored = OmegaConf.load(folder / CONFIG)
            if _settings(stored) == wanted:
                return [f"hydra.run.dir={quoted(str(folder))}"]
        except _UNREADABLE:
            continue
    return []


def _settings(configuration: Any) -> dict[str, Any]:
    """What two runs with the same options share, unresolved."""
    plain = OmegaConf.to_container(configuration, resolve=False)
    if not isinstance(plain, dict):
        raise ValueError("no configuration")
    return {str(name): value for name, value in plain.items() if name not in _HERE}


@dataclass(frozen=True)
class _Earlier:
    """A run folder whose words are taken up."""

    folder: Path

    def resumed(self) -> list[str]:
        """The words that go on in the folder.

        Raises:
            ConfigurationError: it holds no checkpoint.
        """
        if not any(self.folder.glob(CHECKPOINTS)):
            raise ConfigurationError(
                f"{self.folder} holds no checkpoint yet: begin anew with the options of the run"
            )
        place = quoted(str(self.folder))
        return [f"{RESUME}={place}", f"hydra.run.dir={place}"]

    def evaluated(self) -> list[str]:
        """The words that test the best checkpoint; that of a model without training has none."""
        checkpoint = best_of(self.folder)
        test = ["test=true"] if self._load(CONFIG).get("test") is False else []
        word = f"{EVALUATE}={quoted(str(self.folder))}"
        if checkpoint is None and self._load(CONFIG).get("vectors"):
            return [word, *test]
        if checkpoint is None:
            raise ConfigurationError(f"{self.folder} holds no best checkpoint: train to its end")
        return [word, "train=false", *test, f"ckpt_path={quoted(str(checkpoint))}"]

    def check(self, typed: Sequence[Override], name: str, *, changes_model: bool) -> None:
        """Refuse several values of a key, and another model than that which was trained.

        Raises:
            ConfigurationError: naming the word.
        """
        for override in typed:
            key, _, value = str(override.input_line).partition("=")
            if override.is_sweep_override():
                is_list = OmegaConf.is_list(OmegaConf.select(self._load(CONFIG), key))
                remedy = f"for a list write '{key}=[{value}]'" if is_list else "give one"
                raise ConfigurationError(
                    f"{override.input_line} gives several values, and {name}= is for one run: "
                    f"{remedy}"
                )
            if key == "model" and not changes_model and self._is_other_choice(override):
                raise ConfigurationError(
                    f"{name}= takes the model that the run has trained, "
                    f"model={self._choices().get(key)}: leave {override.input_line} out"
                )

    def _choices(self) -> Mapping[str, Any]:
        return OmegaConf.select(self._load("hydra.yaml"), "hydra.runtime.choices") or {}

    def _is_other_choice(self, override: Override) -> bool:
        """Whether a word chooses another option of a group than the run had."""
        choices = self._choices()
        key = override.key_or_group
        return key in choices and str(choices[key]) != str(override.value())

    def words(self, typed: Sequence[Override], conf: Path, before: Sequence[str]) -> list[str]:
        """The stored words without those that are typed anew, and what else was configured.

        Only values are taken: a run folder may be that of somebody else, and options of Hydra, as
        files of configurations, can run code. So words that need files of the user's own are
        replaced by the values that came of them.
        """
        stored = [str(word) for word in self._load("overrides.yaml") if _is_value(str(word))]
        try:
            now, is_whole = compose_words([*before, *stored], conf), True
        except (HydraException, OmegaConfBaseException, YAMLError, ValueError):
            stored, now, is_whole = [], compose_words([], conf), False
        anew = {str(o.input_line).partition("=")[0] for o in typed}
        others = [o for o in typed if self._is_other_choice(o)]
        replaced = tuple(f"{o.key_or_group.replace('/', '.')}." for o in others)
        kept = [
            word
            for word in stored
            if word.partition("=")[0] not in anew and not word.lstrip("~+").startswith(replaced)
        ]
        chosen = tuple(f"{o.key_or_group.replace('/', '.')}." for o in typed)
        changed = changes(_settings(self._load(CONFIG)), _settings(now), is_whole)
        return kept + [
            word
            for word in changed
            if not f"{word.lstrip('~+').partition('=')[0]}.".startswith(chosen)
        ]

    def change_folder(self) -> None:
        """Change to the folder in which the run was started, where its relative paths start."""
        place = self._started_in()
        if place is not None and place != Path.cwd():
            sys.stderr.write(f"relative paths start at {place}, as when the run was started\n")
            os.chdir(place)

    def _started_in(self) -> Path | None:
        """That folder, or its new place if it was moved together with the run.

        Where both exist, the one in which the files of the configuration are.
        """
        runtime = OmegaConf.select(self._load("hydra.yaml"), "hydra.runtime") or {}
        started, output = (Path(str(runtime.get(name))) for name in ("cwd", "output_dir"))
        places = [started]
        if output.is_relative_to(started):
            inner = output.relative_to(started).parts[:-1]  # the run itself may be renamed
            parent = self.folder.parent
            if inner == parent.parts[len(parent.parts) - len(inner) :]:
                places.insert(0, parent.parents[len(inner) - 1] if inner else parent)
        places = [place for place in places if place.is_dir()]
        values = flat(_settings(self._load(CONFIG))).items()
        listed = [v if isinstance(v, list) else [v] for name, v in values if name.endswith("path")]
        paths = [str(path) for each in listed for path in each if path and "${" not in str(path)]
        whole = [place for place in places if all(_is_there(path, place) for path in paths)]
        return next(iter([*whole, *places]), None)

    def _load(self, name: str | Path) -> Any:
        try:
            return OmegaConf.load((self.folder / CONFIG).with_name(Path(name).name))
        except _UNREADABLE as error:
            raise ConfigurationError(
                f"{self.folder}/.hydra/{Path(name).name} cannot be read "
                f"({str(error).splitlines()[0]}): name its checkpoint with ckpt_path= and repeat "
                "the options"
            ) from error


def _is_there(path: str, place: Path) -> bool:
    """Whether a path, or a pattern, names anything from a folder."""
    path = os.path.expanduser(path)
    return (place / path).exists() or any(glob.iglob(path, root_dir=place, recursive=True))


def store_configuration(configuration: DictConfig, folder: Path) -> None:
    """Write the configuration of a run into its folder, with the names that Hydra gives it.

    Hydra would do so before any check, and the words of a refused command would stand beside the
    results of an earlier run. What an earlier run has left is removed, unless it goes on.
    """
    goes_on = bool(configuration.get(RESUME))
    if not goes_on:
        _remove_results(folder)
    hydra = OmegaConf.to_container(HydraConfig.instance().cfg or OmegaConf.create())
    assert isinstance(hydra, dict)  # noqa: S101 - narrows the type
    hydra["hydra"] |= {"output_subdir": CONFIG.parent.name}
    former = folder / CONFIG.with_name("hydra.yaml")
    if (
        goes_on and former.exists()
    ):  # a preset of the user's own is a choice that values stand for now
        choices = OmegaConf.select(OmegaConf.load(former), "hydra.runtime.choices") or {}
        own = hydra["hydra"]["runtime"]["choices"]
        own |= {name: choice for name, choice in choices.items() if own.get(name) is None}
    parts = {
        CONFIG.name: configuration,
        "hydra.yaml": OmegaConf.create({"hydra": hydra["hydra"]}),
        "overrides.yaml": HydraConfig.get().overrides.task,
    }
    for name, part in parts.items():
        write_text(folder / CONFIG.with_name(name), OmegaConf.to_yaml(part))


def holds_results(folder: Path) -> bool:
    """Whether a run has left anything that another configuration would be wrong for."""
    return (folder / METRICS).exists() or any(folder.glob(CHECKPOINTS))


def _remove_results(folder: Path) -> None:
    from recsys_lab.run.projector import CONFIG as PROJECTOR  # TensorBoard takes seconds to import
    from recsys_lab.run.projector import FOLDER as PROJECTED
    from recsys_lab.vectors.store import FOLDER as EMBEDDINGS

    if (folder / METRICS).exists():
        log.warning("the results of the run that was in %s are replaced", folder)
    for name in (METRICS, PRECISION_RECALL, PROJECTOR):
        (folder / name).unlink(missing_ok=True)
    for events in folder.glob("events.out.tfevents.*"):  # TensorBoard would show both runs
        events.unlink(missing_ok=True)
    for name in (EMBEDDINGS, PROJECTED, "figures"):
        shutil.rmtree(folder / name, ignore_errors=True)


def best_of(folder: Path) -> Path | None:
    """The best checkpoint of a run, or the one that it only evaluated."""
    found = sorted((folder / "checkpoints").glob("best*.ckpt"))
    if found:
        return found[0]
    evaluated = OmegaConf.select(OmegaConf.load(folder / CONFIG), "ckpt_path")
    return Path(evaluated) if evaluated else None
