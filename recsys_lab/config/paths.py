"""Relative paths of a configuration, where Hydra changes the working folder of a job."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

PATHS = (
    "prepared_dir", "vectors", "ckpt_path", "catalog.path", "catalog.val_path",
    "catalog.test_path", "data.source.path", "model.ids",
)  # fmt: skip


def anchor(cfg: DictConfig, folder: Path) -> None:
    """Let the relative paths start at a folder, in place."""
    with open_dict(cfg):
        for name in PATHS:
            path = OmegaConf.select(cfg, name)
            if isinstance(path, str):
                OmegaConf.update(cfg, name, str(folder / path))
