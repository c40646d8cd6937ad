"""Edge lists: item, item and a weight on each line; evaluation pairs in files beside it.

`table_form` says how the form of a file is told. Ids are text as written, but for white space where
that belongs to the form of the file; the values are stripped of it.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from recsys_lab.compute.checks import checked
from recsys_lab.compute.memory import check_reading
from recsys_lab.compute.ranges import Count, Share
from recsys_lab.readers.account import CatalogError, ReadAccount, join_accounts
from recsys_lab.readers.edge_order import EdgeRows, ordered_edges
from recsys_lab.readers.edge_parts import BAD_REASONS, EdgePart, read_edges
from recsys_lab.readers.ids import IdCodes, Ranks, rank_ids
from recsys_lab.readers.item_tables import ItemTable, check_fields, note_table
from recsys_lab.readers.items import complete_items
from recsys_lab.readers.listed_paths import Paths, join_paths
from recsys_lab.readers.odd_ids import odd_ids
from recsys_lab.readers.opening import find_files
from recsys_lab.readers.records import LabelledPairs, Records
from recsys_lab.readers.table_form import FormOptions, TableForm
from recsys_lab.readers.table_reader import TableReader, parts_of_table

log = logging.getLogger(__name__)

_REMEDIES = {
    "no id": "give two ids in each line",
    "value not a number": "say which column is the weight with columns.weight=, or leave it out "
    "with columns.source= and columns.target=,",
    "label not 0 or 1": "give labels 1 and 0, or true and false, in the third column or in that of "
    "columns.weight=,",
}
_MANY_REPEATS = 0.02  # of the lines; more get a warning
_MAX_RELATIONS = 8  # that a mask of pairs holds


@checked
@dataclass(frozen=True)
class EdgeSource:
    """An edge list: item, item and, where it matters, a weight above 0 (else 1).

    Lines of one pair are summed, whichever item is first; `repeats` says what becomes of a line
    that repeats another. The evaluation files carry a label in the third column (1 or true, else
    0, -1 or false), and their items join the vocabulary. Items are described by a table of theirs.

    Attributes:
        path: the training edges: a file, a folder of parts, a pattern, or a list of these, as
            the other paths.
        val_path: labelled pairs for validation, given together with test_path or not at all.
        test_path: labelled pairs for the test.
        items_path: a table that describes items, as that of `EventSource`.
        item_columns: names of its columns title, brand, category and price; of categories one, or
            several from broad to narrow.
        outside_items: "keep" or "drop" items that are described only.
        max_bad_fraction: largest tolerated fraction of the non-blank lines of each file that
            cannot be understood.
        columns: name or place (from 1) of the columns source, target, weight and type.
        separator: tab, comma, semicolon, bar, space or `::`; None tells it from the file.
        comment: beginning of lines that are comments, wherever they stand; None tells it.
        repeats: "once" takes lines with equal items and weight as one, "sum" sums their weights.
        layout: "edges", an edge in a line, or "adjacency", an item and its neighbours; None
            tells it.
        undirected: whether a line with source and target exchanged repeats another, too.
    """

    path: Paths
    val_path: Paths | None
    test_path: Paths | None
    items_path: Paths | None
    item_columns: Mapping[str, str | Sequence[str] | None]
    outside_items: Literal["keep", "drop"]
    max_bad_fraction: Share
    columns: Mapping[str, str | Count | None]
    separator: str | None
    comment: str | None
    repeats: Literal["once", "sum"]
    undirected: bool
    layout: Literal["edges", "adjacency"] | None

    def __post_init__(self) -> None:
        """Check the options that go together."""
        join_paths(self, ("path", "val_path", "test_path", "items_path"))
        self._form_options  # noqa: B018 - checks itself
        check_fields(self.item_columns)
        if (self.val_path is None) != (self.test_path is None):
            missing = "val_path" if self.val_path is None else "test_path"
            raise CatalogError(
                f"{missing} is not set while its counterpart is; set both "
                "val_path and test_path, or neither to have pairs held out"
            )

    @property
    def files(self) -> dict[str, str]:
        """The edge list and, where given, the evaluation pairs and the table of items."""
        beside = {} if self.items_path is None else {"items": self.items_path}
        return self._edge_files | beside

    @property
    def _edge_files(self) -> dict[str, str]:
        paths = {"edges": self.path, "val": self.val_path, "test": self.test_path}
        return {role: path for role, path in paths.items() if path is not None}

    def check_first_lines(self) -> None:
        """Tell the form of the files by their first lines; of pipes, which can be read once, none.

        Raises:
            CatalogError: as of `read`, where the first lines show it.
        """
        for path in self._edge_files.values():
            if all(Path(file).is_file() for file in find_files(path)):
                next(TableReader(path, self._form_options).batches(), None)

    def read(self) -> Records:
        """Read every file.

        Raises:
            CatalogError: a file cannot be read, too many lines are bad, or nothing is left.
        """
        return self.join(self.read_part(*part) for part in self.parts())

    def parts(self) -> list[tuple[str, TableForm | None]]:
        """The arguments of `read_part`, for each of the edges' files that can be read by itself."""
        return parts_of_table(self.path, self._form_options)

    def read_part(
        self, path: str, form: TableForm | None = None, *, labelled: bool = False
    ) -> EdgePart:
        """Read some of the files of edges, with ids coded by themselves."""
        return read_edges(TableReader(path, self._form_options, form), labelled=labelled)

    def join(self, parts: Iterable[EdgePart]) -> Records:
        """The records of all parts of the edges, in the order of the files, and what is beside.

        Raises:
            CatalogError: too many lines are bad, or nothing is left.
        """
        whole = _joined(parts)
        accounts: dict[str, ReadAccount] = {}
        tables: dict[str, list[pl.DataFrame]] = {}
        understood: dict[str, str] = {}
        for role, path in self._edge_files.items():
            read = whole if role == "edges" else self._read_labelled(path, whole.codes)
            understood[role] = self._check_table(path, read)
            accounts[role], tables[role] = read.account, read.tables
        users_items = None if whole.form is None else whole.form.users_items
        return self._records(whole.codes, accounts, tables, understood, users_items)

    def _read_labelled(self, path: str, codes: IdCodes) -> EdgePart:
        parts = parts_of_table(path, self._form_options)
        read = _joined(self.read_part(*part, labelled=True) for part in parts)
        read.recode(codes)
        return read

    def _check_table(self, path: str, read: EdgePart) -> str:
        """Refuse a table with too many bad lines or none; what was understood of it."""
        said = "" if read.form is None else read.form.said
        read.account.refuse_bad(
            path, BAD_REASONS, self.max_bad_fraction, read.first_bad, read.first_bad_text, said,
            _REMEDIES | read.remedies, read.first_bad_path,
        )  # fmt: skip
        _refuse_empty(path, read.account)
        for warning in () if read.form is None else read.form.warnings:
            log.warning("%s: %s", path, warning)
        return said

    def _records(
        self,
        codes: IdCodes,
        accounts: dict[str, ReadAccount],
        tables: dict[str, list[pl.DataFrame]],
        understood: dict[str, str],
        users_items: tuple[str, str] | None,
    ) -> Records:
        beside = ReadAccount()
        items, ranks = self._items(codes, beside, understood)
        given = {
            role: self._labelled(role, tables.pop(role), ranks, accounts[role])
            for role in list(tables)
            if role != "edges"
        }
        rows, names = self._rows(tables.pop("edges"), ranks, accounts["edges"], users_items)
        account = join_accounts(accounts, "edges")
        note_table(account, "items", beside)
        return Records(
            items=complete_items(ranks.ids, items.metadata(ranks.of_code, account)),
            sources=rows.sources,
            targets=rows.targets,
            weights=rows.values.astype(np.float32),
            account=account,
            given=given,
            relations=rows.types if names else None,
            relation_names=names,
            understood=understood,
        )

    def _items(
        self, codes: IdCodes, beside: ReadAccount, understood: dict[str, str]
    ) -> tuple[ItemTable, Ranks]:
        """What describes items, and the vocabulary, given the codes of the edges."""
        in_edges, items = len(codes), ItemTable(codes)
        if self.items_path is not None:
            understood["items"] = items.read(
                self.items_path, None, self.item_columns, beside, self.max_bad_fraction
            )
        stays = np.arange(len(codes)) < in_edges
        ranks = rank_ids(codes, stays | (self.outside_items == "keep"))
        for warning in odd_ids(ranks.ids):
            log.warning("%s: %s", self.path, warning)
        return items, ranks

    @property
    def _form_options(self) -> FormOptions:
        said = {role: name for role, name in self.columns.items() if name is not None}
        return FormOptions(said, self.separator, self.comment, self.layout)

    def _rows(
        self,
        tables: list[pl.DataFrame],
        ranks: Ranks,
        account: ReadAccount,
        users_items: tuple[str, str] | None,
    ) -> tuple[EdgeRows, tuple[str, ...]]:
        """The training edges, and the names of their relations."""
        lines = sum(map(len, tables))
        _check_kinds(self.path, tables, len(ranks.of_code), users_items)
        names = tuple(
            sorted({name for table in tables for name in table["type"].unique()} - {None})
        )
        if len(names) > _MAX_RELATIONS:
            log.warning(
                "%s: %d values in the column of the type, which are not kept: at most %d are",
                self.path, len(names), _MAX_RELATIONS,
            )  # fmt: skip
            names = ()
        is_once = self.repeats == "once"
        rows, count = ordered_edges(
            tables, ranks, names, undirected=self.undirected, once=is_once,
            require=partial(check_reading, self.path, account.lines),
        )  # fmt: skip
        if is_once:
            account.note("repeated lines", count)
        if count > _MANY_REPEATS * lines:
            log.warning(
                "%s: %s of %s lines repeat another: they are %s; repeats=%s would change that",
                self.path, f"{count:,}", f"{lines:,}",
                *(("counted once", "sum") if is_once else ("summed", "once")),
            )  # fmt: skip
        return rows, names

    def _labelled(
        self, role: str, tables: list[pl.DataFrame], ranks: Ranks, account: ReadAccount
    ) -> LabelledPairs:
        rows, repeated = ordered_edges(
            tables, ranks, (), undirected=False, once=True,
            require=partial(check_reading, self.files[role], account.lines),
        )  # fmt: skip
        account.note("repeated lines", repeated)
        if not (rows.values > 0).any():
            raise CatalogError(
                f"{self.files[role]} has no pair with label 1: give positive pairs, too, or leave "
                "val_path and test_path out to have pairs held out"
            )
        return LabelledPairs(rows.sources, rows.targets, rows.values > 0)


