"""Amazon product metadata of 2014 and 2018, one record per line, to records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recsys_lab.compute.parallel import map_in_order
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.amazon_reading import RELATIONS, Reading
from recsys_lab.readers.ids import rank_ids
from recsys_lab.readers.items import complete_items
from recsys_lab.readers.lines import read_blocks
from recsys_lab.readers.options import check_choice, check_count, check_fraction, check_weights
from recsys_lab.readers.records import Records
from recsys_lab.readers.scan import ScannedBlock, scan_block

BAD_REASONS = ("malformed", "too long", "not an object", "no id")
_REMEDIES = {
    "filtered: no title": "catalog.require_title=false",
    "filtered: few also_bought": "a smaller catalog.min_also_bought",
}


@dataclass(frozen=True)
class AmazonSource:
    """A file of Amazon metadata: plain or gzip, strict JSON or Python literals, of 2014 or 2018.

    A record is dropped, and counted, when it is malformed, too long, not an object, without a
    usable id, or filtered; a field of a wrong type is only ignored, and noted. Records of the
    same item merge in a way that does not depend on their order: their listings unite, and the
    side information is that of the record with most fields, of equally full ones that whose JSON
    sorts first.

    Attributes:
        path: the file.
        relation_weights: weight of a listing by relation (names: RELATIONS); 0 ignores it.
        outside_items: whether listed items without a record of their own stay in the vocabulary.
        require_title: drop records without a title.
        min_also_bought: drop records that list fewer items under also_bought.
        max_bad_fraction: largest tolerated fraction of the non-blank lines that are no record.
    """

    path: str
    relation_weights: Mapping[str, float]
    outside_items: Literal["keep", "drop"]
    require_title: bool
    min_also_bought: int
    max_bad_fraction: float

    def __post_init__(self) -> None:
        """Check every option."""
        check_weights("catalog.relation_weights", self.relation_weights, RELATIONS)
        check_choice("catalog.outside_items", self.outside_items, ("keep", "drop"))
        check_count("catalog.min_also_bought", self.min_also_bought)
        check_fraction("catalog.max_bad_fraction", self.max_bad_fraction)

    @property
    def files(self) -> dict[str, str]:
        """The metadata file."""
        return {"metadata": self.path}

    def read(self) -> Records:
        """Read the whole file.

        Raises:
            CatalogError: the file cannot be read, too many lines are bad, or nothing is left.
        """
        reading = Reading(self.relation_weights, self.require_title, self.min_also_bought)

        def scan(block: bytes | None) -> ScannedBlock | None:
            return None if block is None else scan_block(block, reading.names)

        for scanned in map_in_order(scan, read_blocks(self.path)):
            reading.take_block(scanned)
        return _finish(self, reading)


def _finish(source: AmazonSource, reading: Reading) -> Records:
    """Check the counts, merge duplicates, sort the vocabulary and the listings."""
    account = reading.account
    account.refuse_bad(source.path, BAD_REASONS, source.max_bad_fraction, reading.first_bad)
    account.refuse_empty(source.path, _REMEDIES)
    metadata = reading.items.merged(account)
    stays = np.zeros(len(reading.codes), bool)  # codes of filtered records may be nobody's
    stays[metadata["code"].to_numpy()] = True
    if source.outside_items == "keep":
        for codes in reading.listings.codes():
            stays[codes] = True
    ranks = rank_ids(reading.codes, stays)
    rows = ranks.of_code[metadata["code"].to_numpy()]
    items = complete_items(ranks.ids, metadata.with_columns(row=rows))
    sources, targets, relations = reading.listings.distinct(ranks, account)
    if account.notes["listings of outside items"] and not len(sources):
        raise CatalogError(
            f"{source.path}: no listing is left ({account}); "
            "use catalog.outside_items=keep or a file whose items list each other"
        )
    weights = np.array([source.relation_weights.get(name, 0.0) for name in RELATIONS], np.float32)
    return Records(items, sources, targets, weights[relations], account)
