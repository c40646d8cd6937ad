"""The learned weights of an item's parts, for the compiled training step.

An item is the sum of its parts, each times its share: the softmax of the logits of the parts that
the item has (`SideInfoEncoder`). With u_p a part, g the gradient of the item, a the shares and v
the item, the gradient of logit p is a_p (g . u_p - g . v).
"""

from typing import NamedTuple

import numpy as np

from recsys_lab.models.group_steps import Table
from recsys_lab.models.kernels import jit_piece


class Parts(NamedTuple):
    """What items are sums of: entries starts[i] to starts[i + 1] are those of item i."""

    starts: np.ndarray  # (N + 1,) int64
    rows: np.ndarray  # (V,) int64, of the table
    weights: np.ndarray  # (V,) float32, in the item, or in the part where shares are learned
    most: np.ndarray  # (N + 1,) int64, entries of so many items at most
    places: np.ndarray  # (V,) int16, part of the entry, in their order
    num_learned: int  # P parts with learned shares; 0: the weights are all


@jit_piece
def fill_shares(logits: Table, parts: Parts, items: np.ndarray, shares: np.ndarray) -> None:
    """Fill in the shares (n, P) of the parts of items (n,); 0 of parts that an item lacks."""
    values, starts, places = logits.values, parts.starts, parts.places
    for number in range(len(items)):
        item, own = items[number], shares[number]
        own[:] = 0
        if item < 0 or starts[item] == starts[item + 1]:
            continue
        first, final = places[starts[item]], places[starts[item + 1] - 1]
        if first == final:  # the only part has it all
            own[first] = 1
            continue
        largest, total, last = values[item, first], np.float32(0), -1
        for entry in range(starts[item], starts[item + 1]):
            largest = max(largest, values[item, places[entry]])
        for entry in range(starts[item], starts[item + 1]):
            part = places[entry]
            if part != last:
                own[part] = np.exp(values[item, part] - largest)
                total += own[part]
                last = part
        for part in range(parts.num_learned):
            own[part] *= np.float32(1) / total


@jit_piece
def logit_grads(
    table: Table, parts: Parts, item: int, shares: np.ndarray, grad: np.ndarray, slopes: np.ndarray
) -> None:
    """Fill in the gradients (P,) of an item's logits by that of its vector (D,)."""
    values, starts, rows, weights = table.values, parts.starts, parts.rows, parts.weights
    slopes[:] = 0
    if parts.places[starts[item]] == parts.places[starts[item + 1] - 1]:
        return  # the only part has it all
    mean = np.float32(0)
    for entry in range(starts[item], starts[item + 1]):
        row, product = rows[entry], np.float32(0)
        for d in range(values.shape[1]):
            product += grad[d] * values[row, d]
        slopes[parts.places[entry]] += weights[entry] * product
    for part in range(parts.num_learned):
        mean += shares[part] * slopes[part]
    for part in range(parts.num_learned):
        slopes[part] = shares[part] * (slopes[part] - mean)
