"""The account of a reading: every line is kept or dropped for a counted reason."""

from collections import Counter
from dataclasses import dataclass, field


class CatalogError(ValueError):
    """The catalogue cannot be used; the message names the value, the place and the remedy."""


@dataclass
class ReadReport:
    """Counts of one reading, where lines == kept + sum(dropped.values()).

    Attributes:
        lines: lines read.
        kept: lines that became a record.
        dropped: lines dropped, by reason.
        notes: what happened inside kept records (merged duplicates, fields of a wrong type, ...).
    """

    lines: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """One line for people."""
        parts = [f"{self.lines:,} lines read, {self.kept:,} kept"]
        parts += [f"{count:,} {reason}" for reason, count in sorted(self.dropped.items())]
        text = ", ".join(parts)
        if self.notes:
            notes = ", ".join(f"{count:,} {note}" for note, count in sorted(self.notes.items()))
            text += f" (of the kept: {notes})"
        return text
