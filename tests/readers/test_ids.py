import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.readers.ids import IdCodes, rank_ids

raw_ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(deadline=None)
@given(st.lists(st.lists(raw_ids | st.sampled_from(["a", "a\0", "ab", "\n"]), max_size=20)))
def test_codes_are_those_of_a_dictionary(batches):
    codes, expected = IdCodes(), {}
    for batch in batches:
        found = codes.encode(batch).tolist()
        assert len(set(found)) == len(set(batch))
        for raw, code in zip(batch, found, strict=True):
            assert expected.setdefault(raw, code) == code
    assert len(codes) == len(expected)
    assert sorted(expected.values()) == list(range(len(expected)))
    assert codes.raws(np.arange(len(codes))).to_list() == sorted(expected, key=expected.get)


@settings(deadline=None)
@given(st.lists(raw_ids, unique=True, min_size=1), st.randoms())
def test_ranks_are_those_of_sorting(raws, rng):
    codes = IdCodes()
    numbers = codes.encode(raws)
    stays = np.array([rng.random() < 0.7 for _ in raws])
    of_code = np.empty(len(raws), bool)
    of_code[numbers] = stays
    ranks = rank_ids(codes, of_code)
    expected = sorted(raw for raw, stay in zip(raws, stays, strict=True) if stay)
    assert ranks.ids.to_list() == expected
    for raw, stay, rank in zip(raws, stays, ranks.of_code[numbers].tolist(), strict=True):
        assert rank == (expected.index(raw) if stay else -1)


def test_many_ids_are_told_apart():
    codes = IdCodes()
    raws = [f"{number:010d}" for number in range(200_000)]
    assert codes.encode(raws).tolist() == list(range(200_000))
    assert codes.encode(reversed(raws)).tolist() == list(reversed(range(200_000)))
    assert codes.raws(np.arange(len(codes))).to_list() == raws
