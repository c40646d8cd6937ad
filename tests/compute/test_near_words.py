"""The words that a message names: what was meant, and how many."""

from typing import Literal

import pytest

from recsys_lab.compute.checks import check_value
from recsys_lab.compute.counts import count_of
from recsys_lab.compute.near_words import did_you_mean, near_word


@pytest.mark.parametrize(
    ("word", "words", "expected"),
    [
        ("skipgam", ["mf", "skipgram"], "skipgram"),
        ("MF", ["mf", "skipgram"], "mf"),
        ("learning_rate", ["eps", "lr"], "lr"),
        ("cos", ["dot", "cosine"], "cosine"),
        ("c", ["cosine", "center"], None),  # either
        ("", ["cosine"], None),
        ("x", [], None),
    ],
)
def test_near_words(word: str, words: list[str], expected: str | None) -> None:
    assert near_word(word, words) == expected
    assert did_you_mean(word, words) == (f" (did you mean {expected}?)" if expected else "")


def test_a_choice_that_is_near_is_named() -> None:
    hint = Literal["cosine", "dot"] | None
    with pytest.raises(ValueError, match=r"got 'cos' \(did you mean cosine\?\)$"):
        check_value("score", "cos", hint)
    with pytest.raises(ValueError, match=r"got 7$"):
        check_value("score", 7, hint)


def test_counts() -> None:
    counts = [count_of(number, noun) for number in (0, 1, 1200) for noun in ("job", "query")]
    assert counts == ["0 jobs", "0 queries", "1 job", "1 query", "1,200 jobs", "1,200 queries"]
