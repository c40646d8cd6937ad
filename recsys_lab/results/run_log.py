"""The log of a run, in its folder."""

import logging
import sys
from contextlib import suppress
from pathlib import Path

from recsys_lab.results.write_errors import WriteError, explain, writing


class RunLog(logging.FileHandler):
    """Writes `train.log`; where that cannot be written, stderr says so once and the run goes on.

    Attributes:
        folder: of the newest log, which is that of the newest run.
    """

    folder: Path | None = None

    def __init__(self, filename: str) -> None:
        super().__init__(filename, encoding="utf-8", delay=True)
        self._is_broken = False
        RunLog.folder = Path(filename).parent

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, as long as that is possible."""
        if self._is_broken:
            return
        try:
            super().emit(record)
        except OSError:  # of opening
            self.handleError(record)

    def flush(self) -> None:
        """Bring what is written to the disk."""
        if not self._is_broken:
            super().flush()

    def handleError(self, record: logging.LogRecord) -> None:
        """Say what cannot be written; errors of the record itself are shown as usual."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self._is_broken = True
        if self.stream is not None:
            with suppress(OSError):
                self.stream.close()  # of what is left in its buffer
            self.stream = None
        try:
            with writing(Path(self.baseFilename)):
                raise error
        except OSError as explained:
            with suppress(OSError):
                sys.stderr.write(f"{explained}; the run goes on without its log\n")


def write_to_log(text: str) -> None:
    """Write lines into the log of the run alone, for what the console shows in another form."""
    record = logging.LogRecord(__name__, logging.INFO, __file__, 0, text, None, None)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, RunLog):
            handler.handle(record)


def explain_folder(error: OSError) -> str:
    """An error in making the folder of a run, as one sentence."""
    folder = RunLog.folder
    place = error.filename or (None if folder is None else str(folder))
    found = WriteError(error.errno, error.strerror, place)
    options = {} if place is None else {Path(place): "hydra.run.dir= or hydra.sweep.dir="}
    return explain(found, options)
