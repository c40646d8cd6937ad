from itertools import pairwise
from textwrap import fill

import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.text import Text

from recsys_lab.evaluation.metrics import precision_recall
from recsys_lab.figures.canvas import MAX_SERIES, PALETTE, new_figure, save_figure, series_style
from recsys_lab.figures.many_runs import (
    Measured,
    draw_learning_curves,
    draw_precision_recall_panels,
    draw_time_against_quality,
)
from recsys_lab.figures.one_run import (
    learning_curve_panels,
    learning_rate_resets,
    precision_recall_panels,
    save_panels,
)
from recsys_lab.results.curve import read_curve
from recsys_lab.results.precision_recall import (
    MAX_THRESHOLDS,
    read_precision_recall,
    thin_curve,
    write_precision_recall,
)
from tests.run_folder_cases import write_curves

PNG = b"\x89PNG\r\n\x1a\n"


def curves(tmp_path, seeds=(0, 1), resets=False):
    rows = []
    for seed in seeds:
        (folder := tmp_path / f"{seed}").mkdir()
        write_curves(folder, seed, resets)
        rows.append(read_curve(folder))
    return rows


def test_curve_file_reads_back_without_a_torn_line(tmp_path):
    (rows,) = curves(tmp_path, seeds=(0,))
    assert [row["step"] for row in rows] == list(range(10, 70, 10))
    assert rows[0]["val/auc/uniform/all"] == pytest.approx(0.54)
    assert rows[0]["val/auc/uniform/seen"] is None
    with (tmp_path / "0" / "curve.csv").open("a") as file:
        file.write("70,1,7")
    assert read_curve(tmp_path / "0") == rows
    assert read_curve(tmp_path) == []


def test_a_picture_of_one_run_holds_both_panels(tmp_path):
    (rows,) = curves(tmp_path, seeds=(0,))
    found = precision_recall(np.array([0.9, 0.4]), np.array([0.5, 0.1]))
    for panels in (learning_curve_panels(rows), precision_recall_panels({"seen": found}, "pairs")):
        save_panels(panels, tmp_path / "picture.png")
        picture = np.round(255 * imread(tmp_path / "picture.png")).astype(np.uint8)[..., :3]
        left, right = panels.values()
        assert max(left.min(), right.min()) < 100  # something is drawn on both
        assert np.array_equal(picture[:, : left.shape[1]], left)
        assert np.array_equal(picture[:, -right.shape[1] :], right)


def test_learning_curves_show_mean_band_and_resets(tmp_path):
    rows = curves(tmp_path, resets=True)
    steps = learning_rate_resets(rows[0])
    assert steps
    figure = draw_learning_curves({"one": rows}, tmp_path / "curve.png")
    uniform = figure.axes[0]
    items, values = uniform.lines[0].get_data()
    assert items[0] == pytest.approx(100 / 1e6)
    assert values[0] == pytest.approx(0.54 + 0.005)  # between the two seeds
    assert len(uniform.collections) == 1
    at = [line.get_xdata()[0] for line in uniform.lines[1:]]
    assert at == pytest.approx([10 * step / 1e6 for step in steps])
    assert (tmp_path / "curve.png").read_bytes().startswith(PNG)


def test_labels_have_a_panel_for_each_field(tmp_path):
    (rows,) = curves(tmp_path, seeds=(0,))
    of_labels = [
        {**row, "val/label_mrr/brand": None, "val/label_mrr/type": None} for row in rows[:4]
    ]
    of_labels[1]["val/label_mrr/brand"], of_labels[3]["val/label_mrr/brand"] = 0.2, 0.3
    figure = draw_learning_curves({"plain": [rows], "labels": [of_labels]}, tmp_path / "c.png")
    shown = [axis for axis in figure.axes if axis.get_visible()]  # no curve has a type
    assert [axis.get_ylabel() for axis in shown] == [
        *["AUC-ROC, validation"] * 2,
        "MRR, validation",
    ]
    (line,) = shown[2].lines
    assert shown[2].get_title(loc="left") == "labels of brand"
    assert line.get_xdata().tolist() == pytest.approx([20e-5, 40e-5])
    assert line.get_ydata().tolist() == [0.2, 0.3]
    plain = draw_learning_curves({"plain": [rows]}, tmp_path / "c.png")
    assert len(plain.axes) == 2


def test_learning_curves_draw_no_more_than_can_be_told_apart(tmp_path):
    (rows,) = curves(tmp_path, seeds=(0,))
    many = {f"run {k}": [rows] for k in range(MAX_SERIES + 3)}
    figure = draw_learning_curves(many, tmp_path / "curve.png")
    assert len(figure.axes[0].lines) == MAX_SERIES
    assert len({series_style(k) for k in range(2 * len(PALETTE))}) == 2 * len(PALETTE)
    assert 2 * len(PALETTE) >= MAX_SERIES


