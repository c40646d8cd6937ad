"""Runs commands of the documentation one after the other, in one process.

A process of its own for each would spend most of its time on imports. Reads a list of
(program, arguments) from standard input and writes their exit codes to `codes.json`, line by line.
"""

import json
import re
import runpy
import sys
import traceback
from pathlib import Path

from recsys_lab.compute.process import prepare_process
from recsys_lab.vectors.embeddings import Embeddings
from tests.composed import compose_once
from tests.run_cases import ROOT

PLACEHOLDERS = {"outputs/train/runs/...": "runs", "outputs/train/multiruns/...": "multiruns"}
OWN_LOG = "outputs/shop"  # runs of the log of the tests, whose users and items are named
STAYING = ("serve", "map")  # commands that go on until they are stopped: only their words are read


def fill(argument: str) -> str:
    """The argument with the first folder that there is in place of `...`, `RUN` or `latest`."""
    if argument in ("RUN", "latest"):
        argument = "outputs/train/runs/..."
    for placeholder, kind in PLACEHOLDERS.items():
        if placeholder in argument:
            folder = min(Path("outputs/train", kind).iterdir(), key=_time_in_name)
            argument = argument.replace(placeholder, str(folder))
    return argument


def _time_in_name(folder: Path) -> tuple[bool, str]:
    """Sorts folders by the time in their names, those without one last."""
    found = re.search(r"\d{4}-\d\d-\d\d_.*", folder.name)
    return found is None, found[0] if found else folder.name


def with_item(arguments: list[str]) -> list[str]:
    """The arguments of `similar` with an item of the run in place of the one after the run."""
    place = next((n for n, word in enumerate(arguments) if word in ("RUN", "latest")), 1)
    embeddings = Embeddings.load(fill("RUN"))
    item = embeddings.ids.filter(embeddings.items["scored"])[0]
    return [*arguments[: place + 1], item, *arguments[place + 2 :]]


def call(program: str, arguments: list[str]) -> object:
    names_items = any(word.startswith(OWN_LOG) for word in arguments)
    if program == "recsys_lab" and arguments[0] == "similar" and not names_items:
        arguments = with_item(arguments)
    sys.argv = [str(ROOT / program), *map(fill, arguments)]
    try:
        if program == "train.py":
            runpy.run_path(sys.argv[0], run_name="__main__")
        elif program == "parse benchmarks":
            from benchmarks.__main__ import parse

            parse(sys.argv[1:])
        elif program == "recsys_lab" and arguments[0] in STAYING:
            from typer.main import get_command

            from recsys_lab.commands.app import app

            command = get_command(app).commands[arguments[0]]  # type: ignore[attr-defined]
            command.make_context(arguments[0], sys.argv[2:]).close()
        else:
            runpy.run_module(program, run_name="__main__")
    except SystemExit as stopped:
        return stopped.code or 0
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    prepare_process()
    compose_once()
    codes = []
    for number, (program, arguments) in enumerate(json.load(sys.stdin)):
        print(f"\n#### {number}: {program} {arguments}", flush=True)  # noqa: T201
        codes.append(call(program, arguments))
        sys.stdout.flush()
        Path("codes.json").write_text(json.dumps(codes, default=str))
