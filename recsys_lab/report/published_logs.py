"""Published figures on event logs, measured by others with the same split and the same ranking.

SASRec, GRU4Rec, popularity and S3-Rec are of Zhou et al., S3-Rec (CIKM 2020); UltraGCN is of Mao et
al. (CIKM 2021). All items are ranked, those of the history left out.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class PublishedLog(NamedTuple):
    """The figures on a log, which is recognised by its sizes and split.

    Attributes:
        num_items: N.
        num_users: U.
        num_events: E.
        by: the split.
        figures: by method, then by metric.
    """

    num_items: int
    num_users: int
    num_events: int
    by: str
    figures: Mapping[str, Mapping[str, float]]


def _ten(hit_rate: float, ndcg: float) -> dict[str, float]:
    return {"hr@10": hit_rate, "ndcg@10": ndcg}


PUBLISHED_LOGS = (
    PublishedLog(12_101, 22_363, 198_502, "leave_one_out", {  # Beauty
        "S3-Rec": _ten(0.0647, 0.0327), "SASRec": _ten(0.0605, 0.0318),
        "GRU4Rec": _ten(0.0283, 0.0137), "popularity": _ten(0.0152, 0.0068),
    }),
    PublishedLog(11_924, 19_412, 167_597, "leave_one_out", {  # Toys
        "S3-Rec": _ten(0.0700, 0.0376), "SASRec": _ten(0.0675, 0.0374),
    }),
    PublishedLog(1_522, 1_435, 35_931, "given", {  # Electronics
        "UltraGCN": {"f1@20": 0.0330, "ndcg@20": 0.0829},
    }),
    PublishedLog(3_043, 6_022, 895_699, "given", {  # ml-1m
        "UltraGCN": {"recall@20": 0.2787, "ndcg@20": 0.2642},
    }),
)  # fmt: skip


def published_for(
    config: Mapping[str, Any], metrics: Mapping[str, Any]
) -> Mapping[str, Mapping[str, float]]:
    """The published figures that the results of a run can be held against, by method.

    Args:
        config: of the run.
        metrics: its results.
    """
    split = config.get("split")
    if not isinstance(split, Mapping) or not split.get("filter_history"):
        return {}
    sizes = tuple(metrics.get(f"data/num_{what}") for what in ("items", "users", "events"))
    asked = split.get("query"), split.get("targets")
    for log in PUBLISHED_LOGS:
        if sizes == log[:3] and split.get("by") == log.by and asked == ("user", None):
            return log.figures
    return {}
