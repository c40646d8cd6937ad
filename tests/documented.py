"""The commands that the README and docs/ name, and how each kind is run at a small size."""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob

from tests.run_cases import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = ("python", "make", "pip", "recsys-lab")
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(rf"`((?:{'|'.join(PROGRAMS)}) [^`]+)`")

SMALL = {
    "catalog.num_items": 300,
    "model.embedding_dim": 16,
    "trainer.max_epochs": 1,
    "trainer.limit_train_batches": 3,
    "trainer.enable_progress_bar": "false",
    "curve.ranking_queries": 50,
    "curve.max_pairs": 200,
    "evaluation.replicates": 2,
    "num_threads": 1,
}
_SYNTHETIC = ("catalog=synthetic", "catalog=electronics_size", "catalog=books_size")
_TINY = {  # options that make other programs small; the last one given counts
    "recsys_lab.readers.synthetic": ["--num-items", "300"],
    "recsys_lab": [],
    "recsys_lab.report": [],
    "benchmarks.ablations": ["--items", "300", "--dim", "4", "--epochs", "1", "--copies", "1"],
    "benchmarks.scale": ["--items", "300", "--ranks", "2"],
    "benchmarks": [],
}


class UnknownCommandError(Exception):
    """No test knows how to run a command of the documentation."""


@dataclass(frozen=True)
class Command:
    """A command and where it stands."""

    place: str
    words: tuple[str, ...]

    @property
    def program(self) -> str:
        """What is called: train.py, the name of a module, make, pip, or the activation."""
        match self.words:
            case ("python", "train.py", *_):
                return "train.py"
            case ("python", "-m", module, *_) if module in _TINY:
                return module
            case ("python", "-m", "recsys_lab", *_) | ("recsys-lab", *_):
                return "recsys_lab"
            case ("make" | "pip" as name, *_):
                return name
            case (".", ".venv/bin/activate"):
                return "activate"
        raise UnknownCommandError(f"{self.place}: no test knows how to run {self.text}")

    @property
    def arguments(self) -> list[str]:
        """The words after the program."""
        if self.words[0] == "recsys-lab":
            return list(self.words[1:])
        return list(self.words[3 if self.words[1] == "-m" else 2 :])

    @property
    def text(self) -> str:
        """The command as one line."""
        return shlex.join(self.words)


def blocks(page: Path) -> Iterator[tuple[int, str, str]]:
    """First line, language and text of every fenced block."""
    text = page.read_text()
    for found in _FENCE.finditer(text):
        yield text.count("\n", 0, found.start(3)) + 1, found[2], found[3]


def documented_commands() -> list[Command]:
    """Every command of the pages: the lines of `sh` blocks, and commands within a sentence."""
    return [command for page in PAGES for command in _commands_of(page)]


def _commands_of(page: Path) -> Iterator[Command]:
    name = str(page.relative_to(ROOT))
    for first, language, text in blocks(page):
        if language == "sh":
            joined = re.sub(r" *\\\n *", " ", text)
            for line in joined.splitlines():
                if words := shlex.split(line, comments=True):
                    yield Command(f"{name}:{first}", tuple(words))
    text = page.read_text()
    prose = _FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)
    for found in _INLINE.finditer(prose):
        words = shlex.split(" ".join(found[1].split()))
        is_name = len(words) <= 3 and (words[:2] == ["python", "-m"] or words[0] == "pip")
        if not is_name:
            yield Command(f"{name}:{prose.count(chr(10), 0, found.start()) + 1}", tuple(words))


def recipe(command: Command) -> list[Command]:
    """The commands of this project that a target of the Makefile runs.

    Raises:
        CalledProcessError: there is no such target.
    """
    printed = subprocess.run(
        ["make", "-n", *command.words[1:]], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    lines = re.sub(r" *\\\n\s*", " ", printed).splitlines()
    words = [tuple(shlex.split(line)) for line in lines if line.startswith(".venv/bin/python ")]
    place = f"{command.place}: {command.text}"
    found = [Command(place, ("python", *line[1:])) for line in words]
    return [c for c in found if c.words[1:3] not in (("-m", "pip"), ("-m", "pytest"))]


def absent_extras(command: Command) -> set[str]:
    """Extras that `pip install` asks for and pyproject.toml does not have."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    match list(command.words):
        case ["pip", "install", "-c", "constraints.txt", "-e", target]:
            asked = set(filter(None, target.removeprefix(".").strip("[]").split(",")))
            return asked - set(project["optional-dependencies"])
    raise UnknownCommandError(f"{command.place}: no test knows how to run {command.text}")


def first_job(overrides: list[str]) -> list[str]:
    """The overrides of a sweep's first job, with a folder in which its report can be looked for."""
    if "-m" not in overrides:
        return overrides
    words = [word for word in overrides if word != "-m" and not word.startswith("hydra")]
    sweep = "hydra.sweep.dir="
    folder = next((w.removeprefix(sweep) for w in overrides if w.startswith(sweep)), None)
    first = [_first_value(word) for word in words]
    return [*first, f"hydra.run.dir={folder or 'outputs/train/multiruns/sweep'}/0"]


def _first_value(word: str) -> str:
    if word.startswith("--") or "=" not in word:  # an option or its value
        return word
    override = OverridesParser.create().parse_override(word)
    if not override.is_sweep_override():
        return word
    key, value = override.get_key_element(), override.value()
    if isinstance(value, Glob):
        names = sorted(path.stem for path in (ROOT / "conf" / key).glob("*.yaml"))
        return f"{key}={value.filter(names)[0]}"
    return f"{key}={next(iter(override.sweep_string_iterator()))}"


def small(program: str, arguments: list[str]) -> list[str]:
    """The arguments with those that make the command small."""
    if program == "recsys_lab" and arguments[:1] == ["train"]:
        return ["train", *small("train.py", arguments[1:])]
    is_external = "model=external" in arguments or arguments[:1] == ["import"]
    if program != "train.py" and not is_external:
        return [*arguments, *_TINY[program]]
    values = dict(SMALL)
    arguments = [word.replace("category_2", "category_1") for word in arguments]  # two levels
    if is_external:
        del values["model.embedding_dim"]
    catalogs = [word for word in arguments if word.startswith("catalog=")]
    is_log = {"experiment=airbnb", "experiment=events_best"} & set(arguments)
    if is_log or not all(word in _SYNTHETIC for word in catalogs):
        del values["catalog.num_items"]
    if any(word.startswith("ckpt_path=") for word in arguments):
        values["trainer.max_epochs"] = 2
    given = {word.partition("=")[0] for word in arguments} - {
        "catalog.num_items",
        "trainer.limit_train_batches",  # a share of the few batches may be none
    }
    more = [f"{name}={value}" for name, value in values.items() if name not in given]
    if "trainer=gpu" in arguments:
        more.append("trainer.accelerator=cpu")
    return arguments + more
