"""Amazon product metadata of 2014 and 2018, one record per line, to records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recsys_lab.catalog.fields import read_brand, read_categories, read_price, read_title
from recsys_lab.catalog.items import ItemBuffer, complete_items
from recsys_lab.catalog.lines import read_batches
from recsys_lab.catalog.listings import (
    IdCodes,
    ListingBuffer,
    distinct_listings,
    drop_unusable,
    rank_ids,
)
from recsys_lab.catalog.literals import parse_line
from recsys_lab.catalog.options import check_choice, check_count, check_fraction, check_weights
from recsys_lab.catalog.records import Records
from recsys_lab.catalog.report import CatalogError, ReadReport

RELATIONS = ("also_bought", "also_viewed", "bought_together", "buy_after_viewing")
_NAMES_2018 = {"also_bought": "also_buy", "also_viewed": "also_view"}
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
        reading = _Reading(self)
        for lines in read_batches(self.path):
            for line in lines:
                reading.take_line(line)
        return reading.finish()


class _Reading:
    """What has been read so far."""

    def __init__(self, source: AmazonSource) -> None:
        self.source = source
        self.report = ReadReport()
        self._first_bad = 0  # number of the first bad line, from 1; 0 for none
        self._codes = IdCodes()
        self._listings = ListingBuffer()
        weights = source.relation_weights
        self._used = [weights.get(name, 0.0) > 0 for name in RELATIONS]
        self._looked_at = [  # number, name of 2014, name of 2018
            (number, name, _NAMES_2018.get(name, name))
            for number, name in enumerate(RELATIONS)
            if self._used[number] or (number == 0 and source.min_also_bought > 0)
        ]
        self._items = ItemBuffer()

    def take_line(self, line: bytes | None) -> None:
        """Keep the record of a line (None: too long) or count why not."""
        self.report.lines += 1
        bad: str | None = None
        if line is None:
            bad = "too long"
        elif not line or line.isspace():
            self.report.dropped["blank"] += 1
        else:
            try:
                record = parse_line(line)
            except ValueError:
                bad = "malformed"
            else:
                bad = self._take_record(record)
        if bad is not None:
            self.report.dropped[bad] += 1
            self._first_bad = self._first_bad or self.report.lines

    def _take_record(self, record: object) -> str | None:
        """Keep or filter a record; the reason if it is bad."""
        if not isinstance(record, dict):
            return "not an object"
        item = record.get("asin")
        if not isinstance(item, str) or not item:
            return "no id"
        notes: list[str] = []
        title = read_title(record.get("title"), notes)
        if title is None and self.source.require_title:
            self.report.dropped["filtered: no title"] += 1
            return None
        lists = self._read_lists(record, notes)
        if self.source.min_also_bought > 0:
            bought = {target for number, targets in lists if number == 0 for target in targets}
            if len(bought) < self.source.min_also_bought:
                self.report.dropped["filtered: few also_bought"] += 1
                return None
        code = self._codes[item]
        for number, targets in lists:
            if self._used[number]:
                self._listings.add(code, number, self._codes.encode(targets))
        self._items.add(
            item,
            title,
            read_brand(record.get("brand"), notes),
            read_categories(record.get("categories"), record.get("category"), notes),
            read_price(record.get("price"), notes),
        )
        if notes:
            self.report.notes.update(notes)
        self.report.kept += 1
        return None

    def _read_lists(self, record: dict[str, Any], notes: list[str]) -> list[tuple[int, list[str]]]:
        """The usable targets of each list in the record, with the number of its relation."""
        related = record.get("related")
        if not isinstance(related, dict):
            if related is not None:
                notes.append("related of a wrong type")
            related = {}
        lists = []
        for number, name, name_2018 in self._looked_at:
            for targets in (related.get(name), record.get(name_2018)):
                if not targets:
                    continue
                if not isinstance(targets, list):
                    notes.append(f"{name} of a wrong type")
                    continue
                if set(map(type, targets)) != {str} or "" in targets:
                    usable = [t for t in targets if isinstance(t, str) and t]
                    notes += ["listings without an id"] * (len(targets) - len(usable))
                    targets = usable
                lists.append((number, targets))
        return lists

    def finish(self) -> Records:
        """Check the counts, merge duplicates, sort the vocabulary and the listings."""
        source, report = self.source, self.report
        report.refuse_bad(source.path, BAD_REASONS, source.max_bad_fraction, self._first_bad)
        report.refuse_empty(source.path, _REMEDIES)
        metadata = self._items.merged(report)
        codes = self._codes
        known = np.zeros(len(codes), bool)
        known[codes.encode(metadata["item"])] = True
        keep_outside = source.outside_items == "keep"
        ranks = rank_ids(codes, np.ones_like(known) if keep_outside else known)
        sources, targets, relations = distinct_listings(
            *drop_unusable(*self._listings.columns(ranks.of_code), report), report
        )
        if report.notes["listings of outside items"] and not len(sources):
            raise CatalogError(
                f"{source.path}: no listing is left ({report}); "
                "use catalog.outside_items=keep or a file whose items list each other"
            )
        weights = np.array([source.relation_weights.get(name, 0.0) for name in RELATIONS])
        return Records(
            items=complete_items(ranks.ids, metadata),
            sources=sources,
            targets=targets,
            weights=weights.astype(np.float32)[relations],
            report=report,
        )
