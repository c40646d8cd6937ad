"""The answers of the JSON form."""

from typing import Any

from pydantic import BaseModel, Field

from recsys_lab.serve.exhibits import Exhibits, UnknownError
from recsys_lab.serve.served_runs import ServedRun
from recsys_lab.serve.shown_items import ShownItem
from recsys_lab.serve.side_by_side import Entry, neighbours
from recsys_lab.serve.sources import BaselineSource
from recsys_lab.serve.view import Question


class Item(BaseModel):
    """An item."""

    item: str
    title: str | None
    brand: str | None
    categories: list[list[str]] = Field(description="paths, the broadest label first")
    price: float | None


class Hit(Item):
    """An item that a search found."""

    num_pairs: int | None = Field(description="training pairs")


class Neighbour(Item):
    """An item in a list of neighbours."""

    rank: int
    score: float
    is_cold: bool = Field(description="no training pair holds it")
    relations: list[str] | None = Field(description="in training; null: no training pair")


class SimilarItems(BaseModel):
    """The neighbours of an item, the best first."""

    item: str
    run: int
    by: str
    message: str = Field(description="why there are none, or few; or an empty text")
    neighbours: list[Neighbour]


class RunFacts(BaseModel):
    """A run that is served."""

    run: int
    name: str
    folder: str
    num_items: int
    score: str | None
    figures: dict[str, float | None]
    baselines: list[str]


def hit_of(shown: ShownItem) -> Hit:
    """An item as JSON."""
    return Hit(num_pairs=shown.num_pairs, **_fields(shown))


def run_facts(run: ServedRun, exhibits: Exhibits) -> RunFacts:
    """A run as JSON."""
    baselines = [s for s in exhibits.sources if isinstance(s, BaselineSource)]
    return RunFacts(
        run=run.number,
        name=run.name,
        folder=run.folder,
        num_items=len(run.embeddings),
        score=run.embeddings.info.get("score"),
        figures=exhibits.sources[run.number].figures,
        baselines=[s.baseline for s in baselines if s.run.split == run.split],
    )


def neighbours_of(exhibits: Exhibits, asked: Question) -> SimilarItems:
    """The neighbours that a request asks for.

    Raises:
        UnknownError: the item, the run or the baseline is not there.
    """
    source = exhibits.of_run(asked.run, asked.by)
    exhibits.item(asked.item)  # an item of no run is unknown, with near ones
    source.run.load()
    row = source.run.row_of(asked.item)
    if row is None:
        raise UnknownError(f"Run {asked.run} does not hold the item {asked.item!r}.")
    found, message = neighbours(exhibits.runs, source, row, asked.k, asked.hide_known)
    return SimilarItems(
        item=asked.item,
        run=asked.run,
        by=asked.by,
        message=message,
        neighbours=[_neighbour(entry) for entry in found],
    )


def _neighbour(entry: Entry) -> Neighbour:
    return Neighbour(
        rank=entry.rank,
        score=entry.score,
        is_cold=entry.shown.is_cold,
        relations=entry.relations,
        **_fields(entry.shown),
    )


def _fields(shown: ShownItem) -> dict[str, Any]:
    return {
        "item": shown.item,
        "title": shown.title or None,
        "brand": shown.brand or None,
        "categories": shown.paths,
        "price": shown.price,
    }
