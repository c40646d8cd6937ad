"""`model=mixture`: scores of runs and of baselines, with weights that validation pairs choose."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.compute.near_words import did_you_mean
from recsys_lab.evaluation.baselines import BASELINES, TrainingData
from recsys_lab.evaluation.candidates import find_candidates
from recsys_lab.evaluation.mixture_fit import METRICS, FittedMixture, fit_mixture
from recsys_lab.evaluation.mixtures import Mixture
from recsys_lab.evaluation.query_baselines import QueryData
from recsys_lab.evaluation.scorers import QueryScorer, Scorer
from recsys_lab.models.mixed_ranker import MixedRanker
from recsys_lab.run.progress import Progress
from recsys_lab.run.run_data import RunData
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.store import FOLDER, INFO, has_lists, read_info

log = logging.getLogger(__name__)

Metrics = dict[str, Any]

_MIXTURE = "recsys_lab.models.builders.mixture"
_MAX_SCORES = 1e9  # of each part, for the weights


def check_parts(model: Mapping[str, Any]) -> None:
    """Refuse a mixture of what is not there, before any data is read.

    Raises:
        ValueError: naming it.
    """
    if model.get("_target_") != _MIXTURE:
        return
    for name in model["baselines"]:
        if name not in BASELINES:
            raise ValueError(
                f"baselines names {name!r}; there are {', '.join(BASELINES)}"
                f"{did_you_mean(name, list(BASELINES))}"
            )
    for folder in model["runs"]:
        run_folders(folder)
    if not model["runs"] and len(set(model["baselines"])) < 2:
        raise ValueError("baselines names fewer than two parts: add one, or a run with runs")


def run_folders(folder: str) -> list[Path]:
    """The folder of a run, or of every run with vectors below it.

    Raises:
        ValueError: there are none.
    """
    path = Path(folder)
    if (path / FOLDER / INFO).is_file():
        return [path]
    every = (info.parent for info in path.glob(f"**/{FOLDER}/{INFO}"))
    found = sorted(one.parent for one in every if not has_lists(read_info(one)))
    if not found:
        raise ValueError(f"runs names {folder}, which holds no run with vectors in {FOLDER}/")
    return found


def mix_parts(
    net: MixedRanker,
    prepared: PreparedData,
    data: RunData,
    known: TrainingData | QueryData,
    seed: int,
    *,
    shows_progress: bool,
) -> tuple[Mixture, Metrics]:
    """The mixture of the parts of a net, fitted on the validation pairs.

    The held-out pairs of all parts, the test included, are no negatives, as in every filtered
    ranking; the test pairs are used for nothing else.

    Args:
        net: names the parts.
        prepared: the runs must be of the same catalogue and split.
        data: of these.
        known: what the baselines may use.
        seed: of the sample of queries.
        shows_progress: whether the scoring shows a bar.

    Returns:
        the scorer, and `mixture/...` for `metrics.json`: the weights, and the metrics of each
            part and of the mixture.

    Raises:
        ValueError: a run is of other data, fewer than two parts are left, or events are split.
    """
    if not isinstance(known, TrainingData):
        raise ValueError(
            "model=mixture ranks pairs of items: where events are split, "
            "evaluation.mixture=[slist,ease] mixes a model with a baseline"
        )
    parts = _of_runs(net.runs, prepared) | _of_baselines(net.baselines, known)
    if len(parts) < 2:
        raise ValueError(
            f"model=mixture needs at least two parts, got {', '.join(parts) or 'none'}: add runs "
            "to model.runs or names to model.baselines"
        )
    pairs = data.evaluation_pairs("val")
    if not len(pairs.positives):
        raise ValueError("a mixture is fitted on validation pairs, and there are none")
    progress = Progress("mixture", 1, is_shown=shows_progress)
    progress.name("mixture: scoring candidates")
    candidates = find_candidates(parts, pairs, _MAX_SCORES, seed)
    progress.name("mixture: fitting weights")
    fitted = fit_mixture(parts, candidates, seed)
    progress.close()
    metrics = _facts(fitted)
    _tell(fitted, len(candidates.queries))
    return fitted.mixture, metrics


def _of_runs(folders: Sequence[str], prepared: PreparedData) -> dict[str, Scorer]:
    """The scorers of runs, by `run NAME`."""
    found: dict[str, Scorer] = {}
    for folder in dict.fromkeys(path for name in folders for path in run_folders(name)):
        stored = Embeddings.load(folder)
        _check_data(folder, stored, prepared)
        name = f"run {folder.resolve().name}"
        while name in found:
            name += "'"
        tables = stored.queries.copy(), stored.keys.copy()  # those of the file cannot be written
        scored = stored.scored.copy()
        found[name] = QueryScorer(*tables, None, scored, scored)
    return found


def _check_data(folder: Path, stored: Embeddings, prepared: PreparedData) -> None:
    facts = stored.info.get("facts", {})
    if stored.info.get("parent") is not None:
        raise VectorsError(f"{folder} has added items: name the run that they were added to")
    for what, own in (("vocabulary", prepared.vocabulary_hash), ("split", prepared.split_hash)):
        if facts.get(f"hash/{what}") != own:
            raise VectorsError(
                f"{folder} has another {what} ({str(facts.get(f'hash/{what}'))[:8]}) than this "
                f"run ({own[:8]}): give both the same catalog= and split= options"
            )


def _of_baselines(names: Sequence[str], known: TrainingData) -> dict[str, Scorer]:
    found: dict[str, Scorer] = {}
    for name in dict.fromkeys(names):
        scorer = BASELINES[name].build(known)
        if scorer is None:
            log.info("the mixture goes without %s: these data do not allow it", name)
        else:
            found[name] = scorer
    return found


def _facts(fitted: FittedMixture) -> Metrics:
    metrics: Metrics = {"mixture/products": fitted.has_products}
    for name, values in fitted.alone.items():
        metrics |= {f"mixture/part/{name}/{metric}": value for metric, value in values.items()}
        metrics[f"mixture/part/{name}/coverage"] = fitted.coverage[name]
    for has_products, values in fitted.crossed.items():
        kind = "with_products" if has_products else "sum"
        metrics |= {f"mixture/validation/{kind}/{m}": value for m, value in values.items()}
    names, weights, products = list(fitted.alone), fitted.mixture.weights, fitted.mixture.products
    for k, name in enumerate(names):
        metrics[f"mixture/weight/{name}"] = float(weights[k])
        if products is None:
            continue
        for other in range(k, len(names)):  # both places of two parts
            weight = float(products[k, other]) * (1 if other == k else 2)
            metrics[f"mixture/weight/{name} x {names[other]}"] = weight
    return metrics


def _tell(fitted: FittedMixture, num_queries: int) -> None:
    """Log the metrics of each part and of the mixture."""
    log.info("the parts alone, on validation among the candidates of %d queries:", num_queries)
    for (name, values), weight in zip(fitted.alone.items(), fitted.mixture.weights, strict=True):
        log.info(
            "  %-24s NDCG@10 %.4f, HR@10 %.4f, scores %.0f %% of the targets, weight %.2f",
            name,
            *(values[metric] for metric in METRICS),
            100 * fitted.coverage[name],
            weight,
        )
    for has_products, values in fitted.crossed.items():
        log.info(
            "  %-24s NDCG@10 %.4f, HR@10 %.4f by cross-validation%s",
            "sum and products" if has_products else "weighted sum",
            *(values[metric] for metric in METRICS),
            ": taken" if has_products == fitted.has_products else "",
        )
