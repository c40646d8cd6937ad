"""How pairs of items are made of events: the options, which stand with those of the source."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from recsys_lab.compute.checks import checked

_Distance = Annotated[int, Ge(1), Le(10_000)]


@checked
@dataclass(frozen=True)
class PairOptions:
    """Which items of an event log form a pair.

    Attributes:
        by: "session" pairs the distinct items of a session, or basket; "user" those of a user;
            "window" pairs places of a session that are at most `window` apart.
        window: largest distance of two places.
        max_distance: of "session" and "user", the largest distance of two items in the order in
            which they came first; what has no more items than that gives all its pairs, and a
            session of ten thousand items gives a million pairs and not fifty.
    """

    by: Literal["session", "window", "user"]
    window: _Distance
    max_distance: _Distance

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "PairOptions":
        """The options of a mapping, as the configuration has it.

        Raises:
            ValueError: naming the option as `pairs.NAME`.
        """
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(str(name), known, n=1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                raise ValueError(f"pairs.{name} is unknown: pairs takes {', '.join(known)}{hint}")
        if missing := [name for name in known if name not in values]:
            raise ValueError(f"pairs.{missing[0]} is needed: pairs takes {', '.join(known)}")
        try:
            return cls(**values)
        except ValueError as error:
            raise ValueError(f"pairs.{error}") from error
