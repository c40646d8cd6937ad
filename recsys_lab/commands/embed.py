"""`recsys-lab embed RUN`."""

import typer

from recsys_lab.commands.run_argument import RunFolder


def embed(
    run: RunFolder,
) -> None:
    """Write the embeddings of a run that has none, from its best checkpoint."""
    from recsys_lab.config.targets import ConfigurationError
    from recsys_lab.models.task import TrainingError
    from recsys_lab.results.latest_run import resolve_run
    from recsys_lab.run import embed as room
    from recsys_lab.vectors.errors import VectorsError

    try:
        typer.echo(room.embed(resolve_run(run)))
    except (ConfigurationError, TrainingError) as error:
        raise VectorsError(str(error)) from error
