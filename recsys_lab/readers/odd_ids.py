"""Ids that may be wrong: one item under two ids, no item at all, or an id that lost its digits."""

import polars as pl

_REMEDY = "write them in one way, if they are one item"
_NO_ITEMS = ("nan", "null", "none", "na", "n/a", "<na>", "nat", "undefined", "#n/a", "-")
_SCIENTIFIC = r"^[+-]?\d(\.\d+)?[eE]\+\d+$"
_INVISIBLE = r"[\u200b-\u200f\u2060\ufeff\u00ad]"
_MANY = 0.01  # of the ids: fewer that differ by capitals may be ids of random letters


def odd_ids(ids: pl.Series) -> list[str]:
    """Warnings about ids that look like another one, like no item, or like a rounded number.

    Args:
        ids: the vocabulary, without repetition.
    """
    lower = ids.str.to_lowercase()
    plain = {
        "white space around": ids.str.strip_chars(),
        "quotes around": ids.str.strip_chars("\"'"),
        "'.0' at the end": ids.str.strip_suffix(".0"),
        "zeros at the beginning": ids.str.strip_chars_start("0"),
        "signs that are not shown": ids.str.replace_all(_INVISIBLE, ""),
        "their Unicode form": ids.str.normalize("NFC"),
    }
    found = [said for what, other in plain.items() if (said := _alike(ids, other, what, 1))]
    if capitals := _alike(ids, lower, "capital letters", max(1, round(_MANY * len(ids)))):
        found.append(capitals)
    if len(missing := ids.filter(lower.is_in(_NO_ITEMS))):
        found.append(
            f"{missing[0]!r} is taken as the id of an item: leave such lines out if it stands for "
            "a missing value"
        )
    if count := int((rounded := ids.str.contains(_SCIENTIFIC)).sum()):
        found.append(
            f"{count:,} ids are written as {ids.filter(rounded)[0]!r}: a spreadsheet or R may have "
            "rounded longer numbers, so that several items share an id; write ids as text"
        )
    return found


def _alike(ids: pl.Series, other: pl.Series, what: str, fewest: int) -> str:
    changed = (ids != other).arg_true()
    if not len(changed):
        return ""
    twice = other.gather(changed).is_in(ids.implode())
    if (count := int(twice.sum())) < fewest:
        return ""
    example = ids[int(changed[int(twice.arg_max() or 0)])]
    return f"{count:,} ids differ from another only by {what}, such as {example!r}; {_REMEDY}"
