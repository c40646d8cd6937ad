"""The items of the synthetic catalogue, and which of them are bought together."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsys_lab.readers import synthetic_words as words

_DEPARTMENTS = list(words.DEPARTMENTS)
_HEADS = [heads.split() for heads in words.DEPARTMENTS.values()]
_KINDS = words.KINDS.split()
_ADJECTIVES = words.ADJECTIVES.split()
_MATERIALS = words.MATERIALS.split()
_BRAND_PARTS = (words.BEGINNINGS.split(), words.MIDDLES.split(), words.ENDS.split())
_NUM_HEADS = sum(map(len, _HEADS))
_BRANDS_PER_HEAD = 160  # at most; 48 heads stay within the 8,000 names

_FRACTION_LISTED_ONLY = 0.15
_FRACTION_BARE = 0.61
_POPULARITY_EXPONENT = 1.05
_LIST_CAP = 100
# how the targets of a list are chosen; the rest is chosen by popularity alone
_SHARES = {"leaf": 0.70, "brand": 0.15, "complement": 0.12}
_REACH = 12.0  # mean distance of a local choice, in items of average popularity
_LISTS = {  # relation: median length, spread of its logarithm, fraction of items with such a list
    "also_bought": (44.0, 0.9, 0.85),
    "also_viewed": (7.0, 0.7, 0.6),
    "bought_together": (1.6, 0.3, 0.6),
}


@dataclass(frozen=True)
class PlantedCatalog:
    """Items in the order of category, brand and taste, so that neighbours in it are alike.

    Attributes: all (N,)
        ids: raw ids.
        leaves: category of the third level, sorted.
        brands: brand, unique to a category of the second level.
        prices: dollars; level of the category times level of the brand, with noise.
        adjectives: of the title.
        materials: of the title.
        has_record: false for the items that are only listed by others.
        has_fields: whether the record has brand, categories and price.
        shows_brand: whether the brand is not left empty.
        popularity: chance of being chosen, sums to 1.
        by_brand: the items ordered by brand.
        complements: for each leaf, the leaf whose items are bought with its items.
    """

    ids: list[str]
    leaves: np.ndarray
    brands: np.ndarray
    prices: np.ndarray
    adjectives: np.ndarray
    materials: np.ndarray
    has_record: np.ndarray
    has_fields: np.ndarray
    shows_brand: np.ndarray
    popularity: np.ndarray
    by_brand: np.ndarray
    complements: np.ndarray

    @cached_property
    def ends(self) -> np.ndarray:
        """Cumulated popularity, (N,): item i owns the interval from ends[i - 1] to ends[i]."""
        return np.cumsum(self.popularity)

    @cached_property
    def brand_ends(self) -> np.ndarray:
        """The same in the order of `by_brand`."""
        return np.cumsum(self.popularity[self.by_brand])

    @cached_property
    def place_by_brand(self) -> np.ndarray:
        """The middle of each item's interval in `brand_ends`, (N,)."""
        places = np.empty(len(self.ids))
        places[self.by_brand] = self.brand_ends - self.popularity[self.by_brand] / 2
        return places

    def brand(self, item: int) -> str:
        """The brand as a crawl shows it: with entities in some."""
        number = int(self.brands[item])
        name = _brand_name(number)
        return name + words.ENTITIES[number % 3] if number % 9 == 4 else name

    def category(self, item: int) -> list[str]:
        """The path from department to kind."""
        department, head, kind = _leaf_parts(int(self.leaves[item]))
        noun = _HEADS[department][head]
        return [_DEPARTMENTS[department], f"{noun}s", f"{_KINDS[kind]} {noun}s"]

    def title(self, item: int) -> str:
        """Adjective, material, kind, noun and maker."""
        department, head, kind = _leaf_parts(int(self.leaves[item]))
        return (
            f"{_ADJECTIVES[self.adjectives[item]]} {_MATERIALS[self.materials[item]]} "
            f"{_KINDS[kind]} {_HEADS[department][head]} by {_brand_name(int(self.brands[item]))}"
        )


