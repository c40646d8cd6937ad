"""Trained items that stand in for an item without training pairs."""

import torch
from torch import Tensor

from recsys_lab.data.batch import FieldCodes

NUM_STAND_INS = 3  # Grbovic and Cheng (KDD 2018), section 3.3


def stand_ins(degrees: Tensor, field: FieldCodes) -> Tensor:
    """The three most frequent items of the market of each item without pairs, (N, 3) int64.

    Grbovic and Cheng take the three geographically closest listings of the same type and price;
    here is no distance, so that the market, the first value of a field, decides alone.

    Args:
        degrees: (N,) training pairs of each item; 0 where it is cold.
        field: side information; an item without a value gets no stand-ins.

    Returns:
        -1 for items with pairs, and where a market has fewer.
    """
    has_value = field.offsets.diff() > 0
    market = torch.full_like(degrees, -1)
    market[has_value] = field.codes[field.offsets[:-1][has_value]].to(market.dtype)
    order = torch.argsort(degrees, descending=True, stable=True)
    order = order[(degrees[order] > 0) & (market[order] >= 0)]
    order = order[torch.argsort(market[order], stable=True)]  # by market, the most frequent first
    bounds = torch.searchsorted(market[order], torch.arange(field.cardinality + 1))
    cold = torch.nonzero((degrees == 0) & (market >= 0))[:, 0]
    place = bounds[market[cold], None] + torch.arange(NUM_STAND_INS)  # (c, 3)
    exists = place < bounds[market[cold] + 1, None]
    found = torch.full((len(degrees), NUM_STAND_INS), -1)
    if len(order):
        found[cold] = torch.where(exists, order[place.clamp_max(len(order) - 1)], -1)
    return found
