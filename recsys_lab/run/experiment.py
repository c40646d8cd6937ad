"""From the configuration to the parts of an experiment, and the run of the command line."""

import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any

from hydra.core.hydra_config import HydraConfig
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig
from pytorch_lightning import LightningDataModule

from recsys_lab.compute.kernel_cache import KERNEL_CACHE
from recsys_lab.compute.ray_cluster import ClusterError, check_cluster
from recsys_lab.compute.signals import Interrupted, interruptible
from recsys_lab.compute.threads import choose_threads
from recsys_lab.config.configuration import (
    SECTIONS,
    check_configuration,
    register_resolvers,
    section_of,
)
from recsys_lab.config.overrides import compose_jobs
from recsys_lab.config.targets import ConfigurationError, factory, parameters_of
from recsys_lab.evaluation.ray_ranking import OPTION
from recsys_lab.models.optimizers import check_optimizer
from recsys_lab.models.task import TrainingError
from recsys_lab.models.updates import FUSED_NEEDS, takes_tables
from recsys_lab.readers.ray_reading import RayReading
from recsys_lab.readers.records import CatalogSource, Read, read_here
from recsys_lab.report.published_logs import published_for
from recsys_lab.report.summary import print_summary
from recsys_lab.results.curve import best_value
from recsys_lab.results.part_files import clear_left
from recsys_lab.results.prepared_users import note_user
from recsys_lab.results.run_folder import how_to_resume, how_to_test
from recsys_lab.results.run_lock import FolderInUse, alone_in
from recsys_lab.results.write_errors import explain
from recsys_lab.run.argument_names import named
from recsys_lab.run.checkpoints import check_resumable, load_checkpoint, newest_checkpoint
from recsys_lab.run.command_line import CONF
from recsys_lab.run.fitting import call_with, check_data, fit, load
from recsys_lab.run.input_files import check_files, check_first_lines, check_vectors
from recsys_lab.run.kept_settings import keep_settings, read_settings
from recsys_lab.run.label_options import check_labels
from recsys_lab.run.mixed_parts import check_parts
from recsys_lab.run.mixing import check_mixture
from recsys_lab.run.parts import Experiment
from recsys_lab.run.query_options import check_query
from recsys_lab.run.rank_jobs import check_ranks
from recsys_lab.run.rehearsal import rehearse
from recsys_lab.run.resuming import AUTO, CHECKPOINTS, RESUME, holds_results, store_configuration
from recsys_lab.run.sweep_jobs import check_folder, in_sweep, is_finished
from recsys_lab.run.trainers import trainer_factory
from recsys_lab.run.trial import current_trial
from recsys_lab.run.use_loggers import check_usable
from recsys_lab.vectors.store import FOLDER, USERS

log = logging.getLogger(__name__)

_BUILT = (
    "catalog", "split", "model", "optimizer", "schedule", "curve", "checkpoint", "evaluation",
    "nodes", "history", "baselines", "exchange",
)  # fmt: skip
_USED_IN_FIT = ("model", "data", "data.source", "optimizer", "curve", "checkpoint", "evaluation")


def run(cfg: DictConfig) -> float | None:
    """Run one experiment and write its run folder; returns the monitored metric.

    User errors are reported in one sentence, in the log and on the console.

    Raises:
        SystemExit: a single run failed by such an error.
        ConfigurationError: a job of a sweep did; the jobs after it still run.
    """
    quieten_libraries()
    KERNEL_CACHE.clear_others()
    folder = Path(HydraConfig.get().runtime.output_dir)
    if in_sweep():
        check_folder(cfg, folder)
        if cfg.get("skip_finished") and is_finished(folder):
            sys.stdout.write(f"finished before, skipped: {folder}\n")  # its log stays as it is
            return best_value(folder, cfg.monitor)
    try:
        with interruptible(), alone_in(folder):
            clear_left(folder)
            return _run(cfg, folder)
    except FolderInUse as error:  # whose log is not ours
        raise ConfigurationError(str(error)) from error
    except (
        ConfigurationError,
        TrainingError,
        MisconfigurationException,
        ValueError,
        OSError,
    ) as error:
        message = _sentence(error, cfg, folder)
        log.error("%s", message)
        log.debug("where it was raised:", exc_info=error)
        if in_sweep():
            raise ConfigurationError(message) from error
        raise SystemExit(1) from error
    except Interrupted as stop:
        log.error("interrupted by %s%s", stop.name, _how_to_go_on(folder))
        raise