def test_curves_without_values_make_a_figure_all_the_same(tmp_path):
    figure = draw_learning_curves({"empty": [[], []]}, tmp_path / "curve.png")
    assert not figure.axes[0].lines


def test_cliff_of_the_unscored_pairs_is_marked_where_it_is(tmp_path):
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(1.0, 1.0, 900), rng.normal(-1.0, 1.0, 900)
    constant = 0.25
    every = [np.append(scores, np.full(100, constant)) for scores in (positive, negative)]
    panels = {
        "cliff": {"all": precision_recall(*every), "seen": precision_recall(positive, negative)}
    }
    thin = {part: thin_curve(*curve) for part, curve in panels["cliff"].items()}
    figure = draw_precision_recall_panels({"cliff": thin}, {"cliff": 0.9}, tmp_path / "a.png")
    axis = figure.axes[0]
    marks = [line for line in axis.lines if line.get_linestyle() == ":"]
    assert [mark.get_xdata()[0] for mark in marks] == [constant]
    assert "10.0% unscored" in axis.get_xlabel()
    plain = draw_precision_recall_panels({"cliff": thin}, {"cliff": 1.0}, tmp_path / "b.png")
    assert not [line for line in plain.axes[0].lines if line.get_linestyle() == ":"]


def test_thinned_curve_keeps_the_cliff_and_the_ends(tmp_path):
    rng = np.random.default_rng(1)
    positive, negative = rng.normal(size=(2, 20_000))
    positive[:5000] = 0.125
    curve = precision_recall(positive, negative)
    thresholds, precision, recall = thin_curve(*curve)
    assert len(thresholds) == len(precision) == len(recall) <= MAX_THRESHOLDS
    assert (np.diff(thresholds) > 0).all()
    assert (thresholds[0], thresholds[-1]) == (curve[0][0], curve[0][-1])
    assert np.diff(recall).min() == np.diff(curve[2]).min()  # as steep as it was
    middle = np.linspace(-2, 2, 200)
    thin, full = (np.interp(middle, t, r[: len(t)]) for t, _, r in [(thresholds, 0, recall), curve])
    assert np.abs(thin - full).max() < 0.01

    thinned = (thresholds, precision, recall)
    write_precision_recall(tmp_path, {"all": thinned, "seen": thinned})
    back = read_precision_recall(tmp_path)
    assert list(back) == ["all", "seen"]
    np.testing.assert_allclose(back["all"][2], recall, rtol=1e-6)
    assert read_precision_recall(tmp_path / "none") == {}
    (tmp_path / "precision_recall.csv").write_text("slice,threshold\nall,x\n")
    with pytest.raises(ValueError, match="is damaged"):
        read_precision_recall(tmp_path)


def time_and_quality(points, levels, folder):
    numbers = range(3, 3 + len(points))
    return draw_time_against_quality(points, levels, folder / "t.png", "NDCG@10", numbers)


def test_many_points_have_numbers_on_their_dots(tmp_path):
    points = {
        f"an experiment with a long name, number {k}": Measured(
            10.0 + k % 5, 0.5, 0.2 + 0.01 * k, 0.0
        )
        for k in range(20)
    }
    axis = time_and_quality(points, {"level": 0.25}, tmp_path).figure.axes[0]
    numbers = {text.get_text(): text for text in axis.texts if text.get_text() != "level"}
    assert list(numbers) == [str(k) for k in range(3, 23)]
    for note, point in zip(numbers.values(), points.values(), strict=True):
        dot = axis.transData.transform((point.seconds, point.quality))
        box = Text.get_window_extent(note)
        assert ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2) == pytest.approx(dot, abs=2)


def test_points_of_time_and_quality_are_named_without_overlap(tmp_path):
    points = {
        f"experiment number {k}": Measured(10.0 + k % 2, 0.5, 0.2 + 0.001 * k, 0.002)
        for k in range(4)
    }
    levels = {"Adamic-Adar": 0.2, "walk proximity": 0.2001}
    figure = time_and_quality(points, levels, tmp_path)
    axis = figure.axes[0]
    names = {text.get_text(): text for text in axis.texts}
    assert set(names) == {fill(label, 32) for label in points} | set(levels)
    boxes = [Text.get_window_extent(text) for text in axis.texts]  # without the arrows
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[k + 1 :])


def test_no_name_of_a_point_lies_on_a_line(tmp_path):
    points = {
        "between the lines": Measured(1.0, 0.0, 0.2, 0.0),
        "far": Measured(2.0, 0.0, 0.5, 0.0),
    }
    levels = {"above": 0.21, "below": 0.19, "level with it": 0.2}
    figure = time_and_quality(points, levels, tmp_path)
    axis = figure.axes[0]
    (name,) = [text for text in axis.texts if text.get_text() == "between the lines"]
    box = Text.get_window_extent(name)
    for level in levels.values():
        height = axis.transData.transform((0, level))[1]
        assert not box.y0 <= height <= box.y1


