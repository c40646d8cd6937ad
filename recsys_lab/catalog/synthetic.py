"""A planted catalogue, written in the Amazon form of 2014 and read back by the same reader."""

import gzip
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import orjson

from recsys_lab.catalog.amazon import AmazonSource
from recsys_lab.catalog.options import check_count
from recsys_lab.catalog.planted import PlantedCatalog, draw_lists, plant
from recsys_lab.catalog.records import Records

MIN_ITEMS = 100
_CHUNK = 20_000  # records written at a time; the drawing of lists is seeded by chunk


@dataclass(frozen=True)
class SyntheticSource:
    """A catalogue whose truth is known: see `planted.plant`; a pure function of size and seed.

    Every record has a title, so that neighbours can be judged by eye; 61 % of the items have
    neither brand nor categories nor price, of which those listed by others only (15 % of the
    items) have no record either, and half of the other records have an empty brand.

    Attributes:
        num_items: items of the catalogue, those without a record included; a few that nobody
            lists are not in the vocabulary.
        seed: of the whole catalogue.
        relation_weights: as the following ones, an option of AmazonSource.
        outside_items: whether items without a record stay.
        require_title: drop records without a title.
        min_also_bought: drop records that list fewer items under also_bought.
    """

    num_items: int
    seed: int
    relation_weights: Mapping[str, float]
    outside_items: Literal["keep", "drop"]
    require_title: bool = False
    min_also_bought: int = 0

    def __post_init__(self) -> None:
        """Check every option."""
        _check_size(self.num_items, self.seed)
        self._reader("unwritten")

    @property
    def files(self) -> dict[str, str]:
        """Nothing on disk: the options alone tell the catalogue."""
        return {}

    def read(self) -> Records:
        """Write the catalogue to a temporary file and read that."""
        with tempfile.TemporaryDirectory(prefix="recsys_lab_") as folder:
            path = str(Path(folder) / "synthetic.json")
            write_synthetic(path, self.num_items, self.seed)
            return self._reader(path).read()

    def _reader(self, path: str) -> AmazonSource:
        return AmazonSource(
            path=path,
            relation_weights=self.relation_weights,
            outside_items=self.outside_items,
            require_title=self.require_title,
            min_also_bought=self.min_also_bought,
            max_bad_fraction=0.0,
        )


def write_synthetic(path: str, num_items: int, seed: int) -> None:
    """Write a planted catalogue, one JSON record per line; gzip if the name ends in .gz."""
    _check_size(num_items, seed)
    catalog = plant(num_items, seed)
    with (
        gzip.open(path, "wb", compresslevel=1) if path.endswith(".gz") else open(path, "wb") as file
    ):
        for start in range(0, num_items, _CHUNK):
            chunk = np.arange(start, min(start + _CHUNK, num_items))
            file.write(b"".join(_records(catalog, chunk[catalog.has_record[chunk]], seed)))


def _check_size(num_items: int, seed: int) -> None:
    check_count("catalog.num_items", num_items, MIN_ITEMS)
    check_count("catalog.seed", seed)


def _records(catalog: PlantedCatalog, items: np.ndarray, seed: int) -> Iterator[bytes]:
    """The lines of these items."""
    ids = catalog.ids
    lists = draw_lists(catalog, items, seed)
    bounds = {name: np.searchsorted(sources, items) for name, (sources, _) in lists.items()}
    ends = {name: np.searchsorted(sources, items, "right") for name, (sources, _) in lists.items()}
    listed = {name: [ids[t] for t in targets.tolist()] for name, (_, targets) in lists.items()}
    for row, item in enumerate(items.tolist()):
        record: dict[str, object] = {"asin": ids[item], "title": catalog.title(item)}
        if catalog.has_fields[item]:
            record["price"] = float(catalog.prices[item])
            record["brand"] = catalog.brand(item) if catalog.shows_brand[item] else ""
            record["categories"] = [catalog.category(item)]
        related = {
            name: listed[name][bounds[name][row] : ends[name][row]]
            for name in lists
            if bounds[name][row] < ends[name][row]
        }
        if related:
            record["related"] = related
        yield orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