def _sentence(error: Exception, cfg: DictConfig, folder: Path) -> str:
    """What is said of an error; a run whose test has lost its cluster goes on with the test."""
    if isinstance(error, OSError):
        return _on_disk(error, cfg, folder)
    of_cluster = isinstance(error, ClusterError) or isinstance(error.__cause__, ClusterError)
    return f"{error}{_how_to_go_on(folder)}" if of_cluster else str(error)


def _on_disk(error: OSError, cfg: DictConfig, folder: Path) -> str:
    """The sentence of an error of the system, with the options that name other places."""
    key = "hydra.sweep.dir=" if in_sweep() else "hydra.run.dir="
    message = explain(error, {folder: key, Path(cfg.prepared_dir): "prepared_dir="})
    if (folder / "metrics.json").is_file():
        return f"{message}; then python -m recsys_lab embed {quote(str(folder))} completes the run"
    return message + _how_to_go_on(folder)


def _how_to_go_on(folder: Path) -> str:
    return f"; go on with {how_to_resume(folder)}" if any(folder.glob(CHECKPOINTS)) else ""


def quieten_libraries() -> None:
    """Let the libraries log warnings alone."""
    for library in ("pytorch_lightning", "gensim"):
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # of loggers, which warn once themselves


def _run(cfg: DictConfig, folder: Path) -> float | None:
    if not (has_results := holds_results(folder)):  # what fails from here on is listed
        store_configuration(cfg, folder)
    configuration = check_configuration(cfg)
    experiment = check_run(configuration)
    train, checkpoint = configuration["train"], _find_checkpoint(configuration, folder)
    choose_threads(experiment.num_threads)  # of reading, too
    stored = None if checkpoint is None else load_checkpoint(checkpoint, mmap=True)
    if train and checkpoint is not None and stored is not None:
        changes = configuration["resume_with_changes"]
        check_resumable(stored, checkpoint, {} if changes else configuration)
        check_ranks(experiment, stored)
    _find_cluster(configuration)
    with named(_arguments(configuration, "catalog", "split")):
        prepared = experiment.prepare()
    note_user((prepared.catalog_folder, prepared.split_folder), folder)
    if stored is not None:
        check_data(stored, prepared)
    former = read_settings(folder)
    if has_results:
        store_configuration(cfg, folder)
    trial = current_trial(experiment.monitor)
    if trial is not None:
        experiment = trial.watch(experiment)
    with named(_arguments(configuration, *_USED_IN_FIT, "trainer")):
        if train:
            # Its options have been compared, before any data was read.
            fitted = fit(prepared, experiment, folder, resume=checkpoint, with_changes=True)
            if has_results and not fitted.has_trained:
                kept = check_configuration(keep_settings(former, cfg, folder))
                fitted = replace(fitted, experiment=replace(experiment, configuration=kept))
        else:
            fitted = load(prepared, experiment, folder, checkpoint)
        if trial is not None:
            trial.end(fitted.best)
            fitted.show()
            return fitted.best
        metrics = fitted.measure() if configuration["test"] else fitted.measured
    try:
        fitted.save(metrics)
    finally:
        if configuration["test"]:
            # also where nothing can be written any more
            print_summary(metrics, published_for(configuration, metrics))
    fitted.save_lists(metrics)
    if not configuration["test"]:
        log.info("not tested (test=false): %s does so", how_to_test(folder))
    log.info("run folder: %s", folder)
    if experiment.embeddings:
        _name_commands(folder)
    return fitted.best


