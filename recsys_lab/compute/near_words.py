"""The word that a misspelt one may mean."""

import difflib
from collections.abc import Iterable


def near_word(word: str, words: Iterable[str]) -> str | None:
    """The nearest of some words, whatever the case; else one that begins alike, or its initials.

    Examples:
        >>> near_word("MF", ["mf", "skipgram"]), near_word("cos", ["dot", "cosine"])
        ('mf', 'cosine')
        >>> near_word("learning_rate", ["eps", "lr"])
        'lr'
    """
    plain = {one.casefold(): one for one in words}
    written = word.casefold()
    if near := difflib.get_close_matches(written, plain, n=1):
        return plain[near[0]]
    initials = "".join(part[:1] for part in written.split("_")) if "_" in written else ""
    alike = [one for one in plain if one == initials or (written and one.startswith(written))]
    return plain[alike[0]] if len(alike) == 1 else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """` (did you mean x?)` with the nearest of some words, or nothing."""
    near = near_word(word, words)
    return f" (did you mean {near}?)" if near else ""
