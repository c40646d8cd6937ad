"""Names of the slices and of the ranking metrics, listed once for every table, file and figure."""

from collections.abc import Iterable
from typing import NamedTuple

SLICES = ("all", "seen", "one_cold", "both_cold")  # of pairs, by their ends in training
LABELS = "labels"  # before metrics of the labels of held-out items, by field and scorer
ITEM_VECTORS = "item_vectors"  # before metrics of the plain vectors by their cosine


class RankingMetric(NamedTuple):
    """A ranking metric with a place in the tables.

    Attributes:
        name: as in `metrics.json`, with its cut-off.
        is_main: it has intervals and a column in the learning curve.
        is_compared: its difference to the strong baselines is computed.
        is_shown_cold: it is shown where most test pairs have a cold end.
    """

    name: str
    is_main: bool = False
    is_compared: bool = False
    is_shown_cold: bool = False


RANKING = (
    RankingMetric("hr@10", is_main=True, is_compared=True, is_shown_cold=True),
    RankingMetric("hr@50"),
    RankingMetric("ndcg@10", is_main=True, is_compared=True),
    RankingMetric("mrr", is_main=True),
    RankingMetric("recall@20"),  # from here on only of queries that are no items
    RankingMetric("ndcg@20"),
    RankingMetric("f1@20"),
    RankingMetric("catalog_coverage@10"),
    RankingMetric("novelty@10"),
)
MAIN_METRICS = tuple(metric.name for metric in RANKING if metric.is_main)
COMPARED_METRICS = tuple(metric.name for metric in RANKING if metric.is_compared)


USUAL_KS = ("10", "50")  # of evaluation.ks; others are asked for
CUT_OFF = 10  # of tables, curves and comparisons, so every test measures it


def unlisted_metrics(keys: Iterable[str]) -> list[str]:
    """Ranking metrics among the keys of `metrics.json` that have no place here.

    They are those of plugins, and further cut-offs of a listed metric, such as hr@5. What is
    measured beside the listed ones in any case, such as ndcg@50, is not among them.
    """
    listed = {metric.name for metric in RANKING}
    bases = {name.partition("@")[0] for name in listed} | {"coverage", "precision"}
    paths = [key.split("/") for key in keys]
    names = [path[1] for path in paths if path[0] == "test" and path[2:] == ["all"]]
    parts = {name: name.partition("@") for name in dict.fromkeys(names)}
    return [
        name
        for name, (metric, _, k) in parts.items()
        if metric not in bases or (k not in ("", *USUAL_KS) and name not in listed)
    ]


def is_cut_off(name: str) -> bool:
    """Whether an unlisted metric is a listed one with another cut-off."""
    return name.partition("@")[0] in {metric.name.partition("@")[0] for metric in RANKING}
