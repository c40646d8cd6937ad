"""What a finished test leaves in the run folder."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recsys_lab.results.files import write_text
from recsys_lab.results.write_errors import WriteError, may_fail
from recsys_lab.run.projector import write_projector
from recsys_lab.vectors.store import FOLDER, Content, write_embeddings

log = logging.getLogger(__name__)


def save_all(
    folder: Path,
    metrics: Mapping[str, Any],
    content: Callable[[], Content] | None,
    show: Callable[[Content | None], None],
    *,
    embeddings: bool,
    projector: int,
    seed: int,
) -> None:
    """Write `metrics.json`, then what TensorBoard shows and the folder `embeddings/`.

    Args:
        folder: run folder.
        metrics: of the test.
        content: gives the items and vectors; None: there are no vectors.
        show: shows the results elsewhere, as in TensorBoard.
        embeddings: whether their folder is written.
        projector: items for TensorBoard's projector.
        seed: of the sample of these.

    Raises:
        WriteError: metrics or embeddings cannot be written; the other is.
    """

    def save_metrics() -> None:
        text = json.dumps(dict(sorted(metrics.items())), indent=2, allow_nan=False)
        write_text(folder / "metrics.json", text)

    def save_vectors() -> None:
        vectors = None if content is None else content()
        with may_fail("the results in TensorBoard"):
            show(vectors)
        if vectors is None:
            return
        if projector:
            with may_fail("TensorBoard's projector"):
                write_projector(folder, vectors, projector, seed)
        if embeddings:
            write_embeddings(folder / FOLDER, vectors)

    failed: list[WriteError] = []
    for write in (save_metrics, save_vectors):
        try:
            write()
        except WriteError as error:
            failed.append(error)
    for other in failed[1:]:
        log.error("%s", other)
    if failed:
        raise failed[0]
