"""What a search leaves in its folder for reports: `search.json`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from recsys_lab.results.files import write_text

FILE_NAME = "search.json"
STUDY = "study.db"  # of Optuna, in the folder of a search


class SearchResults(NamedTuple):
    """The metric that a search maximised, and the share of each option in what tells its trials."""

    monitor: str
    importance: Mapping[str, float]


def write_search(folder: Path, found: SearchResults) -> None:
    """Write the results into the folder of a search."""
    write_text(folder / FILE_NAME, json.dumps(found._asdict(), indent=2) + "\n")


def read_search(folder: Path) -> SearchResults | None:
    """The results of a search; None where there is none, or a damaged file."""
    try:
        found = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
        shares = {str(name): float(share) for name, share in found["importance"].items()}
        return SearchResults(str(found["monitor"]), shares)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
