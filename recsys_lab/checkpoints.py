"""Checkpoints on disk: written atomically, read without running anything they contain."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io import TorchCheckpointIO

from recsys_lab.models.task import TrainingError


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, syncs and renames, so that a name always bears a whole file."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            TrainingError: naming the path, if it cannot be written; what stood there still stands.
        """
        target = Path(path)
        part = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except (OSError, RuntimeError) as error:
            part.unlink(missing_ok=True)
            raise TrainingError(
                f"cannot write the checkpoint {target} ({error}): free some space or choose "
                "another folder with hydra.run.dir="
            ) from error

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint of plain values and tensors only, whatever `weights_only` says."""
        return load_checkpoint(path, map_location)


def load_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a local checkpoint that holds nothing but plain values and tensors.

    Raises:
        TrainingError: there is no such file, it is broken, or it holds anything else.
    """
    if not Path(path).is_file():
        raise TrainingError(f"ckpt_path: there is no file {path}")
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # a broken archive raises almost anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingError(
            f"ckpt_path: {path} is not a whole and safe checkpoint ({reason})"
        ) from error
