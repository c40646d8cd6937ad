"""One experiment from configuration to metrics: prepare, fit, test, write down."""

import inspect
import json
import logging
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import LightningDataModule, Trainer, seed_everything
from pytorch_lightning.loggers import TensorBoardLogger

from recsys_lab.catalog.prepared import PreparedData, prepare
from recsys_lab.compute.kernel_cache import KERNEL_CACHE
from recsys_lab.compute.threads import choose_threads
from recsys_lab.config.configuration import ConfigurationError, check_configuration
from recsys_lab.data.batch import FieldCodes, Items
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.models.optimizers import check_optimizer
from recsys_lab.models.task import EmbeddingTask, TrainingError
from recsys_lab.models.updates import FUSED_NEEDS, takes_tables
from recsys_lab.report.summary import print_summary
from recsys_lab.results.files import write_text
from recsys_lab.run.checkpoints import AtomicCheckpointIO, BestCheckpoint, load_checkpoint
from recsys_lab.run.final_test import FinalTest
from recsys_lab.run.learning_curve import LearningCurve, net_scorer
from recsys_lab.run.progress_bar import TrainingBar
from recsys_lab.run.provenance import peak_rss_mb, provenance
from recsys_lab.run.run_data import RunData
from recsys_lab.run.stop_on_signal import StopOnSignal

log = logging.getLogger(__name__)

Metrics = dict[str, Any]


def run(cfg: DictConfig) -> float | None:
    """Run one experiment and write its run folder; returns the monitored metric.

    What the user can mend is told in one sentence, in the log and on the console.

    Raises:
        SystemExit: a single run failed in such a way.
        ConfigurationError: a job of a sweep did; the jobs after it still run.
    """
    for library in ("pytorch_lightning", "gensim"):
        logging.getLogger(library).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # of Lightning with this torch
    warnings.filterwarnings("ignore", message=".*log_every_n_steps.*")  # the curve has its own
    signal.signal(signal.SIGTERM, _terminate)
    KERNEL_CACHE.clear_others()
    try:
        check_configuration(cfg)
        return _run(cfg, Path(HydraConfig.get().runtime.output_dir))
    except (ConfigurationError, TrainingError, MisconfigurationException, ValueError) as error:
        log.error("%s", error)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise ConfigurationError(str(error)) from error
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        log.error("interrupted")
        raise SystemExit(128 + signal.SIGINT) from None


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _run(cfg: DictConfig, folder: Path) -> float | None:
    if not cfg.train and not cfg.ckpt_path:
        raise ConfigurationError("train=false evaluates a checkpoint: name it with ckpt_path=")
    if cfg.ckpt_path and not Path(cfg.ckpt_path).is_file():
        raise ConfigurationError(f"ckpt_path: there is no file {cfg.ckpt_path}")
    choose_threads(cfg.num_threads)
    optimizer = check_optimizer(_build(cfg.optimizer))
    on_cpu = cfg.trainer.accelerator == "cpu"
    if cfg.model.get("kernel") == "fused" and not (on_cpu and takes_tables(optimizer)):
        raise ConfigurationError(FUSED_NEEDS)  # known before any data is read
    seed_everything(cfg.seed, verbose=False)
    final_test: FinalTest = _build(cfg.evaluation)()
    prepared = prepare(_build(cfg.catalog)(), _build(cfg.split)(), Path(cfg.prepared_dir))
    task = _build_task(cfg, prepared)
    run_data = RunData(prepared.split, prepared.catalog)
    metrics: Metrics = {
        "data/num_items": len(prepared.catalog),
        "data/num_pairs": prepared.num_pairs,
        "seed": cfg.seed,
        "hash/split": prepared.split_hash,
        "hash/vocabulary": prepared.vocabulary_hash,
        **provenance(),
    }
    monitored = None
    if cfg.train:
        data = build_data(cfg.data, prepared, cfg.seed)
        fitted, monitored = _fit(cfg, folder, run_data, task, data)
        metrics |= fitted
    else:
        checkpoint = load_checkpoint(cfg.ckpt_path)
        task.on_load_checkpoint(checkpoint)
        task.load_state_dict(checkpoint["state_dict"])
    scorer = net_scorer(task, prepared.split.seen)
    metrics |= final_test(scorer, run_data, folder, cfg.split.seed)
    text = json.dumps(dict(sorted(metrics.items())), indent=2, allow_nan=False)
    write_text(folder / "metrics.json", text)
    print_summary(metrics)
    log.info("run folder: %s", folder)
    return monitored


