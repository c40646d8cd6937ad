import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from recsys_lab.vectors.stratified import main_categories, stratified_sample


def categories(*items):
    return pl.Series(items, dtype=pl.List(pl.List(pl.String)))


def test_categories_of_several_departments_are_their_broadest_labels():
    found = main_categories(categories([["Music", "Pop"], ["Gifts"]], [["Books", "Art"]], None, []))
    assert found.to_list() == ["Music", "Books", None, None]
    assert found.name == "category"


def test_categories_of_one_department_are_its_divisions():
    paths = [[["Beauty", division]] for division in ("Hair", "Skin")] * 10
    found = main_categories(categories(*paths, [["Beauty"]], [["Gifts"]], None))
    assert found.to_list() == ["Hair", "Skin"] * 10 + ["Beauty", "Gifts", None]


def test_one_path_for_all_is_no_trap():
    assert main_categories(categories([["A", "B"]], [["A", "B"]])).to_list() == ["B", "B"]


def test_a_catalogue_without_categories_has_none():
    nothing = pl.Series("categories", [None, None])
    assert main_categories(nothing).to_list() == [None, None]
    assert main_categories(categories(None, None)).to_list() == [None, None]


def test_a_sample_by_hand():
    """Four of eight of A: the two most popular and two of the others; B and no label keep one."""
    labels = pl.Series(["A"] * 8 + ["B", None])
    popularity = np.array([1, 9, 3, 2, 8, 0, 5, 4, 0, 0])
    samples = [stratified_sample(labels, popularity, 6, seed).tolist() for seed in range(30)]
    assert all({1, 4, 8, 9} <= set(rows) for rows in samples)
    assert {row for rows in samples for row in rows} == set(range(10))


@given(
    st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=60),
    st.integers(1, 70),
    st.integers(0, 3),
)
def test_samples_hold_every_label_in_proportion(labels, size, seed):
    popularity = np.random.default_rng(seed).integers(0, 9, len(labels))
    series = pl.Series(labels, dtype=pl.String)
    rows = stratified_sample(series, popularity, size, seed)
    assert len(rows) == min(size, len(labels))
    assert (np.diff(rows) > 0).all()
    assert np.array_equal(rows, stratified_sample(series, popularity, size, seed))
    chosen = [labels[row] for row in rows]
    if size >= len(set(labels)):
        assert set(chosen) == set(labels)
    for label in set(labels):
        fair = labels.count(label) * len(rows) / len(labels)
        assert abs(chosen.count(label) - fair) <= len(set(labels)) + 0.1 * fair + 1
        if label in chosen:
            of_label = [p for p, one in zip(popularity, labels, strict=True) if one == label]
            assert max(of_label) in [popularity[row] for row in rows if labels[row] == label]