def plant(num_items: int, seed: int) -> PlantedCatalog:
    """Draw the items. Popularity is a power law; a brand lives in one second-level category."""
    rng = np.random.default_rng([seed, 0])
    num_leaves = int(np.clip(num_items // 100, 8, _NUM_HEADS * len(_KINDS)))
    sizes = rng.dirichlet(np.full(num_leaves, 3.0))
    leaves = np.sort(rng.choice(num_leaves, num_items, p=sizes))
    per_head = int(np.clip(num_items // 1000, 3, _BRANDS_PER_HEAD))
    local = np.minimum(rng.zipf(1.6, num_items) - 1, 10**6) % per_head
    brands = leaves % _NUM_HEADS * _BRANDS_PER_HEAD + local
    order = np.lexsort((brands, leaves))  # drawn independently: within a brand order is taste
    brands = brands[order]
    leaf_level = rng.normal(3.0, 0.8, num_leaves)[leaves]
    brand_level = rng.normal(0.0, 0.4, _NUM_HEADS * _BRANDS_PER_HEAD)[brands]
    popularity = rng.permutation((np.arange(num_items) + 30.0) ** -_POPULARITY_EXPONENT)
    prices = np.exp(leaf_level + brand_level + rng.normal(0.0, 0.2, num_items))
    has_record = rng.random(num_items) >= _FRACTION_LISTED_ONLY
    bare = (_FRACTION_BARE - _FRACTION_LISTED_ONLY) / (1 - _FRACTION_LISTED_ONLY)
    return PlantedCatalog(
        ids=_draw_ids(num_items, rng),
        leaves=leaves,
        brands=brands,
        prices=np.floor(prices) + 0.99,
        adjectives=rng.integers(len(_ADJECTIVES), size=num_items),
        materials=rng.integers(len(_MATERIALS), size=num_items),
        has_record=has_record,
        has_fields=has_record & (rng.random(num_items) >= bare),
        shows_brand=rng.random(num_items) < 0.5,
        popularity=popularity / popularity.sum(),
        by_brand=np.argsort(brands, kind="stable"),
        complements=rng.permutation(num_leaves),
    )


def draw_lists(
    catalog: PlantedCatalog, items: np.ndarray, seed: int, list_scale: float
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The lists of some items: for each relation sources (sorted) and distinct targets, each (E,).

    A choice is local in the order of category and brand, or in that of brands, or around the
    place in the complementary category that corresponds to the item's own; it is weighted by
    popularity throughout. Lists are cut at a hundred, so they are not symmetric; before the cut
    their lengths are multiplied by `list_scale`.
    """
    rng = np.random.default_rng([seed, 1, int(items[0]) if len(items) else 0])
    own = catalog.popularity[items] * len(catalog.popularity)
    lists = {}
    for name, (median, spread, fraction) in _LISTS.items():
        lengths = list_scale * median * np.exp(spread * rng.standard_normal(len(items))) * own**0.6
        lengths[rng.random(len(items)) >= fraction] = 0
        sources = np.repeat(items, np.minimum(lengths, _LIST_CAP).astype(np.int64))
        targets = _choose(catalog, sources, rng)
        key = np.unique((sources * len(catalog.ids) + targets)[sources != targets])
        lists[name] = np.divmod(key, len(catalog.ids))
    return lists


def _choose(catalog: PlantedCatalog, sources: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One target for each source (E,)."""
    num_items = len(catalog.ids)
    ends, brand_ends, place_by_brand = catalog.ends, catalog.brand_ends, catalog.place_by_brand
    middles = ends[sources] - catalog.popularity[sources] / 2
    bounds = np.searchsorted(catalog.leaves, np.arange(len(catalog.complements) + 1))
    low, high = (np.append(0.0, ends)[bounds[i:][: len(catalog.complements)]] for i in (0, 1))
    leaf = catalog.leaves[sources]
    share = (middles - low[leaf]) / (high[leaf] - low[leaf])
    other = catalog.complements[leaf]
    opposite = low[other] + share * (high[other] - low[other])

    steps = rng.laplace(0.0, _REACH / num_items, len(sources))
    draw = rng.random(len(sources))
    brand_from, complement_from, any_from = np.cumsum(list(_SHARES.values()))
    place = middles + steps
    place = np.where(draw >= brand_from, opposite + steps, place)
    place = np.where(draw >= any_from, rng.random(len(sources)), place)
    targets = np.searchsorted(ends, place % 1.0).clip(max=num_items - 1)
    of_brand = (draw >= brand_from) & (draw < complement_from)
    place = (place_by_brand[sources[of_brand]] + steps[of_brand]) % 1.0
    in_brands = np.searchsorted(brand_ends, place).clip(max=num_items - 1)
    targets[of_brand] = catalog.by_brand[in_brands]
    return targets


def _draw_ids(num_items: int, rng: np.random.Generator) -> list[str]:
    """Ids such as B04X1C9QKD, one in twenty-five of digits that begin with zeros."""
    step = 36**8 // num_items
    numbers = rng.permutation(num_items) * step + rng.integers(step)
    symbols = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8)
    powers = 36 ** np.arange(7, -1, -1)
    letters = np.empty((num_items, 10), np.uint8)
    letters[:, :2] = np.frombuffer(b"B0", np.uint8)
    letters[:, 2:] = symbols[numbers[:, None] // powers % 36]
    ids = letters.view("S10").ravel().astype(str).tolist()
    for item in np.flatnonzero(numbers // step % 25 == 0).tolist():
        ids[item] = f"{numbers[item] // step + 13714:010d}"
    return ids


def _leaf_parts(leaf: int) -> tuple[int, int, int]:
    """Department, head and kind of a leaf."""
    kind, head = divmod(leaf, _NUM_HEADS)
    return head % len(_HEADS), head // len(_HEADS), kind


def _brand_name(number: int) -> str:
    """A name for each brand; neighbouring numbers sound different."""
    number = number * 2731 % 8000
    parts = (part[number // 20**place % 20] for place, part in enumerate(_BRAND_PARTS))
    return "".join(parts)
