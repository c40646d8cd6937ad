"""Weights of a mixture: a logistic regression over the scores of its parts, query by query."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from recsys_lab.evaluation.candidates import Candidates
from recsys_lab.evaluation.metrics import ranking_values
from recsys_lab.evaluation.mixtures import Form, Mixture
from recsys_lab.evaluation.scorers import QueryScorer, Scorer

METRICS = ("ndcg@10", "hr@10")
_FOLDS = 5
_PENALTY = 1e-3  # on squared weights of values in standard units
_STEPS = 80  # of the minimiser; more do not change the metrics
_FLOOR = 0.03  # of the median best score of a query; far smaller scores hardly differ then
_LOWEST = 0.01  # quantile of the scores of vectors; lower scores are raised to it


@dataclass(frozen=True)
class FittedMixture:
    """A mixture, with the metrics of its parts and of itself (`METRICS`) among the candidates.

    Attributes:
        mixture: fitted on all targets.
        alone: of each part, by name.
        crossed: of targets that the weights were not fitted on, without and with products.
            Parameters and checkpoints of the parts may have been chosen on the same pairs, so the
            values can be slightly too high.
        coverage: share of the targets that a part scores, by name.
        has_products: whether the mixture has products; the better of the two in NDCG@10.
    """

    mixture: Mixture
    alone: Mapping[str, Mapping[str, float]]
    crossed: Mapping[bool, Mapping[str, float]]
    coverage: Mapping[str, float]
    has_products: bool


def fit_mixture(scorers: Mapping[str, Scorer], candidates: Candidates, seed: int) -> FittedMixture:
    """The mixture that ranks targets best; products of two parts are used if they rank better.

    The weights maximise the mean log probability of a target, which is a softmax over its own score
    and those of all items that are no targets of its query, estimated by the candidates. Five-fold
    cross-validation over the targets compares the mixture without and with products; both ends of a
    pair share a fold.

    Args:
        scorers: by name; scores of vectors count as they are, others, which are never negative
            where they say anything, by their logs.
        candidates: of validation, with the scores of these.
        seed: of the folds.
    """
    forms = [_form(scorer, candidates, k) for k, scorer in enumerate(scorers.values())]
    values = np.stack([form(candidates.scores[:, k]) for k, form in enumerate(forms)], axis=1)
    folds = candidates.folds(_FOLDS, seed)
    crossed = {
        products: _crossed(candidates, values, folds, products) for products in (False, True)
    }
    products = crossed[True]["ndcg@10"] > crossed[False]["ndcg@10"]
    found = fit_weights(candidates, features(values, products), np.ones(len(folds), bool))
    count = len(forms)
    mixture = Mixture(scorers, forms, found[:count], _products(found[count:], count))
    held = candidates.scores[candidates.targets]
    return FittedMixture(
        mixture,
        {name: _means(candidates.ranks(candidates.scores[:, k])) for k, name in enumerate(scorers)},
        crossed,
        {name: float(np.isfinite(held[:, k]).mean()) for k, name in enumerate(scorers)},
        products,
    )


def features(values: np.ndarray, products: bool) -> np.ndarray:
    """(C, K) values, and with products (C, K + K (K + 1) / 2): the product of each two of them."""
    if not products:
        return values
    one, other = np.triu_indices(values.shape[1])
    return np.concatenate([values, values[:, one] * values[:, other]], axis=1)


def fit_weights(candidates: Candidates, table: np.ndarray, used: np.ndarray) -> np.ndarray:
    """(F,) weights of the features (C, F) by the softmax of each target, of the used ones (T,)."""
    targets = candidates.targets[used]
    owner, starts = candidates.places[targets], candidates.bounds[:-1]
    sizes = np.diff(candidates.bounds)
    counts = np.where(candidates.is_target, 0.0, candidates.weights)
    turned = np.ascontiguousarray(table.T)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = (table @ weights.astype(np.float32)).astype(np.float64)
        scores -= np.repeat(np.maximum.reduceat(scores, starts), sizes)
        exponents = np.exp(scores)
        counted = counts * exponents
        sums = np.add.reduceat(counted, starts)  # (Q,)
        total = sums[owner] + exponents[targets]  # (T,)
        gradient = np.repeat(np.bincount(owner, 1 / total, len(sums)), sizes) * counted
        gradient[targets] = exponents[targets] / total - 1
        slope = turned @ (gradient / len(targets)).astype(np.float32)
        value = float((np.log(total) - scores[targets]).mean() + _PENALTY * weights @ weights)
        return value, slope.astype(np.float64) + 2 * _PENALTY * weights

    start = np.zeros(table.shape[1])
    options = {"maxiter": _STEPS}
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x)


def _form(scorer: Scorer, candidates: Candidates, k: int) -> Form:
    """How the scores of a part count, in standard units of the candidates."""
    scores = candidates.scores[:, k]
    known = scores[np.isfinite(scores)]
    if isinstance(scorer, QueryScorer):
        form = Form(float(np.quantile(known, _LOWEST)) if len(known) else 0.0)
    else:
        best = candidates.best[:, k]
        usual = best[best > 0]
        form = Form(_FLOOR * float(np.median(usual)) if len(usual) else 1.0, logs=True)
    values = form(scores)
    return form._replace(center=float(values.mean()), scale=float(values.std()) or 1.0)


def _crossed(
    candidates: Candidates, values: np.ndarray, folds: np.ndarray, products: bool
) -> dict[str, float]:
    """Metrics of the targets of each fold by weights that the others gave."""
    table, ranks = features(values, products), np.empty(len(folds))
    for fold in range(_FOLDS):
        weights = fit_weights(candidates, table, folds != fold)
        found = candidates.ranks(table @ weights.astype(np.float32))
        ranks[folds == fold] = found[folds == fold]
    return _means(ranks)


def _products(weights: np.ndarray, count: int) -> np.ndarray | None:
    """(K, K), symmetric, from the weights of `features`; None where there are none."""
    if not len(weights):
        return None
    products = np.zeros((count, count))
    products[np.triu_indices(count)] = weights
    return (products + products.T) / 2


def _means(ranks: np.ndarray) -> dict[str, float]:
    return {name: float(ranking_values(name, ranks).mean()) for name in METRICS}
