"""Ids that differ only in how they are written: probably one item under two ids."""

import polars as pl

_REMEDY = "write them in one way, if they are one item"


def like_ids(ids: pl.Series) -> list[str]:
    """Warnings about ids that are another id but for white space, quotes, `.0` or Unicode form.

    Args:
        ids: the vocabulary, without repetition.
    """
    plain = {
        "white space around": ids.str.strip_chars(),
        "quotes around": ids.str.strip_chars("\"'"),
        "'.0' at the end": ids.str.strip_suffix(".0"),
        "their Unicode form": ids.str.normalize("NFC"),
    }
    found = []
    for what, other in plain.items():
        changed = (ids != other).arg_true()
        if not len(changed):
            continue
        twice = other.gather(changed).is_in(ids.implode())
        if count := int(twice.sum()):
            example = ids[int(changed[int(twice.arg_max() or 0)])]
            found.append(
                f"{count:,} ids differ from another only by {what}, such as {example!r}; {_REMEDY}"
            )
    return found
