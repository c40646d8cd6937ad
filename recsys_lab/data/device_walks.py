"""Walks drawn on the device that trains: those of `graph.walks.random_walks`, to the bit.

A GPU trains faster than the threads of a CPU draw. The tables of the graph are copied to it once;
walks are drawn some million at a time, since every operation on a GPU costs its launch.
"""

import numpy as np
import torch
from torch import Tensor

from recsys_lab.data.device_counter import GOLDEN, mix64, permute_range, shift_right, word
from recsys_lab.graph.graph import ItemGraph

_COIN_BITS = 24  # of a slot, as `graph.slots` packs it


class DeviceWalks:
    """First-order walks by epoch and number.

    Args:
        graph: the training graph.
        num_walks: in an epoch.
        length: places in a walk, L.
        device: where they are drawn.
    """

    def __init__(self, graph: ItemGraph, num_walks: int, length: int, device: torch.device) -> None:
        rows, slots, bits = graph.tables
        self._rows = torch.from_numpy(rows.view(np.int64)).to(device)
        self._slots = torch.from_numpy(slots.view(np.int64)).to(device)
        self._starts = torch.from_numpy(graph.start_items).to(device)
        self._bits = int(bits)
        self._num_walks = num_walks
        self._length = length
        self._device = device

    def draw(self, key: int, first: int, count: int) -> Tensor:
        """Walks first .. first + count - 1 of the epoch of a key, (count, L) int32."""
        numbers = torch.arange(first, first + count, device=self._device)
        places = permute_range(first, first + count, self._num_walks, key, self._device)
        here = self._starts[places % len(self._starts)].long()
        state = mix64(mix64(numbers + GOLDEN) ^ word(key))
        walks = torch.empty(count, self._length, dtype=torch.int32, device=self._device)
        walks[:, 0] = here
        for step in range(1, self._length):
            state += GOLDEN
            here = self._step(here, mix64(state))
            walks[:, step] = here
        return walks

    def _step(self, here: Tensor, random: Tensor) -> Tensor:
        """The next items (n,): `slots.slot_place` and `slots.slot_item`."""
        row = self._rows[here]
        degree = row & ((1 << 24) - 1)
        place = (row >> 24) + ((shift_right(random, 32) * degree) >> 32)
        slot, spare = self._slots[place], 64 - 2 * self._bits
        coin = random & ((1 << _COIN_BITS) - 1)
        coin = coin >> max(_COIN_BITS - spare, 0)
        threshold = shift_right(slot, 2 * self._bits)
        chosen = torch.where(coin < threshold, slot, slot >> self._bits)
        return chosen & ((1 << self._bits) - 1)


class DeviceDraw:
    """Blocks of sequences by number, drawn many at a time and kept until others are asked for.

    Args:
        walks: where they come from.
        size: walks in a block; the last block of an epoch may hold fewer.
        count: walks in an epoch.
        most: walks that are drawn at a time.
    """

    def __init__(self, walks: DeviceWalks, size: int, count: int, most: int = 1 << 22) -> None:
        self._walks = walks
        self._size = size
        self._count = count
        self._chunk = max(most // size, 1) * size
        self._held: tuple[int, int] | None = None  # key and first walk of what is drawn
        self._drawn: Tensor | None = None

    def __call__(self, key: int, number: int) -> Tensor:
        """Block `number` of the epoch of a key, (n, L) int32."""
        first = number * self._size
        low = first // self._chunk * self._chunk
        if self._held != (key, low) or self._drawn is None:
            self._drawn = None  # frees it before the next one is drawn
            self._drawn = self._walks.draw(key, low, min(self._chunk, self._count - low))
            self._held = key, low
        return self._drawn[first - low : first - low + self._size]
