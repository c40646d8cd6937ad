"""A table of items beside a list of edges."""

from pathlib import Path

import pytest

from recsys_lab.readers.account import CatalogError
from tests.readers.edge_cases import edge_source

TABLE = """item,title,brand,category,price
a,Red shoe,Acme,Shoes > Red,10.5
b,Blue shoe,,Shoes,
z,Never bought,Zeta,Hats,3
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    edges, items = tmp_path / "edges.csv", tmp_path / "items.csv"
    edges.write_text("a,b\nb,c\n")
    items.write_text(TABLE)
    return str(edges), str(items)


def test_items_of_the_edges_are_described(files: tuple[str, str]) -> None:
    records = edge_source(files[0], items_path=files[1]).read()
    assert records.items.rows() == [
        ("a", "Red shoe", "Acme", [["Shoes", "Red"]], 10.5, True),
        ("b", "Blue shoe", None, [["Shoes"]], None, True),
        ("c", None, None, None, None, False),
    ]
    assert "3 rows" in records.understood["items"]
    assert edge_source(files[0]).read().sources.tolist() == records.sources.tolist()


def test_items_without_an_edge_are_kept_on_demand(files: tuple[str, str]) -> None:
    records = edge_source(files[0], items_path=files[1], outside_items="keep").read()
    assert records.items["item"].to_list() == ["a", "b", "c", "z"]
    assert records.items["brand"].to_list() == ["Acme", None, None, "Zeta"]


def test_the_table_is_an_input_file_with_columns_that_can_be_named(
    files: tuple[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("id,maker of it\na,Acme\n")
    said = {"brand": "maker of it"}
    source = edge_source(files[0], items_path=str(other), item_columns=said)
    assert source.files == {"edges": files[0], "items": str(other)}
    assert source.read().items["brand"].to_list() == ["Acme", None, None]
    with pytest.raises(CatalogError, match=r"item_columns\.maker is no column that is read; these"):
        edge_source(files[0], item_columns={"maker": "x"})
