"""Item vectors for TensorBoard's projector: a sample of the items, beside the events of the run."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from google.protobuf import text_format
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from torch.utils.tensorboard import SummaryWriter

from recsys_lab.results.files import atomic_folder, write_text
from recsys_lab.vectors.store import Content
from recsys_lab.vectors.stratified import main_categories, stratified_sample

FOLDER = "projector"
CONFIG = "projector_config.pbtxt"  # the name that TensorBoard looks for
VECTORS, METADATA = "vectors.bytes", "items.tsv"
COLUMNS = ("id", "title", "brand", "category", "popularity")


def write_projector(folder: Path, content: Content, size: int, seed: int) -> Path | None:
    """Write vectors and descriptions of at most `size` items that the model can score.

    The items are a stratified sample (`vectors.stratified`). Vectors are written as raw float32,
    which is smaller than text, and which TensorBoard reads many times faster.

    Args:
        folder: run folder.
        content: items and plain vectors.
        size: items of the sample.
        seed: of the sample.

    Returns:
        the folder of the files; None where no item can be scored.
    """
    scored = np.flatnonzero(content.scored)
    if not len(scored):
        return None
    items = content.items[scored].select(
        pl.col("item").alias("id"),
        "title",
        "brand",
        main_categories(content.items["categories"])[scored],
        pl.col("num_pairs").alias("popularity"),
    )
    rows = stratified_sample(items["category"], items["popularity"].to_numpy(), size, seed)
    vectors = np.ascontiguousarray(content.tables.queries[scored[rows]], "<f4")
    with atomic_folder(folder / FOLDER) as part:
        (part / VECTORS).write_bytes(_not_text(vectors))
        (part / METADATA).write_text("\n".join(_lines(items[rows])) + "\n", encoding="utf-8")
    write_text(folder / CONFIG, _config(vectors.shape))
    if not any(folder.glob("events.out.tfevents.*")):  # TensorBoard lists no folder without
        SummaryWriter(str(folder)).close()
    return folder / FOLDER


def _not_text(vectors: np.ndarray) -> bytes:
    """The bytes of the vectors, with the first one changed so that they are no UTF-8.

    TensorBoard reads a file that is UTF-8 as text, which zeros and a few other vectors are. The
    byte is the lowest of the first number: a change by 2^-15 of its value at most.
    """
    return b"\xff" + vectors.tobytes()[1:]


def _lines(items: pl.DataFrame) -> Iterator[str]:
    yield "\t".join(COLUMNS)
    text = pl.all().cast(pl.String).fill_null("").str.replace_all(r"\s+", " ").str.strip_chars()
    for row in items.select(text).iter_rows():
        yield "\t".join(row)


def _config(shape: tuple[int, ...]) -> str:
    config = ProjectorConfig()
    embedding = config.embeddings.add()
    embedding.tensor_name = "item vectors"
    embedding.tensor_path = f"{FOLDER}/{VECTORS}"
    embedding.tensor_shape.extend(shape)
    embedding.metadata_path = f"{FOLDER}/{METADATA}"
    return text_format.MessageToString(config)
