"""Lists without near-duplicates: maximal marginal relevance."""

import numpy as np


def diversify(scores: np.ndarray, vectors: np.ndarray, k: int, diversity: float) -> np.ndarray:
    """Places (min(k, P),) of chosen candidates, in the order in which they are chosen.

    Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): the next candidate is the one
    with the largest

        (1 - diversity) * relevance - diversity * max(cosine with a candidate chosen before)

    where the largest cosine is 0 for the first. Their lambda is 1 - diversity. Relevance is the
    score scaled to 0 .. 1 over the candidates, so that it does not depend on the scale of the
    scores: the worst of them has 0. Of equal candidates the first is chosen.

    Args:
        scores: (P,) of the candidates.
        vectors: (P, D) of the candidates.
        k: number to choose.
        diversity: 0 .. 1; 0 keeps the order of the scores, 1 ignores them after the first.
    """
    relevance = scores - scores.min(initial=np.inf)
    relevance = relevance / max(relevance.max(initial=0), np.finfo(np.float32).tiny)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.where(lengths == 0, 1, lengths)  # (P, D)
    nearest = np.zeros(len(scores))  # cosine with the nearest of the chosen
    chosen: list[int] = []
    for _ in range(min(k, len(scores))):
        gain = (1 - diversity) * relevance - diversity * nearest
        gain[chosen] = -np.inf
        # the first is the most relevant, also where relevance has no weight
        best = int(np.argmax(gain if chosen else relevance))
        cosines = units @ units[best]
        nearest = np.maximum(nearest, cosines) if chosen else cosines
        chosen.append(best)
    return np.array(chosen, np.int64)
