"""One experiment from configuration to metrics: prepare, fit, test, write down."""

import json
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import LightningDataModule, Trainer, seed_everything
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger

from recsys_lab.callbacks import LearningCurve, TrainingBar, net_scorer
from recsys_lab.catalog.prepared import PreparedData, prepare
from recsys_lab.catalog.report import CatalogError
from recsys_lab.catalog.split import HeldOut, Split
from recsys_lab.checkpoints import AtomicCheckpointIO, load_checkpoint
from recsys_lab.configuration import ConfigurationError, check_configuration
from recsys_lab.data.batch import FieldCodes, Items
from recsys_lab.evaluation.baselines import BASELINES
from recsys_lab.evaluation.metrics import precision_recall
from recsys_lab.evaluation.protocol import scores_by_slice
from recsys_lab.evaluation.scorers import Scorer
from recsys_lab.evaluation.slices import EvaluationPairs
from recsys_lab.figures import draw_precision_recall
from recsys_lab.graph.graph import ItemGraph
from recsys_lab.interruption import StopOnSignal
from recsys_lab.models.optimizers import check_optimizer
from recsys_lab.models.task import EmbeddingTask, TrainingError
from recsys_lab.provenance import peak_rss_mb, provenance
from recsys_lab.report import print_summary

log = logging.getLogger(__name__)

Metrics = dict[str, Any]
Evaluate = Callable[[Scorer, EvaluationPairs], Metrics]


def run(cfg: DictConfig) -> float | None:
    """Run one experiment and write its run folder; returns the monitored metric.

    Raises:
        ConfigurationError: the user's input cannot be used; one sentence says why.
    """
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    try:
        check_configuration(cfg)
        return _run(cfg, Path(HydraConfig.get().runtime.output_dir))
    except (CatalogError, TrainingError, MisconfigurationException, ValueError) as error:
        log.error("%s", error)
        raise ConfigurationError(str(error)) from error


def _run(cfg: DictConfig, folder: Path) -> float | None:
    if not cfg.train and not cfg.ckpt_path:
        raise ConfigurationError("train=false evaluates a checkpoint: name it with ckpt_path=")
    if cfg.num_threads is not None and cfg.num_threads < 1:
        raise ConfigurationError(f"num_threads must be >= 1, got {cfg.num_threads}")
    check_optimizer(_build(cfg.optimizer))
    torch.set_num_threads(cfg.num_threads or min(4, os.cpu_count() or 1))
    seed_everything(cfg.seed, verbose=False)
    prepared = prepare(_build(cfg.catalog)(), _build(cfg.split)(), Path(cfg.prepared_dir))
    task = _build_task(cfg, prepared)
    evaluate = partial(_build(cfg.evaluation), seed=cfg.split.seed)
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
        data = _build(cfg.data)(catalog=prepared.catalog, split=prepared.split, seed=cfg.seed)
        fitted, monitored = _fit(cfg, folder, prepared, task, data)
        metrics |= fitted
    else:
        checkpoint = load_checkpoint(cfg.ckpt_path)
        task.on_load_checkpoint(checkpoint)
        task.load_state_dict(checkpoint["state_dict"])
    metrics |= _test(task, prepared.split, evaluate, folder)
    _write_json(folder / "metrics.json", metrics)
    print_summary(metrics)
    log.info("run folder: %s", folder)
    return monitored


def _build(section: DictConfig) -> Callable[..., Any]:
    """The target of a section with its configured arguments; objects are passed when it is called.

    Targets were held against a list of allowed ones in `check_configuration`.
    """
    return instantiate(section, _partial_=True, _convert_="all")


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


def evaluation_pairs(held: HeldOut, split: Split) -> EvaluationPairs:
    """The held-out pairs of one part with what the protocol needs to judge them."""
    known, num_items = split.known, split.num_items
    ends = np.concatenate([known.heads, known.tails]), np.concatenate([known.tails, known.heads])
    matrix = sp.csr_matrix((np.ones(2 * len(known), np.int8), ends), shape=(num_items, num_items))
    matrix.sum_duplicates()
    return EvaluationPairs(num_items, held.pairs.ids, held.negatives, matrix, split.seen)


def _fit(
    cfg: DictConfig,
    folder: Path,
    prepared: PreparedData,
    task: EmbeddingTask,
    data: LightningDataModule,
) -> tuple[Metrics, float | None]:
    """Train, then load the best checkpoint into the task; returns metrics and the monitored one."""
    split = prepared.split
    curve: LearningCurve = _build(cfg.curve)(
        pairs=evaluation_pairs(split.val, split), folder=folder, seed=cfg.split.seed
    )
    if cfg.monitor not in (known := [name for name in curve.columns if name.startswith("val/")]):
        raise ConfigurationError(f"monitor must be one of {', '.join(known)}, got {cfg.monitor}")
    best = ModelCheckpoint(
        dirpath=folder / "checkpoints",
        filename="best",
        monitor=cfg.monitor,
        mode="max",
        save_last=True,
        auto_insert_metric_name=False,
        enable_version_counter=False,
    )
    logger = TensorBoardLogger(folder, name="", version="", default_hp_metric=False)
    callbacks = [curve, best, StopOnSignal(folder / "checkpoints" / "last.ckpt")]
    if cfg.trainer.enable_progress_bar:
        callbacks.append(TrainingBar(curve))
    trainer: Trainer = _build(cfg.trainer)(
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
        "fit/seconds": curve.fit_seconds,
        "fit/items_per_second": curve.items_trained / max(curve.fit_seconds, 1e-9),
        "fit/peak_rss_mb": peak_rss_mb(),
    }, None if monitored is None else float(monitored)


def _test(task: EmbeddingTask, split: Split, evaluate: Evaluate, folder: Path) -> Metrics:
    """The full protocol on the test pairs, for the model and for every baseline."""
    pairs = evaluation_pairs(split.test, split)
    train = split.train
    graph = ItemGraph.from_pairs(train.heads, train.tails, train.weights, train.num_items)
    adjacency = sp.csr_matrix(graph.adjacency)
    log.info("testing on %d pairs", len(split.test.pairs))
    scorer = net_scorer(task, np.arange(split.num_items), split.seen)
    metrics: Metrics = {}
    for name, value in evaluate(scorer, pairs).items():
        is_count = name.startswith(("pairs/", "queries/", "query_items/"))
        metrics[f"count/test/{name.removeprefix('pairs/')}" if is_count else f"test/{name}"] = value
    for baseline, build in BASELINES.items():
        scores = evaluate(build(adjacency), pairs)
        metrics |= {
            f"baseline/{baseline}/{name}": value
            for name, value in scores.items()
            if not name.startswith(("pairs/", "queries/", "query_items/"))
        }
    protocol = next(iter(pairs.negatives))
    scores = scores_by_slice(scorer, pairs, protocol)
    draw_precision_recall(
        {name: precision_recall(*both) for name, both in scores.items()},
        folder / "figures" / "precision_recall.png",
        title=f"test pairs against {protocol} negatives",
    )
    return metrics


def _write_json(path: Path, metrics: Metrics) -> None:
    part = path.with_name(f".{path.name}.part")
    with part.open("w") as file:
        json.dump(dict(sorted(metrics.items())), file, indent=2, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
