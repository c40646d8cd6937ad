"""Fit a model to prepared data, and test it: what `train.py` and a notebook both call."""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningDataModule, seed_everything
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.seed import isolate_rng

from recsys_lab.catalog.event_split import EventSplit
from recsys_lab.catalog.nodes import Nodes, find_nodes
from recsys_lab.catalog.prepared import PreparedData
from recsys_lab.compute.compiling import CLOCK
from recsys_lab.compute.threads import choose_threads
from recsys_lab.models.mixed_ranker import MixedRanker
from recsys_lab.models.task import NODE_HASH, EmbeddingTask, TrainingError, check_identity
from recsys_lab.results.best_metrics import best_metrics, describe_best
from recsys_lab.results.part_files import clear_left
from recsys_lab.results.run_lock import alone_in
from recsys_lab.run.checkpoints import (
    AtomicCheckpointIO,
    check_batches,
    check_resumable,
    load_checkpoint,
    newest_checkpoint,
)
from recsys_lab.run.data_checks import check_trained
from recsys_lab.run.event_run_data import run_data
from recsys_lab.run.fitted import Fitted
from recsys_lab.run.kept_ranking import kept_ranking
from recsys_lab.run.label_test import label_curves
from recsys_lab.run.learning_curve import LearningCurve
from recsys_lab.run.mixed_parts import mix_parts
from recsys_lab.run.parts import Experiment, on_gpu
from recsys_lab.run.progress_bar import TrainingBar
from recsys_lab.run.provenance import peak_rss_mb, provenance
from recsys_lab.run.rank_jobs import check_ranks, describe_job, join, of_rank
from recsys_lab.run.ranks import Ranks, other_ranks
from recsys_lab.run.run_data import RunData, known_items
from recsys_lab.run.step_limit import StepLimit
from recsys_lab.run.stop_on_signal import StopOnSignal
from recsys_lab.run.training_notes import (
    print_profile,
    tell_compiling,
    tell_fields,
    tell_nothing_left,
)
from recsys_lab.run.use_loggers import start

log = logging.getLogger(__name__)

Metrics = dict[str, Any]
_NOTHING_TO_RESUME = "ckpt_path goes on with a training, and a model without parameters has none"


def fit(
    prepared: PreparedData,
    experiment: Experiment,
    folder: str | Path,
    *,
    resume: str | Path | None = None,
    with_changes: bool = False,
) -> Fitted:
    """Train a model; the random state of the caller does not change.

    A model without parameters, such as vectors of a file, is not trained: it is ready to be tested,
    and has neither a curve nor a checkpoint.

    Args:
        prepared: what `prepare` returned.
        experiment: the parts.
        folder: run folder, for the curve, the figures and the checkpoints.
        resume: a checkpoint to go on from, or a run folder, whose newest sound one is taken.
        with_changes: whether it may be one of other options, such as another batch size.

    Raises:
        ValueError: an argument cannot be used, or another process trains in the folder.
        TrainingError: training cannot go on.
    """
    with alone_in(Path(folder)):
        clear_left(Path(folder))
        return _fit(prepared, experiment, Path(folder), _checkpoint(resume), with_changes)


def _checkpoint(resume: str | Path | None) -> Path | None:
    if resume is None or not Path(resume).is_dir():
        return None if resume is None else Path(resume)
    if (found := newest_checkpoint(Path(resume))) is None:
        raise TrainingError(f"{resume} holds no sound checkpoint in checkpoints/: train again")
    return found


