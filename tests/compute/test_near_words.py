"""The words that a message names: what was meant, and how many."""

from collections.abc import Sequence
from typing import Annotated, Literal

import pytest
from annotated_types import MinLen

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


def test_only_a_list_is_told_to_quote_its_entries() -> None:
    for hint in (list[str], Annotated[Sequence[Literal["a", "b"]], MinLen(1)] | None):
        with pytest.raises(ValueError, match=r"got '\[a=b\]' \(put each entry"):
            check_value("names", "[a=b]", hint)
    with pytest.raises(ValueError, match=r"got '\[a=b\]'$"):
        check_value("seed", "[a=b]", int)
    with pytest.raises(ValueError, match=r"got '\[dot\]' \(did you mean dot\?\)$"):
        check_value("score", "[dot]", Literal["cosine", "dot"])


def test_counts() -> None:
    counts = [count_of(number, noun) for number in (0, 1, 1200) for noun in ("job", "query")]
    assert counts == ["0 jobs", "0 queries", "1 job", "1 query", "1,200 jobs", "1,200 queries"]
