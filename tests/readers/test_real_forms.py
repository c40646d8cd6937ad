"""Small files as users really have them: what each gives, or the sentence that it gets.

The files are outside of the repository; RECSYS_LAB_DATA names their folder.
"""

import logging
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from recsys_lab.catalog.prepared import prepare
from recsys_lab.catalog.split import SplitOptions
from recsys_lab.readers.sequence_rows import read_sequences
from tests.readers.amazon_cases import source
from tests.readers.edge_cases import edge_source

SPLIT = SplitOptions("pairs", 0.1, 0.1, ("uniform", "degree_matched"), seed=0)
ALL = {"also_bought": 1.0, "also_viewed": 0.5, "bought_together": 1.2, "buy_after_viewing": 0.5}


class Outcome(NamedTuple):
    """What a file gives: numbers of items and pairs, or a message; and a warning."""

    path: str
    items: int = 300
    pairs: int = 1500
    message: str = ""
    warning: str = ""
    options: dict[str, Any] = {}  # noqa: RUF012 - of a NamedTuple


AMAZON = {
    "amazon-2023": Outcome("meta_Toys.jsonl", message="2023 form.*parent_asin.*has no pairs"),
    "amazon-2023-asin-added": Outcome("meta_Toys.jsonl"),
    "amazon-2023-filled": Outcome("meta_Toys.jsonl"),
    "amazon-brand-by": Outcome("meta.json"),
    "amazon-csv": Outcome("meta.csv"),
    "amazon-dict-lists": Outcome("meta.json"),
    "amazon-int-ids": Outcome("meta.json"),
    "amazon-int-lists": Outcome("meta.json"),
    "amazon-json-array": Outcome("meta.json"),
    "amazon-json-array-lines": Outcome("meta.json"),
    "amazon-json-dict": Outcome("meta.json"),
    "amazon-related-all-null": Outcome(
        "meta.json", message="no record lists another item .*null or absent in 300 of 300"
    ),
    "amazon-string-lists": Outcome("meta.json"),
}
GIVEN = {"val_path": "valid.tsv", "test_path": "test.tsv"}
EDGES = {
    "bz2": Outcome("edges.csv.bz2"),
    "comma-space": Outcome("edges.csv"),
    "cr-only": Outcome("edges.csv"),
    "gephi-quoted-semicolon": Outcome("edges.csv"),
    "given-minus-one": Outcome("train.tsv", pairs=1200, options=GIVEN),
    "given-only-negative": Outcome(
        "train.tsv", options=GIVEN, message=r"valid\.tsv has no pair with label 1"
    ),
    "header-from-to": Outcome("edges.csv"),
    "header-id_1": Outcome("edges.csv"),
    "header-item-related": Outcome("edges.csv"),
    "ids-quoted-tsv": Outcome("edges.tsv"),
    "ids-tuple": Outcome("edges.txt", message=r"line is '\(78, 1\) \(79, 1\) 7'.*columns\.so"),
    "latin1": Outcome("edges.csv", message="not UTF-8.*iconv -f LATIN1"),
    "matrix-market": Outcome("graph.mtx"),
    "mixed-directions": Outcome("edges.csv"),
    "nx-write-edgelist": Outcome("g.edgelist"),
    "nx-write-edgelist-w": Outcome("g.edgelist"),
    "pandas-index-numeric": Outcome("pairs.csv"),
    "pandas-index-text": Outcome("pairs.csv"),
    "parquet": Outcome("edges.parquet"),
    "part-files": Outcome("edges"),
    "ratings-3col": Outcome("ratings.csv", 700, 2042, warning="the graph is bipartite"),
    "ratings-csv": Outcome("ratings_Shop.csv", message="4 columns between comma.*columns.source=1"),
    "repeats-are-counts": Outcome("edges.csv", warning="6,001 of 7,501 lines repeat another"),
    "semicolon": Outcome("edges.csv"),
    "snap-comments": Outcome("Amazon0302.txt"),
    "star": Outcome("edges.csv", 3001, 3000, warning="no degree_matched negatives, their columns"),
    "trailing-space-tab": Outcome("edges.tsv"),
    "trailing-tab": Outcome("edges.tsv"),
    "weights-decimal-comma": Outcome("edges.csv"),
    "weights-float32-overflow": Outcome("edges.txt", message="sum to more than a 32-bit number"),
    "weights-mostly-zero": Outcome("edges.txt", message="1,200 weight not positive"),
    "weights-nan": Outcome("edges.txt", message="750 weight not finite"),
    "zip": Outcome("edges.csv.zip"),
    "zst": Outcome("edges.csv.zst"),
}
SEQUENCES = {
    "seq-comma": "sessions.csv",
    "seq-crlf-bom": "sessions.txt",
    "seq-gz": "sessions.txt.gz",
    "seq-json-lists": "sessions.jsonl",
    "seq-long-csv": "events.csv",
    "seq-tab-then-comma": "sessions.tsv",
}


@pytest.fixture(scope="module")
def forms(data_folder: Path) -> Path:
    if not (data_folder / "forms").is_dir():
        pytest.skip("RECSYS_LAB_DATA has no folder forms")
    return data_folder / "forms"


def test_every_file_has_its_outcome(forms: Path) -> None:
    known = {*AMAZON, *EDGES, *SEQUENCES}
    assert known == {path.name for path in forms.iterdir() if path.is_dir()}


def check(catalog: Any, outcome: Outcome, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    if outcome.message:
        with pytest.raises(ValueError, match=outcome.message):
            prepare(catalog, SPLIT, folder)
        return
    prepared = prepare(catalog, SPLIT, folder)
    assert (len(prepared.catalog), prepared.num_pairs) == (outcome.items, outcome.pairs)
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert bool(warnings) == bool(outcome.warning), warnings
    assert re.search(outcome.warning, " ".join(warnings))


@pytest.mark.parametrize("case", AMAZON)
def test_amazon(forms: Path, tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture) -> None:
    outcome = AMAZON[case]
    catalog = source(forms / case / outcome.path, relation_weights=ALL, max_bad_fraction=0.01)
    check(catalog, outcome, tmp_path, caplog)
    if not outcome.message:
        brands = set(catalog.read().items["brand"].to_list())
        assert brands <= {"Acme", None}


@pytest.mark.parametrize("case", EDGES)
def test_edges(forms: Path, tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture) -> None:
    outcome = EDGES[case]
    options = {name: str(forms / case / path) for name, path in outcome.options.items()}
    catalog = edge_source(str(forms / case / outcome.path), max_bad_fraction=0.01, **options)
    check(catalog, outcome, tmp_path, caplog)


@pytest.mark.parametrize("case", SEQUENCES)
def test_sequences(forms: Path, case: str) -> None:
    found = read_sequences(str(forms / case / SEQUENCES[case]))
    assert len(found.items) == 8304
    assert found.items[:3].to_list() == ["B000000068", "B000000074", "B000000064"]
    assert len(np.unique(found.sequence)) == 1500
