"""Gather run folders into one comparison: `python -m recsys_lab.report --help`."""

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from rich.console import Console

from recsys_lab.compute.counts import count_of
from recsys_lab.report.comparison import Comparison, compare
from recsys_lab.report.page import write_pages
from recsys_lab.report.pictures import draw_pictures, draw_search
from recsys_lab.report.tables import runs_to_csv, to_csv
from recsys_lab.results.files import write_text
from recsys_lab.results.run_folder import CONFIG, find_run_folders, read_run
from recsys_lab.results.write_errors import explain

DEFAULT_OUT = "comparison/ in FOLDER, or in the folder that holds all of them"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the comparison and print where it is; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recsys_lab.report", description=__doc__)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="searched for run folders"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"default: {DEFAULT_OUT}")
    options = parser.parse_args(arguments)
    if absent := [str(folder) for folder in options.folders if not folder.is_dir()]:
        return _refuse(f"no such folder: {', '.join(absent)}")
    found = find_run_folders(options.folders)
    where = ", ".join(str(folder) for folder in options.folders)
    if not found:
        return _refuse(f"no run folders (with {CONFIG}) in {where}")
    comparison = compare([read_run(folder) for folder in found])
    out = options.out or Path(_common_folder(options.folders), "comparison")
    try:
        page = write_comparison(comparison, out)
    except OSError as error:
        return _refuse(explain(error, {out: "--out"}))
    compared = comparison.num_compared
    console = Console(soft_wrap=True, highlight=False, markup=False)
    tables = count_of(len(comparison.tables), "table")
    console.print(f"{compared} of {count_of(len(found), 'run')} in {tables}")
    for problem in comparison.problems:
        console.print(f"{problem.name}: {problem.reason}")
    console.print(str(page))
    return (
        0 if compared else _refuse(f"none of {count_of(len(found), 'run')} in {where} has finished")
    )


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write tables, figures and the page into the folder; returns the page's path.

    Raises:
        OSError: something cannot be written.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # of a script without a font: boxes stand for it
        pictures = [
            draw_pictures(table, folder, suffix)
            for table, suffix in zip(comparison.tables, _suffixes(), strict=False)
        ]
        of_searches = [
            draw_search(search, folder, suffix)
            for search, suffix in zip(comparison.searches, _suffixes(), strict=False)
        ]
    write_pages(comparison, pictures, of_searches, folder)
    write_text(folder / "comparison.csv", to_csv(comparison))
    write_text(folder / "runs.csv", runs_to_csv(comparison))
    return folder / "comparison.html"


def _suffixes() -> Iterator[str]:
    """Of the names of pictures: of the first table none, then `_2`, `_3`, ..."""
    yield ""
    yield from (f"_{number}" for number in count(2))


def _common_folder(folders: Sequence[Path]) -> Path:
    """The folder that holds all of them; the one above if that is one of several runs."""
    if len(folders) == 1:
        return folders[0]
    common = Path(os.path.commonpath([folder.resolve() for folder in folders]))
    return Path(os.path.relpath(common.parent if (common / CONFIG).is_file() else common))


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