def _joined(parts: Iterable[EdgePart]) -> EdgePart:
    following = iter(parts)
    whole = next(following)
    for part in following:
        whole.take(part)
    return whole


def _check_kinds(
    path: str, tables: list[pl.DataFrame], num_codes: int, names: tuple[str, str] | None
) -> None:
    """Warn of a bipartite graph; refuse users and items whose ids are the same.

    Args:
        path: the file, for messages.
        tables: its edges as they are written: one that repeats another may be of other sides.
        num_codes: how many codes there are.
        names: of the two columns, where they are those of users and items.

    Raises:
        CatalogError: a user and an item share an id, and would be one item.
    """
    is_source, is_target = np.zeros(num_codes, bool), np.zeros(num_codes, bool)
    for table in tables:
        is_source[table["source"].to_numpy()] = is_target[table["target"].to_numpy()] = True
    one_side = min(is_source.sum(), is_target.sum())
    both = int((is_source & is_target).sum())
    if one_side > 1 and not both:
        log.warning(
            "%s: the graph is bipartite (no source is ever a target): are these users and items? "
            "Users would be embedded as items",
            path,
        )
    if names and both:
        raise CatalogError(
            f"{path}: {names[0]} and {names[1]} are users and items, or orders and items, no pairs "
            f"of items, and {both:,} ids are both: a user and an item would be one. Read "
            f"them with catalog=events, or say columns.source={names[0]} columns.target={names[1]} "
            "if they are of one kind"
        )


def _refuse_empty(path: str, account: ReadAccount) -> None:
    """Refuse a file without an edge, and say what its lines are."""
    if account.kept:
        return
    if account.dropped["self-pair"]:
        why = "every line names an item with itself; give lines with two different items"
    elif account.dropped["header"]:
        why = "there is only a header; give a file with lines below it"
    else:
        why = "give a file that holds pairs of items"
    raise CatalogError(f"{path}: nothing is left ({account}); {why}")
