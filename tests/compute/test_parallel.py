import threading
import time

import pytest

from recsys_lab.compute.parallel import (
    even_bounds,
    map_in_order,
    map_in_threads,
    run_blocks,
    run_parts,
)


@pytest.fixture(params=[1, 2, 4])
def cores(request, monkeypatch):
    monkeypatch.setattr("recsys_lab.compute.threads._chosen", request.param)


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


def test_even_bounds():
    assert even_bounds(7, 2) == [0, 3, 7]
    assert even_bounds(0, 0) == [0, 0]
    assert even_bounds(2, 5) == [0, 1, 2]


@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_parts_cover_every_place_once(cores, count):
    seen = []
    run_parts(lambda low, high: seen.extend(range(low, high)), count)
    assert sorted(seen) == list(range(count))


def test_results_of_threads_keep_the_order(cores):
    assert map_in_threads(lambda n: n * n, range(50)) == [n * n for n in range(50)]


def test_an_error_in_a_block_is_raised_and_the_rest_does_not_begin(cores):
    begun = []

    def kernel(low, high):
        begun.append(low)
        if low == 1:
            raise ZeroDivisionError
        time.sleep(0.001)

    with pytest.raises(ZeroDivisionError):
        run_blocks(kernel, list(range(1000)))
    assert len(begun) < 900
    assert not [t for t in threading.enumerate() if t.name.startswith("kernel")]
