"""Side information of items from tables: their own, or columns of the events."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import orjson
import polars as pl
from polars.datatypes import DataTypeClass

from recsys_lab.readers.account import CatalogError, ReadAccount
from recsys_lab.readers.column_names import plain_name, words
from recsys_lab.readers.event_columns import event_roles
from recsys_lab.readers.fields import clean_text, read_brand, read_price, read_title
from recsys_lab.readers.ids import IdCodes
from recsys_lab.readers.json_tables import parse
from recsys_lab.readers.named_columns import NamedColumns

FIELDS = ("title", "brand", "category", "price")
_NAMES = {  # plain names of columns, the usual first
    "title": words("title name productname itemname producttitle movietitle"),
    "brand": words(
        "brand brandname brandid manufacturer manufacturername manufacturerid vendor store maker "
        "label artist author"
    ),
    "price": words("price unitprice listprice saleprice"),
}
_LEVELS = (  # of categories, from broad to narrow
    words("department departmentname maincategory maincat category1 categoryl1 l1 section market"),
    words(
        "productcategory category categories categoryname categoryid categorycode genre genres "
        "tags category2 categoryl2 l2 commodity aisle attributes"
    ),
    words("producttype subcategory subcat category3 categoryl3 l3 subcommodity class"),
)
_SEPARATE = "|"  # between categories beside each other, as genres are
_WITHIN = " > "  # between those of one path
Said = Mapping[str, str | Sequence[str] | None]


def check_fields(said: Said) -> None:
    """Refuse names of columns for anything but FIELDS.

    Raises:
        CatalogError: naming what can be described.
    """
    for field in said:
        if field not in FIELDS:
            raise CatalogError(
                f"item_columns.{field} is no column that is read; these are {', '.join(FIELDS)}"
            )


def note_table(account: ReadAccount, role: str, beside: ReadAccount) -> None:
    """Note in the account of the data what was dropped of a table beside it."""
    for reason, count in (beside.dropped + beside.notes).items():
        if reason not in ("header", "blank"):
            account.note(f"{role}: {reason}", count)


class ItemTable:
    """What describes items, of some rows of one or several tables.

    Args:
        codes: of raw ids of items, which grow by those that are described.

    Attributes:
        left: of the columns that `read` was told those that its table does not have.
    """

    def __init__(self, codes: IdCodes) -> None:
        self._codes = codes
        self._frames: list[pl.DataFrame] = []
        self.left: Said = {}

    def read(
        self, path: str, item: str | None, said: Said, account: ReadAccount, max_bad_fraction: float
    ) -> str:
        """Add a table of items; what it is, for the user.

        Args:
            path: of the table.
            item: name of the column of ids; None: a usual name.
            said: names of columns by FIELDS; of categories one or several, from broad to narrow.
            account: counts lines, kept and dropped.
            max_bad_fraction: largest tolerated fraction of lines that cannot be understood.
        """
        table = NamedColumns(path, lambda names, width, _: _columns(path, item, said, names, width))
        for rows in table.sound_rows("item", account, max_bad_fraction):
            codes = pl.Series("item", self._codes.encode(rows["item"]), dtype=pl.Int32)
            self.add(rows.with_columns(codes))
        names = set(table.names or ())
        self.left = {x: said[x] for x in FIELDS if not set(columns_of(said, x)) <= names}
        return f"{table.said}: {account.kept:,} rows"

    def add(self, rows: pl.DataFrame) -> None:
        """Add rows: item (code), and text in columns title, brand, price, category_0 and so on."""
        self._frames.append(rows)

    @property
    def described(self) -> np.ndarray:
        """Codes of the items that are described."""
        found = [frame["item"] for frame in self._frames]
        return pl.concat(found).unique().to_numpy() if found else np.empty(0, np.int32)

    def metadata(self, rows_of: np.ndarray, account: ReadAccount) -> pl.DataFrame | None:
        """One row for each described item, as `complete_items` takes it; None without any.

        Of several rows of an item the first title, brand and price count, and all categories.

        Args:
            rows_of: (number of codes,) the row of an item in the catalogue; -1 for none.
            account: gets notes.
        """
        if not self._frames:
            return None
        frame = pl.concat(self._frames, how="diagonal")
        frame = frame.with_columns(row=pl.Series(rows_of[frame["item"].to_numpy()]))
        frame = frame.filter(pl.col("row") >= 0)
        notes: list[str] = []
        levels = sorted(name for name in frame.columns if name.startswith("category_"))
        frame = _with_categories(frame, levels)
        for name in ("title", "brand", "price"):
            if name not in frame.columns:
                frame = frame.with_columns(pl.lit(None, pl.String).alias(name))
        plain: dict[str, tuple[Callable[[str], str | float | None], DataTypeClass]] = {
            "title": (read_title, pl.String),
            "brand": (lambda text: read_brand(text, notes), pl.String),
            "price": (lambda text: read_price(text, notes), pl.Float64),
        }
        for name, (read, kind) in plain.items():
            frame = frame.with_columns(_each(frame[name], read, kind))
        merged = frame.group_by("row", maintain_order=True).agg(
            *(pl.col(name).drop_nulls().first() for name in plain),
            pl.col("categories").drop_nulls().unique(maintain_order=True),
        )
        for note in dict.fromkeys(notes):
            account.note(f"items: {note}", notes.count(note))
        return merged.with_columns(categories=_joined(merged["categories"]))


def _each(
    cells: pl.Series, read: Callable[[str], str | float | None], kind: DataTypeClass
) -> pl.Series:
    """A function of each cell, called once for each distinct one."""
    distinct = cells.drop_nulls().unique()
    values = [read(text) for text in distinct]
    new = pl.Series(values, dtype=kind)
    return cells.replace_strict(distinct, new, default=None, return_dtype=kind).alias(cells.name)


def _with_categories(frame: pl.DataFrame, levels: Sequence[str]) -> pl.DataFrame:
    """The frame with the paths of each row as JSON, null without any."""
    if not levels:
        return frame.with_columns(categories=pl.lit(None, pl.String))
    distinct = frame.select(levels).unique()
    paths = [orjson.dumps(found).decode() if (found := _paths(row)) else None
             for row in distinct.iter_rows()]  # fmt: skip
    distinct = distinct.with_columns(categories=pl.Series(paths, dtype=pl.String))
    return frame.join(distinct, on=levels, how="left", nulls_equal=True, maintain_order="left")


def _paths(cells: Sequence[str | None]) -> list[list[str]]:
    """The paths in the cells of one row: of several cells one path, of one cell all in it."""
    if len(cells) > 1:
        labels = [label for cell in cells if cell and (label := clean_text(cell))]
        return [labels] if labels else []
    cell = cells[0] or ""
    value = parse(cell) if cell[:1] == "[" else None
    if isinstance(value, list):
        nested = value if any(isinstance(x, list) for x in value) else [value]
        found = [[str(x) for x in path] for path in nested if isinstance(path, list)]
    else:
        found = [path.split(_WITHIN) for path in cell.split(_SEPARATE)]
    found = [[label for x in path if (label := clean_text(x))] for path in found]
    return [path for path in found if path]


def _joined(paths: pl.Series) -> pl.Series:
    """Lists of paths as JSON, each without repetition; null for none."""
    alone = paths.list.len() <= 1
    joined = paths.list.first() if len(paths) else pl.Series([], dtype=pl.String)
    several = [_union(lists) for lists in paths.filter(~alone)]
    return joined.scatter((~alone).arg_true(), several) if several else joined


def _union(texts: Iterable[str]) -> str:
    found: list[list[str]] = []
    for text in texts:
        found += [path for path in orjson.loads(text) if path not in found]
    return orjson.dumps(found).decode()


# -- columns -------------------------------------------------------------------------------------


def _columns(
    path: str, item: str | None, said: Said, names: Sequence[str] | None, width: int
) -> dict[str, int]:
    """Places of the columns of a table of items: item, title, brand, price, category_0 ..."""
    if names is None:
        if width == 2 and not any(said.values()):  # such as an object of categories by item
            return {"item": 0, "category_0": 1}
        raise CatalogError(
            f"{path} has no header: put one on top that names the columns, such as item, title, "
            "brand, category, price"
        )
    plain = [plain_name(name) for name in names]
    places = {"item": _place_of_item(path, item, names, plain)}
    for field in FIELDS:
        columns = columns_of(said, field)
        places |= places_of(field, columns, names) if columns else _guessed(field, plain)
    if len(places) == 1:
        raise CatalogError(
            f"{path} has the columns {', '.join(names)}, and none is known to describe items: say "
            "which with item_columns.title=, item_columns.brand=, item_columns.category= or "
            "item_columns.price="
        )
    return places


def _place_of_item(path: str, item: str | None, names: Sequence[str], plain: Sequence[str]) -> int:
    if item is not None and item in names:
        return list(names).index(item)
    found = event_roles(plain).get("item")
    if found is None:
        found = next((plain.index(name) for name in ("id", "key") if name in plain), None)
    if found is None:
        raise CatalogError(
            f"{path} has the columns {', '.join(names)}, and none is known for ids of items: call "
            "it item"
        )
    return found


def columns_of(said: Said, field: str) -> list[str]:
    """Names of the columns of a field."""
    found = said.get(field)
    return [found] if isinstance(found, str) else list(found or ())


def places_of(field: str, columns: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """Places of the columns of a field, by role; none unless all are there."""
    if not columns or not set(columns) <= set(names):
        return {}
    if field != "category":
        return {field: list(names).index(columns[0])}
    return {f"category_{level}": list(names).index(name) for level, name in enumerate(columns)}


def _guessed(field: str, plain: Sequence[str]) -> dict[str, int]:
    if field != "category":
        place = next((plain.index(name) for name in _NAMES[field] if name in plain), None)
        return {} if place is None else {field: place}
    found = (next((plain.index(x) for x in level if x in plain), None) for level in _LEVELS)
    places = [place for place in found if place is not None]
    return {f"category_{level}": place for level, place in enumerate(places)}
