"""Signs that a column taken as the weight holds something else: ids, or years."""

from collections.abc import Sequence
from statistics import quantiles

_FEWEST = 10  # values that differ, or rows
_MOSTLY = 0.9
_YEARS = range(1990, 2031)


def doubts_of_weights(
    weights: Sequence[str], sources: Sequence[str], targets: Sequence[str], *, is_named: bool
) -> list[str]:
    """What looks wrong with a column of weights, for the user.

    Args:
        weights: its cells.
        sources: the ids beside them.
        targets: the same.
        is_named: whether the header or the user calls it the weight.
    """
    doubts = []
    distinct, ids = set(weights), {*sources, *targets}
    like_ids = (
        len(distinct) > max(20, len(weights) // 2) and 2 * len(distinct & ids) > len(distinct)
    ) or (not is_named and _are_drawn_from(weights, sources, targets))
    if like_ids:
        doubts.append(
            "the column of weights looks like ids: if a line is a basket of items, read it with "
            "data/source=sequence_file, or say columns.source= and columns.target= to leave the "
            "column out"
        )
    if not is_named and _are_years(weights):
        doubts.append(
            "the column of weights looks like years: say columns.source= and columns.target= to "
            "leave it out, or columns.weight= if it is the weight"
        )
    return doubts


def _are_drawn_from(values: Sequence[str], sources: Sequence[str], targets: Sequence[str]) -> bool:
    """Whether values are spread over the ids as the ids themselves are; counts are smaller.

    Of few ids nearly all values are ids, and about as many as in another column; of many, most
    values differ and are within the range of the ids.
    """
    distinct, ids = set(values), {*sources, *targets}
    if len(distinct) < _FEWEST or not all(x.strip().isdecimal() for x in distinct):
        return False
    fewest = min(len(set(sources)), len(set(targets)))
    if len(distinct & ids) >= _MOSTLY * len(distinct) and 2 * len(distinct) >= fewest:
        return True
    if 2 * len(distinct) < len(values) or not all(x.strip().isdecimal() for x in ids):
        return False
    middle = quantiles(map(int, values))[1]
    deciles = [quantiles(map(int, column), n=10) for column in (sources, targets)]
    return all(tenths[0] <= middle <= tenths[-1] for tenths in deciles)


def _are_years(cells: Sequence[str]) -> bool:
    values = {cell.strip() for cell in cells}
    if len(cells) < _FEWEST or len(values) < 2:
        return False
    return all(x.removesuffix(".0") in map(str, _YEARS) for x in values)
