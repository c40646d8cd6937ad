"""New items of a file, read as the catalogue of a run is, beside the items of the run."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from recsys_lab.config.configuration import section_of
from recsys_lab.config.targets import ConfigurationError, factory
from recsys_lab.readers.amazon import AmazonSource
from recsys_lab.readers.edges import EdgeSource
from recsys_lab.readers.records import CatalogSource
from recsys_lab.readers.synthetic import SyntheticSource
from recsys_lab.results.run_folder import CONFIG
from recsys_lab.run.embed import stored_configuration
from recsys_lab.vectors.added_folder import check_folder, lineage, write_added
from recsys_lab.vectors.adding import Progress, add_items
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from recsys_lab.vectors.folding import Objective
from recsys_lab.vectors.new_items import select_new

FOLDER = "embeddings_added"


class Added(NamedTuple):
    """What `add` did.

    Attributes:
        folder: of the embeddings that it wrote.
        account: of the reading of the file.
        num_known: items of the file that were there before; their vectors stay.
        num_pairs: pairs of the new items.
        counts: new items by what their vectors are made from.
    """

    folder: Path
    account: str
    num_known: int
    num_pairs: int
    counts: Mapping[str, int]


def add(
    run: str | Path,
    file: str | Path,
    out: str | Path | None = None,
    progress: Progress = lambda done, total: None,
    max_bad_fraction: float | None = None,
) -> Added:
    """Give vectors to the new items of a file, without training.

    Args:
        run: folder of a run, or of its embeddings, or of embeddings that were added to.
        file: in the form of the run's catalogue.
        out: folder to write; by default `embeddings_added/NAME OF THE FILE` in the run's folder.
        progress: called with the steps done, and all steps.
        max_bad_fraction: largest share of lines that cannot be used; None takes that of the run.

    Raises:
        VectorsError: there is no new item, or a folder cannot be used.
        ConfigurationError: the configuration of the run cannot be used.
        CatalogError: the file cannot be used.
    """
    embeddings = Embeddings.load(run)
    folder = _run_folder(embeddings)
    name = Path(file).name.partition(".")[0] or "items"
    target = folder / FOLDER / name if out is None else Path(out)
    check_folder(embeddings, target)
    configuration = stored_configuration(folder)
    source = factory(section_of(configuration, "catalog"))()
    reader, keep_outside = _reader(source, str(file))
    if max_bad_fraction is not None:
        reader = dataclasses.replace(reader, max_bad_fraction=max_bad_fraction)  # type: ignore[type-var]
    records = reader.read()
    new = select_new(embeddings, records, keep_outside=keep_outside)
    if new.items.is_empty():
        raise VectorsError(
            f"{file} holds no new item ({records.account}): all {new.num_known:,} items that it "
            f"describes are among the {len(embeddings):,} of {embeddings.folder}"
        )
    added = add_items(embeddings, new, objective_of(configuration), progress=progress)
    counts = write_added(embeddings, new, added, target)
    return Added(target, str(records.account), new.num_known, len(new.pairs), counts)


def objective_of(configuration: Mapping[str, Any]) -> Objective:
    """The loss that a run was trained with, as far as its configuration names it."""
    usual = Objective()
    model, data = configuration.get("model", {}), configuration.get("data", {})
    return Objective(
        data.get("num_negatives", usual.num_negatives),
        data.get("negative_exponent", usual.negative_exponent),
        model.get("l2", usual.l2),
        model.get("loss", usual.loss),
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
