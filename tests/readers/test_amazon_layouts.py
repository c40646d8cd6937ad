"""The same records in every layout are the same catalogue."""

import csv
import io
import json
from pathlib import Path

import polars as pl
import pytest

from recsys_lab.readers.account import CatalogError
from tests.readers.amazon_cases import fields, listings, source

RECORDS = [
    {
        "asin": f"B{k:03d}",
        "title": 'say "{[x]}", \\ and é\nnew',
        "brand": f"Brand {k % 3}",
        "price": k + 0.5,
        "categories": [["A", f"C{k % 4}"]],
        "related": {"also_bought": [f"B{(k + step) % 40:03d}" for step in (1, 3, 7)]},
    }
    for k in range(40)
]


def lines() -> str:
    return "".join(json.dumps(record) + "\n" for record in RECORDS)


def table(records: list[dict]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["title", "asin", "related", "brand", "price", "categories"])
    writer.writeheader()
    for record in records:
        writer.writerow(record)  # lists and objects as the text that Python gives them
    return text.getvalue()


LAYOUTS = {
    "array": lambda: json.dumps(RECORDS),
    "array of lines": lambda: "[\n" + ",\n".join(map(json.dumps, RECORDS)) + "\n]\n",
    "printed array": lambda: json.dumps(RECORDS, indent=4),
    "printed objects": lambda: "\n".join(json.dumps(record, indent=2) for record in RECORDS),
    "object of ids": lambda: json.dumps({record["asin"]: record for record in RECORDS}),
    "printed object of ids": lambda: json.dumps({r["asin"]: r for r in RECORDS}, indent=1),
    "literals": lambda: "".join(f"{record!r}\n" for record in RECORDS),
    "CSV": lambda: table(RECORDS),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("block", [1 << 20, 700])
def test_layouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, block: int) -> None:
    monkeypatch.setattr("recsys_lab.readers.opening.BLOCK_BYTES", block)
    (tmp_path / "lines").write_text(lines())
    (tmp_path / "other").write_text(LAYOUTS[layout]())
    expected, found = (source(tmp_path / n, max_bad_fraction=0).read() for n in ("lines", "other"))
    assert found.items.equals(expected.items)
    assert listings(found) == listings(expected)
    assert found.account.kept == 40


NAMES = {  # of a relation, in the files of 2014, of 2018, and in flat tables of either
    "also_bought": ("also_bought", "also_buy", "related.also_bought", "related.also_buy"),
    "also_viewed": ("also_viewed", "also_view", "related.also_viewed", "related.also_view"),
    "bought_together": ("bought_together", "related.bought_together"),
    "buy_after_viewing": ("buy_after_viewing", "related.buy_after_viewing"),
}


def named(name: str) -> list[dict]:
    """Records with one flat list; the first record has none, and one is refused by the types."""
    first = {"asin": "a", "title": "A", "brand": "Brand", "categories": ["Beauty", "Hair"]}
    return [first, first | {"asin": "b", name: ["a", "c"]}, {"asin": "c", "brand": 1, name: ["b"]}]


@pytest.mark.parametrize(("relation", "name"), [(r, name) for r in NAMES for name in NAMES[r]])
def test_names_of_lists(tmp_path: Path, relation: str, name: str) -> None:
    records = named(name)
    text = io.StringIO()
    writer = csv.DictWriter(text, ["asin", "title", "brand", "categories", name])
    writer.writeheader()
    last = {k: json.dumps(x) if isinstance(x, list) else x for k, x in records[2].items()}
    writer.writerows([*records[:2], last])
    files = {
        "csv": text.getvalue(),
        "lines": "\n".join(map(json.dumps, records)),
        "array": json.dumps(records),
        "literals": "\n".join(map(repr, records)),
    }
    for form, content in files.items():
        (tmp_path / form).write_text(content)
    table = pl.DataFrame([record | {"brand": str(record["brand"])} for record in records])
    table.write_parquet(tmp_path / "parquet")
    table.write_ipc(tmp_path / "arrow")
    for form in (*files, "parquet", "arrow"):
        weights = {one: 2.0 if one == relation else 0.0 for one in NAMES}
        found = source(tmp_path / form, relation_weights=weights).read()
        assert listings(found) == [("b", "a", 2.0), ("b", "c", 2.0), ("c", "b", 2.0)], form
        assert fields(found, "b")["categories"] == [["Beauty", "Hair"]], form


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "meta.parquet").write_bytes(b"PAR1" + bytes(30))
    with pytest.raises(CatalogError, match=r"meta.parquet cannot be read as Parquet \("):
        source(tmp_path / "meta.parquet").read()


def test_a_broken_end_is_one_bad_line(tmp_path: Path) -> None:
    (tmp_path / "cut").write_text(json.dumps(RECORDS, indent=1)[:-200])
    records = source(tmp_path / "cut").read()
    assert (records.account.kept, records.account.dropped) == (39, {"malformed": 1})


def test_lines_stay_lines(tmp_path: Path) -> None:
    """Whatever the first line is, those that follow are counted one by one."""
    for first in (
        "[1, 2]",
        "{",
        '{"asin": "x", "related": {"also_bought": ["B001"',
        "['asin']",
        "x,y",
    ):
        (tmp_path / "meta").write_text(first + "\n" + lines())
        account = source(tmp_path / "meta").read().account
        assert account.lines == 41, first
        assert account.kept == 40, first


def test_the_file_of_snap(tmp_path: Path) -> None:
    (tmp_path / "amazon-meta.txt").write_text(
        "# Full information about Amazon Share the Love products\nTotal items: 3\n\n"
        "Id:   0\nASIN: 0771044445\n  discontinued product\n\n"
        "Id:   1\nASIN: 0827229534\n  title: Patterns of Preaching: A Sampler\n  group: Book\n"
        "  salesrank: 396585\n  similar: 2  0804215715  0771044445\n  categories: 1\n"
        "   |Books[283155]|Subjects[1000]|Preaching[12368]\n  reviews: total: 2\n"
        "    2000-7-28  cutomer: A2JW67OY8U6HHK  rating: 5  votes:  10  helpful:   9\n\n"
        "Id:   2\nASIN: 0804215715\n  title: Other\n  similar: 0\n"
    )
    records = source(tmp_path / "amazon-meta.txt").read()
    assert listings(records) == [
        ("0827229534", "0771044445", 1.0),
        ("0827229534", "0804215715", 1.0),
    ]
    found = fields(records, "0827229534")
    assert found["title"] == "Patterns of Preaching: A Sampler"
    assert found["categories"] == [["Books", "Subjects", "Preaching"]]
