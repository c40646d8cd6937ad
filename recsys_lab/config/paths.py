"""Paths of a configuration: which keys hold them, and where relative ones start."""

from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

PATHS = (
    "prepared_dir", "vectors", "ckpt_path", "catalog.path", "catalog.val_path",
    "catalog.test_path", "data.source.path", "model.ids", "model.start",
    "model.runs",
)  # fmt: skip
_OF_THE_COMMAND = ("resume", "evaluate")


def is_path(key: str) -> bool:
    """Whether the value of a key is a path, Hydra's folders among them."""
    return key in (*PATHS, *_OF_THE_COMMAND) or key.endswith(("path", ".dir", "_dir"))


def anchor(cfg: DictConfig, folder: Path) -> None:
    """Let the relative paths start at a folder, in place, where Hydra changes that of a job."""
    with open_dict(cfg):
        for name in PATHS:
            path = OmegaConf.select(cfg, name)
            if isinstance(path, str):
                OmegaConf.update(cfg, name, str(folder / path))
            elif isinstance(path, ListConfig):
                OmegaConf.update(cfg, name, [str(folder / one) for one in path], merge=False)
