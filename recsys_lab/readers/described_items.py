"""The items of a table that describes them, without any events."""

import numpy as np

from recsys_lab.readers.account import ReadAccount
from recsys_lab.readers.event_assembly import rank_items
from recsys_lab.readers.event_log import EventLog
from recsys_lab.readers.events import EventSource
from recsys_lab.readers.item_tables import ItemTable
from recsys_lab.readers.items import complete_items
from recsys_lab.readers.records import Records


def read_described_items(source: EventSource) -> Records:
    """The items of the table `items_path` of a source; its events are not read.

    Raises:
        CatalogError: the table cannot be read, or too many lines are bad.
    """
    log, account = EventLog(), ReadAccount()
    items, path = ItemTable(log.items), str(source.items_path)
    item = source.columns.get("item")
    name = item if isinstance(item, str) else None
    said = items.read(path, name, source.item_columns, account, source.max_bad_fraction)
    account.refuse_empty(path, {})
    ranks = rank_items(log, items.described)
    none = np.empty(0, np.int32)
    return Records(
        items=complete_items(ranks.ids, items.metadata(ranks.of_code, account)),
        sources=none,
        targets=none,
        weights=none.astype(np.float32),
        account=account,
        understood={"items": said},
    )