def test_curves_of_very_different_length_are_logarithmic(tmp_path):
    rows = [{"step": k, "items": 1000 * k, "val/auc/uniform/all": 0.5} for k in range(1, 11)]
    for most, scale in ((3, "linear"), (10, "log")):
        short = [{**row, "items": row["items"] // most} for row in rows]
        figure = draw_learning_curves({"long": [rows], "short": [short]}, tmp_path / "c.png")
        assert figure.axes[0].get_xscale() == scale


def test_wide_ranges_of_time_are_logarithmic(tmp_path):
    points = {"fast": Measured(1.0, 0.0, 0.2, 0.0), "slow": Measured(900.0, 0.0, 0.3, 0.0)}
    figure = time_and_quality(points, {}, tmp_path)
    assert figure.axes[0].get_xscale() == "log"


def tick_labels(axis):
    axis.figure.canvas.draw()
    every = [*axis.get_xticklabels(which="major"), *axis.get_xticklabels(which="minor")]
    return [label for label in every if label.get_text()]


@pytest.mark.parametrize("longest", [9.0, 60.0, 900.0, 1e7])
def test_labels_of_logarithmic_ticks_do_not_overlap(tmp_path, longest):
    points = {"a": Measured(1.1, 0.0, 0.2, 0.0), "b": Measured(longest, 0.0, 0.3, 0.0)}
    figure = time_and_quality(points, {}, tmp_path)
    axis = figure.axes[0]
    shown = [label for label in tick_labels(axis) if axis.bbox.x0 <= label.get_window_extent().x1]
    assert len(shown) >= 2
    assert not any(label.get_text().startswith("$") for label in shown)
    boxes = sorted((label.get_window_extent() for label in shown), key=lambda box: box.x0)
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))


def test_a_curve_of_a_single_point_is_a_dot_with_the_range_of_the_seeds(tmp_path):
    seeds = [
        [{"step": 5, "items": 1000, "val/auc/uniform/all": value}, {"step": 6, "items": 1200}]
        for value in (0.5, 0.7)
    ]
    figure = draw_learning_curves({"one epoch": seeds}, tmp_path / "c.png")
    axis = figure.axes[0]
    (dot,) = axis.lines
    assert dot.get_marker() == "o"
    assert dot.get_xydata() == pytest.approx(np.array([[0.001, 0.6]]))
    (bar,) = axis.collections
    assert bar.get_segments()[0] == pytest.approx(np.array([[0.001, 0.5], [0.001, 0.7]]))
    (handle,) = figure.legends[0].legend_handles
    assert handle.get_marker() == "o"


def test_every_name_is_nearest_to_its_own_point_or_connected_to_it(tmp_path):
    points = {  # two close at the top, and bars that fill the room around them
        "gensim_cbow": Measured(12.0, 2.0, 0.270, 0.001),
        "gensim_word2vec": Measured(14.0, 6.0, 0.2705, 0.001),
        "node2vec": Measured(13.0, 0.1, 0.268, 0.0),
        "skipgram": Measured(13.1, 0.0, 0.266, 0.0),
        "far": Measured(40.0, 50.0, 0.2, 0.0),  # its bar begins below 0
    }
    figure = time_and_quality(points, {"level": 0.27}, tmp_path)
    axis = figure.axes[0]
    dots = {
        name: axis.transData.transform((point.seconds, point.quality))
        for name, point in points.items()
    }
    for note in axis.texts:
        if note.get_text() not in points:
            continue
        box = Text.get_window_extent(note)
        closest = {name: np.clip(dot, box.min, box.max) for name, dot in dots.items()}
        distances = {name: np.hypot(*(dots[name] - closest[name])) for name in dots}
        is_connected = note.arrow_patch.get_visible()
        assert is_connected or min(distances, key=distances.get) == note.get_text()
        assert note.xy == pytest.approx(
            tuple(dots[note.get_text()]), abs=0.5
        )  # also after the last layout
    assert axis.get_xlim()[0] >= 0.0


def test_a_figure_is_saved_as_matplotlib_does(tmp_path):
    figures = [new_figure(6, 3, 2) for _ in range(2)]
    for _, (left, right) in figures:
        left.plot([1, 3, 2], label="a line")
        right.set(title="a title", xlabel="steps")
        left.legend()
    save_figure(figures[0][0], tmp_path / "ours.png")
    figures[1][0].savefig(tmp_path / "theirs.png")
    assert np.array_equal(*(imread(tmp_path / f"{name}.png") for name in ("ours", "theirs")))
