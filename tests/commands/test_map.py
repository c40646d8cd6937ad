"""`recsys-lab map`: the command, and the page's server where the viewer is installed."""

import socket
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from recsys_lab.commands.app import app
from recsys_lab.vectors import catalog_map
from recsys_lab.vectors.atlas import check_viewer, initial_state, map_application
from recsys_lab.vectors.errors import VectorsError
from tests.vectors.stored import store


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(catalog_map, "project", lambda vectors, seed: vectors[:, :2])
    return store(tmp_path / "run")


def call(*words):
    return CliRunner().invoke(app, ["map", *map(str, words)])


def test_the_table_alone_needs_no_viewer(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "embedding_atlas", None)
    done = call(run, "--prepare-only", "--sample", 3)
    assert done.exit_code == 0
    assert pl.read_parquet(done.stdout.strip()).height == 3
    assert "sample of 3 of 4 items" in done.stderr


def test_an_absent_viewer_is_named_before_the_work(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "embedding_atlas", None)
    done = call(run)
    assert isinstance(done.exception, VectorsError)
    assert "embedding-atlas: install it with pip install -e '.[explore]'" in str(done.exception)
    assert not list((run / "embeddings").glob("map*"))


def test_a_port_in_use_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "embedding_atlas", sys)  # as if it were installed
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(VectorsError, match=f"port {port} cannot be used .*--port"):
            check_viewer(port)
    check_viewer(port)


def test_the_page_starts_with_the_colours_that_were_asked_for():
    table = pl.DataFrame(
        {"category": ["a", "b"], "brand": [None, None], "price": [1.0, 2.0], "num_pairs": [1, 1]}
    )
    state = initial_state(table, "price")
    charts = list(state["charts"].values())
    assert charts[0]["data"]["category"] == "price"
    assert charts[0]["data"]["neighbors"] == "neighbors"
    assert [chart["title"] for chart in charts[2:]] == ["category", "price"]  # others are constant


def test_the_server_answers_this_machine_from_the_table(run, tmp_path, monkeypatch):
    pytest.importorskip("embedding_atlas", reason="the extra `explore` is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # where the viewer keeps labels
    from starlette.testclient import TestClient

    path = Path(call(run, "--prepare-only").stdout.strip())
    client = TestClient(map_application(path, "category"), base_url="http://127.0.0.1")
    assert "<html" in client.get("/").text
    props = client.get("/data/metadata.json").json()
    assert props["database"] == {"type": "rest"}  # queries go to this server
    assert props["props"]["initialState"]["charts"]["1"]["data"]["category"] == "category"
    query = {"type": "json", "sql": "SELECT id, neighbors.ids AS near FROM dataset ORDER BY 1"}
    rows = client.post("/data/query", json=query).json()
    assert [row["id"] for row in rows] == ["0007", "a b", "c", "nan"]
    assert sorted(rows[0]["near"]) == [1, 2, 3]
    query["sql"] = f"FROM read_text('{path}')"
    assert client.post("/data/query", json=query).status_code != 200  # no files
    assert client.get("/", headers={"host": "example.org"}).status_code == 400
