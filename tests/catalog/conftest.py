import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def real_data() -> Callable[[str], str]:
    """The path of a real file below the folder that RECSYS_LAB_DATA names."""

    def find(name: str) -> str:
        root = os.environ.get("RECSYS_LAB_DATA")
        if not root:
            pytest.skip("set RECSYS_LAB_DATA to the folder of the real catalogues to run this")
        return str(Path(root) / name)

    return find