def _find_cluster(configuration: Mapping[str, Any]) -> None:
    """Refuse an address where no cluster answers, before anything is trained."""
    if configuration["test"] and (address := section_of(configuration, "evaluation.ray")):
        check_cluster(str(address), OPTION)


def _name_commands(folder: Path) -> None:
    """Tell what can be done with the embeddings of a run."""
    if (folder / FOLDER).is_dir():
        log.info("similar items: python -m recsys_lab similar %s ITEM", quote(str(folder)))
        if (folder / FOLDER / USERS).is_file():
            log.info("of a user: python -m recsys_lab similar %s --user=ID", quote(str(folder)))


def check_run(configuration: Mapping[str, Any]) -> Experiment:
    """The parts of a run, checked as far as that is possible without its data.

    Raises:
        ConfigurationError: naming the key.
    """
    resume, path = configuration[RESUME], configuration["ckpt_path"]
    if resume and (path or not configuration["train"]):
        other = f"ckpt_path={path}" if path else "train=false"
        raise ConfigurationError(f"resume={resume} cannot be combined with {other}: leave one out")
    if not (configuration["train"] or path or configuration["vectors"]):
        raise ConfigurationError("train=false evaluates a checkpoint: name it with ckpt_path=")
    if not (configuration["train"] or configuration["test"]):
        raise ConfigurationError("train=false with test=false does nothing: leave one out")
    check_files(configuration)
    check_usable(configuration["logger"])
    experiment = assemble(configuration)
    with named(_arguments(configuration, "catalog")):
        check_first_lines(experiment.source)
    if configuration["train"]:
        check_ranks(experiment, None)
        with named(_arguments(configuration, *_USED_IN_FIT, "schedule", "trainer")):
            rehearse(experiment, configuration)
    return experiment


def _find_checkpoint(configuration: Mapping[str, Any], folder: Path) -> Path | None:
    """The checkpoint that the run starts from; None begins anew.

    Raises:
        ConfigurationError: it is not there.
    """
    resume, path = configuration[RESUME], configuration["ckpt_path"]
    if not resume and in_sweep() and configuration["train"] and not path:
        return newest_checkpoint(folder)  # of the same job, which was stopped
    if not resume:
        return Path(path) if path else None
    if resume != AUTO and not Path(resume).resolve() == folder.resolve():
        raise ConfigurationError(f"resume={resume} belongs to the command line, not to a file")
    found = newest_checkpoint(folder)
    if found is None and resume == AUTO:
        log.info("resume=auto: no checkpoint to go on from, so the run begins in %s", folder)
    elif found is None:
        raise ConfigurationError(f"{folder} holds no sound checkpoint: train again")
    return found


def configure(*overrides: str) -> Experiment:
    """The parts of an experiment, chosen by the words of the command line.

    Args:
        overrides: as for `train.py`, such as "experiment=skipgram_tuned" or "data.window=5";
            "hydra.searchpath=[file:///a/folder]" adds configuration files of one's own. What a
            function takes as an argument, `train` and `ckpt_path`, keeps its default.

    Raises:
        ConfigurationError: in one sentence, with the valid keys or choices.
    """
    register_resolvers()
    jobs = compose_jobs(overrides, CONF)
    if jobs is None or len(jobs) != 1:
        raise ConfigurationError("configure takes the overrides of one run, without options")
    [(_, cfg)] = jobs
    configuration = check_configuration(cfg)
    if configuration["ckpt_path"] or configuration[RESUME] or not configuration["train"]:
        raise ConfigurationError("ckpt_path, resume and train belong to train.py: call fit or load")
    return assemble(configuration)


