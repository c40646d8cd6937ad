"""Train, validation and test: split by pair or by item, with the negatives of the evaluation."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import MinLen

from recsys_lab.catalog.held_out_negatives import (
    TooFewNegativesError,
    degree_matched_negatives,
    uniform_negatives,
)
from recsys_lab.catalog.pairs import ItemPairs, pair_keys
from recsys_lab.compute.checks import checked
from recsys_lab.compute.ordering import sort_pairs
from recsys_lab.compute.ranges import PartialShare, Seed
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.records import LabelledPairs

log = logging.getLogger(__name__)

Negatives = dict[str, np.ndarray]  # protocol -> (M, 2) int32


@dataclass(frozen=True)
class HeldOut:
    """The pairs of one held-out split and their negatives, by protocol."""

    pairs: ItemPairs
    negatives: Negatives


@dataclass(frozen=True)
class Split:
    """Training pairs and two held-out sets; disjoint as unordered pairs."""

    train: ItemPairs
    val: HeldOut
    test: HeldOut

    @property
    def num_items(self) -> int:
        """N, the same in every part."""
        return self.train.num_items

    @property
    def seen(self) -> np.ndarray:
        """Mask (N,) of the items that occur in a training pair."""
        mask = np.zeros(self.num_items, bool)
        mask[self.train.items] = True
        return mask

    @property
    def known(self) -> ItemPairs:
        """The pairs of all three parts."""
        parts = (self.train, self.val.pairs, self.test.pairs)
        heads, tails, weights = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("heads", "tails", "weights")
        )
        heads, tails, weights = sort_pairs(heads, tails, weights, self.num_items)
        return ItemPairs(heads, tails, weights, self.num_items)


@checked
@dataclass(frozen=True)
class SplitOptions:
    """How to split.

    Attributes:
        by: "pairs" holds out a share of the pairs; "items" hides a share of the items with all
            their pairs, which is the cold-start test.
        val_fraction: share that goes to validation.
        test_fraction: share that goes to test.
        negatives: protocols to draw negatives for, one negative for each positive.
        seed: seed of the split; apart from the training seed, so that runs stay comparable.
    """

    by: Literal["pairs", "items"]
    val_fraction: PartialShare
    test_fraction: PartialShare
    negatives: Annotated[Sequence[Literal["uniform", "degree_matched"]], MinLen(1)]
    seed: Seed

    def __post_init__(self) -> None:
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError(
                "val_fraction + test_fraction must be below 1, got "
                f"{self.val_fraction + self.test_fraction:g}"
            )


def _hold_out(count: int, options: SplitOptions, rng: np.random.Generator) -> np.ndarray:
    """Draw a part for each of `count` things: 0 train, 1 validation, 2 test; exact shares."""
    parts = np.zeros(count, np.int8)
    order = rng.permutation(count)
    num_test = round(count * options.test_fraction)
    num_val = round(count * options.val_fraction)
    parts[order[:num_test]] = 2
    parts[order[num_test : num_test + num_val]] = 1
    return parts


def assign_parts(pairs: ItemPairs, options: SplitOptions) -> np.ndarray:
    """Part of each pair, (P,) int8: 0 train, 1 validation, 2 test.

    Split by items, a pair goes to the part of its later end: to test if either end is hidden for
    test, else to validation if either end is hidden for validation.
    """
    if options.by == "pairs":
        return parts_of_pairs(len(pairs), options)
    part_of_item = parts_of_items(pairs.items, pairs.num_items, options)
    return np.maximum(part_of_item[pairs.heads], part_of_item[pairs.tails])


def parts_of_pairs(num_pairs: int, options: SplitOptions) -> np.ndarray:
    """Part of each pair (P,), drawn at random."""
    return _hold_out(num_pairs, options, np.random.default_rng([options.seed, 0]))


def parts_of_items(items: np.ndarray, num_items: int, options: SplitOptions) -> np.ndarray:
    """Part of each item (N,), of those that stand in a pair drawn at random, else 0."""
    parts = np.zeros(num_items, np.int8)
    parts[items] = _hold_out(len(items), options, np.random.default_rng([options.seed, 0]))
    return parts


def split_pairs(pairs: ItemPairs, options: SplitOptions) -> Split:
    """Split pairs and draw the negatives; a pure function of its arguments.

    Raises:
        CatalogError: a part comes out empty, or there are too few negatives.
    """
    parts = assign_parts(pairs, options)
    train, val, test = (pairs.take(parts == part) for part in range(3))
    held = {"val": val, "test": test}
    return _with_negatives(train, held, {"val": {}, "test": {}}, options, pairs)


def given_split(pairs: ItemPairs, given: dict[str, LabelledPairs], options: SplitOptions) -> Split:
    """Use the labelled validation and test pairs that came with the catalogue.

    Their negatives form the protocol "given"; the other protocols are drawn as for any split.
    What would spoil the evaluation is taken out and reported: training pairs that are held out
    too, validation pairs that stand in test too, negatives that are a pair elsewhere.
    """
    positives = {name: _positives(part, pairs.num_items) for name, part in given.items()}
    test = positives["test"]
    val = positives["val"].take(~np.isin(positives["val"].keys, test.keys))
    held_keys = np.concatenate([val.keys, test.keys])
    train = pairs.take(~np.isin(pairs.keys, held_keys))
    known = np.concatenate([train.keys, held_keys])
    negatives: dict[str, Negatives] = {}
    for name, part in given.items():
        heads, tails = part.heads[~part.labels], part.tails[~part.labels]
        clean = ~np.isin(pair_keys(heads, tails, pairs.num_items), known)
        negatives[name] = {"given": np.stack([heads, tails], axis=1)[clean].astype(np.int32)}
        if not clean.all():
            count = (~clean).sum()
            log.warning("%s: %d given negatives are pairs elsewhere, left out", name, count)
    overlaps = len(pairs) - len(train), len(positives["val"]) - len(val)
    if any(overlaps):
        log.warning("%d training and %d validation pairs are held out later, left out", *overlaps)
    pairs = Split(train, HeldOut(val, {}), HeldOut(test, {})).known
    return _with_negatives(train, {"val": val, "test": test}, negatives, options, pairs)


def _positives(labelled: LabelledPairs, num_items: int) -> ItemPairs:
    """The distinct positives among labelled pairs, each with weight one."""
    heads, tails = labelled.heads[labelled.labels], labelled.tails[labelled.labels]
    keys = np.unique(pair_keys(heads, tails, num_items)[heads != tails])
    low, high = (keys // num_items).astype(np.int32), (keys % num_items).astype(np.int32)
    return ItemPairs(low, high, np.ones(len(keys), np.float32), num_items)


def _with_negatives(
    train: ItemPairs,
    held: dict[str, ItemPairs],
    given: dict[str, Negatives],
    options: SplitOptions,
    known: ItemPairs,
) -> Split:
    """Check that no part is empty and draw the negatives of both held-out parts.

    Args:
        train: training pairs.
        held: pairs of the held-out parts.
        given: their negatives that came with the catalogue.
        options: name the protocols.
        known: the pairs of all parts.
    """
    check_sizes(len(train), held)
    negatives = negatives_of_parts(held, given, options, known.keys, known.items)
    return Split(train, *(HeldOut(held[name], negatives[name]) for name in ("val", "test")))


def check_sizes(num_train: int, held: dict[str, ItemPairs]) -> None:
    """Refuse a split with an empty part."""
    for name, size in {"train": num_train, **{n: len(part) for n, part in held.items()}}.items():
        if size == 0:
            raise CatalogError(
                f"the {name} part of the split is empty ({num_train:,} training pairs): use a "
                "larger catalogue, or other val_fraction and test_fraction"
            )


def negatives_of_parts(
    held: dict[str, ItemPairs],
    given: dict[str, Negatives],
    options: SplitOptions,
    keys: np.ndarray,
    items: np.ndarray,
) -> dict[str, Negatives]:
    """The negatives of both held-out parts, those that are given included.

    Args:
        held: pairs of the held-out parts.
        given: their negatives that came with the catalogue.
        options: name the protocols.
        keys: ascending keys of the pairs of all parts.
        items: the items that stand in one.
    """
    rng = np.random.default_rng([options.seed, 1])
    num_items = held["val"].num_items
    negatives = {name: dict(given[name]) for name in held}
    problems = []
    for protocol in ("uniform", "degree_matched"):
        if protocol not in options.negatives:
            continue
        try:
            drawn = _draw_negatives(protocol, held, keys, items, num_items, rng)
        except TooFewNegativesError as error:
            problems.append(str(error))
            log.warning("no %s negatives, their columns stay empty: %s", protocol, error)
            continue
        for name in held:
            negatives[name][protocol] = drawn[name]
    if not all(negatives.values()):
        raise CatalogError(problems[0])
    return negatives


def _draw_negatives(
    protocol: str,
    held: dict[str, ItemPairs],
    keys: np.ndarray,
    items: np.ndarray,
    num_items: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Negatives (P, 2) of the held-out parts by one protocol."""
    if protocol == "uniform":
        sizes = [len(held["val"]), len(held["test"])]
        drawn = uniform_negatives(sum(sizes), items, keys, num_items, rng)
        return dict(zip(("val", "test"), np.split(drawn, sizes[:1]), strict=True))
    return {
        name: degree_matched_negatives(part.ids, keys, num_items, rng)
        for name, part in held.items()
    }
