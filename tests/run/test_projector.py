"""Files of the projector, read back by TensorBoard's own plugin."""

import json
from types import SimpleNamespace
from urllib.parse import urlencode

import numpy as np
import polars as pl
import pytest
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from werkzeug.test import Client
from werkzeug.wrappers import Response

from recsys_lab.catalog.prepared import prepare
from recsys_lab.run.experiment import configure
from recsys_lab.run.fitting import fit, load
from recsys_lab.run.projector import write_projector
from recsys_lab.vectors.score_form import ScoreTables
from recsys_lab.vectors.store import Content
from tests.run_cases import BRIEF

ITEMS = pl.DataFrame(
    {
        "item": ["0000013714", "nan", "a b", "é😀"],
        "title": ["Tabs\tand\r\nlines\n", "<script>alert(1)</script>", None, '"quoted'],
        "brand": ["  Sony ", None, "", "ü"],
        "categories": [[["Music"]], [["Books"]], None, [["Books"]]],
        "num_pairs": [5, 0, 2, 1],
    },
    schema_overrides={"categories": pl.List(pl.List(pl.String))},
)
SCORED = np.array([True, False, True, True])


def content(vectors=None, scored=SCORED):
    if vectors is None:
        vectors = np.arange(12, dtype=np.float32).reshape(4, 3) - 5
    zeros = np.zeros(len(vectors), np.float32)
    tables = ScoreTables(vectors, -vectors, zeros, both_ways=True)
    return Content(ITEMS, scored, tables, pl.DataFrame(), {})


@pytest.fixture
def ask(tmp_path):
    """Requests to the plugin over the run folders below tmp_path that hold events."""

    def list_runs(context, experiment_id):
        events = tmp_path.rglob("events.out.tfevents.*")
        names = {str(path.parent.relative_to(tmp_path)) for path in events}
        return [SimpleNamespace(run_name=name) for name in names]

    provider = SimpleNamespace(list_runs=list_runs)
    plugin = ProjectorPlugin(SimpleNamespace(data_provider=provider, logdir=str(tmp_path)))

    def ask(route, **arguments):
        app = plugin.get_plugin_apps()[route]
        answer = Client(app, Response).get(f"{route}?{urlencode(arguments)}")
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer.get_data()

    return ask


def served(ask, run):
    """Vectors and lines that the plugin serves for a run."""
    info = json.loads(ask("/info", run=run))["embeddings"][0]
    name, shape = info["tensorName"], info["tensorShape"]
    vectors = np.frombuffer(ask("/tensor", run=run, name=name), np.float32).reshape(shape)
    return vectors, ask("/metadata", run=run, name=name).decode().splitlines()


def test_the_plugin_serves_what_was_written(tmp_path, ask):
    write_projector(tmp_path / "one", content(), 100, 0)
    write_projector(tmp_path / "two", content(), 2, 0)
    assert sorted(json.loads(ask("/runs"))) == ["one", "two"]
    vectors, lines = served(ask, "one")
    np.testing.assert_allclose(vectors, content().tables.queries[SCORED], rtol=2**-15)
    assert lines == [
        "id\ttitle\tbrand\tcategory\tpopularity",
        "0000013714\tTabs and lines\tSony\tMusic\t5",
        "a b\t\t\t\t2",
        'é😀\t"quoted\tü\tBooks\t1',
    ]
    vectors, lines = served(ask, "two")
    assert len(vectors) == 2
    assert len(lines) == 3


def test_vectors_that_could_be_text_are_read_as_numbers(tmp_path, ask):
    zeros = np.zeros((4, 3), np.float32)
    write_projector(tmp_path / "run", content(zeros), 100, 0)
    vectors, _ = served(ask, "run")
    np.testing.assert_allclose(vectors, zeros[:3], atol=1e-40)


def test_no_files_where_nothing_can_be_scored(tmp_path):
    assert write_projector(tmp_path, content(scored=np.zeros(4, bool)), 100, 0) is None
    assert not list(tmp_path.iterdir())


def test_runs_and_tests_of_checkpoints_leave_their_own(tmp_path, ask):
    experiment = configure(*BRIEF, "catalog.num_items=300", "projector=50")
    prepared = prepare(experiment.source, experiment.split, tmp_path / "prepared")
    fitted = fit(prepared, experiment, tmp_path / "train")
    fitted.test()
    load(prepared, experiment, tmp_path / "test", tmp_path / "train/checkpoints/best.ckpt").test()
    assert sorted(json.loads(ask("/runs"))) == ["test", "train"]
    vectors, lines = served(ask, "train")
    assert vectors.shape == (50, 8)
    ids = [line.split("\t")[0] for line in lines[1:]]
    np.testing.assert_allclose(vectors, fitted.vectors(ids), rtol=2**-15)
    assert served(ask, "test")[1] == lines


def test_none_are_written_where_they_are_switched_off(tmp_path):
    experiment = configure(*BRIEF, "catalog.num_items=300", "projector=0", "embeddings=false")
    prepared = prepare(experiment.source, experiment.split, tmp_path / "prepared")
    fit(prepared, experiment, tmp_path / "run").test()
    assert not list((tmp_path / "run").glob("projector*"))
