"""Prepared data of event logs."""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys_lab.catalog.cooccurrence import cooccurrence_pairs
from recsys_lab.catalog.event_split import PARTS, EventSplit, EventSplitOptions, split_events
from recsys_lab.catalog.prepared import prepare
from recsys_lab.catalog.split import SplitOptions
from recsys_lab.catalog.stored_arrays import split_arrays
from recsys_lab.readers.account import CatalogError, ReadAccount
from recsys_lab.readers.items import complete_items
from recsys_lab.readers.pair_options import PairOptions
from recsys_lab.readers.records import Events, Records
from recsys_lab.readers.synthetic import SyntheticSource
from tests.conftest import RELATION_WEIGHTS
from tests.event_cases import log_of, random_rows

NONE = np.empty(0, np.int32)
LAST = EventSplitOptions("leave_one_out", "user", None, True, ["uniform", "degree_matched"], 0)
PAIRS = {"by": "user", "window": 3, "max_distance": 9}


@dataclass(frozen=True)
class LogSource:
    """A log of random events."""

    seed: int = 0
    times: bool = True
    pairs: Mapping[str, Any] = dataclasses.field(default_factory=lambda: PAIRS)
    files: dict[str, str] = dataclasses.field(default_factory=dict)

    def read(self) -> Records:
        items = complete_items(pl.Series([f"i{k:02d}" for k in range(40)]))
        return Records(
            items, NONE, NONE, NONE, ReadAccount(), events=self.events, pair_options=self.pairs
        )

    @property
    def events(self) -> Events:
        log = log_of(random_rows(self.seed), times=self.times)
        shown = np.arange(2 * len(log), dtype=np.int32) % 40
        offsets = np.arange(len(log) + 1, dtype=np.int64) * 2
        return replace(log, shown_offsets=offsets, shown=shown)


@pytest.mark.parametrize("times", [True, False])
def test_events_come_back_as_they_were(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, times: bool
) -> None:
    caplog.set_level(logging.INFO)
    source = LogSource(times=times)
    first = prepare(source, LAST, tmp_path)
    again = prepare(source, LAST, tmp_path)
    assert first.split_hash == again.split_hash
    assert caplog.text.count("split by leave_one_out: ") == 2
    assert caplog.text.count("re-used") == 2
    assert "40 items, 8 users, 90 events" in caplog.text
    made = split_events(source.events, 40, PairOptions.of(PAIRS), LAST)
    assert isinstance(again.split, EventSplit)
    arrays, expected = split_arrays(again.split), split_arrays(made)
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
    for field in dataclasses.fields(Events):
        one, other = (getattr(log, field.name) for log in (again.split.events, source.events))
        if field.name == "users":
            assert one.equals(other)
        else:
            np.testing.assert_array_equal(one, other)
    assert (again.split.account, again.split.num_queries) == (made.account, 8)
    for part in PARTS:
        np.testing.assert_array_equal(again.split.targets(part), made.targets(part))


def test_every_option_of_events_has_a_place_of_its_own(tmp_path: Path) -> None:
    sources = [LogSource(pairs=PAIRS | {"max_distance": n}) for n in (9, 2)]
    splits = [LAST, replace(LAST, query="session"), replace(LAST, filter_history=False)]
    hashes = {prepare(source, split, tmp_path).split_hash for source in sources for split in splits}
    assert len(hashes) == 6
    assert len(list((tmp_path / "catalogs").iterdir())) == 2


def test_pairs_of_all_events_can_be_split_as_those_of_listings(tmp_path: Path) -> None:
    options = SplitOptions("pairs", 0.1, 0.1, ("uniform",), seed=0)
    data = prepare(LogSource(), options, tmp_path)
    every = cooccurrence_pairs(LogSource().events, 40, PairOptions.of(PAIRS))
    assert not isinstance(data.split, EventSplit)
    assert data.num_pairs == len(every)
    np.testing.assert_array_equal(data.split.known.keys, every.keys)
    assert data.relations.names == ()
    by_items = prepare(LogSource(), replace(options, by="items"), tmp_path)
    assert by_items.split_hash != data.split_hash


def test_damaged_events_are_built_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = prepare(LogSource(), LAST, tmp_path).split_hash
    (path,) = tmp_path.glob("catalogs/*/events.npz")
    path.write_bytes(path.read_bytes()[:-100])
    assert prepare(LogSource(), LAST, tmp_path).split_hash == whole
    assert "is damaged, built again" in caplog.text


def test_a_catalogue_without_events_is_refused_before_it_is_read(tmp_path: Path) -> None:
    source = SyntheticSource(
        num_items=300, seed=0, relation_weights=RELATION_WEIGHTS, outside_items="keep"
    )
    with pytest.raises(CatalogError, match=r"this catalogue has no events: use catalog=events"):
        prepare(source, LAST, tmp_path)
    assert not list(tmp_path.iterdir())


def test_events_without_pairs_are_refused(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Alone(LogSource):
        @property
        def events(self) -> Events:
            return log_of([("a", 1, 0, 0), ("b", 2, 0, 0)])

    with pytest.raises(CatalogError, match="the 2 events give no pair of items: no user has two"):
        prepare(Alone(), LAST, tmp_path)
