"""How the tests of Amazon catalogues read one and look at what it says."""

import polars as pl

from recsys_lab.readers.amazon import AmazonSource

WEIGHTS = {"also_bought": 1.0, "bought_together": 2.0}
ODD_IDS = [
    "0000013714",
    "nan",
    "NA",
    "1e5",
    "True",
    "../../x",
    "=cmd()",
    " a b ",
    "\t",
    "'\"",
    "🎸",
]


def source(path, **options):
    defaults = {
        "relation_weights": WEIGHTS,
        "outside_items": "keep",
        "require_title": False,
        "min_also_bought": 0,
        "max_bad_fraction": 1.0,
    }
    return AmazonSource(str(path), **(defaults | options))


def listings(records):
    ids = records.items["item"].to_list()
    rows = zip(records.sources, records.targets, records.weights.tolist(), strict=True)
    return [(ids[s], ids[t], w) for s, t, w in rows]


def fields(records, item):
    row = records.items.row(by_predicate=pl.col("item") == item, named=True)
    return {name: row[name] for name in ("title", "brand", "categories", "price", "has_metadata")}
