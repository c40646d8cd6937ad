"""Lists of edges with the options that the configuration gives."""

from typing import Any

from recsys_lab.readers.edges import EdgeSource


def edge_source(
    path: str, val_path: str | None = None, test_path: str | None = None, **options: Any
) -> EdgeSource:
    defaults = {
        "items_path": None,
        "item_columns": {},
        "outside_items": "drop",
        "max_bad_fraction": 0.0,
        "columns": {},
        "separator": None,
        "comment": None,
        "repeats": "once",
        "undirected": False,
        "layout": None,
    }
    return EdgeSource(path, val_path, test_path, **(defaults | options))
