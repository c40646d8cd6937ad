import numpy as np
import pytest

from recsys_lab.graph.counter import mix64, permute_index, permute_range, stream_key


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 17, 64, 1000, 4097])
def test_permutation_is_a_bijection(size: int) -> None:
    places = [permute_index(index, size, stream_key(7)) for index in range(size)]
    assert sorted(places) == list(range(size))
    assert permute_range(size // 2, size, size, stream_key(7)).tolist() == places[size // 2 :]


def test_permutations_of_two_keys_differ_and_look_random() -> None:
    one = np.array([permute_index(k, 10_000, stream_key(0, 1)) for k in range(10_000)])
    other = np.array([permute_index(k, 10_000, stream_key(0, 2)) for k in range(10_000)])
    assert (one == other).mean() < 0.01
    assert abs(np.corrcoef(one, np.arange(10_000))[0, 1]) < 0.05
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.05


def test_stream_keys_tell_their_parts_apart() -> None:
    keys = {int(stream_key(a, b)) for a in range(30) for b in range(30)}
    assert len(keys) == 900
    assert stream_key(0, 1) != stream_key(1, 0)
    assert stream_key(-1) == stream_key(2**64 - 1)


def test_mix64_is_splitmix64() -> None:
    # First outputs of the published generator for seed 1234567.
    golden, expected = 0x9E3779B97F4A7C15, [6457827717110365317, 3203168211198807973]
    outputs = [int(mix64(np.uint64((1234567 + k * golden) % 2**64))) for k in (1, 2)]
    assert outputs == expected
