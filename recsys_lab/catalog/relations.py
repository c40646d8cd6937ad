"""Which relations a pair was listed under: bought together, viewed together, and so on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recsys_lab.catalog.pairs import ItemPairs
from recsys_lab.compute.ordering import sort_pairs


@dataclass(frozen=True)
class PairRelations:
    """The relations of the pairs of a catalogue.

    Attributes:
        names: names of the relations; none where a source knows one kind of listing only.
        pairs: the pairs, P of them.
        masks: (P,) uint8; bit r is set where the pair is listed under names[r].
    """

    names: tuple[str, ...]
    pairs: ItemPairs
    masks: np.ndarray

    def of(self, pairs: ItemPairs) -> np.ndarray:
        """Masks of other pairs of the same items, (n,) uint8; 0 for a pair that is not listed."""
        known, wanted = self.pairs.keys, pairs.keys
        if not len(known):
            return np.zeros(len(wanted), np.uint8)
        place = np.searchsorted(known, wanted).clip(0, len(known) - 1)
        return np.where(known[place] == wanted, self.masks[place], 0).astype(np.uint8)

    def shares(
        self, names: Sequence[str], pairs: ItemPairs, weights: Mapping[str, float]
    ) -> np.ndarray:
        """What some relations contribute to the weight of other pairs of the same items, (n,).

        A relation counts by the weight of one of its listings, whether one or both items list the
        other, since the relations of a pair are known, but not how many listings each has. Where
        none of the relations lists a pair, it is 0.

        Args:
            names: the relations.
            pairs: the pairs.
            weights: of a listing by relation; others weigh 1.

        Raises:
            ValueError: a name is that of no relation.
        """
        if unknown := [name for name in names if name not in self.names]:
            known = ", ".join(self.names) or "none"
            raise ValueError(f"relations: there is no {unknown[0]}; those of the pairs are {known}")
        masks, own, every = self.of(pairs), np.zeros(len(pairs)), np.zeros(len(pairs))
        for bit, name in enumerate(self.names):
            part = (masks >> bit & 1) * float(weights.get(name, 1.0))
            every += part
            own += part * (name in names)
        return np.divide(own, every, out=np.zeros(len(pairs)), where=every > 0)


def relation_masks(
    sources: np.ndarray, targets: np.ndarray, relations: np.ndarray, num_items: int
) -> np.ndarray:
    """Masks of the distinct pairs of listings, in the order of `build_pairs`: (P,) uint8.

    Args:
        sources: (E,) the item that lists the other.
        targets: (E,) the item listed.
        relations: (E,) number of the relation, 0 .. 7.
        num_items: N.
    """
    other = sources != targets
    low, high = np.minimum(sources, targets)[other], np.maximum(sources, targets)[other]
    bits = np.left_shift(np.uint8(1), relations[other].astype(np.uint8))
    heads, tails, bits = sort_pairs(low, high, bits, num_items)
    if not len(heads):
        return bits
    is_first = np.ones(len(heads), bool)
    is_first[1:] = (heads[1:] != heads[:-1]) | (tails[1:] != tails[:-1])
    return np.asarray(np.bitwise_or.reduceat(bits, np.flatnonzero(is_first)))
