"""The banner and the line of sizes of MatrixMarket: which matrices are lists of edges."""

from recsys_lab.readers.account import CatalogError
from recsys_lab.readers.cells import show


def entries_of(banner: str, sizes: str, path: str) -> int | None:
    """Number of entries that the line of sizes promises; None where it cannot be read.

    Args:
        banner: the first line.
        sizes: the line behind the comments.
        path: the file, for messages.

    Raises:
        CatalogError: the matrix is dense, complex, or of two kinds of things.
    """
    words = banner.lower().split()
    if "coordinate" not in words:
        raise CatalogError(
            f"{path}, {show(banner)}: a dense matrix is no list of edges; write it in coordinate "
            "form, with scipy.io.mmwrite(NEW, scipy.sparse.coo_matrix(scipy.io.mmread(FILE)))"
        )
    if "complex" in words:
        raise CatalogError(
            f"{path}, {show(banner)}: weights are real numbers; write a real matrix, such as that "
            "of absolute values"
        )
    fields = sizes.split()
    if len(fields) != 3 or not all(field.isdigit() for field in fields):
        return None
    num_rows, num_columns, entries = map(int, fields)
    if num_rows != num_columns:
        raise CatalogError(
            f"{path} is a matrix of {num_rows:,} rows and {num_columns:,} columns: these are two "
            "kinds of things, such as users and items; make pairs of items of it first, such as "
            "those of M.T @ M"
        )
    return entries
