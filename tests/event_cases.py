"""Event logs for tests, by hand and at random."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from recsys_lab.readers.pair_options import PairOptions
from recsys_lab.readers.records import Events

KINDS = ("view", "buy")
Row = tuple[str, int, float, int]  # user, item, time, kind
GAP = 10  # idle time that begins another session


def pairs_by(by: str, *, window: int = 5, max_distance: int = 200) -> PairOptions:
    """How pairs are made of events."""
    return PairOptions(by, window, max_distance)  # type: ignore[arg-type]


def log_of(
    rows: Sequence[Row], *, times: bool = True, parts: Sequence[int] | None = None
) -> Events:
    """The events of rows in the order of a file: by user, by time, by place in the file."""
    names = sorted({user for user, *_ in rows})
    number = {name: k for k, name in enumerate(names)}
    order = sorted(range(len(rows)), key=lambda k: (rows[k][0], rows[k][2] if times else 0, k))
    user = np.array([number[rows[k][0]] for k in order], np.int32)
    time = np.array([rows[k][2] for k in order], np.float64)
    begins = (np.diff(user, prepend=-1) != 0) | (times & (np.diff(time, prepend=time[:1]) > GAP))
    return Events(
        users=pl.DataFrame({"user": names}),
        user=user,
        item=np.array([rows[k][1] for k in order], np.int32),
        session=(np.cumsum(begins) - 1).astype(np.int32),
        time=time if times else None,
        kind=np.array([rows[k][3] for k in order], np.uint8),
        kind_names=KINDS,
        weight=np.array([1.0 + 2 * rows[k][3] for k in order], np.float32),
        part=None if parts is None else np.array([parts[k] for k in order], np.int8),
    )


def random_rows(seed: int, *, users: int = 8, items: int = 40, count: int = 90) -> list[Row]:
    """Rows whose times have many ties."""
    rng = np.random.default_rng(seed)
    return [
        (f"u{rng.integers(users)}", int(rng.integers(items)), float(rng.integers(120)),
         int(rng.random() < 0.4))
        for _ in range(count)
    ]  # fmt: skip
