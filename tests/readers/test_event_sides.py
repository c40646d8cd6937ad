"""Tables that describe the items and the users of events, and hashes of users."""

import hashlib
import json

import numpy as np
import pytest

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.user_ids import hash_ids
from tests.readers.event_cases import event_source

LOG = "user,item,time\nann,a,100\nbob,b,200\nann,c,300\nann,a,400\n"


@pytest.fixture
def read(tmp_path):
    """Read a log with tables beside it."""

    def read(items=None, users=None, log=LOG, **options):
        (tmp_path / "log.csv").write_text(log)
        for name, text in (("items", items), ("users", users)):
            if text is not None:
                (tmp_path / name).write_text(text)
                options[f"{name}_path"] = str(tmp_path / name)
        return event_source(tmp_path / "log.csv", **options).read()

    return read


def test_a_table_of_items(read):
    items = (
        "product_id,name,manufacturer,department,category,type,price\n"
        "a,A &amp; Co,Acme,GROCERY,BREAD,ROLLS,$3.50\nc,,unknown,GROCERY,,,\nz,Z,Zed,,,,1\n"
        "a,other,,GROCERY,CAKE,,9\n"
    )
    records = read(items)
    rows = records.items.to_dicts()
    assert [row["item"] for row in rows] == ["a", "b", "c"]
    assert rows[0] == {
        "item": "a", "title": "A & Co", "brand": "Acme", "price": 3.5, "has_metadata": True,
        "categories": [["GROCERY", "BREAD"], ["GROCERY", "CAKE"]],
    }  # fmt: skip
    assert not rows[1]["has_metadata"]
    assert rows[1]["categories"] is None
    assert rows[2]["brand"] is None
    assert rows[2]["categories"] == [["GROCERY"]]
    assert (
        "brand manufacturer, category_0 department, category_1 category, price price"
        in records.understood["items"]
    )
    kept = read(items, outside_items="keep").items
    assert kept["item"].to_list() == ["a", "b", "c", "z"]
    assert kept["title"][3] == "Z"


def test_columns_that_are_said(read):
    items = "id,brand,maker,kind,part\na,National,Acme,x,y\n"
    said = {"brand": "maker", "category": ["part", "kind"]}
    row = read(items, item_columns=said).items.row(0, named=True)
    assert row["brand"] == "Acme"
    assert row["categories"] == [["y", "x"]]
    with pytest.raises(CatalogError, match=r"has no column x, which item_columns\.title names"):
        read(items, item_columns={"title": "x"})
    with pytest.raises(CatalogError, match=r"item_columns\.colour is no column"):
        read(items, item_columns={"colour": "x"})
    with pytest.raises(CatalogError, match=r"has the columns sku, x.*item_columns\.title="):
        read("sku,x\na,b\n")
    with pytest.raises(CatalogError, match=r"has the columns x, name, .*call it item"):
        read("x,name\na,b\n")


def test_items_that_the_events_describe(read):
    log = "user,item,city\nann,a,Rome\nbob,a,Oslo\nann,b,Rome\nbob,a,Rome\n"
    rows = read(log=log, item_columns={"category": "city"}).items
    assert rows["categories"].to_list() == [[["Rome"], ["Oslo"]], [["Rome"]]]
    items = "item,title\na,T\n"
    rows = read(items, log=log, item_columns={"category": "city", "title": "title"}).items
    assert rows["categories"].to_list() == [[["Rome"], ["Oslo"]], [["Rome"]]]
    assert rows["title"].to_list() == ["T", None]


@pytest.mark.parametrize(
    ("cell", "paths"),
    [
        ("Action|Comedy", [["Action"], ["Comedy"]]),
        ("Home > Kitchen", [["Home", "Kitchen"]]),
        ('[["A", "B"], ["C"]]', [["A", "B"], ["C"]]),
        ('["A", "B"]', [["A", "B"]]),
    ],
)
def test_categories_in_one_cell(read, cell, paths):
    items = json.dumps({"item": "a", "categories": json.loads(cell) if cell[0] == "[" else cell})
    assert read(f"{items}\n{items}\n").items["categories"][0].to_list() == paths


def test_categories_by_item(read):
    items = json.dumps({"a": [7, 3], "c": [3], "q": [1]})
    assert read(items).items["categories"].to_list() == [[["7"], ["3"]], None, [["3"]]]


USERS = "household_id,age,kids\nbob,65+,0\nzoe,19-24,2\nbob,20,1\n"


def test_a_table_of_users(read):
    records = read(users=USERS)
    assert records.events.users.to_dicts() == [
        {"user": "ann", "age": None, "kids": None},
        {"user": "bob", "age": "65+", "kids": "0"},
    ]
    assert records.account.notes == {
        "users: repeated": 1, "users: without a row": 1, "users: rows without an event": 1,
    }  # fmt: skip


def test_users_are_hashed_as_they_are_read(read, monkeypatch):
    secret = {"hash_users": True, "hash_key_variable": "SECRET_OF_USERS"}
    with pytest.raises(CatalogError, match="SECRET_OF_USERS, which is not set in the environment"):
        read(**secret)
    unset = event_source("x", **secret)
    monkeypatch.setenv("SECRET_OF_USERS", "k")
    assert event_source("x", **secret).hash_check != unset.hash_check  # read anew
    plain, hashed = read(users=USERS), read(users=USERS, **secret)
    users = hashed.events.users
    key = hashlib.blake2b(b"k").digest()
    of = {
        hashlib.blake2b(name.encode(), digest_size=16, key=key).hexdigest(): name
        for name in ("ann", "bob")
    }
    assert users["user"].to_list() == sorted(of)
    assert [of[x] for x in users["user"].filter(users["age"] == "65+")] == ["bob"]
    for mine, other in ((plain, False), (hashed, True)):
        names = mine.events.users["user"].gather(mine.events.user).to_list()
        names = [of[name] for name in names] if other else names
        items = mine.items["item"].gather(mine.events.item).to_list()
        assert sorted(zip(names, items, mine.events.time, strict=True)) == [
            ("ann", "a", 100), ("ann", "a", 400), ("ann", "c", 300), ("bob", "b", 200),
        ]  # fmt: skip
    assert np.all(np.diff(hashed.events.user) >= 0)
    with pytest.raises(CatalogError, match="hash_key_variable is set while hash_users is false"):
        read(hash_key_variable="X")


def test_hashes_need_the_key():
    ids = ["1", "2"]
    assert hash_ids(ids, "a").to_list() != hash_ids(ids, "b").to_list()
    assert hash_ids(["1"], "")[0] == hashlib.blake2b(b"1", digest_size=16).hexdigest()
