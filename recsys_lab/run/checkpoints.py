"""Checkpoints on disk: written atomically, found, read without running code from them."""

import logging
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from lightning_fabric.plugins.io import TorchCheckpointIO

from recsys_lab.compute.counts import count_of
from recsys_lab.models.task import KEY, TrainingError
from recsys_lab.results.files import atomic_path
from recsys_lab.results.part_files import hidden_beside

_NEEDED = (KEY, "state_dict", "optimizer_states", "loops", "callbacks", "epoch", "global_step")
_FIXED = ("seed", "data", "model", "optimizer", "monitor")
_SHOWN = (".num_workers", ".enable_progress_bar", ".accelerator", ".devices")
_FREE = ("optimizer.lr", ".num_workers", ".path")
log = logging.getLogger(__name__)

_PIECE = 16 * 2**20  # bytes


class _UncachedFile:
    """Writes to a file in pieces that are synced and then dropped from the page cache.

    A checkpoint is read rarely, and would push the pages of training out of the cache. The pages of
    a piece are used again for the next: several times faster where new pages are slow, as on
    virtual machines.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._pending = 0
        self.error: BaseException | None = None

    def write(self, data: Any) -> int:
        """Write all of a bytes-like object."""
        view = memoryview(data).cast("B")
        try:
            for start in range(0, len(view), _PIECE):
                self._pending += self._file.write(view[start : start + _PIECE])
                if self._pending >= _PIECE:
                    self.flush()
        except BaseException as error:
            self.error = error  # torch makes a RuntimeError of it that does not tell its cause
            raise
        return len(view)

    def flush(self) -> None:
        """Bring everything to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if hasattr(os, "posix_fadvise"):  # not on every system
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        self._pending = 0


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically, so a path never holds a partial file."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            WriteError: the path cannot be written; its former file stays.
        """
        with atomic_path(Path(path)) as part, part.open("wb") as file:
            uncached = _UncachedFile(file)
            try:
                torch.save(checkpoint, uncached)  # type: ignore[arg-type]  # needs no more of it
            except RuntimeError as error:
                raise uncached.error or error from error
            uncached.flush()

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint of plain values and tensors only; `weights_only` is always true."""
        return load_checkpoint(path, map_location)


def load_checkpoint(
    path: str | Path, map_location: Any = "cpu", *, mmap: bool = False, is_own: bool = False
) -> dict[str, Any]:
    """Read a local checkpoint of plain values and tensors.

    Args:
        path: of the file.
        map_location: where tensors go.
        mmap: leaves the tensors in the file until they are used.
        is_own: this process has just written it, so its bytes are not checked.

    Raises:
        TrainingError: there is no such file, it is damaged, or it holds other objects.
    """
    if not Path(path).is_file():
        raise TrainingError(f"ckpt_path: there is no file {path}")
    if not is_own and (reason := find_damage(path)):
        raise TrainingError(f"ckpt_path: {path} is damaged ({reason}){_another(Path(path))}")
    try:
        return torch.load(path, map_location=map_location, weights_only=True, mmap=mmap)
    except Exception as error:  # a broken archive raises almost anything
        raise TrainingError(
            f"ckpt_path: {path} is not a whole and safe checkpoint ({_reason(error)})"
            f"{_another(Path(path))}"
        ) from error


def _reason(error: Exception) -> str:
    """Why torch does not load a file; its own words advise to load unsafe ones all the same."""
    text = str(error).partition("\n")[0] or type(error).__name__
    return "it holds more than tensors and plain values" if "weights_only" in text else text


