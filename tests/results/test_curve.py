import pytest

from recsys_lab.results.curve import CurveFile, points_every, read_curve


@pytest.mark.parametrize(("wanted", "num_batches", "every"), [(25, 84, 25), (25, 3500, 175)])
def test_a_long_epoch_has_its_points_further_apart(wanted, num_batches, every):
    assert points_every(wanted, num_batches) == every
    assert num_batches / every <= 20


def test_the_file_holds_the_rows_and_a_torn_line_is_left_out(tmp_path):
    curve = CurveFile(tmp_path, ["uniform"])
    curve.rows = [{"step": 1, "train/loss": 0.5}]
    curve.rewrite()
    curve.append({"step": 2, "val/auc/uniform/seen": 0.75, "val/mrr": 0.125})
    rows = read_curve(tmp_path)
    assert [{k: v for k, v in row.items() if v is not None} for row in rows] == curve.rows
    assert list(rows[0]) == curve.columns
    with (tmp_path / "curve.csv").open("a") as file:
        file.write("3,0,1")
    assert read_curve(tmp_path) == rows
