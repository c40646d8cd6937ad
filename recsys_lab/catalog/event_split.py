"""Train, validation and test of an event log: what a query's history is to predict.

A query is a user or a session. Nothing of the future is in training or in a history.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import MinLen

from recsys_lab.catalog.cooccurrence import cooccurrence_pairs, why_no_pairs
from recsys_lab.catalog.event_parts import (
    TEST,
    TRAIN,
    VAL,
    EventParts,
    by_time,
    history_of,
    leave_one_out,
    only_last_targets,
    session_moments,
    validation_of_training,
)
from recsys_lab.catalog.held_out_negatives import TooFewNegativesError
from recsys_lab.catalog.pairs import ItemPairs
from recsys_lab.catalog.query_negatives import (
    degree_matched_query_negatives,
    uniform_query_negatives,
)
from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import PartialShare, Seed
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.pair_options import PairOptions
from recsys_lab.readers.records import CatalogSource, Events

log = logging.getLogger(__name__)

Part = Literal["val", "test"]
PARTS: dict[Part, int] = {"val": VAL, "test": TEST}
Negatives = dict[str, np.ndarray]  # protocol -> (M, 2) int32, (query, item)


@checked
@dataclass(frozen=True)
class EventSplitOptions:
    """How to split an event log.

    Attributes:
        by: "leave_one_out" holds out the last target of each query for test and the last but one
            for validation; "time" cuts the log at two moments; "given" takes the parts that the
            log brings.
        query: whose history predicts: "user", or "session", of which only the last target counts.
        targets: kinds of events that are held out; null: all.
        filter_history: true leaves items of the history out of the candidates, and targets that
            stand in the history out of the evaluation.
        negatives: protocols to draw negatives for, one negative for each target: "uniform" among
            the items that the query has not met in any part; "degree_matched" permutes the items of
            the targets over the queries.
        seed: seed of the split; apart from the training seed, so that runs stay comparable.
        val_fraction: of "time" the share of the events for validation; of "given" the share of the
            training events for validation, where the log brings no validation.
        test_fraction: of "time" the share of the events for test.
    """

    by: Literal["leave_one_out", "time", "given"]
    query: Literal["user", "session"]
    targets: Annotated[Sequence[str], MinLen(1)] | None
    filter_history: bool
    negatives: Annotated[Sequence[Literal["uniform", "degree_matched"]], MinLen(1)]
    seed: Seed
    val_fraction: PartialShare | None = None
    test_fraction: PartialShare | None = None

    def __post_init__(self) -> None:
        used = {"leave_one_out": (), "time": ("val_fraction", "test_fraction")}
        for name in ("val_fraction", "test_fraction"):
            is_used = name in used.get(self.by, ("val_fraction",))
            if is_used and getattr(self, name) is None:
                raise ValueError(
                    f"{name} is needed by by={self.by}: use split={self.by}, or give a share such "
                    "as 0.1"
                )
            if not is_used and getattr(self, name) is not None:
                raise ValueError(f"{name} has no effect with by={self.by}: leave it out")
        if (total := sum(self.shares)) >= 1:
            raise ValueError(f"val_fraction + test_fraction must be below 1, got {total:g}")

    @property
    def shares(self) -> tuple[float, float]:
        """Shares for validation and for test; 0 where they do not decide."""
        return self.val_fraction or 0.0, self.test_fraction or 0.0


@dataclass(frozen=True)
class EventSplit:
    """An event log in parts.

    Attributes:
        events: the whole log, E events.
        query: (E,) int32, ascending, the query of each event.
        num_queries: Q.
        part: (E,) int8, 0 train, 1 validation, 2 test, -1 left out.
        is_target: (E,) bool, the held-out events whose item is to be predicted.
        in_history: by part, (E,) bool, the events from which its targets are predicted.
        train: co-occurrence of the training events.
        negatives: by part and protocol, (M, 2) int32, (query, item), as many as targets.
        filter_history: whether items of the history are no candidates.
        ordered: whether the order of a query's events says anything; not of baskets and sets.
        account: what was held out and what was left out, for the user.
    """

    events: Events
    query: np.ndarray
    num_queries: int
    part: np.ndarray
    is_target: np.ndarray
    in_history: dict[Part, np.ndarray]
    train: ItemPairs
    negatives: dict[Part, Negatives]
    filter_history: bool
    ordered: bool
    account: str

    @property
    def num_items(self) -> int:
        """N."""
        return self.train.num_items

    @cached_property
    def seen(self) -> np.ndarray:
        """Mask (N,) of the items that occur in a training event."""
        mask = np.zeros(self.num_items, bool)
        mask[self.events.item[self.part == TRAIN]] = True
        return mask

    def targets(self, part: Part) -> np.ndarray:
        """The distinct (query, item) to be predicted in a part, (P, 2) int32, ascending."""
        held = self.is_target & (self.part == PARTS[part])
        return _distinct_pairs(self.query[held], self.events.item[held], self.num_items)

    def histories(self, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """What each query has done before the targets of a part.

        Returns:
            offsets (Q + 1,) int64 and places (H,) int64 of events: the history of query q is
            places[offsets[q]:offsets[q + 1]], the latest last.
        """
        places = np.flatnonzero(self.in_history[part])
        counts = np.bincount(self.query[places], minlength=self.num_queries)
        return np.concatenate([[0], np.cumsum(counts)]), places


def check_source(source: CatalogSource, options: Any) -> None:
    """Refuse a split of events of a source that has none, before anything is read.

    Raises:
        CatalogError: naming the choices that fit.
    """
    if isinstance(options, EventSplitOptions) and not hasattr(source, "pairs"):
        raise CatalogError(
            f"by={options.by} splits an event log and this catalogue has no events: use "
            "catalog=events, or split=pairs"
        )


def split_events(
    events: Events, num_items: int, pair_options: PairOptions, options: EventSplitOptions
) -> EventSplit:
    """Split an event log and draw the negatives; a pure function of its arguments.

    Raises:
        CatalogError: the log lacks what the split needs, a part comes out empty, or there are too
            few negatives.
    """
    query, num_queries = _queries(events, options)
    # Lists without times that bring their parts are sets: their order says nothing.
    ordered = options.by != "given" or options.query == "session" or events.time is not None
    parts = _assign_parts(events, query, options, ordered=ordered)
    in_history = {
        name: history_of(query, parts, held, ordered=ordered) for name, held in PARTS.items()
    }
    kept, left_out = _evaluable(events, query, parts, in_history, num_items, options)
    for name, held in PARTS.items():
        if not (kept & (parts.part == held)).any():
            raise CatalogError(
                f"the {name} part of the split has no target ({left_out}): hold out more, let more "
                "kinds be targets, or use a longer log"
            )
    train = _train_pairs(events, num_items, pair_options, parts.part == TRAIN)
    split = EventSplit(
        events, query, num_queries, parts.part, kept, in_history, train, {"val": {}, "test": {}},
        options.filter_history, ordered, "",
    )  # fmt: skip
    targets = {name: split.targets(name) for name in PARTS}
    account = _account(split, targets, left_out, options)
    return replace(split, negatives=_draw_negatives(split, targets, options), account=account)


def _queries(events: Events, options: EventSplitOptions) -> tuple[np.ndarray, int]:
    """The query of each event, and the number of queries."""
    if options.query == "user":
        return events.user, events.users.height
    begins = np.diff(events.session, prepend=-1) != 0
    return np.cumsum(begins, dtype=np.int32) - np.int32(1), int(begins.sum())


def _assign_parts(
    events: Events, query: np.ndarray, options: EventSplitOptions, *, ordered: bool
) -> EventParts:
    may_be_target = of_kinds(events, options.targets, "targets")
    if options.by == "leave_one_out":
        return leave_one_out(query, may_be_target)
    if options.by == "time":
        time = _times(events)
        moment = time if options.query == "user" else session_moments(query, time, may_be_target)
        parts = by_time(time, moment, may_be_target, *options.shares)
    else:
        parts = _given_parts(events, may_be_target)
    if options.query == "session":
        parts = only_last_targets(query, parts)
    if options.by == "given" and not (parts.part == VAL).any():
        rng = np.random.default_rng([options.seed, 0])
        parts = validation_of_training(
            query, parts, may_be_target, options.shares[0], rng, ordered=ordered
        )
    return parts


def of_kinds(events: Events, names: Sequence[str] | None, argument: str) -> np.ndarray:
    """Mask (E,) of the events of some kinds; None: of all.

    Raises:
        CatalogError: there is no such kind; the argument is named.
    """
    if names is None:
        return np.ones(len(events), bool)
    for name in names:
        if name not in events.kind_names:
            raise CatalogError(
                f"{argument} names the kind {name!r}; the kinds of events are "
                f"{', '.join(map(repr, events.kind_names))}"
            )
    chosen = np.array([name in names for name in events.kind_names])
    return np.asarray(chosen[events.kind])


def _times(events: Events) -> np.ndarray:
    if events.time is None:
        raise CatalogError(
            "by=time needs the time of each event and this log has none: name its column of times, "
            "or use split=leave_one_out"
        )
    return events.time


def _given_parts(events: Events, may_be_target: np.ndarray) -> EventParts:
    if events.part is None:
        raise CatalogError(
            "by=given needs a log that says the part of each event and this one does not: use "
            "split=leave_one_out or split=time"
        )
    return EventParts(events.part.astype(np.int8), (events.part > TRAIN) & may_be_target)


def _evaluable(
    events: Events,
    query: np.ndarray,
    parts: EventParts,
    in_history: dict[Part, np.ndarray],
    num_items: int,
    options: EventSplitOptions,
) -> tuple[np.ndarray, str]:
    """Mask (E,) of the targets that can be ranked, and what is left out, in words."""
    kept, without, repeats = parts.is_target.copy(), 0, 0
    keys = query.astype(np.int64) * num_items + events.item
    for name, held in PARTS.items():
        places = np.flatnonzero(parts.is_target & (parts.part == held))
        history = in_history[name]
        has_history = np.zeros(int(query[-1]) + 1, bool)
        has_history[query[history]] = True
        bad = ~has_history[query[places]]
        without += int(bad.sum())
        if options.filter_history:
            is_repeat = np.isin(keys[places], keys[history])
            repeats += int(is_repeat.sum())
            bad |= is_repeat
        kept[places[bad]] = False
    said = f"left out {without:,} targets of {options.query}s without a history"
    if options.filter_history:
        said += f" and {repeats:,} that stand in the history"
    return kept, said


def _train_pairs(
    events: Events, num_items: int, pair_options: PairOptions, is_train: np.ndarray
) -> ItemPairs:
    train = cooccurrence_pairs(events, num_items, pair_options, is_train)
    if len(train) == 0:
        raise CatalogError(
            f"the {int(is_train.sum()):,} training events give no pair of items: "
            f"{why_no_pairs(events, pair_options, is_train)}, or hold out less"
        )
    return train


def _account(
    split: EventSplit, targets: dict[Part, np.ndarray], left_out: str, options: EventSplitOptions
) -> str:
    counts = [
        f"{len(found):,} {name} targets of {len(np.unique(found[:, 0])):,} {options.query}s"
        for name, found in targets.items()
    ]
    num_train = int((split.part == TRAIN).sum())
    return (
        f"split by {options.by}: {num_train:,} training events, {len(split.train):,} training "
        f"pairs, {', '.join(counts)} out of {split.num_queries:,}; {left_out}"
    )


def _draw_negatives(
    split: EventSplit, targets: dict[Part, np.ndarray], options: EventSplitOptions
) -> dict[Part, Negatives]:
    """Negatives of both parts by each protocol that can be drawn."""
    rng = np.random.default_rng([options.seed, 1])
    num_items = split.num_items
    met = _distinct_pairs(split.query, split.events.item, num_items)
    known = met[:, 0].astype(np.int64) * num_items + met[:, 1]
    candidates = np.unique(split.events.item)
    draw: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "uniform": lambda t: uniform_query_negatives(t[:, 0], candidates, known, num_items, rng),
        "degree_matched": lambda t: degree_matched_query_negatives(
            t, known, split.num_queries, num_items, rng
        ),
    }
    drawn: dict[Part, Negatives] = {"val": {}, "test": {}}
    problems = []
    for protocol in draw:
        if protocol not in options.negatives:
            continue
        try:
            found = {name: draw[protocol](targets[name]) for name in PARTS}
        except TooFewNegativesError as error:
            problems.append(str(error))
            log.warning("no %s negatives, their columns stay empty: %s", protocol, error)
            continue
        for name in PARTS:
            drawn[name][protocol] = found[name]
    if not drawn["val"]:
        raise CatalogError(problems[0])
    return drawn


def _distinct_pairs(queries: np.ndarray, items: np.ndarray, num_items: int) -> np.ndarray:
    """The distinct (query, item), ascending, (P, 2) int32."""
    keys = np.unique(queries.astype(np.int64) * num_items + items)
    return np.stack([keys // num_items, keys % num_items], axis=1).astype(np.int32)
