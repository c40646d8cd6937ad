"""Items by id and by words of titles, by hand."""

import re

import polars as pl
import pytest

from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.lookup import find_rows, near_ids, not_found, search_rows

TITLES = {
    "B1": "Abbey Road",
    "B2": "Abbey Road (Remastered)",
    "B3": "Beyoncé Live",
    "B4": "The Best of Cafe\u0301 del Mar",  # an accent of its own
    "B5": "Roadhouse Blues: the best",
    "B6": "Crossroads",
    "B7": None,
    "B8": "!!!",
    "B9": "ДЕЛЬФИН Звезда",
    "C1": "AC/DC Live",
    "road": "Something else",
    "C2": "100% Colombian",
    "C3": "Don\u2019t Stop",
}
PAIRS = [1, 9, 5, 2, 3, 30, 1, 1, 1, 1, 1, 1, 1]


def items() -> pl.DataFrame:
    columns = {"item": list(TITLES), "title": list(TITLES.values()), "num_pairs": PAIRS}
    return pl.DataFrame(columns)


def found(text: str) -> list[str]:
    table = items()
    return table["item"][find_rows(table, text)].to_list()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("road", ["road"]),  # an id comes first
        ("abbey road", ["B1"]),  # the whole title
        ("ROAD abbey", ["B2", "B1"]),  # words in any order; the more pairs first
        ("Road", ["B2", "B1"]),  # whole words are preferred to Roadhouse and Crossroads
        ("roadh", ["B5"]),  # then the beginning of a word
        ("ssroads", ["B6"]),  # then what lies inside
        ("beyonce", ["B3"]),
        ("BEYONCÉ", ["B3"]),
        ("café", ["B4"]),
        ("the best", ["B4", "B5"]),
        ("best the roadhouse", ["B5"]),
        ("!!!", ["B8"]),
        ("дельфин", ["B9"]),
        ("ac/dc", ["C1"]),
        ("live", ["B3", "C1"]),
        ("100%", ["C2"]),
        (".*", []),  # no pattern
        ("don't stop", ["C3"]),
        ("nothing", []),
    ],
)
def test_items_are_found(text: str, expected: list[str]) -> None:
    assert found(text) == expected


def test_titles_that_open_with_the_words_come_first() -> None:
    titles = ["Live at Leeds", "Alive: live", "Live", "Live again"]
    table = pl.DataFrame({"item": list("abcd"), "title": titles, "num_pairs": [1, 99, 1, 5]})
    assert table["item"][find_rows(table, "live")].to_list() == ["c"]
    table = table.filter(pl.col("item") != "c")
    assert table["item"][find_rows(table, "live")].to_list() == ["d", "a", "b"]


def test_a_file_without_numbers_of_pairs_is_searched() -> None:
    table = items().drop("num_pairs")
    assert table["item"][find_rows(table, "ROAD abbey")].to_list() == ["B1", "B2"]


@pytest.mark.parametrize("text", ["", "  ", "\t"])
def test_no_words_are_a_sentence(text: str) -> None:
    with pytest.raises(VectorsError, match="name an item by its id or by words of its title"):
        find_rows(items(), text)


@pytest.mark.parametrize("title", [pl.lit(None), pl.lit(None, pl.String)])
def test_a_catalogue_without_titles_says_so(title: pl.Expr) -> None:
    table = items().with_columns(title=title)
    assert find_rows(table, "B4").tolist() == [3]
    with pytest.raises(VectorsError, match=r"no item 'b4' \(did you mean B4\?\), and the items"):
        find_rows(table, "b4")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("b3", "did you mean B3"),
        ("C12", "did you mean C1 or C2"),
        ("rodhouse", "titles have roadhouse"),
        ("abby road", "titles have abbey"),
        ("qqqq", "with these words$"),
    ],
)
def test_near_names_are_offered(text: str, hint: str) -> None:
    assert re.search(hint, not_found(items(), text)), not_found(items(), text)


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("road", 9, ["road", "B2", "B1", "B5", "B6"]),  # the id, then every kind of title
        ("road", 3, ["road", "B2", "B1"]),
        ("C", 9, ["B6", "B4", "C2", "B3", "C1", "C3"]),  # Beyoncé and AC/DC hold it; C3 is an id
        ("nothing", 9, []),
        ("", 9, []),
    ],
)
def test_hits_while_typing(text: str, limit: int, expected: list[str]) -> None:
    table = items()
    assert table["item"][search_rows(table, text, limit)].to_list() == expected


def test_ids_alone_are_searched_by_their_beginning() -> None:
    table = items().with_columns(title=pl.lit(None, pl.String))
    assert table["item"][search_rows(table, "C", 9)].to_list() == ["C1", "C2", "C3"]
    assert near_ids(table, "b1 ") == ["B1"]
    assert near_ids(table, "zzz") == []
