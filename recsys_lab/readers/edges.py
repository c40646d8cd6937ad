"""Edge lists: item, item and a weight on each line; evaluation pairs in files beside it.

The form of a file is told by its first thousand lines that are not blank:

- Separator: the first of tab, comma and space that occurs in at least half of them. Between
  spaces, several count as one; between commas, a field may be quoted as in CSV (on one line).
- Columns: two or three, whichever more lines have. Other lines are dropped.
- Header: the first line, if its third column is no number while most others' are, or if its first
  two are usual names (HEADER_NAMES) and a number does not follow. Equal lines further down are
  headers too.

Ids are text, exactly as written; only the values are stripped of white space.
"""

import csv
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from recsys_lab.readers.account import CatalogError, ReadAccount
from recsys_lab.readers.ids import IdCodes, Ranks, rank_ids
from recsys_lab.readers.items import complete_items
from recsys_lab.readers.lines import read_batches
from recsys_lab.readers.options import check_fraction
from recsys_lab.readers.records import LabelledPairs, Records

_NAMES = (
    "item1 item2 item_1 item_2 item_a item_b item_id1 item_id2 source target src dst "
    "id1 id2 node1 node2 product1 product2 asin1 asin2"
)
HEADER_NAMES = frozenset(_NAMES.split())
BAD_REASONS = (
    "malformed",
    "too long",
    "wrong number of columns",
    "no id",
    "value not a number",
    "label not 0 or 1",
)
_SAMPLE = 1000
_BOM = "\ufeff"


@dataclass
class Edges:
    """The edges of one file, with ids as codes.

    Attributes:
        tables: source and target (codes), and value (weight or label), batch by batch.
        first_bad: number of the first bad line, from 1; 0 for none.
    """

    tables: list[pl.DataFrame] = field(default_factory=list)
    first_bad: int = 0

    def table(self) -> pl.DataFrame:
        """All batches as one."""
        return pl.concat(self.tables)


@dataclass(frozen=True)
class _Form:
    """How the lines of one file are written."""

    separator: str
    columns: int
    header: str | None  # the text of the header line


