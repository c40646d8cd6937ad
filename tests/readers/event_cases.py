"""Logs of events with the options that the configuration gives."""

from typing import Any

from recsys_lab.readers.events import EventSource

DEFAULTS: dict[str, Any] = {
    "val_path": None,
    "test_path": None,
    "items_path": None,
    "users_path": None,
    "layout": None,
    "columns": {},
    "item_columns": {},
    "item_pattern": None,
    "kinds": {},
    "use_quantity": False,
    "pairs": {"by": "session", "window": 5, "max_distance": 200},
    "time_format": None,
    "session_gap_minutes": 30,
    "cut_given_sessions": False,
    "min_events_per_item": 0,
    "min_events_per_user": 0,
    "outside_items": "drop",
    "hash_users": False,
    "hash_key_variable": None,
    "max_bad_fraction": 0.0,
}


def event_source(path: object, **options: Any) -> EventSource:
    return EventSource(path=str(path), **(DEFAULTS | options))
