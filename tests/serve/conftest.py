"""A served pair of small runs."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from recsys_lab.serve.application import build_application
from recsys_lab.serve.exhibits import Exhibits
from tests.serve.served_cases import two_runs


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Folders of two models of one catalogue."""
    return two_runs(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def exhibits(runs: list[Path]) -> Exhibits:
    return Exhibits.open(runs)


@pytest.fixture(scope="session")
def client(exhibits: Exhibits) -> TestClient:
    return TestClient(build_application(exhibits), raise_server_exceptions=False)
