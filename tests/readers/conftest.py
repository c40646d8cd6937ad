import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.readers.amazon_cases import source


@pytest.fixture
def real_data(data_folder: Path) -> Callable[[str], str]:
    """The path of a real file below the folder that RECSYS_LAB_DATA names."""
    return lambda name: str(data_folder / name)


@pytest.fixture
def read(tmp_path):
    """Read lines, bytes or records, as a file of Amazon metadata."""

    def read(*lines, **options):
        path = tmp_path / "meta.json"
        texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        path.write_bytes(b"\n".join(texts))
        records = source(path, **options).read()
        assert records.account.lines == records.account.kept + records.account.dropped.total()
        return records

    return read
