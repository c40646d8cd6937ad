"""Which objects a configuration may build, and building them.

Building calls whatever a `_target_` names, so anything else could run code or write files.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from importlib import metadata
from typing import Any

from hydra.errors import CompactHydraException
from hydra.utils import get_object

_BUILDABLE = (
    "pytorch_lightning.Trainer",
    "recsys_lab.run.learning_curve.LearningCurve",
    "recsys_lab.run.best_checkpoint.BestCheckpoint",
    "recsys_lab.run.early_stopping.EarlyStopping",
    "recsys_lab.readers.amazon.AmazonSource",
    "recsys_lab.readers.edges.EdgeSource",
    "recsys_lab.catalog.event_split.EventSplitOptions",
    "recsys_lab.readers.events.EventSource",
    "recsys_lab.catalog.nodes.NodeOptions",
    "recsys_lab.catalog.split.SplitOptions",
    "recsys_lab.readers.synthetic.SyntheticSource",
    "recsys_lab.data.graph_batches.GraphDataModule",
    "recsys_lab.data.history_batches.HistoryDataModule",
    "recsys_lab.data.interactions.InteractionDataModule",
    "recsys_lab.data.modules.PairDataModule",
    "recsys_lab.data.modules.SequenceDataModule",
    "recsys_lab.data.relation_walks.RelationDataModule",
    "recsys_lab.data.teacher_batches.TeacherDataModule",
    "recsys_lab.run.final_test.FinalTest",
    "recsys_lab.evaluation.histories.HistoryWeights",
    "recsys_lab.evaluation.query_baselines.BaselineOptions",
    "recsys_lab.data.event_sequences.event_sequences",
    "recsys_lab.data.sequences.Walks",
    "recsys_lab.data.sequences.sequence_file",
    "recsys_lab.data.sequences.stored_walks",
    "recsys_lab.models.exchange.ExchangeOptions",
    "recsys_lab.models.optimizers.RowWiseAdagrad",
)
_OPEN_MODULES = (  # every function
    "recsys_lab.models.builders",
    "recsys_lab.models.schedules",
    "recsys_lab.run.loggers",
)


class ConfigurationError(CompactHydraException):
    """A value of the configuration cannot be used; the message is one sentence for the user."""


@cache
def library_modules() -> frozenset[str]:
    """Top-level modules of Python, of this project and of the libraries in its environment.

    A library is a distribution that the project requires, or that one of these requires.
    """
    known, waiting = set[str](), {"recsys-lab", "torch", "pytorch-lightning", "hydra-core"}
    while waiting:
        known.add(name := waiting.pop())
        with suppress(metadata.PackageNotFoundError):
            waiting |= {
                _plain(r) for r in metadata.requires(name) or () if "extra" not in r
            } - known
    owners = metadata.packages_distributions().items()
    found = {module for module, names in owners if known & set(map(_plain, names))}
    return frozenset({*sys.stdlib_module_names, "recsys_lab", *found})


def _plain(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-").replace(".", "-")


def import_plugins(names: Sequence[str]) -> None:
    """Import the user's packages, which may add to the registries of metrics and baselines.

    Raises:
        ConfigurationError: a package is not the user's own, or cannot be imported.
    """
    for name in names:
        if name.split(".")[0] in library_modules():
            raise ConfigurationError(
                f"plugins must name packages of your own, got {name!r}, which belongs to Python "
                "or to a library of this project"
            )
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever the import of a package raises
            raise ConfigurationError(
                f"plugins: cannot import {name!r} ({error}): install the package, or put the "
                "folder that holds it on PYTHONPATH"
            ) from error


def check_targets(configuration: Mapping[str, Any], plugins: Sequence[str]) -> None:
    """Compare every `_target_`, at any depth, with the objects that a configuration may build.

    Args:
        configuration: plain and resolved.
        plugins: packages whose own objects may be built, too.

    Raises:
        ConfigurationError: naming the key, the target and the line to add.
    """
    for key, target in _targets(configuration, ""):
        root = str(target).split(".")[0]
        if plugin := next((p for p in plugins if str(target).startswith(f"{p}.")), None):
            _check_plugin_target(key, str(target), plugin)
        elif not _is_allowed(target):
            remedy = (
                f"; for a package of your own add the line plugins: [{root}]"
                if "." in str(target) and root not in library_modules()
                else ""
            )
            raise ConfigurationError(
                f"{key} must be one of this project's objects, an optimiser of torch.optim or a "
                f"profiler of Lightning, got {target!r}{remedy}"
            )


def _targets(node: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "_target_":
                yield f"{place}{key}", value
            yield from _targets(value, f"{place}{key}.")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _targets(value, f"{place}{number}.")


def _check_plugin_target(key: str, target: str, plugin: str) -> None:
    """Refuse what the package only imports: `my_package.os.system` is not its own."""
    try:
        found = get_object(target)
    except Exception as error:  # whatever the import of a module of the package raises
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigurationError(f"{key}: cannot find {target} ({reason})") from error
    module = getattr(found, "__module__", None) or ""
    is_own = inspect.isclass(found) or inspect.isfunction(found)
    if not is_own or not f"{module}.".startswith(f"{plugin}."):
        raise ConfigurationError(
            f"{key} must be a class or a function that {plugin} defines, got {target!r}, "
            f"which {f'belongs to {module}' if module else 'is neither'}"
        )


def _is_allowed(target: Any) -> bool:
    """Whether the object itself is one that may be built: a name may lead anywhere."""
    if target in _BUILDABLE:
        return True
    module, _, name = str(target).rpartition(".")
    if module in _OPEN_MODULES:
        found = vars(importlib.import_module(module)).get(name)
        return inspect.isfunction(found) and found.__module__ == module and name[0] != "_"
    from pytorch_lightning.profilers import Profiler  # late: imports of seconds
    from torch.optim import Optimizer

    for package, kind in (("torch.optim", Optimizer), ("pytorch_lightning.profilers", Profiler)):
        if module == package:
            found = vars(importlib.import_module(package)).get(name)
            return isinstance(found, type) and issubclass(found, kind)
    return False


def parameters_of(target: str) -> tuple[Mapping[str, inspect.Parameter], Callable[..., Any]]:
    """The parameters of a target by name, and the function that has them."""
    function: Any = get_object(target)
    constructor = inspect.unwrap(function.__init__ if inspect.isclass(function) else function)
    return _parameters(constructor), constructor


@cache  # a sweep asks for each job
def _parameters(constructor: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    found = inspect.signature(constructor).parameters
    return {name: parameter for name, parameter in found.items() if name != "self"}


def factory(section: Mapping[str, Any]) -> Callable[..., Any]:
    """The target of a checked section with its configured arguments, to be called with the others.

    A nested section is built at once. Values are taken as they were checked: nothing is resolved
    a second time.
    """
    arguments = {key: _built(value) for key, value in section.items() if key != "_target_"}
    return partial(get_object(section["_target_"]), **arguments)


def _built(value: Any) -> Any:
    if isinstance(value, Mapping):
        if "_target_" in value:
            return factory(value)()
        return {key: _built(inner) for key, inner in value.items()}
    return [_built(inner) for inner in value] if isinstance(value, list) else value
