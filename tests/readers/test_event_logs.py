"""The six logs of RECSYS_LAB_DATA, counted by other means."""

import gzip
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys_lab.readers.records import Events, Records
from tests.readers.event_cases import event_source


def check(records: Records) -> Events:
    """The contract of `Events`."""
    events = records.events
    assert events is not None
    items, users = records.items["item"], events.users["user"]
    for ids in (items, users):
        assert ids.is_sorted()
        assert ids.n_unique() == len(ids)
    assert np.array_equal(np.unique(events.user), np.arange(len(users)))
    assert np.array_equal(np.unique(events.item), np.arange(len(items)))
    assert (np.diff(events.session) >= 0).all()
    assert np.ptp(events.session) == events.session[-1]
    same = np.diff(events.user) == 0
    assert (np.diff(events.user) >= 0).all()
    assert (np.diff(events.session)[~same] == 1).all()
    if events.time is not None:
        assert (np.diff(events.time)[same] >= 0).all()
    assert (events.weight > 0).all()
    assert events.kind.max() < len(events.kind_names)
    assert records.account.kept == len(events)
    assert records.account.lines == records.account.kept + records.account.dropped.total()
    return events


def test_complete_journey(data_folder):
    folder = data_folder / "complete_journey"
    records = event_source(
        folder / "transactions.parquet",
        items_path=str(folder / "products.parquet"),
        users_path=str(folder / "demographics.parquet"),
        item_columns={"brand": "manufacturer_id"},
        use_quantity=True,
    ).read()
    events = check(records)
    table = pl.read_parquet(folder / "transactions.parquet").filter(pl.col("quantity") > 0)
    assert len(events) == len(table)
    assert len(records.items) == table["product_id"].n_unique()
    assert events.session[-1] + 1 == table["basket_id"].n_unique()
    assert events.weight.sum(dtype=np.float64) == table["quantity"].sum()
    times = table["transaction_timestamp"].dt.epoch("s")
    assert events.time is not None
    assert events.time.sum() == times.sum()
    counts = np.bincount(events.user)
    expected = table["household_id"].cast(pl.String).value_counts().sort("household_id")
    assert events.users["user"].to_list() == expected["household_id"].to_list()
    assert counts.tolist() == expected["count"].to_list()
    assert events.users["age"].count() == 801
    assert events.users.width == 8
    assert records.items["brand"].count() == records.items["categories"].count()
    assert records.items["categories"].list.first().list.len().max() == 3


def test_the_sample_of_complete_journey(data_folder):
    path = data_folder / "complete_journey" / "transactions_sample100k.csv.gz"
    records = event_source(path).read()
    events = check(records)
    assert (len(events), len(events.users), len(records.items)) == (100_000, 2_405, 23_950)
    assert events.session[-1] + 1 == 56_625


def test_trivago(data_folder):
    path = data_folder / "trivago" / "sessions_100k.parquet"
    records = event_source(
        path, item_columns={"category": "city"}, kinds={"clickout item": 2}
    ).read()
    events = check(records)
    table = pl.read_parquet(path)
    items = table.filter(pl.col("reference").str.contains(r"^\d+$"))
    assert len(events) == len(items)
    assert len(records.items) == items["reference"].n_unique()
    assert events.session[-1] + 1 == items["session_id"].n_unique()
    clicks = events.kind == events.kind_names.index("clickout item")
    assert clicks.sum() == (table["action_type"] == "clickout item").sum()
    assert (events.weight == np.where(clicks, 2, 1)).all()
    known = set(items["reference"])
    lists = items.sort("user_id", "timestamp", "session_id", "step")["impressions"]
    assert events.shown_offsets is not None
    assert events.shown is not None
    lists = [[x for x in text.split("|") if x in known] if text else [] for text in lists]
    assert np.diff(events.shown_offsets).sum() == sum(map(len, lists)) == len(events.shown)
    hit = [events.item[e] in events.shown[slice(*events.shown_offsets[e : e + 2])]
           for e in np.flatnonzero(clicks)]  # fmt: skip
    there = [row[0] in row[1].split("|") for row in
             items.filter(pl.col("impressions").is_not_null())
             .select("reference", "impressions").iter_rows()]  # fmt: skip
    assert sum(hit) == sum(there)
    assert records.items["categories"].null_count() == 0
    dropped = records.account.dropped["no item but something else"]
    assert dropped == len(table) - len(items)
    assert "filter selection 5,303" in records.understood["events"]


@pytest.mark.parametrize(
    ("name", "users", "items"),
    [("beauty", 22_363, 12_101), pytest.param("toys", 19_412, 11_924, marks=pytest.mark.soak)],
)
def test_sequences(data_folder, name, users, items):
    folder = data_folder / f"sequences_{name}"
    path = folder / "sequences.txt.gz"
    records = event_source(path, items_path=str(folder / "item2attributes.json.gz")).read()
    events = check(records)
    assert (len(events.users), len(records.items)) == (users, items)
    assert records.items["categories"].null_count() == 0
    found = records.items["item"].gather(events.item).to_list()
    starts = np.searchsorted(events.user, np.arange(users + 1))
    row_of = {user: k for k, user in enumerate(events.users["user"])}
    with gzip.open(path, "rt") as lines:
        for line in lines:
            user, *own = line.split()
            assert found[starts[row_of[user]] : starts[row_of[user] + 1]] == own


@pytest.mark.parametrize(
    ("name", "users", "items"),
    [("electronics", 1_435, 1_522), pytest.param("ml1m", 6_022, 3_043, marks=pytest.mark.soak)],
)
def test_interactions(data_folder, name, users, items):
    folder = data_folder / f"interactions_{name}"
    paths: dict[str, Any] = {part: folder / f"{part}.txt.gz" for part in ("train", "test")}
    records = event_source(paths["train"], test_path=str(paths["test"])).read()
    events = check(records)
    assert (len(events.users), len(records.items)) == (users, items)
    user = events.users["user"].gather(events.user).to_list()
    item = records.items["item"].gather(events.item).to_list()
    assert events.part is not None
    for number, part in ((0, "train"), (2, "test")):
        with gzip.open(paths[part], "rt") as lines:
            expected = [(u, i) for u, *own in map(str.split, lines) for i in own]
        chosen = events.part == number
        found = [(u, i) for u, i, is_of in zip(user, item, chosen, strict=True) if is_of]
        assert sorted(found) == sorted(expected)
