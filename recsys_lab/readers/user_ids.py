"""Users: their raw ids or hashes of these, and what else is known of them."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from recsys_lab.readers.account import CatalogError, ReadAccount
from recsys_lab.readers.column_names import plain_name
from recsys_lab.readers.event_columns import event_roles
from recsys_lab.readers.named_columns import NamedColumns

_HASH_BYTES = 16
_KEY_BYTES = 64  # of blake2b, at most


def hash_ids(ids: Iterable[str], key: str) -> pl.Series:
    """Hashes of ids: the first 16 bytes of keyed BLAKE2b (RFC 7693), as hexadecimal digits.

    Without the key nobody can find an id by hashing guesses; without a key anybody can.
    """
    secret = hashlib.blake2b(key.encode(), digest_size=_KEY_BYTES).digest() if key else b""
    hashed = [
        hashlib.blake2b(raw.encode(), digest_size=_HASH_BYTES, key=secret).hexdigest()
        for raw in ids
    ]
    return pl.Series("user", hashed, dtype=pl.String)


def rank_users(raws: pl.Series) -> tuple[pl.Series, np.ndarray]:
    """Sorted ids, and the place of each id in them."""
    order = raws.arg_sort().to_numpy()
    rank = np.empty(len(raws), np.int32)
    rank[order] = np.arange(len(raws), dtype=np.int32)
    return raws.gather(order).alias("user"), rank


def read_users(
    path: str, column: str | None, account: ReadAccount, max_bad_fraction: float
) -> tuple[pl.DataFrame, str]:
    """The table of users: "user", the raw id, and its other columns, all as text; what it is.

    Args:
        path: of the table.
        column: name of the column of ids; None: a usual name, else the first.
        account: counts lines, kept and dropped.
        max_bad_fraction: largest tolerated fraction of lines that cannot be understood.
    """
    table = NamedColumns(path, lambda names, width, _: _columns_of_users(path, column, names))
    users = pl.concat([*table.sound_rows("user", account, max_bad_fraction)], how="diagonal")
    found = users.unique("user", keep="first", maintain_order=True)
    account.note("repeated", len(users) - len(found))
    return found, f"{table.said}: {len(found):,} users"


def _columns_of_users(path: str, column: str | None, names: Sequence[str] | None) -> dict[str, int]:
    if names is None:
        raise CatalogError(f"{path} has no header: put one on top that names the columns of users")
    plain = [plain_name(name) for name in names]
    place = event_roles(plain).get("user", 0)
    if column is not None and column in names:
        place = list(names).index(column)
    taken = ("user", "number", "reason", "digest")
    others = {name: k for k, name in enumerate(names) if k != place and name not in taken}
    return {"user": place} | others


def describe_users(
    ids: pl.Series, table: pl.DataFrame | None, account: ReadAccount
) -> pl.DataFrame:
    """The rows of some users, with what the table has of them.

    Args:
        ids: sorted.
        table: of `read_users`, with ids in the same form; None for none.
        account: gets notes.
    """
    users = pl.DataFrame({"user": ids}, schema={"user": pl.String})
    if table is None:
        return users
    joined = users.join(table, on="user", how="left", maintain_order="left")
    known = users.join(table.select("user"), on="user", how="semi").height
    account.note("users: without a row", len(users) - known)
    account.note("users: rows without an event", len(table) - known)
    return joined
