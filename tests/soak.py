"""How much the tests of `make soak` do: RECSYS_LAB_SOAK=0.01 does a hundredth."""

import os

SHARE = float(os.environ.get("RECSYS_LAB_SOAK", "1"))


def times(number: int) -> int:
    """This many repetitions of a test in full, at least one."""
    return max(1, round(SHARE * number))
