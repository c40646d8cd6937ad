"""Compiled training of vectors that are sums of rows: the loops of a thread over a batch.

The same as `fused` for items that have a row each; those who train items alone compile no part of
this.
"""

import numpy as np

from recsys_lab.models import group_items, group_steps, rounds, summed_rows
from recsys_lab.models.group_items import PAIRS_IN_GROUP
from recsys_lab.models.group_steps import Settings, Tables
from recsys_lab.models.kernels import fast_jit, jit_piece
from recsys_lab.models.summed_rows import Links, Sides


@jit_piece
def _next_group(
    tables: Tables,
    links: Links,
    settings: Settings,
    turns: rounds.Turns,
    changes: rounds.Changes,
    place: np.ndarray,
) -> tuple[int, int]:
    """Apply buckets until there is a group to compute, or none; returns what `next_turn` says."""
    kind, number = rounds.BUCKET, 0
    while kind == rounds.BUCKET:
        kind, number = rounds.next_turn(turns, place)
        if kind == rounds.BUCKET:
            groups = rounds.groups_in_round(turns, place[0])
            summed_rows.apply_sums(tables, settings, changes, links, groups, number)
            rounds.end_turn(turns, place, kind)
    return kind, number


@jit_piece
def _learn(
    tables: Tables,
    sides: Sides,
    links: Links,
    settings: Settings,
    changes: rounds.Changes,
    slot: int,
    block: group_steps.Block,
    columns: int,
    of_pairs: bool,
) -> tuple[float, float]:
    """Gradients of a group whose items and weights are filled in; returns loss and mass."""
    first_context = group_steps.contexts_begin(len(block.positive))
    summed_rows.gather_sums(tables, sides, changes.items[slot], first_context, block.vectors)
    found = group_steps.learn(tables, settings, changes, slot, block, columns, of_pairs)
    summed_rows.link_rows(sides, changes, links, slot, first_context)
    return found


@fast_jit
def train_windows(
    tables: Tables,
    sides: Sides,
    links: Links,
    settings: Settings,
    turns: rounds.Turns,
    changes: rounds.Changes,
    place: np.ndarray,
    sums: np.ndarray,
    items: np.ndarray,
    negatives: np.ndarray,
    column_weights: np.ndarray,
    chosen: np.ndarray,
    chosen_positive: np.ndarray,
    chosen_negative: np.ndarray,
    distance_weights: np.ndarray,
    num_negatives: float,
) -> bool:
    """Work on the groups of a window batch until it is done, or until others take long."""
    places = items.shape[1] * items.shape[2]
    columns, rows = places + negatives.shape[1] + chosen.shape[1], changes.items.shape[1]
    block = group_steps.new_block(places, columns, rows, len(changes.grads) // changes.items.size)
    while True:
        kind, number = _next_group(tables, links, settings, turns, changes, place)
        if kind != rounds.GROUP:
            break
        following, slot = rounds.next_group(turns, place), number % turns.size
        if following >= 0:
            flat = items[following].ravel()
            summed_rows.prefetch_sums(tables.centers, sides.centers, flat)
            summed_rows.prefetch_sums(tables.contexts, sides.contexts, flat)
            summed_rows.prefetch_sums(tables.contexts, sides.contexts, negatives[following])
            summed_rows.prefetch_sums(tables.contexts, sides.contexts, chosen[following])
        group_items.fill_windows(
            changes.items[slot], block, items[number], negatives[number], column_weights[number],
            chosen[number], chosen_positive[number], chosen_negative[number], distance_weights,
            num_negatives,
        )  # fmt: skip
        sums[number] = _learn(tables, sides, links, settings, changes, slot, block, columns, False)
        rounds.end_turn(turns, place, kind)
    return kind == rounds.END


@fast_jit
def train_pairs(
    tables: Tables,
    sides: Sides,
    links: Links,
    settings: Settings,
    turns: rounds.Turns,
    changes: rounds.Changes,
    place: np.ndarray,
    sums: np.ndarray,
    centers: np.ndarray,
    contexts: np.ndarray,
    negatives: np.ndarray,
    weights: np.ndarray,
) -> bool:
    """The same for pairs with negatives of their own."""
    columns, rows = 1 + negatives.shape[1], changes.items.shape[1]
    block = group_steps.new_block(
        PAIRS_IN_GROUP, columns, rows, len(changes.grads) // changes.items.size
    )
    while True:
        kind, number = _next_group(tables, links, settings, turns, changes, place)
        if kind != rounds.GROUP:
            break
        following = rounds.next_group(turns, place) * PAIRS_IN_GROUP
        if following >= 0:
            end = min(following + PAIRS_IN_GROUP, len(centers))
            summed_rows.prefetch_sums(tables.centers, sides.centers, centers[following:end])
            summed_rows.prefetch_sums(tables.contexts, sides.contexts, contexts[following:end])
            for pair in range(following, end):
                summed_rows.prefetch_sums(tables.contexts, sides.contexts, negatives[pair])
        slot, first = number % turns.size, number * PAIRS_IN_GROUP
        group_items.fill_pairs(
            changes.items[slot], block, first, centers, contexts, negatives, weights
        )
        sums[number] = _learn(tables, sides, links, settings, changes, slot, block, columns, True)
        rounds.end_turn(turns, place, kind)
    return kind == rounds.END
