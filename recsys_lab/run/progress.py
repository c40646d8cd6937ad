"""Progress of what takes long: a bar on a terminal, lines of the log elsewhere."""

import logging
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from recsys_lab.compute.compiling import CLOCK
from recsys_lab.compute.counts import count_of

log = logging.getLogger(__name__)

_QUIET = 2.0  # seconds without a bar: what takes no longer needs none
_EVERY = 30.0  # seconds between two lines
_FORM = "{desc}{percentage:4.0f}% |{bar}| {elapsed} < {remaining}{postfix}"
_FORM_WITHOUT_END = "{desc} {n} steps, {elapsed}{postfix}"
_NEEDED = len(" 100% |12345| 00:00 < 00:00 ")  # characters that are not texts


class Progress:
    """How far something is, and the time left, which compiling does not count for.

    Lines of the log are printed above the bar. Without a terminal there is a line every 30 s.

    Args:
        what: the first words, such as "testing".
        total: units of work; None if that is open.
        done: units of an earlier run.
        is_shown: false shows nothing.
    """

    def __init__(
        self, what: str, total: int | None, *, done: int = 0, is_shown: bool = True
    ) -> None:
        self.what, self._total, self._first, self._done = what, total, done, done
        self._is_shown = is_shown
        self._shown: Mapping[str, str] = {}
        self._compiled = CLOCK.seconds
        self._began = self._line_at = time.monotonic()
        self._above = ExitStack()
        self._bar: Any = None
        if is_shown and sys.stderr.isatty():
            self._bar = tqdm(
                desc=what,
                total=total,
                initial=done,
                delay=_QUIET,
                mininterval=0.2,
                miniters=1,  # steps may be slow
                smoothing=0,  # the time left by the mean speed
                leave=False,
                dynamic_ncols=True,
                bar_format=_FORM if total else _FORM_WITHOUT_END,
                file=sys.stderr,
            )
            self._above.enter_context(logging_redirect_tqdm())

    def advance(self, units: int) -> None:
        """Add units of work to those that are done."""
        self.update(self._done + units)

    def name(self, what: str) -> None:
        """Change the first words."""
        self.update(self._done, what)

    def update(self, done: int, what: str | None = None, **shown: str) -> None:
        """Show what is done, and texts by name at the end, of which the first ones matter most."""
        self.what, self._done = what or self.what, done
        self._shown = shown or self._shown
        if self._bar is not None:
            compiled = CLOCK.seconds
            self._bar.start_t += compiled - self._compiled
            self._compiled = compiled
            self._bar.set_description_str(self.what, refresh=False)
            self._bar.set_postfix(self._fitting(), refresh=False)
            self._bar.update(done - self._bar.n)
        elif self._is_shown and time.monotonic() - self._line_at >= _EVERY:
            self._line_at = time.monotonic()
            log.info("%s", self.line())

    def _fitting(self) -> dict[str, str]:
        """The first texts, as many as leave room for a bar on this terminal."""
        columns = self._bar.format_dict["ncols"]
        room = (columns or sys.maxsize) - len(self.what) - _NEEDED
        fitting: dict[str, str] = {}
        for name, text in self._shown.items():
            room -= len(f", {name}={text}")
            if fitting and room < 0:
                break
            fitting[name] = text
        return fitting

    def line(self) -> str:
        """The progress in words, such as "training: 35 %, 1:20 left, loss=1.353"."""
        parts = [f"{name}={text}" for name, text in self._shown.items()]
        if self._total:
            parts.insert(0, f"{100 * self._done / self._total:.0f} %")
            if passed := self._done - self._first:
                seconds = time.monotonic() - self._began - (CLOCK.seconds - self._compiled)
                left = tqdm.format_interval(seconds / passed * (self._total - self._done))
                parts.insert(1, f"{left} left")
        else:
            parts.insert(0, count_of(self._done, "step"))
        return f"{self.what}: {', '.join(parts)}"

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self._above.close()