def _fit(
    prepared: PreparedData,
    experiment: Experiment,
    folder: Path,
    resume: Path | None,
    with_changes: bool,
) -> "Fitted":
    choose_threads(experiment.num_threads)
    measured = _identity(prepared, experiment)
    data = _run_data(prepared, experiment)
    stored = None if resume is None else load_checkpoint(resume, mmap=True)
    size = check_ranks(experiment, stored)
    with isolate_rng(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # of Lightning with this torch
        warnings.filterwarnings("ignore", message=".*log_every_n_steps.*")  # the curve has its own
        warnings.filterwarnings("ignore", message=".*exists and is not empty.*")  # of a resumed run
        warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # rank 0 alone logs
        warnings.filterwarnings("ignore", message="The `srun` command")  # not needed by one process
        seed_everything(experiment.seed, verbose=False)
        task = build_task(prepared, experiment, data.nodes)
        if not has_parameters(task):
            if resume is not None:
                raise TrainingError(_NOTHING_TO_RESUME)
            log.info("nothing is trained: the model has no parameters, so trainer= has no effect")
            return _ready(Fitted(prepared, experiment, task, folder, data, measured))
        tell_fields(task.net)
        module = build_data(data, experiment)
        if resume is not None and stored is not None:
            check_resumable(stored, resume, {} if with_changes else experiment.configuration)
            if not with_changes:
                check_batches(stored, getattr(module, "num_batches", None))
        job = describe_job(prepared, experiment, resume) if size > 1 else {}
        with other_ranks(size, job, folder) as ranks:
            choose_threads(experiment.num_threads)
            curve, kept, loggers = _train(data, experiment, folder, task, module, resume, ranks)
        choose_threads(experiment.num_threads)
    return Fitted(
        prepared,
        experiment,
        task,
        folder,
        data,
        measured
        | {
            "fit/kernel": task.kernel,
            "fit/seconds": curve.fit_seconds,
            "fit/items_per_second": curve.items_per_second,
            "fit/peak_rss_mb": peak_rss_mb(),
        }
        | kept,
        curve.rows,
        kept.get(f"best/{experiment.monitor}"),
        loggers,
        int(curve.rows[-1]["step"] or 0) if curve.rows else 0,
        curve.has_trained,
    )


def load(
    prepared: PreparedData,
    experiment: Experiment,
    folder: str | Path,
    checkpoint: str | Path | None,
) -> Fitted:
    """A model with the weights of a checkpoint; a model without parameters has none.

    Raises:
        TrainingError: the checkpoint cannot be read, or belongs to other data or another model.
    """
    choose_threads(experiment.num_threads)
    measured = _identity(prepared, experiment)
    data = _run_data(prepared, experiment)
    with isolate_rng():
        task = build_task(prepared, experiment, data.nodes)
    if has_parameters(task) and checkpoint is None:
        raise TrainingError(f"{folder} has no best checkpoint in checkpoints/: train again")
    step = 0
    if checkpoint is not None:
        stored = load_checkpoint(checkpoint)
        task.on_load_checkpoint(stored)
        task.load_state_dict(stored["state_dict"])
        step = int(stored.get("global_step", 0))
        if Path(checkpoint).name.startswith("best"):
            measured |= best_metrics(stored)
    return _ready(Fitted(prepared, experiment, task, Path(folder), data, measured, step=step))


def _ready(fitted: Fitted) -> Fitted:
    """With the scorer of a mixture, which has its weights from validation pairs."""
    if not isinstance(fitted.task.net, MixedRanker):
        return fitted
    options, data = fitted.experiment, fitted.data
    mixture, facts = mix_parts(
        fitted.task.net,
        fitted.prepared,
        data,
        options.evaluation.known(data, options.split.seed),
        options.split.seed,
        shows_progress=options.progress_bar,
    )
    return replace(fitted, mixture=mixture, measured=fitted.measured | facts)


def check_data(stored: Mapping[str, Any], prepared: PreparedData) -> None:
    """Refuse the contents of a checkpoint that belongs to other data.

    Raises:
        TrainingError: naming both.
    """
    check_identity(stored, _hashes(prepared))


def check_monitor(monitor: str, curve: LearningCurve) -> None:
    """Refuse a monitored metric that the curve does not have."""
    known = [name for name in curve.columns if name.startswith("val/")]
    if monitor not in known:
        raise ValueError(f"monitor must be one of {', '.join(known)}, got {monitor}")


def _run_data(prepared: PreparedData, experiment: Experiment) -> RunData:
    nodes = find_nodes(prepared.split, prepared.catalog, experiment.nodes)
    data = run_data(
        prepared.split, prepared.catalog, experiment.history, experiment.baselines, nodes
    )
    data.folders = prepared.catalog_folder, prepared.split_folder
    by_relation = getattr(experiment.source, "relation_weights", {})
    data.relation_shares = lambda names: prepared.relations.shares(
        names, data.split.train, by_relation
    )
    return data


def build_task(
    prepared: PreparedData, experiment: Experiment, nodes: Nodes | None = None
) -> EmbeddingTask:
    """The LightningModule of an experiment, untrained; without nodes, of the items alone."""
    net = experiment.model(items=known_items(prepared, nodes))
    identity = _hashes(prepared)
    if nodes is not None and nodes.groups:
        identity[NODE_HASH] = nodes.hash
    return EmbeddingTask(
        net,
        experiment.optimizer,
        experiment.schedule,
        identity,
        experiment.configuration,
        experiment.exchange,
    )


def _hashes(prepared: PreparedData) -> dict[str, str]:
    """What a checkpoint and the data must agree on."""
    return {"vocabulary hash": prepared.vocabulary_hash, "split hash": prepared.split_hash}


def has_parameters(task: EmbeddingTask) -> bool:
    """Whether there is anything to train; the only place where that is decided."""
    return next(task.parameters(), None) is not None


def build_data(data: RunData, experiment: Experiment) -> LightningDataModule:
    """The data module of an experiment."""
    pieces = {"catalog": data.catalog, "split": data.split, "seed": experiment.seed}
    graph = {"graph": data.graph, "nodes": data.nodes, "shares": data.shares}
    trained = {"on_gpu": on_gpu(experiment.configuration), "teacher": partial(kept_ranking, data)}
    return call_with(experiment.data, pieces | graph | trained)


def call_with(function: Callable[..., Any], pieces: Mapping[str, Any]) -> Any:
    """Call a function with those of the pieces that its signature names."""
    parameters = signature(function).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return function(**{n: piece for n, piece in pieces.items() if takes_all or n in parameters})


def _of_events(prepared: PreparedData, experiment: Experiment) -> Metrics:
    """Size of an event log that is split by its events, and what asks: a user or a session."""
    if not isinstance(prepared.split, EventSplit):
        return {}
    events = prepared.split.events
    query = getattr(experiment.split, "query", "user")
    return {
        "data/num_users": events.users.height, "data/num_events": len(events), "data/query": query
    }  # fmt: skip


def _identity(prepared: PreparedData, experiment: Experiment) -> Metrics:
    return {
        "data/num_items": len(prepared.catalog),
        "data/num_pairs": prepared.num_pairs,
        **_of_events(prepared, experiment),
        **{f"data/read_as/{role}": said for role, said in prepared.understood.items()},
        "seed": experiment.seed,
        "hash/split": prepared.split_hash,
        "hash/vocabulary": prepared.vocabulary_hash,
        **provenance(),
    }


def _train(
    data: RunData,
    experiment: Experiment,
    folder: Path,
    task: EmbeddingTask,
    module: LightningDataModule,
    resume: Path | None,
    ranks: Ranks | None,
) -> tuple[LearningCurve, Metrics, Sequence[Logger]]:
    """Train, then load the best checkpoint into the task.

    Returns:
        the curve, what `best_metrics` says of the checkpoint, and the loggers.
    """
    pairs = data.evaluation_pairs("val")
    check_trained(module, data.nodes, task.net)  # type: ignore[arg-type]
    curve = experiment.curve(
        pairs=pairs,
        histories=data.history_weights("val"),
        trained=data.nodes.trained,
        labels=label_curves(data),
        folder=folder,
        seed=experiment.split.seed,
    )
    check_monitor(experiment.monitor, curve)
    best = experiment.checkpoint(
        folder=folder / "checkpoints", monitor=experiment.monitor, resumed=resume
    )
    loggers = start(experiment, folder, goes_on=resume is not None)
    own = [build(monitor=experiment.monitor) for build in experiment.callbacks]
    stop = StopOnSignal(best.last)
    callbacks: list[Callback] = [StepLimit(), curve, *own, best, stop]
    if experiment.progress_bar:
        callbacks.append(TrainingBar(curve, experiment.monitor))
    trainer = experiment.trainer(
        callbacks=callbacks,
        logger=loggers,
        plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
        enable_model_summary=False,
        enable_progress_bar=experiment.progress_bar,
        **of_rank(ranks),
    )
    if ranks is not None:
        join(ranks, trainer, task, module, stop)
    CLOCK.begin("training")
    compiled = CLOCK.seconds
    trainer.fit(task, datamodule=module, ckpt_path=None if resume is None else str(resume))
    tell_compiling(CLOCK.seconds - compiled)
    if not curve.has_trained and resume is not None:
        tell_nothing_left(trainer)
    print_profile(trainer)
    kept: Metrics = {}
    if best.best_model_path:
        stored = load_checkpoint(best.best_model_path, mmap=True, is_own=True)
        # The weights of the last step are those of its checkpoint, unless callbacks change them.
        if own or stored["global_step"] != trainer.global_step:
            task.load_state_dict(load_checkpoint(best.best_model_path)["state_dict"])
        kept = best_metrics(stored)
        log.info("best checkpoint: %s", describe_best(kept))
    return curve, kept, loggers


def fit_copy(
    prepared: PreparedData, experiment: Experiment, ranks: Ranks, resume: Path | None
) -> None:
    """Train the copy of another rank than rank 0, which keeps nothing.

    Raises:
        Finished: rank 0 has ended the training.
    """
    data = _run_data(prepared, experiment)
    task = build_task(prepared, experiment, data.nodes)
    module = build_data(data, experiment)
    trainer = experiment.trainer(
        callbacks=[StepLimit()],
        logger=False,
        plugins=[AtomicCheckpointIO()],
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        profiler=None,
        **of_rank(ranks),
    )
    join(ranks, trainer, task, module, None)
    trainer.fit(task, datamodule=module, ckpt_path=None if resume is None else str(resume))
