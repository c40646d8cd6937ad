"""The columns of a comparison, and how their numbers are written."""

from dataclasses import dataclass

SLICES = ("all", "seen", "one_cold", "both_cold")


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

    def write(self, value: float | None) -> str:
        """The number, or a dash where there is none."""
        return "–" if value is None else f"{value:,.{self.decimals}f}"


_UNIFORM, _MATCHED = "AUC, uniform negatives", "AUC, degree-matched"
_RANKING, _FIT = "ranking, full catalogue", "training"

COLUMNS = (
    Column("auc/uniform/seen", _UNIFORM, "seen"),
    Column("auc/uniform/all", _UNIFORM, "all"),
    Column("auc/uniform/one_cold", _UNIFORM, "one cold"),
    Column("auc/uniform/both_cold", _UNIFORM, "both cold"),
    Column("auc/degree_matched/seen", _MATCHED, "seen"),
    Column("auc/degree_matched/all", _MATCHED, "all"),
    Column("auc/degree_matched/one_cold", _MATCHED, "one cold"),
    Column("auc/degree_matched/both_cold", _MATCHED, "both cold"),
    Column("auc/given/all", "AUC, given negatives", "all"),
    Column("hr@10/all", _RANKING, "HR@10"),
    Column("hr@10/one_cold", _RANKING, "HR@10 one cold"),
    Column("hr@50/all", _RANKING, "HR@50"),
    Column("ndcg@10/all", _RANKING, "NDCG@10"),
    Column("mrr/all", _RANKING, "MRR"),
    Column("fit/seconds", _FIT, "seconds", 1, is_cost=True),
    Column("fit/items_per_second", _FIT, "items/s", 0),
)
QUALITY = next(column for column in COLUMNS if column.key == "ndcg@10/all")
SECONDS = next(column for column in COLUMNS if column.key == "fit/seconds")
