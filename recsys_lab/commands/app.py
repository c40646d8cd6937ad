"""The one entry: `recsys-lab COMMAND ...`."""

import sys

import typer

from recsys_lab.commands.add import add
from recsys_lab.commands.embed import embed
from recsys_lab.commands.export import export
from recsys_lab.commands.import_ import import_
from recsys_lab.commands.map import map
from recsys_lab.commands.neighbours import neighbours
from recsys_lab.commands.report import report
from recsys_lab.commands.serve import serve
from recsys_lab.commands.similar import similar

app = typer.Typer(
    name="recsys-lab",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="What comes after training: similar items, export, import, comparison. "
    "`python train.py --help` is about training.",
)
for command in (similar, serve, map, neighbours, add, export, embed, report):
    app.command()(command)
app.command("import")(import_)


def main() -> None:
    """Run a command; what a user can mend is reported in one sentence, with exit status 1."""
    try:
        app()
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
