"""The model with one of the baselines: a row of the test beside both."""

import logging
from collections.abc import Mapping, Sequence

from recsys_lab.compute.near_words import did_you_mean
from recsys_lab.evaluation.baselines import Baseline, TrainingData
from recsys_lab.evaluation.history_scorers import HistoryScorer
from recsys_lab.evaluation.mixtures import best_weight, sum_of_two
from recsys_lab.evaluation.query_baselines import QUERY_BASELINES, QueryData
from recsys_lab.evaluation.scorers import Scorer
from recsys_lab.run.run_data import RunData

log = logging.getLogger(__name__)

MIXTURE = "mixture"  # the name of its row


def check_mixture(names: Sequence[str]) -> None:
    """Refuse names of no baseline that knows the histories of queries.

    Raises:
        ValueError: with the valid names.
    """
    valid = [name for name, baseline in QUERY_BASELINES.items() if not baseline.same_for_all]
    for name in names:
        if name not in valid:
            raise ValueError(
                f"mixture names {name!r}; the baselines of histories are {', '.join(valid)}"
                f"{did_you_mean(name, valid)}"
            )


def mix(
    scorer: Scorer,
    baselines: Mapping[str, Scorer],
    table: Mapping[str, Baseline],
    names: Sequence[str],
    data: RunData,
    known: TrainingData | QueryData,
    max_scores: float,
    seed: int,
) -> tuple[Scorer, dict[str, float | str]] | None:
    """The sum of a model's scores and those of a baseline; its weight is chosen on validation.

    Args:
        scorer: the model's, of all nodes.
        baselines: scorers of the test by their prefix in `metrics.json`.
        table: their entries.
        names: of baselines; the first that could be built is taken.
        data: its queries have histories.
        known: what the baselines were made of.
        max_scores: of validation, for each weight.
        seed: of the sample of queries.

    Returns:
        the scorer of the test, and what it is made of; None where it cannot be made.

    Raises:
        ValueError: a name is none of a baseline that knows histories (`check_mixture`).
    """
    if not isinstance(known, QueryData) or (asked := known.for_validation) is None:
        log.info("evaluation.mixture has no effect: the queries are items, which have no history")
        return None
    check_mixture(names)
    found = next((name for name in names if f"baseline/{name}" in baselines), None)
    if found is None:
        log.warning("no mixture is tested: none of %s can be made here", ", ".join(names))
        return None
    other = baselines[f"baseline/{found}"]
    assert isinstance(other, HistoryScorer)  # noqa: S101 - narrows the type
    # one that is refit knows the targets of validation
    alone = table[found].build(asked) if known.before_test is not None else other
    assert isinstance(alone, HistoryScorer)  # noqa: S101 - narrows the type
    of_validation = alone.asked_with(asked.weights(asked.histories))
    weight, value = best_weight(
        data.asked(scorer, "val"), of_validation, data.evaluation_pairs("val"), max_scores, seed
    )
    log.info("mixture: the model + %.3g x %s has NDCG@10 %.4f on validation", weight, found, value)
    facts: dict[str, float | str] = {
        "mixture/with": found, "mixture/weight": weight, "mixture/validation/ndcg@10": value,
    }  # fmt: skip
    return sum_of_two(data.asked(scorer, "test"), other, weight), facts
