"""Every number that a configuration can set has a range in a signature, and the range is held."""

import copy
import dataclasses
import importlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

import numpy as np
import pytest
from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt
from hydra.utils import get_object
from omegaconf import OmegaConf

from recsys_lab.catalog.split import SplitOptions
from recsys_lab.compute.checks import check_value, checked
from recsys_lab.compute.ranges import Count, Replicates, Share
from recsys_lab.config import targets
from recsys_lab.config.configuration import (
    _GROUPS,
    _TOP_LEVEL,
    SECTIONS,
    check_configuration,
    section_of,
)
from recsys_lab.config.library_arguments import used_arguments
from recsys_lab.config.targets import ConfigurationError
from tests.config.test_configuration import configuration

ANYTHING: dict[str, str] = {}  # key -> why no range is known
BASES = {  # what makes a configuration of each target
    "amazon.AmazonSource": ("catalog=amazon", "catalog.path=x"),
    "edges.EdgeSource": ("catalog=edges", "catalog.path=x"),
    "events.EventSource": ("catalog=events", "catalog.path=x"),
    "synthetic.SyntheticSource": (),
    "split.SplitOptions": (),
    "event_split.EventSplitOptions": ("split=time",),
    "graph_batches.GraphDataModule": ("data=graph",),
    "history_batches.HistoryDataModule": ("data=histories",),
    "interactions.InteractionDataModule": ("data=interactions", "nodes.users=true"),
    "modules.PairDataModule": ("data=pairs",),
    "modules.SequenceDataModule": (),
    "teacher_batches.TeacherDataModule": ("data=teacher",),
    "relation_walks.RelationDataModule": ("data=relations",),
    "nodes.NodeOptions": (),
    "histories.HistoryWeights": (),
    "query_baselines.BaselineOptions": (),
    "exchange.ExchangeOptions": (),
    "event_sequences.event_sequences": ("data/source=events",),
    "sequences.Walks": (),
    "sequences.sequence_file": ("data/source=sequence_file", "data.source.path=x"),
    "sequences.stored_walks": ("data/source=stored_walks", "data.source.path=x.npy"),
    "builders.skipgram": (),
    "builders.skipgram_side_info": ("model=skipgram_side_info",),
    "builders.starspace": ("model=starspace",),
    "builders.lightgcn": ("model=lightgcn",),
    "builders.pinsage": ("model=pinsage",),
    "builders.matrix_factorization": ("model=mf",),
    "builders.gensim_word2vec": ("model=gensim_word2vec",),
    "builders.history": ("model=history",),
    "builders.mixture": ("model=mixture",),
    "builders.spectral": ("model=spectral",),
    "builders.distilled": ("model=distilled",),
    "builders.external": ("model=external", "vectors=x"),
    "optimizers.RowWiseAdagrad": (),
    "optim.SGD": ("optimizer=sgd",),
    "optim.SparseAdam": ("optimizer=sparse_adam",),
    "optim.Adagrad": ("optimizer._target_=torch.optim.Adagrad",),
    "schedules.constant": ("schedule=constant",),
    "schedules.linear": (),
    "schedules.cosine": ("schedule=cosine",),
    "schedules.cosine_restarts": ("schedule=cosine_restarts",),
    "learning_curve.LearningCurve": (),
    "best_checkpoint.BestCheckpoint": (),
    "final_test.FinalTest": (),
    "pytorch_lightning.Trainer": (),
    "early_stopping.EarlyStopping": ("callbacks=early_stopping",),
    "loggers.tensorboard": ("logger=many",),
    "loggers.csv": ("logger=many",),
    "loggers.mlflow": ("logger=many",),
    "loggers.wandb": ("logger=many",),
}
Key = tuple[str, str, Any, tuple[str, ...]]  # key, target, type, overrides of a base


def short(target: str) -> str:
    return ".".join(target.split(".")[-2:])


@cache
def composed(base: tuple[str, ...]) -> dict[str, Any]:
    # Without a limit of time the least numbers of epochs and steps are refused as such.
    return check_configuration(configuration(*base, "+trainer.max_time=00:01:00:00"))


def keys() -> Iterator[Key]:
    """Every key of every section of every base, once for each target; and those at the top."""
    met = set()
    for base in dict.fromkeys(BASES.values()):
        plain = composed(base)
        named = {f"{group}.{name}": _GROUPS[group] for group in _GROUPS for name in plain[group]}
        for section, passed in (SECTIONS | named).items():
            node = section_of(plain, section)
            if not node or node["_target_"] in met:
                continue
            met.add(node["_target_"])
            for name, hint in used_arguments(node["_target_"]).items():
                if name not in passed:
                    yield f"{section}.{name}", node["_target_"], hint, base
    assert {short(target) for target in met} == set(BASES)
    for name, hint in _TOP_LEVEL.items():
        yield name, "", hint, ()


