import threading
import time

import pytest

from recsys_lab.catalog import parallel
from recsys_lab.catalog.parallel import map_in_order


@pytest.fixture(params=[1, 2, 4])
def cores(request, monkeypatch):
    monkeypatch.setattr(parallel, "num_threads", lambda: request.param)


def test_results_keep_the_order(cores):
    def work(number):
        time.sleep((number * 7 % 5) / 2000)
        return number * number

    assert list(map_in_order(work, iter(range(50)))) == [n * n for n in range(50)]
    assert list(map_in_order(work, iter([]))) == []


@pytest.mark.parametrize("place", ["reading", "working"])
def test_errors_come_through_and_threads_end(cores, place):
    def pieces():
        yield from range(5)
        if place == "reading":
            raise OSError("the disk is gone")
        yield 5

    def work(number):
        if number == 5:
            raise OSError("the disk is gone")
        return number

    with pytest.raises(OSError, match="the disk is gone"):
        list(map_in_order(work, pieces()))
    assert not [t for t in threading.enumerate() if t.name.startswith("reader")]


def test_it_stays_a_few_pieces_ahead(cores):
    drawn = []
    results = map_in_order(str, (drawn.append(n) or n for n in range(1000)))
    assert next(results) == "0"
    time.sleep(0.02)
    assert len(drawn) < 20
    results.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("reader")]
