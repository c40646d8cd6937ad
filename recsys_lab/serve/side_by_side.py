"""Lists of neighbours of one item from several sources, and where they agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from recsys_lab.compute.parallel import map_in_threads
from recsys_lab.serve.served_runs import ServedRun
from recsys_lab.serve.shown_items import ShownItem, shown_items
from recsys_lab.serve.sources import Source


@dataclass(frozen=True)
class Entry:
    """A place in a list.

    Attributes:
        rank: from 1.
        shown: the item.
        score: of the item and the one that was asked for.
        relations: names of their relations in training; None if they are no training pair.
        places: its ranks in all lists that hold it, by the number of the list.
    """

    rank: int
    shown: ShownItem
    score: float
    relations: list[str] | None
    places: dict[int, int]


@dataclass(frozen=True)
class NeighbourList:
    """The neighbours of an item by one source.

    Attributes:
        number: of the list, from 1.
        source: what ranked the items.
        entries: the neighbours, the best first.
        message: why there are none, or fewer than asked for.
        common: number of items in common with each other list, by its number.
    """

    number: int
    source: Source
    entries: list[Entry]
    message: str
    common: dict[int, int]


@dataclass(frozen=True)
class Agreement:
    """How many distinct items all lists hold, several, and one alone."""

    in_all: int
    in_several: int
    in_one: int


@dataclass(frozen=True)
class SideBySide:
    """The lists of one item; `agreement` is None with fewer than two lists that have items."""

    lists: list[NeighbourList]
    agreement: Agreement | None

    @property
    def num_filled(self) -> int:
        """Number of lists that have items."""
        return sum(bool(found.entries) for found in self.lists)


def side_by_side(
    runs: Sequence[ServedRun], sources: Sequence[Source], item: str, k: int, not_known: bool
) -> SideBySide:
    """The neighbours of an item by each source.

    Args:
        runs: all that are served; titles may come from any of them.
        sources: one for each list.
        item: its raw id.
        k: length of the lists.
        not_known: leave out training pairs of the item.
    """
    rows = {source.run.vocabulary: source.run.row_of(item) for source in sources}

    def answer(source: Source) -> tuple[list[Entry], str]:
        source.run.load()
        row = rows[source.run.vocabulary]
        if row is None:
            return [], "The catalogue of this run does not hold the item."
        return neighbours(runs, source, row, k, not_known)

    answers = map_in_threads(answer, sources)
    places: dict[str, dict[int, int]] = {}
    for number, (entries, _) in enumerate(answers, 1):
        for entry in entries:
            places.setdefault(entry.shown.item, {})[number] = entry.rank
    common: dict[int, dict[int, int]] = {n: {} for n in range(1, len(answers) + 1)}
    for one, other in combinations(common, 2):
        shared = sum({one, other} <= held.keys() for held in places.values())
        common[one][other] = common[other][one] = shared
    lists = []
    for number, (source, (entries, message)) in enumerate(zip(sources, answers, strict=True), 1):
        for entry in entries:
            entry.places.update(places[entry.shown.item])
        lists.append(NeighbourList(number, source, entries, message, common[number]))
    filled = sum(bool(entries) for entries, _ in answers)
    return SideBySide(lists, _agreement(places, filled) if filled > 1 else None)


def neighbours(
    runs: Sequence[ServedRun], source: Source, row: int, k: int, not_known: bool
) -> tuple[list[Entry], str]:
    """The neighbours of a row by one source, and why there are none or few; `places` stay empty."""
    if message := source.why_not(row):
        return [], message
    table = source.nearest(row, k, not_known)
    answers = zip(
        shown_items(runs, source.run, table), table["score"], table["relation"], strict=True
    )
    entries = [
        Entry(rank, shown, score, None if relations is None else relations.to_list(), {})
        for rank, (shown, score, relations) in enumerate(answers, 1)
    ]
    return entries, source.why_few(len(entries), k)


def _agreement(places: dict[str, dict[int, int]], filled: int) -> Agreement:
    held = [len(numbers) for numbers in places.values()]
    in_all, in_one = held.count(filled), held.count(1)
    return Agreement(in_all, len(held) - in_all - in_one, in_one)
