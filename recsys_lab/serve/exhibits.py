"""The runs that are served, what ranks their items, and the search for an item."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from recsys_lab.serve.served_runs import ServedRun, open_runs
from recsys_lab.serve.shown_items import ShownItem, popular_items, shown_items
from recsys_lab.serve.sources import BaselineSource, Source, sources_of
from recsys_lab.vectors.lookup import near_ids, not_found, search_rows

_NUM_EXAMPLES = 12
_NUM_NEAR = 5


class UnknownError(Exception):
    """A name of a request is not there.

    Attributes:
        near: ids of items that may have been meant.
    """

    def __init__(self, message: str, near: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.near = list(near)


@dataclass(frozen=True)
class Exhibits:
    """What a server shows.

    Attributes:
        runs: in the order of the command.
        sources: the models of the runs, then the baselines.
    """

    runs: list[ServedRun]
    sources: list[Source]

    @classmethod
    def open(cls, paths: Sequence[Path]) -> "Exhibits":
        """Open run folders, or files of vectors."""
        runs = open_runs(paths)
        return cls(runs, sources_of(runs))

    @cached_property
    def catalogues(self) -> list[ServedRun]:
        """A run for each distinct set of items."""
        return list({run.vocabulary: run for run in reversed(self.runs)}.values())[::-1]

    @cached_property
    def examples(self) -> list[ShownItem]:
        """Popular items, for a start."""
        return popular_items(self.runs, self.runs[0], _NUM_EXAMPLES)

    def load(self) -> None:
        """Read all runs and answer a question with each source, so that the next is quick."""
        for source in self.sources:
            source.run.load()
            row = int(source.run.embeddings.scored.argmax())
            if not source.why_not(row):
                source.nearest(row, 1, False)

    def search(self, text: str, limit: int) -> list[ShownItem]:
        """Items by id or by words of their titles, from all catalogues, each once."""
        found: dict[str, ShownItem] = {}
        for run in self.catalogues:
            items = run.embeddings.items
            for shown in shown_items(self.runs, run, items[search_rows(items, text, limit)]):
                found.setdefault(shown.item, shown)
        return list(found.values())[:limit]

    def item(self, item: str) -> ShownItem:
        """An item by its raw id.

        Raises:
            UnknownError: no run holds it.
        """
        for run in self.catalogues:
            if (row := run.row_of(item)) is not None:
                return shown_items(self.runs, run, run.embeddings.items[[row]])[0]
        hits = [shown.item for shown in self.search(item, _NUM_NEAR)]
        near = [name for run in self.catalogues for name in near_ids(run.embeddings.items, item)]
        raise UnknownError(f"There is no item {item!r}.", list(dict.fromkeys(near + hits)))

    def absent(self, text: str) -> str:
        """A sentence about a text that names no item, with near ids or words."""
        sentence = not_found(self.runs[0].embeddings.items, text)
        return f"{sentence[0].upper()}{sentence[1:]}."

    def chosen(self, keys: Sequence[str]) -> list[Source]:
        """Sources by their names in addresses, in their own order; all if none is named.

        Raises:
            UnknownError: there is no such source.
        """
        known = {source.key: source for source in self.sources}
        if wrong := [key for key in keys if key not in known]:
            raise UnknownError(f"There is no list {wrong[0]!r}; there are {', '.join(known)}.")
        return [s for s in self.sources if s.key in keys] if keys else self.sources

    def of_run(self, run: int, by: str) -> Source:
        """The model of a run, or a baseline over its training pairs.

        Raises:
            UnknownError: there is no such run or baseline.
        """
        if run >= len(self.runs):
            raise UnknownError(f"There is no run {run}; there are 0 to {len(self.runs) - 1}.")
        split = self.runs[run].split
        known = {"model": self.sources[run]} | {
            source.baseline: source
            for source in self.sources
            if isinstance(source, BaselineSource) and source.run.split == split
        }
        if by not in known:
            raise UnknownError(f"There is no {by!r} of run {run}; there are {', '.join(known)}.")
        return known[by]