def _build(section: DictConfig) -> Callable[..., Any]:
    """The target of a section with its configured arguments; objects are passed when it is called.

    Targets were held against a list of allowed ones in `check_configuration`.
    """
    return instantiate(section, _partial_=True, _convert_="all")


def build_data(section: DictConfig, prepared: PreparedData, seed: int) -> LightningDataModule:
    """The data module, whose target is given those of the pieces that its signature names."""
    train = prepared.split.train
    pieces: dict[str, Any] = {
        "catalog": prepared.catalog,
        "split": prepared.split,
        "seed": seed,
    }
    if "source" in section:
        graph = ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)
        source = _build(section.source)
        pieces["source"] = _call(source, {**pieces, "graph": graph})
        section = OmegaConf.masked_copy(section, [str(key) for key in section if key != "source"])
    return _call(_build(section), pieces)


def _call(build: Callable[..., Any], pieces: dict[str, Any]) -> Any:
    """Call with the pieces that the signature names."""
    named = inspect.signature(build).parameters
    return build(**{name: piece for name, piece in pieces.items() if name in named})


def _build_task(cfg: DictConfig, prepared: PreparedData) -> EmbeddingTask:
    net = _build(cfg.model)(items=known_items(prepared))
    identity = {
        "vocabulary hash": prepared.vocabulary_hash,
        "split hash": prepared.split_hash,
    }
    config = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(config, dict)  # noqa: S101 - narrows the type
    plain = {str(key): value for key, value in config.items()}
    return EmbeddingTask(net, _build(cfg.optimizer), _build(cfg.schedule), identity, plain)


def known_items(prepared: PreparedData) -> Items:
    """What a model may know of the items: training degrees, and side information on demand."""
    degrees = np.bincount(prepared.split.train.ids.ravel(), minlength=len(prepared.catalog))

    def field(name: str) -> FieldCodes:
        found = prepared.catalog.field(name)
        codes = torch.from_numpy(found.codes.astype(np.int64))
        return FieldCodes(torch.from_numpy(found.offsets), codes, found.cardinality)

    return Items(torch.from_numpy(degrees), field)


def _fit(
    cfg: DictConfig,
    folder: Path,
    run_data: RunData,
    task: EmbeddingTask,
    data: LightningDataModule,
) -> tuple[Metrics, float | None]:
    """Train, then load the best checkpoint into the task; returns metrics and the monitored one."""
    curve: LearningCurve = _build(cfg.curve)(
        pairs=run_data.evaluation_pairs("val"), folder=folder, seed=cfg.split.seed
    )
    if cfg.monitor not in (known := [name for name in curve.columns if name.startswith("val/")]):
        raise ConfigurationError(f"monitor must be one of {', '.join(known)}, got {cfg.monitor}")
    best = BestCheckpoint(folder / "checkpoints", cfg.monitor)
    logger = TensorBoardLogger(folder, name="", version="", default_hp_metric=False)
    callbacks = [curve, best, StopOnSignal(folder / "checkpoints" / "last.ckpt")]
    if cfg.trainer.enable_progress_bar:
        callbacks.append(TrainingBar(curve))
    trainer = _build_trainer(
        cfg.trainer,
        callbacks=callbacks,
        logger=logger,
        plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
        enable_model_summary=False,
    )
    try:
        trainer.fit(task, datamodule=data, ckpt_path=cfg.ckpt_path)
    finally:
        logger.experiment.close()
    if best.best_model_path:
        task.load_state_dict(load_checkpoint(best.best_model_path)["state_dict"])
    monitored = best.best_model_score
    return {
        "fit/kernel": task.kernel,
        "fit/seconds": curve.fit_seconds,
        "fit/items_per_second": curve.items_trained / max(curve.fit_seconds, 1e-9),
        "fit/peak_rss_mb": peak_rss_mb(),
    }, None if monitored is None else float(monitored)


def _build_trainer(section: DictConfig, **objects: Any) -> Trainer:
    try:
        return _build(section)(**objects)
    except (MisconfigurationException, ModuleNotFoundError, ValueError) as error:
        raise ConfigurationError(
            f"trainer.accelerator={section.accelerator} with trainer.devices={section.devices} "
            f"cannot be used here ({str(error).splitlines()[0]}): try trainer=cpu"
        ) from error
