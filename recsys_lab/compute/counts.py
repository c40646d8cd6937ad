"""Counts in sentences."""

_PLURALS = {"batch": "batches", "process": "processes", "query": "queries"}


def count_of(number: int, noun: str) -> str:
    """A number with its noun.

    Examples:
        >>> count_of(1, "job"), count_of(2_000, "job"), count_of(0, "query")
        ('1 job', '2,000 jobs', '0 queries')
    """
    return f"{number:,} {noun if number == 1 else _PLURALS.get(noun, f'{noun}s')}"
