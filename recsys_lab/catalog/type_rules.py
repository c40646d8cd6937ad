"""The rules of types: what each says of a user at a moment, or of an item, as a code."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from recsys_lab.catalog.catalog import Field, ItemCatalog
from recsys_lab.catalog.event_parts import TRAIN
from recsys_lab.catalog.event_split import EventSplit
from recsys_lab.catalog.timelines import Timeline
from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.near_words import did_you_mean
from recsys_lab.readers.account import CatalogError

DAY = 86_400
_POWERS = 12


class UserRule(NamedTuple):
    """What is said of a user at each entry of a timeline: codes (n,), -1 for nothing."""

    labels: list[str]
    codes: Callable[[Timeline], np.ndarray]


class ItemRule(NamedTuple):
    """What is said of items (n,) before events (n,), or after all training; codes as above."""

    labels: list[str]
    codes: Callable[[np.ndarray, np.ndarray | None], np.ndarray]


def user_rules(
    names: Sequence[str], split: EventSplit, catalog: ItemCatalog
) -> Mapping[str, UserRule]:
    """The rules of a user's type by name.

    They are the columns of the table of users; `num_events`, `num_sessions` and `days_active`, by
    powers of ten; `last_FIELD`, the first value of the last item in a field of the catalogue;
    `median_price`, the bin of the prices of the user's items.

    Raises:
        CatalogError: there is no such rule, or it says nothing of anybody.
    """
    events = split.events
    columns = [name for name in events.users.columns if name != "user"]
    fields = {f"last_{name}": name for name in _fields(catalog)}
    counted = {"num_events": None, "num_sessions": events.session}
    if events.time is not None:
        counted["days_active"] = np.floor(events.time / DAY)
    known = [*columns, *counted, *fields, "median_price"]
    found: dict[str, UserRule] = {}
    for name in names:
        _check_known("user_types", name, known)
        if name in columns:
            found[name] = _column(events.users[name])
        elif name in counted:
            found[name] = UserRule(_power_labels(), _counter(counted[name]))
        elif name == "median_price":
            found[name] = _median_price(_field("user_types", "price", catalog), events.item)
        else:
            found[name] = _last(_field("user_types", fields[name], catalog), events.item)
    return found


def item_rules(
    names: Sequence[str], split: EventSplit, catalog: ItemCatalog
) -> Mapping[str, ItemRule]:
    """The rules of an item's type by name.

    They are the fields of the catalogue, of which the first value counts, and `popularity`, the
    training events of the item before a moment, by powers of ten. Where events have no times, it is
    that of all training events.

    Raises:
        CatalogError: there is no such rule, or it says nothing of any item.
    """
    fields = _fields(catalog)
    found: dict[str, ItemRule] = {}
    for name in names:
        _check_known("item_types", name, [*fields, "popularity"])
        if name == "popularity":
            found[name] = _popularity(split)
        else:
            found[name] = _static(_field("item_types", name, catalog))
    return found


def _fields(catalog: ItemCatalog) -> list[str]:
    levels = [f"category_{level}" for level in range(catalog.num_levels)]
    return ["brand", "category", *levels, "price"]


def _check_known(argument: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise CatalogError(
            f"{argument} names the rule {name!r}{did_you_mean(name, known)}; the rules are "
            f"{', '.join(known)}"
        )


def _field(argument: str, name: str, catalog: ItemCatalog) -> Field:
    field = catalog.field(name)
    if not field.labels:
        raise CatalogError(
            f"{argument} names a rule of {name}, of which no item of the catalogue has a value"
        )
    return field


def _column(values: pl.Series) -> UserRule:
    """A column of the users' table."""
    labels = values.drop_nulls().unique().sort()
    codes = labels.search_sorted(values.fill_null("")).to_numpy().astype(np.int64)
    codes[values.is_null().to_numpy()] = -1
    return UserRule(labels.to_list(), lambda line: codes[line.user])


def _counter(values: np.ndarray | None) -> Callable[[Timeline], np.ndarray]:
    """The number of events before, or of runs of equal values of theirs."""

    def codes(line: Timeline) -> np.ndarray:
        is_event = line.place >= 0
        counts = is_event if values is None else line.changes(values[line.place])
        return powers(line.count_before(counts))

    return codes


def powers(counts: np.ndarray) -> np.ndarray:
    """0 of nothing, 1 of 1 to 9, 2 of 10 to 99, and so on."""
    return np.searchsorted(10 ** np.arange(_POWERS), counts, side="right")


def _power_labels() -> list[str]:
    return ["0", *(f"{10**k}-{10 ** (k + 1) - 1}" for k in range(_POWERS))]


def _last(field: Field, item_of_event: np.ndarray) -> UserRule:
    values = field.first_values

    def codes(line: Timeline) -> np.ndarray:
        before = np.arange(len(line)) - 1
        place = line.place[before]
        found = values[item_of_event[place]]
        return np.where((before >= line.first) & (place >= 0), found, -1)

    return UserRule(field.labels, codes)


def _median_price(field: Field, item_of_event: np.ndarray) -> UserRule:
    """The lower median of the price bins of the items before."""
    values = field.first_values
    order = np.argsort([float(label.split(" ")[0]) for label in field.labels], kind="stable")
    rank = np.argsort(order)  # of each code, by price

    def codes(line: Timeline) -> np.ndarray:
        code = np.where(line.place >= 0, values[item_of_event[line.place]], -1)
        found = _running_median(line.run, np.where(code >= 0, rank[code], -1), len(rank))
        return np.where(found >= 0, order[found], -1)

    return UserRule(field.labels, codes)


@jit()
def _running_median(run: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """(n,) the lower median of the earlier values of a run that are no -1; -1 where none is."""
    found = np.full(len(run), -1, np.int64)
    counts = np.zeros(size, np.int64)
    total = 0
    for k in range(len(run)):
        if k > 0 and run[k] != run[k - 1]:
            counts[:] = 0
            total = 0
        if total > 0:
            bin, left = 0, (total - 1) // 2
            while left >= counts[bin]:
                left -= counts[bin]
                bin += 1
            found[k] = bin
        if values[k] >= 0:
            counts[values[k]] += 1
            total += 1
    return found


def _static(field: Field) -> ItemRule:
    values = field.first_values
    return ItemRule(field.labels, lambda items, places: values[items])


def _popularity(split: EventSplit) -> ItemRule:
    events, time = split.events, split.events.time
    train = np.flatnonzero(split.part == TRAIN)
    total = np.bincount(events.item[train], minlength=split.num_items)
    if time is None:
        return ItemRule(_power_labels(), lambda items, places: powers(total[items]))
    times, now = np.unique(time[train]), time

    def keys(items: np.ndarray, places: np.ndarray) -> np.ndarray:
        return items.astype(np.int64) * (len(times) + 1) + np.searchsorted(times, now[places])

    ordered = np.sort(keys(events.item[train], train))
    begins = np.concatenate([[0], np.cumsum(total)])

    def codes(items: np.ndarray, places: np.ndarray | None) -> np.ndarray:
        if places is None:
            return powers(total[items])
        return powers(np.searchsorted(ordered, keys(items, places)) - begins[items])

    return ItemRule(_power_labels(), codes)
