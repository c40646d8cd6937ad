"""Ids that may be wrong: one item under two ids, no item at all, or an id that lost its digits."""

import polars as pl

_REMEDY = "write them in one way, if they are one item"
_NO_ITEMS = ("nan", "null", "none", "na", "n/a", "<na>", "nat", "undefined", "#n/a", "-")
_SCIENTIFIC = r"^[+-]?\d(\.\d+)?[eE]\+\d+$"
_ODD = r"""^[\s"'0]|[\s"']$|\.0$|[eE]\+\d+$|[^\x00-\x7f]"""  # all that differ, but for capitals
_INVISIBLE = r"[\u200b-\u200f\u2060\ufeff\u00ad]"
_MANY = 0.01  # of the ids: fewer that differ by capitals may be ids of random letters


def odd_ids(ids: pl.Series) -> list[str]:
    """Warnings about ids that look like another one, like no item, or like a rounded number.

    Args:
        ids: the vocabulary, without repetition.
    """
    odd = ids.filter(ids.str.contains(_ODD))
    plain = {
        "white space around": odd.str.strip_chars(),
        "quotes around": odd.str.strip_chars("\"'"),
        "'.0' at the end": odd.str.strip_suffix(".0"),
        "zeros at the beginning": odd.str.strip_chars_start("0"),
        "signs that are not shown": odd.str.replace_all(_INVISIBLE, ""),
        "their Unicode form": odd.str.normalize("NFC"),
    }
    found = [said for what, other in plain.items() if (said := _alike(odd, other, ids, what))]
    lower = ids.str.to_lowercase()
    if len(ids) - lower.n_unique() > _MANY * len(ids):
        example = ids.filter(lower.is_duplicated())[0]
        found.append(
            f"ids differ from others only by capital letters, such as {example!r}; {_REMEDY}"
        )
    if len(missing := ids.filter(lower.is_in(_NO_ITEMS))):
        found.append(
            f"{missing[0]!r} is taken as the id of an item: leave such lines out if it stands for "
            "a missing value"
        )
    if len(rounded := odd.filter(odd.str.contains(_SCIENTIFIC))):
        found.append(
            f"{len(rounded):,} ids are written as {rounded[0]!r}: a spreadsheet or R may have "
            "rounded longer numbers, so that several items share an id; write ids as text"
        )
    return found


def _alike(odd: pl.Series, other: pl.Series, ids: pl.Series, what: str) -> str:
    changed = (odd != other).arg_true()
    if not len(changed):
        return ""
    twice = other.gather(changed).is_in(ids.implode())
    if not (count := int(twice.sum())):
        return ""
    example = odd[int(changed[int(twice.arg_max() or 0)])]
    return f"{count:,} ids differ from another only by {what}, such as {example!r}; {_REMEDY}"
