"""Edges of some files of a list, with the codes of their ids and the account of their lines."""

from dataclasses import dataclass, field

import polars as pl

from recsys_lab.readers.account import ReadAccount
from recsys_lab.readers.ids import IdCodes
from recsys_lab.readers.table_form import TableForm
from recsys_lab.readers.table_reader import TableReader

BAD_REASONS = (
    "not UTF-8",
    "malformed",
    "too long",
    "neither an object nor a list",
    "wrong number of columns",
    "no id",
    "value not a number",
    "label not 0 or 1",
    "weight not finite",
    "weight not positive",
)
_LABELS = {"1": 1.0, "0": 0.0, "-1": 0.0, "true": 1.0, "false": 0.0}


@dataclass
class EdgePart:
    """Edges of some files, the codes of their ids, and the account of their lines.

    Attributes:
        path: of the files.
        form: how they are written; None until it is known.
        codes: of the ids.
        account: of the lines.
        tables: source and target (codes), value (weight or label) and type (of dtype Null where
            none has one), batch by batch.
        first_bad: number of the first bad line in its file, from 1; 0 for none.
        first_bad_text: that line.
        first_bad_path: of that file.
        remedies: what to do about lines that cannot be used, by the reason.
    """

    path: str
    form: TableForm | None = None
    codes: IdCodes = field(default_factory=IdCodes)
    account: ReadAccount = field(default_factory=ReadAccount)
    tables: list[pl.DataFrame] = field(default_factory=list)
    first_bad: int = 0
    first_bad_text: str = ""
    first_bad_path: str = ""
    remedies: dict[str, str] = field(default_factory=dict)

    def recode(self, codes: IdCodes) -> None:
        """Take the codes of another table of ids, which grows."""
        code_of = codes.take(self.codes)
        self.codes = codes
        self.tables = [
            rows.with_columns(
                pl.Series(end, code_of[rows[end].to_numpy()]) for end in ("source", "target")
            )
            for rows in self.tables
        ]

    def take(self, other: "EdgePart") -> None:
        """Take what another part holds, behind what this one does."""
        if not self.first_bad:
            self.first_bad, self.first_bad_text = other.first_bad, other.first_bad_text
            self.first_bad_path = other.first_bad_path
        self.account.add(other.account)
        self.remedies = other.remedies | self.remedies
        other.recode(self.codes)
        self.tables += other.tables


def read_edges(reader: TableReader, *, labelled: bool) -> EdgePart:
    """Read some files; every line is kept or counted in the account.

    Args:
        reader: of the files.
        labelled: whether the third column is a label rather than a weight.
    """
    edges = EdgePart(reader.path)
    codes, account = edges.codes, edges.account
    for rows in reader.batches():
        weighted = reader.form is not None and "weight" in reader.form.roles
        frame = _with_values(rows, labelled=labelled, weighted=weighted)
        account.dropped.update(dict(frame["reason"].drop_nulls().value_counts().iter_rows()))
        if not edges.first_bad:
            where = frame["reason"].is_in(BAD_REASONS).fill_null(False).arg_true()
            if len(where):
                edges.first_bad = frame["number"][int(where[0])]
                edges.first_bad_text = frame["text"][int(where[0])] or ""
                edges.first_bad_path = reader.path
        kept = frame.filter(pl.col("reason").is_null())
        types = kept["type"]
        if types.null_count() == len(types):
            types = types.cast(pl.Null)  # which takes no memory; a text takes 16 bytes
        edges.tables.append(
            pl.DataFrame(
                {
                    "source": codes.encode(kept["source"]),
                    "target": codes.encode(kept["target"]),
                    "value": kept["value"],
                    "type": types,
                }
            )
        )
        account.lines += len(frame)
        account.kept += len(kept)
    edges.form, edges.remedies = reader.form, reader.remedies
    return edges


def _with_values(rows: pl.DataFrame, *, labelled: bool, weighted: bool) -> pl.DataFrame:
    """The rows with a value, and the reason for which one cannot be used (null: it is kept)."""
    if labelled:
        lower = pl.col("cell").str.to_lowercase()
        value = lower.replace_strict(_LABELS, default=None, return_dtype=pl.Float64)
        value = value.fill_null(lower.cast(pl.Float64, strict=False))
    else:
        value = pl.col("cell").cast(pl.Float64, strict=False) if weighted else pl.lit(1.0)
    frame = rows.with_columns(value=value)
    single = pl.col("value").cast(pl.Float32)  # what the records hold: 1e300 is infinite there
    checks = (
        [("label not 0 or 1", ~pl.col("value").is_in([0.0, 1.0]).fill_null(False))]
        if labelled
        else [
            ("value not a number", pl.col("value").is_null()),
            ("weight not finite", ~single.is_finite()),
            ("weight not positive", single <= 0),
        ]
    )
    checks.append(("self-pair", pl.col("source") == pl.col("target")))
    reasons = [pl.when(test).then(pl.lit(name)) for name, test in checks]
    return frame.with_columns(reason=pl.coalesce("reason", *reasons))
