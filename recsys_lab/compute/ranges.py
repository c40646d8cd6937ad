"""Types of arguments with their range, for the signatures of what a configuration can build.

The upper ends are no advice: beyond them a value overflows, or a run never ends.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval, Le, MinLen


@dataclass(frozen=True)
class Pattern:
    """Texts that match a regular expression; `words` are what they are called."""

    expression: str
    words: str


@dataclass(frozen=True)
class Distinct:
    """Lists that hold nothing twice."""


_LARGEST = 2**31 - 1  # item ids and counts of batches are int32

Count = Annotated[int, Ge(1), Le(_LARGEST)]
CountOrZero = Annotated[int, Ge(0), Le(_LARGEST)]
Threads = Annotated[int, Ge(1), Le(1024)]
ThreadsOrZero = Annotated[int, Ge(0), Le(1024)]
Seed = Annotated[int, Interval(ge=0, le=2**32 - 1)]  # as numpy and Lightning take it
Replicates = Annotated[int, Ge(2), Le(100_000)]  # of a bootstrap

Share = Annotated[float, Interval(ge=0, le=1)]
PartialShare = Annotated[float, Interval(gt=0, lt=1)]
HalfOpenShare = Annotated[float, Interval(ge=0, lt=1)]
Positive = Annotated[float, Gt(0), Ge(1e-6), Le(1e6)]
Penalty = Annotated[float, Ge(0), Le(1e3)]  # of regularisation, for each pair
LayerWeight = Annotated[float, Interval(ge=-1e3, le=1e3)]  # of a sum over layers
Exponent = Annotated[float, Interval(ge=-10, le=10)]  # of frequencies, which are >= 1e-10 or so
Margin = Annotated[float, Interval(ge=0, le=1e3)]  # between scores
Decay = Annotated[float, Interval(gt=0, le=1)]  # weight of an event over that of the next
GraphWeights = Annotated[list[LayerWeight], MinLen(1)]  # of the contexts of several graphs
PopularityWeight = Annotated[float, Interval(ge=-100, le=100)]
RelationWeight = Literal[0] | Annotated[float, Interval(ge=1e-30, le=1e30)]
Gigabytes = Annotated[float, Gt(0), Ge(1e-3), Le(1e6)]
NumScores = Annotated[float, Ge(1), Le(1e15)]

Dimension = Annotated[int, Ge(1), Le(65_536)]
WalkLength = Annotated[int, Ge(2), Le(10_000)]
WalkBias = Annotated[float, Gt(0), Ge(1e-9), Le(1e9)]  # node2vec's p and q
CutOffs = Annotated[list[Count], MinLen(1)]

LearningRate = Annotated[float, Gt(0), Ge(1e-30), Le(1e3)]
Epsilon = Annotated[float, Gt(0), Ge(1e-30), Le(1)]  # keeps the root of a sum of squares from zero

NumpyFile = Annotated[str, Pattern(r"(?s).*\.npy", "a path that ends in .npy")]
FieldName = Annotated[
    str,
    Pattern(
        r"brand|price|title|category(_\d+)?",
        "brand, price, title, category or category_0 and so on",
    ),
]
FieldNames = Annotated[list[FieldName], MinLen(1)]
RelationGroups = Annotated[list[Annotated[list[str], MinLen(1)]], MinLen(1)]
