"""Catalogues of baskets: one basket a line, its items separated by spaces."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

from recsys_lab.readers.account import CatalogError, ReadAccount
from recsys_lab.readers.records import ITEM_SCHEMA, Records


@dataclass(frozen=True)
class BasketSource:
    """Two items are a pair for each basket that holds both."""

    path: str
    min_items: int

    def __post_init__(self) -> None:
        """Check the options; the run puts `catalog.` before the name."""
        if self.min_items < 2:
            raise CatalogError(f"min_items must be >= 2, got {self.min_items}")

    @property
    def files(self) -> dict[str, str]:
        """The file of baskets."""
        return {"baskets": self.path}

    def read(self) -> Records:
        """Read the whole file."""
        account, pairs = ReadAccount(), []
        for line in Path(self.path).read_text().splitlines():
            account.lines += 1
            basket = sorted(set(line.split()))
            if len(basket) < self.min_items:
                account.drop("small", 1)
                continue
            account.kept += 1
            pairs += combinations(basket, 2)
        ids = sorted({item for pair in pairs for item in pair})
        place = {item: number for number, item in enumerate(ids)}
        ends = np.array([[place[one], place[other]] for one, other in pairs], np.int32)
        nothing: dict[str, list] = {name: [None] * len(ids) for name in ITEM_SCHEMA}
        known = {"item": ids, "has_metadata": [False] * len(ids)}
        return Records(
            items=pl.DataFrame(nothing | known, schema=ITEM_SCHEMA),
            sources=ends[:, 0],
            targets=ends[:, 1],
            weights=np.ones(len(ends), np.float32),
            account=account,
        )
