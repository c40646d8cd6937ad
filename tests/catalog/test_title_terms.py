"""Words and pairs of words of titles."""

import re
import unicodedata
from itertools import pairwise
from zlib import crc32

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_lab.catalog import title_terms as room
from recsys_lab.catalog.catalog import ItemCatalog
from recsys_lab.catalog.title_terms import BUCKETS, bucket_label, title_terms
from recsys_lab.readers.records import ITEM_SCHEMA


def terms(*titles: str | None) -> list[set[str]]:
    found: list[set[str]] = [set() for _ in titles]
    table = title_terms(pl.Series(titles, dtype=pl.String))
    for owner, label in table.rows():
        assert label not in found[owner]
        found[owner].add(label)
    return found


def plainly(title: str) -> set[str]:
    """The definition, character by character."""
    folded = unicodedata.normalize("NFKC", title).lower()
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded)
    words = [word for word in kept.split(" ") if word]
    pairs = {f"#{crc32(' '.join(two).encode()) % BUCKETS}" for two in pairwise(words)}
    return set(words) | pairs


def test_by_hand() -> None:
    """Check value of CRC-32: 123456789 gives cbf43926 (Williams, 1993)."""
    assert bucket_label("123456789") == f"#{0xCBF43926 % BUCKETS}"
    assert terms("The Wall, the wall!", None, "", " - ", "Ｌive") == [
        {"the", "wall", bucket_label("the wall"), bucket_label("wall the")},
        set(), set(), set(), {"live"},
    ]  # fmt: skip
    assert terms("L'Oréal 2nd СОВЕТ हिन्दी")[0] >= {"l", "oréal", "2nd", "совет", "हिन्दी"}


@given(st.lists(st.text(st.sampled_from("aAbß É\u0301É1²-,_ \t\nж字ﬁİ"), max_size=12), max_size=4))
def test_terms_are_those_of_the_definition(titles: list[str]) -> None:
    assert terms(*titles) == [plainly(title) for title in titles]


def test_a_pair_does_not_cross_titles() -> None:
    assert terms("a", "b") == [{"a"}, {"b"}]


def test_pairs_share_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BUCKETS", 3)
    titles = [f"w{k} w{k + 1}" for k in range(50)]
    found = set.union(*terms(*titles))
    assert {label for label in found if label.startswith("#")} == {"#0", "#1", "#2"}


def test_the_field_keeps_terms_of_two_titles() -> None:
    titles = ["Red shoe", "red SHOE red shoe", "blue shoe", None]
    items = pl.DataFrame({"item": list("abcd"), "title": titles}, schema_overrides=ITEM_SCHEMA)
    field = ItemCatalog(items).field("title")
    assert field.labels == sorted(["red", "shoe", bucket_label("red shoe")])
    assert field.offsets.tolist() == [0, 3, 6, 7, 7]
    assert [field.labels[code] for code in field.codes[6:]] == ["shoe"]
    assert all(re.fullmatch(r"#\d+|\w+", label) for label in field.labels)
