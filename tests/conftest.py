"""What several rooms' tests stand on."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest

from recsys_lab.catalog.prepared import PreparedData, prepare
from recsys_lab.catalog.split import SplitOptions
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.readers.synthetic import SyntheticSource
from tests.composed import compose_once
from tests.run_cases import train

compose_once()
os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # of the clusters that tests start
_LONGEST = ("tests/test_documented", "tests/test_contract", "tests/run/", "tests/plugin/")

RELATION_WEIGHTS = {
    "bought_together": 1.2,
    "also_bought": 1.0,
    "also_viewed": 0.5,
    "buy_after_viewing": 0.5,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that no process waits for another at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Spare the collector what is imported and collected, which took a sixth of the tests' time."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The real catalogues, where the environment says that there are any."""
    folder = os.environ.get("RECSYS_LAB_DATA")
    if not folder:
        pytest.skip("set RECSYS_LAB_DATA to the folder of real catalogues to run this test")
    return Path(folder)


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """A small planted catalogue, split 80/10/10 by pairs."""
    source = SyntheticSource(
        num_items=800, seed=0, relation_weights=RELATION_WEIGHTS, outside_items="keep"
    )
    options = SplitOptions("pairs", 0.1, 0.1, ("uniform", "degree_matched"), seed=0)
    return prepare(source, options, tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def small_graph() -> ItemGraph:
    """Five items by hand: 0-1 (1), 0-2 (2), 0-3 (5), 1-2 (1), and item 4 alone."""
    return ItemGraph.from_pairs(
        np.array([0, 0, 0, 1]), np.array([1, 2, 3, 2]), np.array([1.0, 2.0, 5.0, 1.0]), 5
    )


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small run that has ended."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    done = train(folder)
    assert done.returncode == 0, done.stderr
    return folder
