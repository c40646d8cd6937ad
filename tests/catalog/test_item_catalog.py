import numpy as np
import polars as pl
import pytest

from recsys_lab.catalog.catalog import Field, ItemCatalog
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.records import ITEM_SCHEMA

ITEMS = pl.DataFrame(
    {
        "item": ["0000013714", "1e5", "NA", "nan", "tab\tid"],
        "title": ["One", None, "Three", None, None],
        "brand": ["Acme", None, "Bolt", "Acme", None],
        "categories": [
            [["Home", "Kitchen"], ["Home", "Tools", "Saws"]],
            None,
            [["Music"]],
            [],
            [["Home", "Kitchen"]],
        ],
        "price": [1.0, 2.0, 3.0, 4.0, None],
        "has_metadata": [True, True, True, True, False],
    },
    schema=ITEM_SCHEMA,
)


def values(field: Field) -> list[list[str]]:
    bounds = zip(field.offsets, field.offsets[1:], strict=False)
    return [[field.labels[code] for code in field.codes[low:high]] for low, high in bounds]


@pytest.fixture
def catalog() -> ItemCatalog:
    return ItemCatalog(ITEMS)


def test_raw_ids_stay_as_they_are(catalog: ItemCatalog) -> None:
    assert catalog.index(["nan", "0000013714", "tab\tid"]).tolist() == [3, 0, 4]
    assert catalog.index([]).tolist() == []
    for wrong in ("13714", "zzz", "", "NaN"):
        with pytest.raises(CatalogError, match=f"no item {wrong!r}"):
            catalog.index(["NA", wrong])


def test_brand(catalog: ItemCatalog) -> None:
    assert values(catalog.field("brand")) == [["Acme"], [], ["Bolt"], ["Acme"], []]
    assert catalog.field("brand").cardinality == 2


def test_categories_by_level(catalog: ItemCatalog) -> None:
    assert catalog.num_levels == 3
    assert values(catalog.field("category")) == [
        ["Home", "Kitchen", "Saws", "Tools"],
        [],
        ["Music"],
        [],
        ["Home", "Kitchen"],
    ]
    assert values(catalog.field("category_0")) == [["Home"], [], ["Music"], [], ["Home"]]
    assert values(catalog.field("category_1")) == [["Kitchen", "Tools"], [], [], [], ["Kitchen"]]
    assert values(catalog.field("category_2")) == [["Saws"], [], [], [], []]


def test_price_bins_are_quantiles(catalog: ItemCatalog) -> None:
    field = catalog.field("price", price_bins=2)
    assert field.labels == ["1 to 2.5", "2.5 to 4"]
    assert values(field) == [["1 to 2.5"], ["1 to 2.5"], ["2.5 to 4"], ["2.5 to 4"], []]
    rng = np.random.default_rng(0)
    prices = pl.DataFrame({**ITEMS[:1].to_dict(), "price": pl.Series([1.0])})
    many = pl.concat([prices] * 1000).with_columns(price=pl.Series(rng.lognormal(size=1000)))
    counts = np.bincount(ItemCatalog(many).field("price", price_bins=10).codes)
    assert counts.tolist() == [100] * 10


def test_one_price_only(catalog: ItemCatalog) -> None:
    same = ItemCatalog(ITEMS.with_columns(price=pl.lit(5.0)))
    assert same.field("price").labels == ["5"]
    none = ItemCatalog(ITEMS.with_columns(price=pl.lit(None, pl.Float64)))
    assert none.field("price").cardinality == 0


def test_an_unknown_field_lists_those_there_are(catalog: ItemCatalog) -> None:
    with pytest.raises(
        CatalogError, match="brand, category, category_0, category_1, category_2, price"
    ):
        catalog.field("colour")
