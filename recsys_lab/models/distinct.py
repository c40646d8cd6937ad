"""Distinct indices and the entries that belong to them, exact or padded.

A padded size is one that no data decides. It does not have to come back from a GPU, where the next
operation would wait for it.
"""

import torch
from torch import Tensor


def rank_sorted(ordered: Tensor) -> Tensor:
    """The number of each index (n,) among the distinct ones, which are sorted: (n,), from 0."""
    is_first = torch.ones_like(ordered)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return is_first.cumsum(0) - 1


def find_distinct(indices: Tensor, *, padded: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The distinct ones of indices of any shape (...), of which there are n.

    Returns:
        distinct indices (u,), or (n,) when padded, and then the largest is repeated; the place of
        each index among them (...); and which of them are real, (u,) or (n,) bool.
    """
    if not padded:
        distinct, place = torch.unique(indices, return_inverse=True)
        return distinct, place, torch.ones_like(distinct, dtype=torch.bool)
    ordered, order = torch.sort(indices.flatten())
    rank = rank_sorted(ordered)
    place = torch.empty_like(order).scatter_(0, order, rank)
    numbers = torch.arange(len(ordered), device=ordered.device)
    firsts = torch.searchsorted(rank, numbers).clamp_max(len(ordered) - 1)
    return ordered[firsts], place.view(indices.shape), numbers <= rank[-1:]


def list_entries(counts: Tensor, padded_to: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """The entries of groups that have so many each, one group after the other.

    Args:
        counts: (u,) int64, entries of each group, u > 0.
        padded_to: as many entries as there are at most; None returns as many as there are.

    Returns:
        of each entry: its group, its number from 0 over all groups, and whether it is real.
        A padded list goes through the real ones again from the first on, so that no one of them
        is repeated much more often than another: a GPU adds up the repetitions of one in turn.
    """
    if padded_to is None:
        owner = torch.repeat_interleave(counts)
        numbers = torch.arange(len(owner), device=counts.device)
        return owner, numbers, torch.ones_like(owner, dtype=torch.bool)
    ends = counts.cumsum(0)
    numbers = torch.arange(padded_to, device=counts.device)
    is_real = numbers < ends[-1:]
    numbers = numbers % ends[-1:].clamp_min(1)
    owner = torch.searchsorted(ends, numbers, right=True).clamp_max(len(counts) - 1)
    return owner, numbers, is_real
