"""Measure this project and its peers: `python -m benchmarks train --size small`."""

import argparse
import json
import platform
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import (
    add,
    end_to_end,
    evaluate,
    exchange,
    gpu,
    neighbours,
    prepare,
    read,
    train,
    walks,
)
from benchmarks.harness import Comparison, Contender, show, stage_table
from benchmarks.inputs import SIZES, Inputs
from recsys_lab.compute.threads import usable_cores
from recsys_lab.run.provenance import provenance

COMMANDS: dict[str, ModuleType] = {
    "train": train,
    "walks": walks,
    "read": read,
    "prepare": prepare,
    "evaluate": evaluate,
    "neighbours": neighbours,
    "end_to_end": end_to_end,
    "add": add,
    "exchange": exchange,
    "gpu": gpu,
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; `choose` filters contenders."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--size", choices=list(SIZES), default="small")
    shared.add_argument("--folder", type=Path, help="of the inputs; outputs/benchmarks/<size>")
    shared.add_argument("--repeats", type=int, default=3)
    shared.add_argument("--threads", type=int, default=usable_cores())
    shared.add_argument("--only", nargs="+", default=[""], help="contenders with such a name")
    shared.add_argument("--json", type=Path, help="file; <command>.json in the folder")
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        text = (module.__doc__ or "").splitlines()[0]
        raw = argparse.RawDescriptionHelpFormatter
        module.add_options(
            commands.add_parser(
                name, help=text, description=module.__doc__, parents=[shared], formatter_class=raw
            )
        )
    options = parser.parse_args(arguments)
    options.folder = options.folder or Path("outputs/benchmarks") / options.size
    options.choose = Chooser(options.only)
    return options


class Chooser:
    """Keeps the contenders whose name contains one of the parts."""

    def __init__(self, parts: list[str]) -> None:
        self.parts = parts
        self._offered: dict[str, None] = {}  # names, in their order

    def __call__(self, contenders: list[Contender]) -> list[Contender]:
        """Those of the contenders that are wanted."""
        self._offered |= dict.fromkeys(c.name for c in contenders)
        return [c for c in contenders if any(part in c.name for part in self.parts)]

    def complaint(self) -> str | None:
        """What to say of parts that are in no name."""
        idle = [p for p in self.parts if p and not any(p in name for name in self._offered)]
        if not idle:
            return None
        return f"--only: {', '.join(idle)} is in no name of: {'; '.join(self._offered)}"


def machine() -> dict[str, Any]:
    """The kind of machine and the versions."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {"cpu": model, "cores": usable_cores(), **provenance()}


def warm_up(module: ModuleType, options: argparse.Namespace) -> None:
    """Run one contender of this project at the smallest size, so that its kernels are compiled."""
    small = argparse.Namespace(**vars(options))
    small.repeats = 1
    small.choose = lambda contenders: [c for c in options.choose(contenders) if not c.is_peer][:1]
    module.compare(Inputs("tiny", str(options.folder / "warm_up")), small)


def main(arguments: list[str] | None = None) -> list[Comparison]:
    """Measure, show, and keep the JSON."""
    options = parse(arguments)
    module = COMMANDS[options.command]
    if options.size != "tiny" and module is not gpu:
        warm_up(module, options)
    inputs = Inputs(options.size, str(options.folder))
    comparisons: list[Comparison] = module.compare(inputs, options)
    complaint = options.choose.complaint()
    if complaint and not any(comparison.runs for comparison in comparisons):
        sys.exit(complaint)  # and what was measured before stays in its file
    kind = machine()
    for comparison in comparisons:
        if not comparison.runs and not comparison.absent:
            continue  # --only has left nothing of it
        title = f"{comparison.title}, {options.size}, {options.repeats} alternating repeats"
        show(f"{title}, {options.threads} threads of {kind['cores']} ({kind['cpu']})",
             comparison.table())  # fmt: skip
        for name, runs in comparison.runs.items():
            if "stages" in runs[0]:
                show(name, stage_table(runs))
        for line in module.notes(comparison) if hasattr(module, "notes") else ():
            print(line)
    if options.command == "end_to_end":
        print(*end_to_end.exponents(options.folder, options.size, comparisons), sep="\n")
    file = options.json or options.folder / f"{options.command}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    chosen = {name: value for name, value in vars(options).items() if name != "choose"}
    row = {"options": chosen, "machine": kind, "comparisons": [vars(c) for c in comparisons]}
    file.write_text(json.dumps(row, indent=2, default=str))
    if complaint:
        print(complaint)
    return comparisons


if __name__ == "__main__":
    main()