def assemble(configuration: Mapping[str, Any]) -> Experiment:
    """The parts that a checked configuration describes.

    Raises:
        ConfigurationError: an argument cannot be used.
    """
    check_vectors(configuration)
    check_labels(configuration)
    check_query(configuration)
    with named({"evaluation": {"mixture"}}):
        check_mixture(configuration["evaluation"].get("mixture", ()))
    with named({"model": {"runs", "baselines"}}):
        check_parts(configuration["model"])
    build = {name: _factory(configuration, name) for name in _BUILT}
    source, trainer = build["catalog"](), configuration["trainer"]
    with named(_arguments(configuration, "optimizer", "model")):
        optimizer = check_optimizer(build["optimizer"])
        on_cpu = trainer["accelerator"] == "cpu"
        if configuration["model"].get("kernel") == "fused" and not (
            on_cpu and takes_tables(optimizer)
        ):
            raise ValueError(FUSED_NEEDS)  # before any data is read
    return Experiment(
        source=source,
        split=build["split"](),
        prepared_dir=Path(configuration["prepared_dir"]),
        model=build["model"],
        data=_data_factory(configuration),
        optimizer=build["optimizer"],
        schedule=build["schedule"],
        trainer=trainer_factory(trainer),
        curve=build["curve"],
        checkpoint=build["checkpoint"],
        evaluation=build["evaluation"](),
        monitor=configuration["monitor"],
        seed=configuration["seed"],
        num_threads=configuration["num_threads"],
        progress_bar=trainer["enable_progress_bar"],
        configuration=configuration,
        max_memory_gb=configuration["max_memory_gb"],
        read=_reading(configuration, source),
        embeddings=configuration["embeddings"],
        users=configuration["users"],
        projector=configuration["projector"],
        loggers=_factories(configuration, "logger"),
        callbacks=_factories(configuration, "callbacks"),
        nodes=build["nodes"](),
        history=build["history"](),
        baselines=build["baselines"](),
        exchange=build["exchange"](),
    )


def _reading(configuration: Mapping[str, Any], source: CatalogSource) -> Read:
    if configuration["prepare"] == "local":
        return read_here
    reading = RayReading(configuration["ray_address"])
    reading.check(source)
    return reading


def _arguments(configuration: Mapping[str, Any], *sections: str) -> dict[str, set[str]]:
    """The arguments of the targets of some sections, of those that exist and are keys there."""
    nodes = {name: section_of(configuration, name) for name in sections}
    return {
        name: set(parameters_of(node["_target_"])[0]) - SECTIONS.get(name, frozenset())
        for name, node in nodes.items()
        if node
    }


def _data_factory(configuration: Mapping[str, Any]) -> Callable[..., LightningDataModule]:
    """The data module; its target, and that of its source, get the pieces that they name."""
    section = dict(configuration["data"])
    source = section.pop("source", None)
    arguments = _arguments(configuration, "data", "data.source")

    def call(**pieces: Any) -> LightningDataModule:
        if source is not None:
            with named({"data.source": arguments["data.source"]}):
                pieces["source"] = call_with(factory(source), pieces)
        with named(arguments):
            return call_with(factory(section), pieces)

    return call


def _factory(configuration: Mapping[str, Any], section: str) -> Callable[..., Any]:
    """The target of a section; its errors name keys of the configuration."""
    build = factory(section_of(configuration, section))
    arguments = _arguments(configuration, section)

    def call(*values: Any, **objects: Any) -> Any:
        with named(arguments):
            return build(*values, **objects)

    return call


def _factories(configuration: Mapping[str, Any], group: str) -> list[Callable[..., Any]]:
    """The targets of a group of named parts; each gets the pieces that it names."""

    def part(name: str) -> Callable[..., Any]:
        build = _factory(configuration, f"{group}.{name}")
        wanted = parameters_of(configuration[group][name]["_target_"])[0]
        return lambda **pieces: build(**{n: x for n, x in pieces.items() if n in wanted})

    return [part(name) for name in configuration[group]]
