import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from recsys_lab.results.run_lock import alone_in, is_in_use
from tests.forked import CONTEXT


def hold(folder: Path, held: Event) -> None:
    with alone_in(folder):
        held.set()
        time.sleep(60)


def test_a_run_folder_is_for_one_process(tmp_path: Path) -> None:
    """Until it is killed; the process itself may ask again."""
    assert not is_in_use(tmp_path)
    held = CONTEXT.Event()
    process = CONTEXT.Process(target=hold, args=(tmp_path, held))
    process.start()
    assert held.wait(60)
    assert is_in_use(tmp_path)
    with (
        pytest.raises(ValueError, match=rf"another process \({process.pid} on .*\) works in"),
        alone_in(tmp_path),
    ):
        pass
    process.kill()
    process.join()
    assert not is_in_use(tmp_path)
    with alone_in(tmp_path), alone_in(tmp_path):
        pass
    with alone_in(tmp_path / "new" / "folder"):
        assert (tmp_path / "new" / "folder").is_dir()
