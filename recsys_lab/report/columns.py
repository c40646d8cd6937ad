"""The columns of a comparison, and how their numbers are written."""

from collections.abc import Iterable
from dataclasses import dataclass

from recsys_lab.results.metric_names import RANKING, SLICES, unlisted_metrics


@dataclass(frozen=True)
class Column:
    """One measure.

    Attributes:
        key: its name in `metrics.json`, without the scorer in front.
        group: the header it stands under.
        title: its own header.
        decimals: digits after the point.
        is_cost: a lower value is better.
    """

    key: str
    group: str
    title: str
    decimals: int = 4
    is_cost: bool = False

    @property
    def of_run(self) -> bool:
        """Whether it belongs to the run and not to a scorer: baselines have none."""
        return self.key.startswith("fit/")

    @property
    def slice(self) -> str:
        """The slice of the test pairs that it is measured on, or an empty text."""
        part = self.key.rpartition("/")[2]
        return part if part in SLICES else ""

    @property
    def measure(self) -> str:
        """Its key without the slice."""
        return self.key.rpartition("/")[0] if self.slice else self.key

    @property
    def full_title(self) -> str:
        """Its header where groups have none: an AUC's names its negatives."""
        negatives = self.group.replace(",", "").removesuffix(" negatives")
        return f"{negatives} {self.title}" if self.key.startswith("auc/") else self.title


def title_of(name: str) -> str:
    """The title of a ranking metric: `HR@10`, `Catalog coverage@10`."""
    base, at, k = name.partition("@")
    title = base.upper() if len(base) <= _SHORT else base.replace("_", " ").capitalize()
    return f"{title}{at}{k}"


def columns_of(keys: Iterable[str]) -> tuple[Column, ...]:
    """The columns for runs whose metrics have these keys, ranking metrics of plugins among them."""
    more = [Column(f"{name}/all", _RANKING, title_of(name)) for name in unlisted_metrics(keys)]
    return (*_AUC, *_LISTED, *more, SECONDS, _SPEED)


_RANKING, _FIT = "ranking, full catalogue", "training"
_SHORT = 4  # letters of a name that is an abbreviation
_AUC = tuple(
    Column(f"auc/{protocol}/{part}", group, part.replace("_", " "))
    for protocol, group, parts in (
        ("uniform", "AUC, uniform negatives", SLICES),
        ("degree_matched", "AUC, degree-matched", SLICES),
        ("given", "AUC, given negatives", ("all",)),
    )
    for part in sorted(parts, key=lambda part: part != "seen")  # seen first
)
_LISTED = tuple(
    Column(f"{metric.name}/{part}", _RANKING, f"{metric.name.upper()}{title}")
    for metric in RANKING
    for part, title in (("all", ""), ("one_cold", " one cold"))[: 1 + metric.is_shown_cold]
)
QUALITY = next(column for column in _LISTED if column.key == "ndcg@10/all")
SECONDS = Column("fit/seconds", _FIT, "seconds", 1, is_cost=True)
_SPEED = Column("fit/items_per_second", _FIT, "items/s", 0)
