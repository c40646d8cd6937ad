"""From sequences to windows: subsampling, weights by distance, and explicit pairs."""

import numpy as np

from recsys_lab.compute.checks import checked
from recsys_lab.compute.kernel_cache import jit
from recsys_lab.compute.ranges import Count, Share
from recsys_lab.graph.counter import GOLDEN, mix64


@checked
def distance_weights(length: int, window: Count, *, shrink: bool) -> np.ndarray:
    """Weight of a positive at each distance, (length,) float32; distance 0 has none.

    With `shrink`, the expectation of word2vec's windows, whose size is uniform in 1 .. window: a
    context at distance d is inside (window + 1 - d) / window of the time.

    Raises:
        ValueError: the window is smaller than one.
    """
    distance = np.arange(length)
    inside = np.clip((window + 1 - distance) / window, 0, 1) if shrink else distance <= window
    weights = inside.astype(np.float32)
    weights[0] = 0
    return weights


@checked
def keep_probability(frequencies: np.ndarray, subsample_threshold: Share) -> np.ndarray:
    """Chance to keep an occurrence of each item, (N,) float32 in [0, 1].

    The formula of word2vec.c and gensim, with f the item's share of all occurrences and t the
    threshold: sqrt(t / f) + t / f, at most 1; a threshold of 0 keeps everything. (The paper,
    Mikolov et al., NIPS 2013, equation 5, has sqrt(t / f) alone.)

    Raises:
        ValueError: the threshold is no share.
    """
    keep = np.ones(len(frequencies), np.float32)
    if subsample_threshold > 0:
        share = frequencies / frequencies.sum()
        ratio = subsample_threshold / share[share > 0]
        keep[share > 0] = np.minimum(1.0, np.sqrt(ratio) + ratio)
    return keep


@jit()
def subsample(sequences: np.ndarray, keep: np.ndarray, first: int, key: np.uint64) -> None:
    """Drop occurrences of frequent items in place; what is kept moves to the left, -1 follows.

    Whether a place is kept is a pure function of (key, sequence number, place). As in word2vec,
    windows then reach over the gap.

    Args:
        sequences: (W, L) int32 item ids, -1 at the end where a sequence is shorter.
        keep: (N,) float32, `keep_probability`.
        first: number of the first sequence of this block.
        key: key of the stream.
    """
    for row in range(sequences.shape[0]):
        state = mix64(key ^ mix64(np.uint64(first + row) + GOLDEN))
        end = 0
        for place in range(sequences.shape[1]):
            state += GOLDEN
            item = sequences[row, place]
            coin = np.float64(mix64(state) >> np.uint64(11)) * 2.0**-53
            if item >= 0 and coin < keep[item]:
                sequences[row, end] = item
                end += 1
        sequences[row, end:] = -1


@jit()
def _fill_pairs(
    sequences: np.ndarray,
    by_distance: np.ndarray,
    centers: np.ndarray,
    contexts: np.ndarray,
    weights: np.ndarray,
) -> int:
    count = 0
    length = sequences.shape[1]
    for row in range(sequences.shape[0]):
        for place in range(length):
            for other in range(length):
                weight = by_distance[abs(place - other)]
                if weight > 0 and sequences[row, place] >= 0 and sequences[row, other] >= 0:
                    centers[count] = sequences[row, place]
                    contexts[count] = sequences[row, other]
                    weights[count] = weight
                    count += 1
    return count


def window_pairs(
    sequences: np.ndarray, by_distance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List every (center, context) of the windows over sequences (W, L), with its weight.

    Args:
        sequences: (W, L) item ids, -1 for padding.
        by_distance: (L,) `distance_weights`.

    Returns:
        centers (B,) int64, contexts (B,) int64, weights (B,) float32.
    """
    length = sequences.shape[1]
    offsets = np.arange(length)
    in_band = by_distance[np.abs(offsets[:, None] - offsets)] > 0
    most = int(in_band.sum()) * sequences.shape[0]
    centers, contexts = np.empty(most, np.int64), np.empty(most, np.int64)
    weights = np.empty(most, np.float32)
    count = _fill_pairs(sequences, by_distance, centers, contexts, weights)
    return centers[:count], contexts[:count], weights[:count]
