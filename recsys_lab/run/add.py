"""New items and users of a file, read as the catalogue of a run is, beside those of the run."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

from recsys_lab.config.configuration import section_of
from recsys_lab.config.targets import ConfigurationError, factory
from recsys_lab.readers.amazon import AmazonSource
from recsys_lab.readers.described_items import read_described_items
from recsys_lab.readers.edges import EdgeSource
from recsys_lab.readers.events import EventSource
from recsys_lab.readers.records import CatalogSource, Records
from recsys_lab.readers.synthetic import SyntheticSource
from recsys_lab.results.run_folder import CONFIG
from recsys_lab.run.add_events import (
    event_reader,
    user_writer,
    users_of_log,
    with_pairs,
    without_vectors,
)
from recsys_lab.run.adding_by_net import added_by_net, computes_later_vectors
from recsys_lab.run.embed import stored_configuration
from recsys_lab.vectors.added_folder import check_folder, lineage, write_added
from recsys_lab.vectors.adding import AddedItems, add_items
from recsys_lab.vectors.adding_by_users import add_by_users, add_users
from recsys_lab.vectors.adding_users import LaterUsers, OwnVectors
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.folding import FittedLoss, Objective
from recsys_lab.vectors.item_folding import Progress
from recsys_lab.vectors.new_items import NewItems, select_new
from recsys_lab.vectors.store import USERS

FOLDER = "embeddings_added"


class Added(NamedTuple):
    """What `add` did.

    Attributes:
        folder: of the embeddings that it wrote.
        account: of the reading of the file.
        num_known: items of the file that were there before; their vectors stay.
        num_pairs: pairs of the new items.
        counts: new items by what their vectors are made from.
        users: new users of an event log, and known ones that did more; None where the run keeps no
            users, or the file has none.
    """

    folder: Path
    account: str
    num_known: int
    num_pairs: int
    counts: Mapping[str, int]
    users: tuple[int, int] | None = None


def add(
    run: str | Path,
    file: str | Path | None = None,
    out: str | Path | None = None,
    progress: Progress = lambda done, total: None,
    max_bad_fraction: float | None = None,
    items: str | Path | None = None,
) -> Added:
    """Give vectors to the new items and users of a file, without training.

    Args:
        run: folder of a run, or of its embeddings, or of embeddings that were added to.
        file: in the form of the run's catalogue; of an event log, later events.
        out: folder to write; by default `embeddings_added/NAME OF THE FILE` in the run's folder.
        progress: called with the steps done, and all steps.
        max_bad_fraction: largest share of lines that cannot be used; None takes that of the run.
        items: of a run on an event log, a table that describes items; then `file` may be None.

    Raises:
        VectorsError: there is nothing new, or a folder cannot be used.
        ConfigurationError: the configuration of the run cannot be used.
        CatalogError: the file cannot be used.
        TrainingError: the checkpoint of a run whose model computes the vectors cannot be used.
    """
    if (first := file or items) is None:
        raise VectorsError("name a file of new items, or of events")
    embeddings = Embeddings.load(run)
    embeddings.check_vectors()
    folder = _run_folder(embeddings)
    name = Path(first).name.partition(".")[0] or "items"
    target = folder / FOLDER / name if out is None else Path(out)
    check_folder(embeddings, target)
    configuration = stored_configuration(folder)
    source = factory(section_of(configuration, "catalog"))()
    records, keep_outside = _read(source, file, items, max_bad_fraction)
    new = select_new(embeddings, records, keep_outside=keep_outside)
    keeps_users = records.events is not None and (embeddings.folder / USERS).is_file()
    if new.items.is_empty() and not keeps_users:
        raise VectorsError(
            f"{first} holds no new item ({records.account}): all {new.num_known:,} items that it "
            f"describes are among the {len(embeddings):,} of {embeddings.folder}"
        )
    later = users_of_log(embeddings, records, new)
    is_directed = keeps_users and embeddings.info.get("directed")
    by_users = later is not None and (
        computes_later_vectors(configuration) or trains_users(configuration)
    )
    if is_directed or (new.items.is_empty() and not by_users):
        added, own = without_vectors(embeddings, new), None
    else:
        added, own = _vectors(embeddings, new, later, folder, configuration, progress)
    write = None
    if keeps_users and later is not None:
        write = user_writer(embeddings, later, added, own)
    counts = write_added(embeddings, new, added, target, write)
    users = None if write is None else write.counts
    return Added(target, str(records.account), new.num_known, len(new.pairs), counts, users)


def _vectors(
    embeddings: Embeddings,
    new: NewItems,
    later: LaterUsers | None,
    folder: Path,
    configuration: dict[str, Any],
    progress: Progress,
) -> tuple[AddedItems, OwnVectors | None]:
    """Vectors of new items, as the run trained them, and those that its model gives to users."""
    if computes_later_vectors(configuration):
        return added_by_net(embeddings, new, later, folder, configuration)
    objective = objective_of(configuration)
    if later is not None and trains_users(configuration):
        added = (
            add_by_users(embeddings, new, later, objective, progress)
            if len(new.items)
            else without_vectors(embeddings, new)
        )
        return added, add_users(embeddings, later, objective)
    return add_items(embeddings, new, objective, progress=progress), None


def trains_users(configuration: Mapping[str, Any]) -> bool:
    """Whether items were trained with users, and not with items."""
    data = configuration.get("data", {})
    is_interactions = str(data.get("_target_", "")).endswith(".InteractionDataModule")
    return is_interactions and "user_item" in data.get("pairs", ())


def _read(
    source: CatalogSource,
    file: str | Path | None,
    items: str | Path | None,
    max_bad_fraction: float | None,
) -> tuple[Records, bool]:
    """What the files hold, read as the run was, and whether outside items are new items."""
    table = None if items is None else str(items)
    keep_outside = True
    reader: CatalogSource
    if isinstance(source, EventSource):
        reader = event_reader(source, str(file), table)
    elif file is None or items is not None:
        raise VectorsError(
            "a table of items belongs to a run on an event log: give this one a file in the form "
            "of its catalogue"
        )
    else:
        reader, keep_outside = _reader(source, str(file))
    if max_bad_fraction is not None:
        reader = dataclasses.replace(reader, max_bad_fraction=max_bad_fraction)  # type: ignore[type-var]
    if isinstance(reader, EventSource):
        return with_pairs(reader.read()) if file else read_described_items(reader), True
    return reader.read(), keep_outside


def objective_of(configuration: Mapping[str, Any]) -> Objective:
    """The loss that a run was trained with, as far as its configuration names it.

    The logistic one stands for losses that compare a positive with negatives, such as bpr.
    """
    usual = Objective()
    model, data = configuration.get("model", {}), configuration.get("data", {})
    loss = model.get("loss", usual.loss)
    return Objective(
        data.get("num_negatives", usual.num_negatives),
        data.get("negative_exponent", usual.negative_exponent),
        model.get("l2", usual.l2),
        loss if loss in get_args(FittedLoss) else usual.loss,
    )


def _run_folder(embeddings: Embeddings) -> Path:
    """The run that embeddings come from, by way of their parents."""
    *_, folder = lineage(embeddings)
    if not (folder.parent / CONFIG).is_file():
        raise VectorsError(
            f"{folder.parent} has no {CONFIG}, which says how the catalogue is read: name the "
            "folder of a run"
        )
    return Path(os.path.normpath(folder.parent))


def _reader(source: CatalogSource, file: str) -> tuple[CatalogSource, bool]:
    """What reads another file as the source is read, and whether outside items are new items.

    Items that the file lists without describing them are read in any case: they may be the run's.
    """
    if isinstance(source, SyntheticSource):
        source = source.reader(file)
    if isinstance(source, AmazonSource):
        read = dataclasses.replace(source, path=file, outside_items="keep")
        return read, source.outside_items == "keep"
    if isinstance(source, EdgeSource):
        return dataclasses.replace(source, path=file, val_path=None, test_path=None), True
    if not any(field.name == "path" for field in dataclasses.fields(source)):  # type: ignore[arg-type]
        raise ConfigurationError(
            f"{type(source).__name__} reads no file, so there is none to add: it has no path"
        )
    return dataclasses.replace(source, path=file), True  # type: ignore[type-var]
