"""The settings that tell a run from others: what TensorBoard compares runs by."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from recsys_lab.config.changes import flat
from recsys_lab.config.configuration import section_of
from recsys_lab.report.names import is_setting
from recsys_lab.run.command_line import CONF

Value = str | int | float | bool

_GROUPS = ("catalog", "split", "model", "data", "data.source", "optimizer", "schedule", "trainer")
_ALWAYS = ("seed", "model", "data")
_PRESETS = ("experiment", "debug")
_OVERRIDES = Path(".hydra", "overrides.yaml")


def hyper_parameters(configuration: Mapping[str, Any], folder: Path) -> dict[str, Value]:
    """Seed, model, data, and what differs from the defaults of the chosen groups, by name.

    What the command line of the run names is among them even if it is the default, so that all jobs
    of a sweep have the settings that were swept.

    Args:
        configuration: of the run, checked; empty where an experiment was built without one.
        folder: run folder; the command line is read there, if it was run by one.
    """
    if not configuration:
        return {}
    typed = dict(_words(folder))
    found: dict[str, Any] = {"seed": str(configuration.get("seed"))}  # a name, not a quantity
    usual = _usual_choices()
    for group in _GROUPS:
        node = section_of(configuration, group)
        if not isinstance(node, Mapping):
            continue
        choice, defaults = _choice(group, node)
        if group in (*_ALWAYS, *typed) or choice != usual.get(group, choice):
            found[group] = choice
        own = {key: value for key, value in flat(dict(node)).items() if _belongs(group, key)}
        for key, value in own.items():
            name = f"{group}.{key}"
            if is_setting(name) and (name in typed or _differs(value, defaults.get(key, value))):
                found[name] = value
    found |= {preset: typed[preset] for preset in _PRESETS if preset in typed}
    return {name: _plain(value) for name, value in found.items() if value is not None}


def _belongs(group: str, key: str) -> bool:
    """Whether a key is one of the group itself, not of its target or of a group within."""
    inner = [other.removeprefix(f"{group}.") for other in _GROUPS if other.startswith(f"{group}.")]
    return not key.endswith("_target_") and not key.startswith(tuple(f"{x}." for x in inner))


def _choice(group: str, node: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The choice of a group that a section came from, and its values.

    It is the one of the same target from which the fewest values differ. A section of another
    target has the name of that, and no defaults.
    """
    own, best = flat(dict(node)), None
    target = own.get("_target_")
    for name, values in _choices(group, str(target or "")):
        if values.get("_target_") == target:
            differing = sum(_differs(own.get(key), value) for key, value in values.items())
            if best is None or differing < best[0]:
                best = differing, name, values
    if best is None:
        return str(node.get("_target_", group)).rpartition(".")[2], {}
    return best[1:]


def _differs(value: Any, default: Any) -> bool:
    """Whether a value is another than the default, which may refer to a value elsewhere."""
    return bool(value != default) and not str(default).startswith("${")


def _choices(group: str, target: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The files of a group that name a target, or may inherit it; parsing all takes a second."""
    folder = CONF.joinpath(*group.split("."))
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_text()
        if target in text or "defaults:" in text:
            yield path.stem, flat(_with_defaults(path))


def _with_defaults(path: Path) -> dict[str, Any]:
    """A file of a group, above the files of the same group in its list of defaults."""
    values = _load(path)
    below = [name for name in values.pop("defaults", []) if isinstance(name, str)]
    bases = [_with_defaults(path.with_name(f"{name}.yaml")) for name in below if name != "_self_"]
    merged = OmegaConf.to_container(OmegaConf.merge(*bases, values))
    assert isinstance(merged, dict)  # noqa: S101 - narrows the type
    return {str(key): value for key, value in merged.items()}


def _usual_choices() -> dict[str, str]:
    """The choice of each group where the command line chooses none."""
    usual: dict[str, str] = {}
    for group, path in ("", CONF / "config.yaml"), ("data.", CONF / "data" / "sequences.yaml"):
        for entry in _load(path).get("defaults", []):
            if isinstance(entry, Mapping):
                usual |= {f"{group}{key}": str(value) for key, value in entry.items()}
    return usual


def _load(path: Path) -> dict[str, Any]:
    values = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    return {str(key): value for key, value in values.items()} if isinstance(values, dict) else {}


def _words(folder: Path) -> Iterator[tuple[str, str]]:
    """Keys and values of the overrides of the run's command line."""
    with suppress(OSError, ValueError, HydraException):
        words = OmegaConf.to_container(OmegaConf.load(folder / _OVERRIDES))
        for override in OverridesParser.create().parse_overrides(list(map(str, words or []))):
            yield override.key_or_group.replace("/", "."), str(override.get_value_element_as_str())


def _plain(value: Any) -> Value:
    return value if isinstance(value, str | int | float | bool) else str(value)
