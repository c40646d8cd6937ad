"""A planted catalogue, written in the Amazon form of 2014 and read back by the same reader.

`python -m recsys_lab.readers.synthetic meta.json.gz --num-items 420000` writes one to a file.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Literal

import numpy as np
import orjson
from annotated_types import Ge, Le
from isal import igzip

from recsys_lab.compute.checks import checked
from recsys_lab.compute.ranges import CountOrZero, Positive, RelationWeight, Seed
from recsys_lab.readers.amazon import AmazonSource
from recsys_lab.readers.planted import PlantedCatalog, draw_lists, plant
from recsys_lab.readers.records import Records
from recsys_lab.results.files import atomic_path

log = logging.getLogger(__name__)

NumItems = Annotated[int, Ge(100), Le(1 << 24)]  # as many as walks are made for
_LOG_EVERY = 5.0  # seconds
_CHUNK = 20_000  # records written at a time; the drawing of lists is seeded by chunk


@checked
@dataclass(frozen=True)
class SyntheticSource:
    """A planted catalogue (`planted.plant`): a pure function of size and seed.

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
        list_scale: factor on the lengths of all lists, before they are cut at a hundred.
    """

    num_items: NumItems
    seed: Seed
    relation_weights: Mapping[str, RelationWeight]
    outside_items: Literal["keep", "drop"]
    require_title: bool = False
    min_also_bought: CountOrZero = 0
    list_scale: Positive = 1.0

    def __post_init__(self) -> None:
        """Check the options that go together."""
        self.reader("unwritten")

    @property
    def files(self) -> dict[str, str]:
        """None: the options alone determine the catalogue."""
        return {}

    def read(self) -> Records:
        """Write the catalogue to a temporary file and read that."""
        with tempfile.TemporaryDirectory(prefix="recsys_lab_") as folder:
            path = str(Path(folder) / "synthetic.json.gz")
            write_synthetic(path, self.num_items, self.seed, self.list_scale)
            return self.reader(path).read()

    def reader(self, path: str) -> AmazonSource:
        """What reads a file as this catalogue is read."""
        return AmazonSource(
            path=path,
            relation_weights=self.relation_weights,
            outside_items=self.outside_items,
            require_title=self.require_title,
            min_also_bought=self.min_also_bought,
            max_bad_fraction=0.0,
        )


@checked
def write_synthetic(
    path: str, num_items: NumItems, seed: Seed, list_scale: Positive = 1.0, literals: bool = False
) -> None:
    """Write a planted catalogue, one record per line; gzip if the name ends in .gz.

    Args:
        path: the file.
        num_items: as in SyntheticSource, like the two below.
        seed: of the catalogue.
        list_scale: factor on the lengths of the lists.
        literals: write Python literals, as the files of 2014 were, in place of JSON.
    """
    catalog = plant(num_items, seed)
    logged = time.monotonic()
    with atomic_path(Path(path)) as part, _open(part, path.endswith(".gz")) as file:
        for start in range(0, num_items, _CHUNK):
            chunk = np.arange(start, min(start + _CHUNK, num_items))
            records = _records(catalog, chunk[catalog.has_record[chunk]], seed, list_scale)
            if literals:
                file.write("".join(f"{record!r}\n" for record in records).encode())
            else:
                file.write(b"".join(map(_json_line, records)))
            if time.monotonic() - logged >= _LOG_EVERY:
                logged = time.monotonic()
                log.info("%s: %s of %s items written", path, f"{start:,}", f"{num_items:,}")


def _open(path: Path, gzipped: bool) -> IO[bytes]:
    return igzip.open(path, "wb", 1) if gzipped else path.open("wb")


def _json_line(record: dict[str, object]) -> bytes:
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def _records(
    catalog: PlantedCatalog, items: np.ndarray, seed: int, list_scale: float
) -> Iterator[dict[str, object]]:
    """The records of these items."""
    ids = catalog.ids
    lists = draw_lists(catalog, items, seed, list_scale)
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
        yield record


def main(arguments: list[str]) -> None:
    """Write a catalogue, as the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m recsys_lab.readers.synthetic",
        description="Write a planted catalogue in the Amazon form, to be read with catalog=amazon.",
    )
    parser.add_argument("path", help="file to write; gzip if the name ends in .gz")
    parser.add_argument("--num-items", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list-scale", type=float, default=1.0, help="factor on list lengths")
    parser.add_argument("--literals", action="store_true", help="Python literals, not JSON")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        write_synthetic(**vars(options))
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
