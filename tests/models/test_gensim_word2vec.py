import numpy as np
import pytest
import torch

from recsys_lab.models.builders import gensim_word2vec
from recsys_lab.models.gensim_word2vec import GensimWord2Vec, batch_sequences, expected_targets
from tests.models import model_cases as cases

SETTINGS = {
    "embedding_dim": 16,
    "sg": 1,
    "window": 2,
    "shrink_windows": True,
    "num_negatives": 3,
    "negative_exponent": 0.75,
    "workers": 1,
    "score": "center_context",
    "popularity_weight": 0.0,
}


def network(**changes: object) -> GensimWord2Vec:
    torch.manual_seed(0)
    return gensim_word2vec(cases.items_with({}, [1] * 12), **{**SETTINGS, **changes})


def two_kinds(seed: int) -> torch.Tensor:
    """Walks that stay within 0 .. 4 or within 6 .. 10; items 5 and 11 never occur."""
    rng = np.random.default_rng(seed)
    walks = rng.integers(0, 5, (8, 4, 6)) + 6 * rng.integers(0, 2, (8, 4, 1))
    return torch.from_numpy(walks)


def trained(steps: int, net: GensimWord2Vec) -> list[float]:
    frequencies = np.array([0.1] * 5 + [0] + [0.1] * 5 + [0])
    net.begin(frequencies)
    losses = []
    for step in range(int(net.steps), steps):
        total, weight = net.update(cases.BATCHES["windows, in batch"]._replace(
            items=two_kinds(step)), 0.05)  # fmt: skip
        losses.append(float(total / weight))
    return losses


@pytest.mark.parametrize("sg", [0, 1])
def test_it_learns_into_its_own_tables_and_leaves_other_items_alone(sg: int) -> None:
    net = network(sg=sg)
    before = net.centers.table.detach().clone()
    losses = trained(150, net)
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])
    changed = (net.centers.table != before).any(1)
    assert changed.tolist() == [True] * 5 + [False] + [True] * 5 + [False]
    assert (net.contexts.table[[5, 11]] == 0).all()  # never drawn as a negative
    vectors = net.score_vectors(torch.arange(12))
    near, far = cases.pair_scores(vectors, torch.tensor([0, 0]), torch.tensor([3, 8]))
    assert near > far


def test_a_resumed_run_goes_on_as_if_it_had_not_stopped() -> None:
    whole, first, second = network(), network(), network()
    trained(20, whole)
    trained(10, first)
    second.load_state_dict(first.state_dict())
    trained(20, second)
    assert torch.equal(whole.centers.table, second.centers.table)
    assert torch.equal(whole.contexts.table, second.contexts.table)


def test_sequences_of_both_contracts() -> None:
    pairs = cases.pair_batch(2, 3)
    assert batch_sequences(pairs) == [
        [int(c), int(x)] for c, x in zip(pairs.centers, pairs.contexts, strict=True)
    ]
    windows = cases.window_batch(1, 2, 4, 0)
    assert batch_sequences(windows) == [
        [item for item in walk if item >= 0] for walk in windows.items[0].tolist()
    ]


@pytest.mark.parametrize("shrink", [False, True])
def test_targets_are_counted_in_expectation(shrink: bool) -> None:
    sequences = [[1, 2, 3, 4], [5, 6], [7]]
    total = 0.0
    for sequence in sequences:
        for r in range(len(sequence)):
            for c in range(len(sequence)):
                distance = abs(r - c)
                if 0 < distance <= 3:
                    total += (4 - distance) / 3 if shrink else 1
    assert expected_targets(sequences, 3, shrink=shrink, sg=True) == pytest.approx(total)
    assert expected_targets(sequences, 3, shrink=shrink, sg=False) == 6


@pytest.mark.parametrize("key", ["window", "workers"])
def test_impossible_settings_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match=rf"{key} must be >= 1, got 0"):
        network(**{key: 0})


def test_chosen_contexts_are_refused() -> None:
    net = network()
    net.begin(np.full(12, 1 / 12))
    with pytest.raises(ValueError, match="without goal_kinds, market and num_rejected: leave"):
        net.update(cases.BATCHES["windows, chosen contexts"], 0.05)
