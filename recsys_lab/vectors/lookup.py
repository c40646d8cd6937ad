"""Items by id or by words of their titles."""

import difflib
import re

import numpy as np
import polars as pl

from recsys_lab.vectors.errors import VectorsError

_NEAR = 3  # names that a message gives
_MANY = 20_000  # names that are compared one by one, in less than a second
_CUTOFF = 0.75  # similarity of a near name, see difflib


def find_rows(items: pl.DataFrame, text: str) -> np.ndarray:
    """Rows (n,) of the items that a text names, the best first; none if there is no such item.

    An id that is the whole text is the answer. Otherwise titles are searched for all words of the
    text, whatever their case, accents, order and punctuation. A title that consists of these words
    in this order is preferred to all others; then come titles with whole words, words at whose
    beginning, and words inside which they are found. The first of these kinds that has a title is
    the answer. In it, titles that begin with the words come first, then items with more training
    pairs.

    Args:
        items: with the columns item, title and num_pairs.
        text: an id or words of a title.

    Raises:
        VectorsError: the text is no id, and there are no titles, or no words.
    """
    exact = (items["item"] == text).arg_true()
    if len(exact):
        return exact.to_numpy().astype(np.int64)
    words = split_words(text)
    if not words:
        raise VectorsError(f"name an item by its id or by words of its title, got {text!r}")
    if not has_titles(items):
        raise VectorsError(
            f"there is no item {text!r}{did_you_mean(items, text)}, and the items have no titles: "
            "name an item by its id"
        )
    found = _by_kind(items, words)
    return found.filter(pl.col("kind") == pl.col("kind").min())["row"].to_numpy().astype(np.int64)


def search_rows(items: pl.DataFrame, text: str, limit: int) -> np.ndarray:
    """Rows (n,) for a list of hits while a text is typed: at most `limit`, the best first.

    The item whose id is the text comes first, then every title with all words, in the order of
    `find_rows`, then the items whose ids begin with the text.
    """
    ids = items["item"]
    rows = [ids.eq(text).arg_true()]
    if (words := split_words(text)) and has_titles(items):
        rows.append(_by_kind(items, words)["row"].head(limit + 1))
    if text:
        rows.append(ids.str.starts_with(text).arg_true().head(limit + 1))
    return pl.concat(rows).unique(maintain_order=True).head(limit).to_numpy().astype(np.int64)


def near_ids(items: pl.DataFrame, text: str) -> list[str]:
    """Ids that differ from a text by a letter or two, or in upper and lower case."""
    ids, text = items["item"], text.strip()
    near = [text.upper(), text.lower(), *_alike(text, ids)]
    return ids.filter(ids.is_in(near)).head(_NEAR).to_list()


def has_titles(items: pl.DataFrame) -> bool:
    """Whether any item has a title."""
    titles = items["title"]
    return titles.dtype == pl.String and titles.null_count() < len(titles)


def split_words(text: str) -> list[str]:
    """The words of a text in small letters without accents; signs are words where no letter is."""
    plain = fold_titles(pl.Series([text]))[0]
    return re.findall(r"\w+", plain) or plain.split()


def fold_titles(titles: pl.Series) -> pl.Series:
    """Texts in small letters without accents."""
    return titles.str.normalize("NFKD").str.replace_all(r"\p{M}", "").str.to_lowercase()


def not_found(items: pl.DataFrame, text: str) -> str:
    """A sentence about a text that names no item, with near ids or near words of titles."""
    hint = did_you_mean(items, text)
    if not hint and has_titles(items):
        unknown = [w for w in split_words(text) if not len(_titles_with(items["title"], [w]))]
        near = filter(None, (" or ".join(_near_words(items["title"], w)) for w in unknown))
        hint = f" (titles have {words})" if (words := ", ".join(near)) else ""
    return f"no item has the id {text!r} or a title with these words{hint}"


def did_you_mean(items: pl.DataFrame, text: str) -> str:
    """A question in brackets that names near ids; an empty text without any."""
    found = near_ids(items, text)
    return f" (did you mean {' or '.join(found)}?)" if found else ""


def _alike(text: str, names: pl.Series) -> list[str]:
    """The names most like a text, among those of about its length that share its first letter."""
    lengths = names.str.len_chars().cast(pl.Int64)
    alike = names.filter(((lengths - len(text)).abs() <= 2) & names.str.starts_with(text[:1]))
    if len(alike) > _MANY:
        alike = alike.filter(alike.str.starts_with(text[: len(text) // 2]))
    return difflib.get_close_matches(text, alike.head(_MANY).to_list(), _NEAR, _CUTOFF)


def _near_words(titles: pl.Series, word: str) -> list[str]:
    words = fold_titles(titles.drop_nulls()).str.extract_all(r"\w+").explode().unique()
    return _alike(word, words.drop_nulls())[:2]


def _titles_with(titles: pl.Series, words: list[str]) -> pl.DataFrame:
    """Row number and plain title of the titles that hold all words, also inside of others, by row.

    Titles in ASCII, which are most, are not folded one by one: that takes seconds for millions.
    """
    table = titles.alias("title").to_frame().with_row_index("row").drop_nulls()
    is_ascii = table["title"].str.len_bytes() == table["title"].str.len_chars()
    simple, other = table.filter(is_ascii), table.filter(~is_ascii)
    other = other.with_columns(fold_titles(other["title"]).alias("title"))
    for word in words:
        pattern = f"(?i-u){re.escape(word)}" if word.isascii() else None
        simple = simple.filter(pl.col("title").str.contains(pattern)) if pattern else simple.clear()
        other = other.filter(pl.col("title").str.contains(word, literal=True))
    simple = simple.with_columns(pl.col("title").str.to_lowercase())
    return pl.concat([simple, other]).sort("row")


def _by_kind(items: pl.DataFrame, words: list[str]) -> pl.DataFrame:
    """Row and kind of the titles that hold all words, in the order of `find_rows`."""
    titles = _titles_with(items["title"], words)
    titles = titles.with_columns(num_pairs=_num_pairs(items).gather(titles["row"]))
    title, phrase = pl.col("title"), r"^\W*" + r"\W+".join(map(re.escape, words))
    begins = pl.all_horizontal(title.str.contains(rf"\b{re.escape(word)}") for word in words)
    whole = pl.all_horizontal(title.str.contains(rf"\b{re.escape(word)}\b") for word in words)
    is_phrase = title.str.contains(rf"{phrase}\W*$")
    kind = pl.when(is_phrase).then(0).when(whole).then(1).when(begins).then(2).otherwise(3)
    kinds = titles.with_columns(kind=kind, opens=title.str.contains(phrase))
    return kinds.sort("kind", "opens", "num_pairs", "row", descending=[False, True, True, False])


def _num_pairs(items: pl.DataFrame) -> pl.Series:
    if "num_pairs" in items.columns:
        return items["num_pairs"]
    return pl.repeat(0, items.height, dtype=pl.Int32, eager=True)
