"""The account of a reading: every line is kept or dropped for a counted reason."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from recsys_lab.readers.cells import show


class CatalogError(ValueError):
    """The catalogue cannot be used; the message names the value, the place and the remedy."""


@dataclass
class ReadAccount:
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

    def note(self, what: str, count: int) -> None:
        """Add to a note, unless there is nothing to add."""
        if count:
            self.notes[what] += count

    def drop(self, reason: str, count: int) -> None:
        """Add to the dropped lines, unless there is nothing to add."""
        if count:
            self.dropped[reason] += count

    def add(self, other: "ReadAccount") -> None:
        """Add the counts of another part of the same files."""
        self.lines += other.lines
        self.kept += other.kept
        self.dropped.update(other.dropped)
        self.notes.update(other.notes)

    def refuse_bad(
        self,
        path: str,
        reasons: Iterable[str],
        max_fraction: float,
        first_bad: int,
        first_text: str = "",
        form: str = "",
        remedies: Mapping[str, str] | None = None,
        first_path: str = "",
    ) -> None:
        """Refuse a file with too many bad lines.

        Args:
            path: the file, for the message.
            reasons: the reasons for dropping a line that make it bad.
            max_fraction: largest tolerated fraction of the lines that are not blank.
            first_bad: number of the first bad line, from 1, in its file.
            first_text: that line.
            form: what was understood of the file.
            remedies: what to do, by reason; that of "" where the reason has none.
            first_path: the file of the first bad line, where path names several.

        Raises:
            CatalogError: the fraction is exceeded.
        """
        counts = {reason: self.dropped[reason] for reason in reasons if self.dropped[reason]}
        bad = sum(counts.values())
        fraction = bad / max(1, self.lines - self.dropped["blank"])
        if fraction > max_fraction:
            most = max(counts, key=lambda reason: counts[reason])
            known = {"": "repair the file"} | dict(remedies or {})
            listed = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
            of = f" of {first_path}" if first_path not in ("", path) else ""
            quoted = of + (f" {show(first_text)}" if first_text else "")
            understood = f"; read as {form}" if form else ""
            raise CatalogError(
                f"{path}: {bad:,} of {self.lines:,} lines are bad ({listed}), a fraction of "
                f"{fraction:.3g} beyond {max_fraction:g}; the first is line {first_bad:,}{quoted}"
                f"{understood}; {known.get(most, known[''])} or allow more with max_bad_fraction="
            )

    def refuse_empty(self, path: str, remedies: Mapping[str, str]) -> None:
        """Refuse a file without a kept line, and name the reason that removed most.

        Raises:
            CatalogError: no line was kept.
        """
        if self.kept:
            return
        filters = {reason: self.dropped[reason] for reason in remedies if self.dropped[reason]}
        if filters:
            reason = max(filters, key=lambda name: filters[name])
            remedy = f"'{reason}' removed most: use {remedies[reason]}"
        else:
            remedy = "give a file that holds records"
        raise CatalogError(f"{path}: nothing is left ({self}); {remedy}")

    def __str__(self) -> str:
        """The counts in one sentence."""
        parts = [f"{self.lines:,} lines read, {self.kept:,} kept"]
        parts += [f"{count:,} {reason}" for reason, count in sorted(self.dropped.items())]
        text = ", ".join(parts)
        if self.notes:
            notes = ", ".join(f"{count:,} {note}" for note, count in sorted(self.notes.items()))
            text += f" (of the kept: {notes})"
        return text


def join_accounts(accounts: Mapping[str, ReadAccount], main: str) -> ReadAccount:
    """One account of all files; the reasons of those beside the main one begin with their role."""
    joint = ReadAccount()
    for role, account in accounts.items():
        prefix = "" if role == main else f"{role}: "
        joint.lines += account.lines
        joint.kept += account.kept
        joint.dropped += Counter({prefix + name: n for name, n in account.dropped.items()})
        joint.notes += Counter({prefix + name: n for name, n in account.notes.items()})
    return joint