@dataclass(frozen=True)
class EdgeSource:
    """An edge list, plain or gzip: item, item and, where it matters, a weight above 0 (else 1).

    The docstring of the module says how separator and header are told. A line that repeats source,
    target and weight of another counts once; lines of one pair with different weights all stay, to
    be summed as relations are. The evaluation files carry a label, 0 or 1, in the third column,
    and their items join the vocabulary. No item has side information.

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
        check_fraction("max_bad_fraction", self.max_bad_fraction)
        if (self.val_path is None) != (self.test_path is None):
            missing = "val_path" if self.val_path is None else "test_path"
            raise CatalogError(
                f"{missing} is not set while its counterpart is; set both "
                "val_path and test_path, or neither to have pairs held out"
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
        accounts: dict[str, ReadAccount] = {}
        tables: dict[str, pl.DataFrame] = {}
        for role, path in self.files.items():
            accounts[role] = account = ReadAccount()
            edges = read_edges(path, codes, account, labelled=role != "edges")
            account.refuse_bad(path, BAD_REASONS, self.max_bad_fraction, edges.first_bad)
            account.refuse_empty(path, {})
            tables[role] = edges.table()
        ranks = rank_ids(codes, np.ones(len(codes), bool))
        columns = {role: _distinct(tables.pop(role), ranks, accounts[role]) for role in accounts}
        sources, targets, weights = columns.pop("edges")
        return Records(
            items=complete_items(ranks.ids),
            sources=sources,
            targets=targets,
            weights=weights.astype(np.float32),
            account=_join(accounts),
            given={
                role: LabelledPairs(heads, tails, labels > 0)
                for role, (heads, tails, labels) in columns.items()
            },
        )


def _distinct(
    table: pl.DataFrame, ranks: Ranks, account: ReadAccount
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
    account.note("repeated lines", len(key) - int(is_new.sum()))
    key, values = key[is_new], values[is_new]
    return (key >> 31).astype(np.int32), (key & (2**31 - 1)).astype(np.int32), values


def _join(accounts: dict[str, ReadAccount]) -> ReadAccount:
    """One account of all files; the reasons of the evaluation files begin with their role."""
    joint = ReadAccount()
    for role, account in accounts.items():
        prefix = "" if role == "edges" else f"{role}: "
        joint.lines += account.lines
        joint.kept += account.kept
        joint.dropped += Counter({prefix + name: n for name, n in account.dropped.items()})
        joint.notes += Counter({prefix + name: n for name, n in account.notes.items()})
    return joint


def read_edges(path: str, codes: IdCodes, account: ReadAccount, labelled: bool) -> Edges:
    """Read one file; every line is kept or counted in the account.

    Args:
        path: plain or gzip.
        codes: codes of the raw ids, which grow.
        account: counts lines, kept and dropped.
        labelled: whether the third column is a label, 0 or 1, rather than a weight.
    """
    edges = Edges()
    form: _Form | None = None
    for batch in read_batches(path):
        lines = pl.Series("line", batch, dtype=pl.Binary)
        text = _decode(lines).str.strip_prefix(_BOM)
        if form is None:
            known = text.drop_nulls()
            sample = known.filter(known.str.strip_chars() != "").head(_SAMPLE).to_list()
            form = _detect(sample) if sample else None
        frame = _take_apart(lines, text, form, labelled)
        account.dropped.update(dict(frame["reason"].drop_nulls().value_counts().iter_rows()))
        if not edges.first_bad:
            where = frame["reason"].is_in(BAD_REASONS).fill_null(False).arg_true()
            edges.first_bad = account.lines + int(where[0]) + 1 if len(where) else 0
        kept = frame.filter(pl.col("reason").is_null())
        edges.tables.append(
            pl.DataFrame(
                {
                    "source": codes.encode(kept["source"]),
                    "target": codes.encode(kept["target"]),
                    "value": kept["value"],
                }
            )
        )
        account.lines += len(frame)
        account.kept += len(kept)
    return edges


def _decode(lines: pl.Series) -> pl.Series:
    """The lines as text; null where a line is no UTF-8."""
    try:
        return lines.cast(pl.String)
    except pl.exceptions.ComputeError:  # somewhere in the batch: look at each line
        decoded = [None if line is None else _decode_line(line) for line in lines]
        return pl.Series(lines.name, decoded, dtype=pl.String)


def _decode_line(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _detect(sample: list[str]) -> _Form:
    """The form of a file whose first lines these are."""
    counts = {sep: sum(sep in line for line in sample) for sep in "\t, "}
    separator = next((sep for sep, n in counts.items() if 2 * n >= len(sample)), "\t")
    rows = [_split(line, separator) or [] for line in sample]
    widths = Counter(len(row) for row in rows)
    columns = 3 if widths[3] >= widths[2] else 2
    first, others = rows[0], [row for row in rows[1:] if len(row) == 3]
    weighted = len(first) == 3 and _is_number(first[2])
    named = len(first) >= 2 and all(cell.strip().lower() in HEADER_NAMES for cell in first[:2])
    numbers = sum(_is_number(row[2]) for row in others)
    headed = len(first) == 3 and 2 * numbers > len(others)
    return _Form(separator, columns, sample[0] if (named or headed) and not weighted else None)


def _split(line: str, separator: str) -> list[str] | None:
    """The fields of one line; None where its quotes do not match."""
    if separator == " ":
        return line.split()
    if separator == "," and '"' in line:
        try:
            return next(csv.reader([line], strict=True), [])
        except csv.Error:
            return None
    return line.split(separator)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _take_apart(
    lines: pl.Series, text: pl.Series, form: _Form | None, labelled: bool
) -> pl.DataFrame:
    """Source, target, value, and the reason for which a line is dropped (null: it is kept)."""
    form = form or _Form("\t", 3, None)
    fields = _fields(text, form)
    frame = pl.DataFrame({"line": lines, "text": text, "fields": fields}).with_columns(
        source=pl.col("fields").list.get(0, null_on_oob=True),
        target=pl.col("fields").list.get(1, null_on_oob=True),
        cell=pl.col("fields").list.get(2, null_on_oob=True).str.strip_chars(),
    )
    value = pl.lit(1.0) if form.columns == 2 else pl.col("cell").cast(pl.Float64, strict=False)
    frame = frame.with_columns(value=value)
    ids = (pl.col("source"), pl.col("target"))
    columns = 3 if labelled else form.columns
    single = pl.col("value").cast(pl.Float32)  # what the records hold: 1e300 is infinite there
    checks: list[tuple[str, pl.Expr]] = [
        ("too long", pl.col("line").is_null()),
        ("malformed", pl.col("text").is_null() | pl.col("text").str.contains("\0", literal=True)),
        ("blank", pl.col("text").str.strip_chars() == ""),
        ("header", pl.lit(form.header is not None) & (pl.col("text") == (form.header or ""))),
        ("malformed", pl.col("fields").is_null()),
        ("wrong number of columns", pl.col("fields").list.len() != columns),
        ("no id", (ids[0] == "") | (ids[1] == "")),
    ]
    if labelled:
        checks.append(("label not 0 or 1", ~pl.col("value").is_in([0.0, 1.0]).fill_null(False)))
    else:
        checks += [
            ("value not a number", pl.col("value").is_null()),
            ("weight not finite", ~single.is_finite()),
            ("weight not positive", single <= 0),
        ]
    checks.append(("self-pair", ids[0] == ids[1]))
    reason = pl.coalesce(pl.when(test).then(pl.lit(name)) for name, test in checks)
    return frame.select("source", "target", "value", reason=reason)


def _fields(text: pl.Series, form: _Form) -> pl.Series:
    """The fields of every line; null where there are none."""
    if form.separator == " ":
        text = text.str.replace_all(r"\s+", " ").str.strip_chars()
    fields = text.str.split(form.separator)
    if form.separator == ",":
        quoted = text.str.contains('"', literal=True).fill_null(False).arg_true()
        if len(quoted):
            rows = [_split(line, ",") for line in text.gather(quoted)]
            rows_of = np.arange(len(text))
            rows_of[quoted.to_numpy()] = len(text) + np.arange(len(rows))
            fields = pl.concat([fields, pl.Series(rows, dtype=pl.List(pl.String))]).gather(rows_of)
    return fields
