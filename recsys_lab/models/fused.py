"""Training in place by compiled kernels: what autograd and the optimiser do, block by block.

One group of walks, or of pairs, is a step of its own; where vectors are sums of rows, a round is
(`summed_rows`). The loops are the same: numba compiles them once for each, without the branches of
the other. The rows of a group are read once, and three small matrix products give scores and
gradients. What several threads do, and in which order the steps reach the tables, is decided by
`rounds`: the result does not depend on the number of threads.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import numpy as np

from recsys_lab.data.batch import Batch, PairBatch, no_chosen
from recsys_lab.models import group_items, group_steps, products, rounds, summed_rows
from recsys_lab.models.blocks import pairs_or_windows
from recsys_lab.models.group_items import PAIRS_IN_GROUP
from recsys_lab.models.group_steps import Settings, Tables
from recsys_lab.models.kernels import jit_calls, uncounted_jit
from recsys_lab.models.summed_rows import Chains, Links, Sides, new_chains, new_links

_PAUSE = 5e-5  # seconds for which a thread lets its core go


@jit_calls
def _next_group(
    tables: Tables,
    links: Links | None,
    chains: Chains | None,
    settings: Settings,
    turns: rounds.Turns,
    changes: rounds.Changes,
    place: np.ndarray,
    first_context: int,
) -> tuple[int, int]:
    """Apply buckets until there is a group to compute, or none; returns what `next_turn` says."""
    kind, number = rounds.BUCKET, 0
    while kind == rounds.BUCKET:
        kind, number = rounds.next_turn(turns, place)
        if kind == rounds.BUCKET:
            groups = rounds.groups_in_round(turns, place[0])
            if links is None:
                group_steps.apply_bucket(tables, settings, changes, groups, number, first_context)
            else:
                summed_rows.apply_sums(tables, settings, changes, links, chains, groups, number)
            rounds.end_turn(turns, place, kind)
    return kind, number


@jit_calls
def _prefetch(
    tables: Tables, sides: Sides | None, centers: np.ndarray, contexts: np.ndarray
) -> None:
    """Let the rows of a group that comes later come to the cache."""
    if sides is None:
        group_steps.prefetch_rows(tables.centers.values, centers)
        group_steps.prefetch_rows(tables.contexts.values, contexts)
    else:
        summed_rows.prefetch_sums(tables.centers, tables.center_logits, sides.centers, centers)
        summed_rows.prefetch_sums(tables.contexts, tables.context_logits, sides.contexts, contexts)


@jit_calls
def _learn(
    tables: Tables,
    sides: Sides | None,
    links: Links | None,
    chains: Chains | None,
    settings: Settings,
    changes: rounds.Changes,
    slot: int,
    block: group_steps.Block,
    columns: int,
    of_pairs: bool,
) -> tuple[float, float]:
    """Gradients of a group whose items and weights are filled in; returns loss and mass."""
    items, first_context = changes.items[slot], group_steps.contexts_begin(len(block.positive))
    if sides is None:
        group_steps.gather(tables, items, first_context, block.vectors)
    else:
        summed_rows.gather_sums(tables, sides, chains, items, first_context, block.vectors)
    found = group_steps.learn(tables, settings, changes, slot, block, columns, of_pairs)
    if sides is not None:
        summed_rows.link_rows(tables, sides, changes, links, chains, slot, first_context)
    return found


@uncounted_jit
def _train_windows(
    tables: Tables,
    sides: Sides | None,
    links: Links | None,
    chains: Chains | None,
    settings: Settings,
    turns: rounds.Turns,
    changes: rounds.Changes,
    place: np.ndarray,
    block: group_steps.Block,
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
    columns = places + negatives.shape[1] + chosen.shape[1]
    first_context = group_steps.contexts_begin(places)
    while True:
        kind, number = _next_group(
            tables, links, chains, settings, turns, changes, place, first_context
        )
        if kind != rounds.GROUP:
            break
        following, slot = rounds.next_group(turns, place), number % turns.size
        if following >= 0:
            flat = items[following].reshape(-1)
            _prefetch(tables, sides, flat, flat)
            _prefetch(tables, sides, flat[:0], negatives[following])
            _prefetch(tables, sides, flat[:0], chosen[following])
        group_items.fill_windows(
            changes.items[slot], block, items[number], negatives[number], column_weights[number],
            chosen[number], chosen_positive[number], chosen_negative[number], distance_weights,
            num_negatives,
        )  # fmt: skip
        sums[number, 0], sums[number, 1] = _learn(
            tables, sides, links, chains, settings, changes, slot, block, columns, False
        )
        rounds.end_turn(turns, place, kind)
    return kind == rounds.END


@uncounted_jit
def _train_pairs(
    tables: Tables,
    sides: Sides | None,
    links: Links | None,
    chains: Chains | None,
    settings: Settings,
    turns: rounds.Turns,
    changes: rounds.Changes,
    place: np.ndarray,
    block: group_steps.Block,
    sums: np.ndarray,
    centers: np.ndarray,
    contexts: np.ndarray,
    negatives: np.ndarray,
    weights: np.ndarray,
) -> bool:
    """The same for pairs with negatives of their own."""
    columns, first_context = 1 + negatives.shape[1], group_steps.contexts_begin(PAIRS_IN_GROUP)
    while True:
        kind, number = _next_group(
            tables, links, chains, settings, turns, changes, place, first_context
        )
        if kind != rounds.GROUP:
            break
        slot, following = number % turns.size, rounds.next_group(turns, place) * PAIRS_IN_GROUP
        if following >= 0:
            end = min(following + PAIRS_IN_GROUP, len(centers))
            _prefetch(tables, sides, centers[following:end], contexts[following:end])
            for pair in range(following, end):
                _prefetch(tables, sides, centers[:0], negatives[pair])
        group_items.fill_pairs(
            changes.items[slot],
            block,
            number * PAIRS_IN_GROUP,
            centers,
            contexts,
            negatives,
            weights,
        )  # fmt: skip
        sums[number, 0], sums[number, 1] = _learn(
            tables, sides, links, chains, settings, changes, slot, block, columns, True
        )
        rounds.end_turn(turns, place, kind)
    return kind == rounds.END


def train_batch(
    tables: Tables,
    settings: Settings,
    batch: Batch,
    pool: ThreadPoolExecutor,
    threads: int,
    sides: Sides | None = None,
) -> tuple[float, float]:
    """Work through a batch of either contract, on the CPU, by several threads of a pool.

    The tables are float32. Rows are items, or those of `sides` are summed up to items. Returns loss
    and weight of the positives, each of before its step.
    """
    batch = pairs_or_windows(batch)
    run: Callable[..., bool]
    arrays: tuple[Any, ...]
    if isinstance(batch, PairBatch):
        run, arrays = _train_pairs, tuple(part.numpy() for part in batch[:4])
        groups, columns = -(-len(arrays[0]) // PAIRS_IN_GROUP), 1 + arrays[2].shape[1]
        centers, contexts = PAIRS_IN_GROUP, PAIRS_IN_GROUP * columns
    else:
        chosen = batch.chosen or no_chosen(batch)
        run, arrays = _train_windows, tuple(part.numpy() for part in (*batch[:3], *chosen))
        groups, centers = len(arrays[0]), arrays[0][0].size if len(arrays[0]) else 0
        contexts = columns = centers + arrays[1].shape[1] + arrays[3].shape[1]
        arrays += batch.distance_weights.numpy(), batch.num_negatives
    if not groups:
        return 0.0, 0.0
    num_items = len(tables.centers.values if sides is None else sides.centers.most)
    size = rounds.round_size(num_items, centers)
    turns, sums = rounds.new_turns(groups, size), np.zeros((groups, 2))
    rows = group_steps.contexts_begin(centers) + products.round_up(contexts, products.ROWS)
    dim = products.round_up(tables.centers.values.shape[1], products.WIDTH)
    changes = rounds.new_changes(size, rows, dim, biases=len(tables.biases.values) > 0)
    links = None if sides is None else new_links(size, sides, centers, contexts, rows)
    failed = Event()

    def work() -> None:
        """What one thread does for the batch."""
        chains = None if links is None else new_chains(links, dim)
        place, block = rounds.new_place(), group_steps.new_block(centers, columns, rows, dim)
        shared = tables, sides, links, chains, settings, turns, changes
        try:
            while not run(*shared, place, block, sums, *arrays) and not failed.is_set():
                time.sleep(_PAUSE)
        except BaseException:
            failed.set()  # else the others wait for ever
            raise

    jobs = [pool.submit(work) for _ in range(min(threads, groups))]
    for job in jobs:
        job.result()
    loss, mass = sums.sum(axis=0)
    return float(loss), float(mass)
