"""Which columns of a table of events are read: those that the user names, else by their names."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from recsys_lab.compute.ranges import Count
from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.column_names import plain_name
from recsys_lab.readers.event_columns import ROLES_OF_EVENTS, event_roles
from recsys_lab.readers.item_tables import FIELDS, Said, columns_of, places_of

Role = str | Count | Literal[False] | None  # name or place of a column; false: none; None: by name


def choose_columns(
    path: str,
    said: Mapping[str, Role],
    item_columns: Said,
    names: Sequence[str] | None,
    width: int,
    lists: Collection[int],
) -> dict[str, int]:
    """Places of the columns of events: what the user says, else by their names.

    Args:
        path: of the file.
        said: columns of events by role.
        item_columns: columns that describe items, by field.
        names: of the columns; None: the file has no header.
        width: number of columns.
        lists: places of columns that hold lists.

    Raises:
        CatalogError: a column is not there, or there is none of items or of users or sessions.
    """
    guessed = {} if names is None else event_roles([plain_name(name) for name in names], lists)
    told = {
        role: _place_of(path, role, column, names, width)
        for role, column in said.items()
        if column is not None and column is not False
    }
    roles = {
        role: place
        for role, place in guessed.items()
        if said.get(role) is None and place not in told.values()
    } | told
    if "item" not in roles or not {"user", "session"} & set(roles):
        missing = "items" if "item" not in roles else "users or sessions"
        there = f"has {width} columns and no header" if names is None else (
            f"has the columns {', '.join(names)}"
        )  # fmt: skip
        raise CatalogError(
            f"{path} {there}, and none is known for {missing}: name them with columns.user=, "
            "columns.session=, columns.item=, columns.time= and so on, by name or place"
        )
    for name in FIELDS:
        if columns := columns_of(item_columns, name):
            found = places_of(name, columns, names or ())
            if not found:
                raise CatalogError(
                    f"{path} has no column {columns[0]}, which item_columns.{name} names; it has "
                    f"{', '.join(names or ()) or 'no header'}"
                )
            roles |= found
    return {role: roles[role] for role in (*ROLES_OF_EVENTS, *roles) if role in roles}


def roles_of_field(field: str, item_columns: Said) -> dict[str, int]:
    """Roles of the columns that the user names for a field, such as `category_0`."""
    columns = columns_of(item_columns, field)
    return places_of(field, columns, columns)


def _place_of(
    path: str, role: str, column: str | int, names: Sequence[str] | None, width: int
) -> int:
    if isinstance(column, int):
        if column <= width:
            return column - 1
        raise CatalogError(f"columns.{role} is {column}, and {path} has {width} columns")
    if names is not None and column in names:
        return list(names).index(column)
    there = "no header" if names is None else f"the columns {', '.join(names)}"
    raise CatalogError(f"columns.{role} names {column}, and {path} has {there}")
