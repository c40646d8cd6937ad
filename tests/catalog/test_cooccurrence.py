from collections import Counter
from itertools import combinations
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.catalog import cooccurrence
from recsys_lab.catalog.cooccurrence import cooccurrence_pairs
from recsys_lab.readers.pair_options import PairOptions
from recsys_lab.readers.records import Events
from tests.event_cases import log_of, pairs_by, random_rows

Weights = dict[tuple[int, int], float]


def weights_of(events: Events, options: PairOptions, mask: np.ndarray | None = None) -> Weights:
    pairs = cooccurrence_pairs(events, 40, options, mask)
    return {(int(a), int(b)): float(w) for (a, b), w in zip(pairs.ids, pairs.weights, strict=True)}


def by_hand(events: Events, options: PairOptions, mask: np.ndarray) -> Weights:
    """What `cooccurrence_pairs` should find, one pair of places after the other."""
    groups: dict[int, list[tuple[int, float]]] = {}
    group_of = events.user if options.by == "user" else events.session
    for k in np.flatnonzero(mask):
        groups.setdefault(int(group_of[k]), []).append((int(events.item[k]), events.weight[k]))
    found: Counter[tuple[int, int]] = Counter()
    for places in groups.values():
        reach = options.window
        if options.by != "window":
            reach = options.max_distance
            summed: Counter[int] = Counter()
            for item, weight in places:
                summed[item] += weight
            places = list(summed.items())
        for (i, (a, v)), (j, (b, w)) in combinations(enumerate(places), 2):
            if a != b and j - i <= reach:
                found[min(a, b), max(a, b)] += sqrt(v * w)
    return dict(found)


def test_a_session_by_hand() -> None:
    """Item 1 is bought (weight 3) and viewed (1), item 2 viewed, item 3 comes a day later."""
    rows = [("u", 1, 0, 1), ("u", 2, 1, 0), ("u", 1, 2, 0), ("u", 3, 90, 0)]
    events = log_of(rows)
    assert weights_of(events, pairs_by("session")) == {(1, 2): 2.0}
    assert weights_of(events, pairs_by("user")) == {(1, 2): 2.0, (1, 3): 2.0, (2, 3): 1.0}
    window = weights_of(events, pairs_by("window", window=1))
    assert window == pytest.approx({(1, 2): sqrt(3) + 1})
    alone = weights_of(events, pairs_by("user"), np.array([True, False, False, True]))
    assert alone == pytest.approx({(1, 3): sqrt(3)})


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.builds(
        PairOptions,
        st.sampled_from(["session", "window", "user"]),
        st.integers(1, 4),
        st.sampled_from([1, 3, 200]),
    ),
    st.sampled_from([1.0, 0.6, 0.0]),
    st.sampled_from([1, 1 << 25]),
)
def test_pairs_are_those_of_all_places(
    seed: int, options: PairOptions, share: float, block: int
) -> None:
    events = log_of(random_rows(seed))
    mask = np.random.default_rng(seed).random(len(events)) < share
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cooccurrence, "_BLOCK", block)
        found = weights_of(events, options, mask)
    assert found == pytest.approx(by_hand(events, options, mask))


def test_a_long_session_has_bounded_pairs() -> None:
    events = log_of([("u", k, 0, 0) for k in range(3000)])
    pairs = cooccurrence_pairs(events, 3000, pairs_by("session", max_distance=20))
    assert len(pairs) == sum(min(20, 2999 - k) for k in range(3000))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"by": "user", "window": 2}, "pairs.max_distance is needed"),
        ({"windw": 3}, r"pairs.windw is unknown: pairs takes .* \(did you mean window\?\)"),
        ({"by": "user", "window": 0, "max_distance": 9}, "pairs.window must be >= 1, got 0"),
        (
            {"by": "basket", "window": 2, "max_distance": 9},
            "pairs.by must be session or window or user, got 'basket'",
        ),
    ],
)
def test_options_that_do_not_exist_are_named(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PairOptions.of(values)