def find_damage(path: str | Path) -> str:
    """What is wrong with the bytes of a checkpoint, empty if they are those that were written.

    `torch.save` writes checksums into its archive, and `torch.load` does not look at them.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        return str(error)
    return f"the checksum of {wrong} is wrong" if wrong else ""


def newest_checkpoint(folder: Path) -> Path | None:
    """The sound checkpoint of a run folder with the most steps; None if there is none.

    One line of the log tells which, and one which broken ones were skipped.
    """
    steps: dict[Path, int] = {}
    broken: dict[Path, str] = {}
    for path in sorted((folder / "checkpoints").glob("[!.]*.ckpt")):
        try:
            stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            absent = [name for name in _NEEDED if name not in stored]
            if absent:
                broken[path] = f"it lacks {', '.join(absent)}"
            else:
                steps[path] = int(stored["global_step"])
        except Exception as error:  # a broken archive raises almost anything
            broken[path] = find_damage(path) or _reason(error)
    chosen = None
    for path in sorted(steps, key=lambda p: (steps[p], p.name == "last.ckpt"), reverse=True):
        if not (damage := find_damage(path)):
            chosen = path
            break
        broken[path] = damage
    if broken:
        skipped = "; ".join(f"{path.name} ({reason})" for path, reason in broken.items())
        log.warning("broken checkpoints in %s are skipped: %s", folder, skipped)
    if chosen is not None:
        log.info("going on from %s, step %d", chosen, steps[chosen])
    return chosen


def link_or_copy(source: Path, target: Path) -> None:
    """Give a checkpoint a second name, by a hard link where the file system has them.

    A checkpoint is only ever replaced, never changed, so the two names do not disturb each other.

    Raises:
        TrainingError: the target cannot be written.
    """
    if target.exists() and target.samefile(source):
        return
    link = hidden_beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, link)
        link.replace(target)
    except OSError:
        AtomicCheckpointIO().save_checkpoint(load_checkpoint(source), target)
    finally:
        link.unlink(missing_ok=True)


def _another(path: Path) -> str:
    """A sentence with the newest sound checkpoint beside a damaged one."""
    others = sorted(path.parent.glob("*.ckpt"), key=lambda p: p.stat().st_mtime, reverse=True)
    sound = next((x for x in others if not path.samefile(x) and _is_sound(x)), None)
    return f": take {sound}" if sound else ": train again"


def _is_sound(path: Path) -> bool:
    try:
        torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # a broken archive raises almost anything
        return False
    return not find_damage(path)


def check_resumable(
    stored: Mapping[str, Any], path: str | Path, configuration: Mapping[str, Any]
) -> None:
    """Refuse to go on from a checkpoint that lacks parts, or from that of another experiment.

    What may differ is what changes nothing of the steps before: the rate, the schedule, the number
    of epochs, threads, the curve and the test.

    Raises:
        TrainingError: naming what is missing, or the first option that differs.
    """
    absent = [name for name in _NEEDED if name not in stored]
    if absent:
        raise TrainingError(
            f"ckpt_path: {path} lacks {', '.join(absent)}, so training cannot go on from it"
        )
    before = stored[KEY].get("config") or {}
    for name in _FIXED if before and configuration else ():
        old, new = (_flat(values.get(name), name) for values in (before, configuration))
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key) and not key.endswith(_FREE):
                raise TrainingError(
                    f"ckpt_path: the checkpoint was trained with {key}={old.get(key)}, this run "
                    f"has {key}={new.get(key)}: repeat it, or say resume_with_changes=true"
                )

    _tell_of_others(before, configuration, path)


def check_batches(stored: Mapping[str, Any], num_batches: int | None) -> None:
    """Refuse to go on with batches of another size, as a GPU has them by default.

    Raises:
        TrainingError: naming both numbers of batches.
    """
    before = stored[KEY].get("num_batches")  # older checkpoints do not say so
    if None not in (before, num_batches) and before != num_batches:
        raise TrainingError(
            f"ckpt_path: an epoch of the checkpoint has {count_of(before, 'batch')}, one of this "
            f"run {num_batches:,}, since a GPU takes larger batches than a CPU by default: go on "
            "with the trainer.accelerator of before, or say resume_with_changes=true"
        )


def _tell_of_others(before: Mapping[str, Any], now: Mapping[str, Any], path: str | Path) -> None:
    """A warning that lists what else differs and may change the steps that follow."""
    if not (before and now):
        return
    changed = []
    for name in ("data", "model", "optimizer", "schedule", "trainer"):
        old, new = (_flat(values.get(name), name) for values in (before, now))
        changed += [
            f"{key}={old.get(key)} is {new.get(key)} now"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key) and not key.endswith(_SHOWN)
        ]
    if changed:
        log.warning(
            "%s was trained with other options, and training goes on with those of this run: %s",
            path,
            "; ".join(changed),
        )


def _flat(values: Any, name: str) -> dict[str, Any]:
    """Values by their whole names, such as data.source.p."""
    if not isinstance(values, Mapping):
        return {name: values}
    return {k: v for key, value in values.items() for k, v in _flat(value, f"{name}.{key}").items()}