KEYS = list(keys())


def numbers(hint: Any, bounds: tuple[Any, ...] = ()) -> Iterator[tuple[type, tuple[Any, ...]]]:
    """The numeric types within a type, with the bounds around each."""
    if get_origin(hint) is Annotated:
        base, *own = get_args(hint)
        flat = [x for one in own for x in (one if isinstance(one, GroupedMetadata) else [one])]
        yield from numbers(base, (*bounds, *flat))
    elif hint in (int, float):
        yield hint, bounds
    elif get_origin(hint) is not Literal:
        for inner in get_args(hint):
            yield from numbers(inner)


def takes(hint: Any, value: Any) -> bool:
    try:
        check_value("x", value, hint)
    except ValueError:
        return False
    return True


def bad_values(hint: Any) -> list[Any]:
    """Numbers just beyond the bounds of a type, and what no number is."""
    found: list[Any] = [math.nan, -math.inf, 10**400, "abc", "", [], {}, [[]], "x" * 5000]
    for kind, bounds in numbers(hint):
        step = 1 if kind is int else 0.25
        for bound in bounds:
            match bound:
                case Ge(end):
                    found.append(end - step)
                case Le(end):
                    found.append(end + max(step, end))
                case Gt(end) | Lt(end):
                    found.append(end)
    if get_origin(hint) is Mapping:
        found = [{"also_bought": value} for value in found]
    elif list in getattr(get_origin(hint), "__mro__", ()) or get_origin(hint) is Sequence:
        found += [[value] for value in found]
    return [value for value in found if not takes(hint, value)]


WITH_RANGE = [entry for entry in KEYS if any(bounds for _, bounds in numbers(entry[2]))]


def test_every_buildable_target_has_a_base() -> None:
    builders = [
        f"{module}.{name}"
        for module in targets._OPEN_MODULES
        for name in vars(importlib.import_module(module))
        if targets._is_allowed(f"{module}.{name}")
    ]
    assert {short(target) for target in (*targets._BUILDABLE, *builders)} <= set(BASES)


@pytest.mark.parametrize(("key", "hint"), [(key, hint) for key, _, hint, _ in KEYS])
def test_every_number_has_a_range(key: str, hint: Any) -> None:
    bare = [kind for kind, bounds in numbers(hint) if not bounds]
    assert not bare or key in ANYTHING


@pytest.mark.parametrize("entry", WITH_RANGE, ids=[entry[0] for entry in WITH_RANGE])
def test_the_range_is_held(entry: Key) -> None:
    """By the configuration, and by what it builds."""
    key, target, hint, base = entry
    plain = composed(base)
    *path, name = key.split(".")
    bad = bad_values(hint)
    assert len(bad) >= 7
    for value in bad:
        changed = copy.deepcopy(plain)
        (section_of(changed, ".".join(path)) if path else changed)[name] = value
        with pytest.raises(ConfigurationError, match=rf"^{re.escape(key)}[^ ]* must be .*, got "):
            check_configuration(OmegaConf.create(changed))
        if target.startswith("recsys_lab."):
            with pytest.raises(ValueError, match=rf"^{name}[^ ]* must be .*, got "):
                get_object(target)(**{name: value})


@checked
def three(
    first: Count, second: Share = 0.5, *, third: Literal[0] | Replicates | None = None
) -> str:
    return f"{first} {second} {third}"


def test_a_checked_function_checks_every_way_of_calling() -> None:
    assert three(1) == "1 0.5 None"
    assert three(np.int64(3), np.float32(1), third=0) == "3 1.0 0"
    for values, named, message in (
        ((0,), {}, "first must be >= 1, got 0"),
        ((True,), {}, "first must be an integer, got True"),
        ((1, 1.5), {}, "second must be >= 0 and <= 1, got 1.5"),
        ((1,), {"second": "half"}, "second must be a finite number, got 'half'"),
        ((1,), {"third": 1}, "third must be 0 or an integer >= 2 or null, got 1"),
        ((1,), {"third": False}, "third must be 0 or an integer >= 2 or null, got False"),
        ((2**31,), {}, "first must be <= 2147483647, got 2147483648"),
        (("x" * 99,), {}, f"first must be an integer, got '{'x' * 59}..."),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            three(*values, **named)
    with pytest.raises(TypeError):
        three()


def test_a_checked_dataclass_is_checked_when_it_is_replaced() -> None:
    options = SplitOptions("pairs", 0.1, 0.1, ("uniform",), 0)
    with pytest.raises(ValueError, match=r"^val_fraction must be > 0 and < 1, got 0$"):
        dataclasses.replace(options, val_fraction=0)
    with pytest.raises(
        ValueError, match=r"^negatives must be a list, each uniform or degree_match"
    ):
        dataclasses.replace(options, negatives=("popular",))
