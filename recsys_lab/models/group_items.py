"""The items of a group of a batch, and the weights of its cells."""

import numpy as np

from recsys_lab.models import kernels
from recsys_lab.models.group_steps import Block, contexts_begin
from recsys_lab.models.kernels import jit_piece

PAIRS_IN_GROUP = 32


@jit_piece
def fill_windows(
    own: np.ndarray,
    block: Block,
    items: np.ndarray,
    negatives: np.ndarray,
    column_weights: np.ndarray,
    chosen: np.ndarray,
    chosen_positive: np.ndarray,
    chosen_negative: np.ndarray,
    distance_weights: np.ndarray,
    num_negatives: float,
) -> None:
    """The rows (n,) of a group of a window batch, and the weights of the block's cells."""
    places, drawn = items.size, len(negatives)
    first_context = contexts_begin(places)
    end = first_context + places + drawn
    flat = items.reshape(-1)
    own[:] = -1
    for place in range(places):
        own[place] = own[first_context + place] = flat[place]
    for number in range(drawn):
        own[first_context + places + number] = negatives[number]
    for number in range(len(chosen)):
        own[end + number] = chosen[number]
    kernels.weigh_windows(
        items,
        column_weights,
        distance_weights,
        num_negatives,
        chosen_positive,
        chosen_negative,
        block.positive,
        block.negative,
    )


@jit_piece
def fill_pairs(
    own: np.ndarray,
    block: Block,
    first: int,
    centers: np.ndarray,
    contexts: np.ndarray,
    negatives: np.ndarray,
    weights: np.ndarray,
) -> None:
    """The same of the pairs from `first` on, with negatives of their own."""
    columns, first_context = 1 + negatives.shape[1], contexts_begin(PAIRS_IN_GROUP)
    own[:] = -1
    block.positive[:] = 0
    block.negative[:] = 0
    for pair in range(min(PAIRS_IN_GROUP, len(centers) - first)):
        at, k = first_context + pair * columns, first + pair
        own[pair], own[at] = centers[k], contexts[k]
        for number in range(columns - 1):
            own[at + 1 + number] = negatives[k, number]
        block.positive[pair, 0] = weights[k]
        block.negative[pair, 1:columns] = weights[k]
