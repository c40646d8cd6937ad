"""Gather run folders into one comparison: `python -m recsys_lab.report --help`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from recsys_lab.report.comparison import Comparison, compare
from recsys_lab.report.page import write_pages
from recsys_lab.report.pictures import draw_pictures
from recsys_lab.report.tables import to_csv
from recsys_lab.results.files import write_text
from recsys_lab.results.run_folder import CONFIG, find_run_folders, read_run
from recsys_lab.results.write_errors import explain


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the comparison and print where it is; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recsys_lab.report", description=__doc__)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="searched for run folders"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="default: comparison/ in the first FOLDER"
    )
    options = parser.parse_args(arguments)
    if absent := [str(folder) for folder in options.folders if not folder.is_dir()]:
        return _refuse(f"no such folder: {', '.join(absent)}")
    found = find_run_folders(options.folders)
    where = ", ".join(str(folder) for folder in options.folders)
    if not found:
        return _refuse(f"no run folders (with {CONFIG}) in {where}")
    comparison = compare([read_run(folder) for folder in found])
    out = options.out or options.folders[0] / "comparison"
    try:
        page = write_comparison(comparison, out)
    except OSError as error:
        return _refuse(explain(error, {out: "--out"}))
    finished = sum(len(e.runs) for table in comparison.tables for e in table.experiments)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(f"{finished} of {len(found)} runs in {_tables(len(comparison.tables))}")
    for name, reason in comparison.problems:
        console.print(f"not compared: {name}: {reason}")
    console.print(str(page))
    return 0 if finished else _refuse(f"none of the {len(found)} runs in {where} has finished")


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write tables, figures and the page into the folder; returns the page's path."""
    pictures = [
        draw_pictures(table, folder, f"_{number}" if number > 1 else "")
        for number, table in enumerate(comparison.tables, start=1)
    ]
    write_pages(comparison, pictures, folder)
    write_text(folder / "comparison.csv", to_csv(comparison))
    return folder / "comparison.html"


def _tables(count: int) -> str:
    return "1 table" if count == 1 else f"{count} tables"


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
