"""Edge lists: item, item and a weight on each line, with pairs to judge by beside it."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_lab.catalog.edge_lines import BAD_REASONS, read_edges
from recsys_lab.catalog.ids import IdCodes, Ranks, rank_ids
from recsys_lab.catalog.items import complete_items
from recsys_lab.catalog.options import check_fraction
from recsys_lab.catalog.records import LabelledPairs, Records
from recsys_lab.catalog.report import CatalogError, ReadReport


@dataclass(frozen=True)
class EdgeSource:
    """An edge list, plain or gzip: item, item and, where it matters, a weight above 0 (else 1).

    How separator and header are told is said in `recsys_lab.catalog.edge_lines`. A line that
    repeats source, target and weight of another counts once; lines of one pair with different
    weights all stay, to be summed as relations are. The evaluation files carry a label, 0 or 1,
    in the third column, and their items join the vocabulary. No item has side information.

    Attributes:
        path: the training edges.
        val_path: labelled pairs for validation, given together with test_path or not at all.
        test_path: labelled pairs for the test.
        max_bad_fraction: largest tolerated fraction of the non-blank lines of each file that
            cannot be understood.
    """

    path: str
    val_path: str | None
    test_path: str | None
    max_bad_fraction: float

    def __post_init__(self) -> None:
        """Check every option."""
        check_fraction("catalog.max_bad_fraction", self.max_bad_fraction)
        if (self.val_path is None) != (self.test_path is None):
            missing = "val_path" if self.val_path is None else "test_path"
            raise CatalogError(
                f"catalog.{missing} is not set while its counterpart is; set both "
                "catalog.val_path and catalog.test_path, or neither to have pairs held out"
            )

    @property
    def files(self) -> dict[str, str]:
        """The edge list and, where given, the evaluation pairs."""
        paths = {"edges": self.path, "val": self.val_path, "test": self.test_path}
        return {role: path for role, path in paths.items() if path is not None}

    def read(self) -> Records:
        """Read every file.

        Raises:
            CatalogError: a file cannot be read, too many lines are bad, or nothing is left.
        """
        codes = IdCodes()
        reports: dict[str, ReadReport] = {}
        tables: dict[str, pl.DataFrame] = {}
        for role, path in self.files.items():
            reports[role] = report = ReadReport()
            edges = read_edges(path, codes, report, labelled=role != "edges")
            report.refuse_bad(path, BAD_REASONS, self.max_bad_fraction, edges.first_bad)
            report.refuse_empty(path, {})
            tables[role] = edges.table()
        ranks = rank_ids(codes, np.ones(len(codes), bool))
        columns = {role: _distinct(tables.pop(role), ranks, reports[role]) for role in reports}
        sources, targets, weights = columns.pop("edges")
        return Records(
            items=complete_items(ranks.ids),
            sources=sources,
            targets=targets,
            weights=weights.astype(np.float32),
            report=_join(reports),
            given={
                role: LabelledPairs(heads, tails, labels > 0)
                for role, (heads, tails, labels) in columns.items()
            },
        )


def _distinct(
    table: pl.DataFrame, ranks: Ranks, report: ReadReport
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources, targets (rows of the vocabulary) and values, sorted, each line once; each (E,).

    Both ends are packed into one number to sort by; hashing the lines takes four times the memory.
    """
    key = ranks.of_code[table["source"].to_numpy()].astype(np.int64)
    key <<= 31
    key |= ranks.of_code[table["target"].to_numpy()]
    values = table["value"].to_numpy()
    order = np.lexsort((values, key))
    key, values = key[order], values[order]
    is_new = np.ones(len(key), bool)
    is_new[1:] = (key[1:] != key[:-1]) | (values[1:] != values[:-1])
    report.note("repeated lines", len(key) - int(is_new.sum()))
    key, values = key[is_new], values[is_new]
    return (key >> 31).astype(np.int32), (key & (2**31 - 1)).astype(np.int32), values


def _join(reports: dict[str, ReadReport]) -> ReadReport:
    """One account of all files; the reasons of the evaluation files begin with their role."""
    joint = ReadReport()
    for role, report in reports.items():
        prefix = "" if role == "edges" else f"{role}: "
        joint.lines += report.lines
        joint.kept += report.kept
        joint.dropped += Counter({prefix + name: n for name, n in report.dropped.items()})
        joint.notes += Counter({prefix + name: n for name, n in report.notes.items()})
    return joint
