"""The one entry: `recsys-lab COMMAND ...`."""

import sys
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Annotated

import typer

from recsys_lab import __version__
from recsys_lab.commands.add import add
from recsys_lab.commands.compile import compile
from recsys_lab.commands.embed import embed
from recsys_lab.commands.export import export
from recsys_lab.commands.import_ import import_
from recsys_lab.commands.map import map
from recsys_lab.commands.neighbours import neighbours
from recsys_lab.commands.prune import prune
from recsys_lab.commands.report import report
from recsys_lab.commands.serve import serve
from recsys_lab.commands.similar import similar
from recsys_lab.commands.train import train
from recsys_lab.compute.signals import interruptible
from recsys_lab.results.write_errors import explain

app = typer.Typer(
    name="recsys-lab",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Item embeddings: training, similar items, export, import, comparison.",
)
_WORDS_OF_HYDRA = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "help_option_names": [],
}
app.command(context_settings=_WORDS_OF_HYDRA)(train)
_COMMANDS = (similar, serve, map, neighbours, add, export, embed, report, prune, compile)
for command in _COMMANDS:
    app.command()(command)
app.command("import")(import_)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"recsys-lab {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run a command; what a user can mend is reported in one sentence, with exit status 1."""
    try:
        with interruptible():
            app()
    except ValueError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(explain(error, {Path("/"): "--out"} if _takes_out(sys.argv[1:]) else None))


def _takes_out(words: Sequence[str]) -> bool:
    """Whether the command of these words says by --out where it writes."""
    named = next((command for command in _COMMANDS if command.__name__ in words[:1]), None)
    return named is not None and "out" in signature(named).parameters
