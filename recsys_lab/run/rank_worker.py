"""The other ranks of a training: they train what rank 0 tells them, and write nothing.

`python -m recsys_lab.run.rank_worker PATH` is one that rank 0 has started; PATH is of their store.
"""

import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from recsys_lab.compute.process import prepare_process
from recsys_lab.compute.signals import exit_at_once, follow, ignore_interrupts, interruptible
from recsys_lab.compute.started import Place, is_started, started_place

_POLL = 0.05  # seconds
log = logging.getLogger(__name__)


def main() -> None:
    """Train one job as a rank that rank 0 has started."""
    exit_at_once()
    ignore_interrupts()  # of the terminal, which rank 0 gets, too
    follow()
    prepare_process()
    from recsys_lab.run.ranks import open_children_store

    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    _be_quiet(rank)
    store = open_children_store(sys.argv[1], size)
    sys.exit(_train(Place(rank, size, rank, size), store))


@contextmanager
def ranks_to_lead() -> Iterator[None]:
    """As rank 0 of processes that were started together, let the others end with the command."""
    if not is_started():
        yield
        return
    from recsys_lab.run.ranks import lead_started

    leads = lead_started()
    try:
        yield
    except SystemExit as stop:
        if not isinstance(stop.code, str):
            raise
        sys.stderr.write(f"{stop.code}\n")  # before the others are waited for
        raise SystemExit(1) from stop
    finally:
        if leads is not None:
            leads.dismiss()


def serve_started() -> bool:
    """As one of several ranks that were started together, train the jobs of rank 0.

    Returns:
        false if this process is rank 0, or the only one.

    Raises:
        SystemExit: when there are no more jobs.
    """
    if not is_started():
        return False
    _let_torch_be_quiet()  # before torch is imported
    place = started_place()
    if place is None or place.rank == 0:
        return False
    exit_at_once()
    follow()
    prepare_process()
    from recsys_lab.config.configuration import register_resolvers
    from recsys_lab.run.ranks import GONE, open_store, say_bye

    register_resolvers()
    _be_quiet(place.rank)
    try:
        store = open_store(place)
        try:
            with interruptible():
                _serve(place, store)
        finally:
            say_bye(store, place)
    except RuntimeError as error:  # the store is gone, with rank 0
        log.error("%s", GONE)
        raise SystemExit(1) from error
    raise SystemExit(0)


def _serve(place: Place, store: Any) -> None:
    """Train the jobs of rank 0 until there are no more."""
    from recsys_lab.run.ranks import job_store

    number = 0
    while not store.check(["end"]):
        if store.check([f"job{number}/job"]):
            if _train(place, job_store(store, number)):
                raise SystemExit(1)
            number += 1
        time.sleep(_POLL)


def _let_torch_be_quiet() -> None:
    """Its library for stores would print pages about a rank that has ended."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def _be_quiet(rank: int) -> None:
    form = f"%(asctime)s %(levelname)-7s rank {rank}: %(message)s"
    logging.basicConfig(level=logging.WARNING, format=form, datefmt="%H:%M:%S", force=True)
    warnings.simplefilter("ignore")  # rank 0 shows them


def _train(place: Place, store: Any) -> int:
    """Train one job; returns the exit status."""
    from recsys_lab.run.rank_training import Finished
    from recsys_lab.run.ranks import Ranks

    ranks = Ranks(place, store)
    try:
        _fit(ranks, json.loads(store.get("job")))
    except Finished:
        pass
    except Exception as error:
        if ranks.is_over():
            return 0
        if lost := ranks.lost():
            log.error("%s", lost)
            return 1
        log.error("%s", error, exc_info=not isinstance(error, ValueError | OSError))
        ranks.report(f"{type(error).__name__}: {error}")
        return 1
    finally:
        ranks.leave()
    return 0


def _fit(ranks: Any, job: Mapping[str, Any]) -> None:
    from pytorch_lightning import seed_everything

    from recsys_lab.catalog.prepared_copy import read_copy
    from recsys_lab.compute.threads import choose_threads
    from recsys_lab.config.configuration import check_configuration
    from recsys_lab.run.experiment import assemble, quieten_libraries
    from recsys_lab.run.fitting import fit_copy
    from recsys_lab.run.ranks import shared_cores

    quieten_libraries()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    from omegaconf import OmegaConf

    configuration = check_configuration(OmegaConf.create(dict(job["configuration"])))
    experiment = replace(assemble(configuration), progress_bar=False, loggers=(), callbacks=())
    # one that rank 0 has started was told so by its environment
    with shared_cores(ranks.place.local_size) if started_place() else nullcontext():
        choose_threads(experiment.num_threads)
        seed_everything(experiment.seed, verbose=False)
        resume = job["resume"] and Path(job["resume"])
        fit_copy(read_copy(job["prepared"]), experiment, ranks, resume)


if __name__ == "__main__":
    main()
