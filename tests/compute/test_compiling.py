"""The clock that stands still while kernels compile."""

import logging
import time

import numba
import pytest

from recsys_lab.compute.compiling import CLOCK, seconds_without_compiling


def fresh(number):
    """A function that numba has not compiled, which calls another one."""

    @numba.njit
    def inner(x):
        return x + number

    @numba.njit
    def outer(x):
        return inner(x) * 2

    return outer


def test_compiling_is_timed_once_and_left_out(caplog):
    caplog.set_level(logging.INFO)
    CLOCK.begin("first")
    function, wall = fresh(1), time.perf_counter()
    compiled, clock = CLOCK.seconds, seconds_without_compiling()
    assert function(3) == 8
    compiled, clock = CLOCK.seconds - compiled, seconds_without_compiling() - clock
    wall = time.perf_counter() - wall
    assert 0.2 * wall < compiled <= wall  # inner functions are not counted twice
    assert clock == pytest.approx(wall - compiled, abs=0.01)
    before = CLOCK.seconds
    assert function(4) == 10
    assert CLOCK.seconds == before  # it is compiled now
    fresh(2)(3)
    CLOCK.begin("second")
    fresh(3)(3)
    said = [record.message for record in caplog.records]
    assert said == ["compiling kernels (once): first", "compiling kernels (once): second"]


def test_a_function_that_does_not_compile_stops_the_clock():
    @numba.njit
    def wrong(x):
        return x + "a"

    with pytest.raises(numba.core.errors.TypingError):
        wrong(1)
    before = CLOCK.seconds
    time.sleep(0.01)
    assert CLOCK.seconds == before
