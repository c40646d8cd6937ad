"""Files of other programs, told by their first bytes: what they are, and what to do with them.

None of them is read. The name of a form saves a search for the reason why a file has no columns.
"""

import re

_TABLE = "write its table as CSV"
_NETWORKX = (
    "write its edges as text, with networkx: nx.write_edgelist(nx.read_{0}(FILE), NEW, "
    "data=['weight'])"
)
_UNPACK = "unpack it with {0}"
_CONVERT = "convert it with iconv -f {0} -t UTF-8 FILE > NEW"

# (what is at the beginning, what the file is, what to do), the first that fits counts. White space
# and a mark of UTF-8 before text are left out.
_FORMS: tuple[tuple[bytes, str, str], ...] = (
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK.format("7z x FILE")),
    (rb"Rar!\x1a\x07", "a rar archive", _UNPACK.format("unrar x FILE")),
    (rb"PK\x05\x06", "an empty zip archive", "give one with a file"),
    (rb"\x04\x22\x4d\x18", "packed by lz4", _UNPACK.format("lz4 -dc FILE > NEW")),
    (rb"\xff\x06\0\0sNaPpY", "packed by snappy", _UNPACK.format("snzip -dc FILE > NEW")),
    (rb"\x1f\x9d", "packed by compress", _UNPACK.format("uncompress -c FILE > NEW")),
    (rb"LZIP\x01", "packed by lzip", _UNPACK.format("lzip -dc FILE > NEW")),
    (rb"\x5d\0\0[\0-\xff]{2}", "packed by lzma", _UNPACK.format("xz -dc --format=lzma FILE > NEW")),
    (rb"\xff\xfe\0\0|\0\0\xfe\xff", "UTF-32", _CONVERT.format("UTF-32")),
    (rb"(?:[ -~\t\r\n]\0){8}", "UTF-16 without its mark", _CONVERT.format("UTF-16LE")),
    (rb"(?:\0[ -~\t\r\n]){8}", "UTF-16 without its mark", _CONVERT.format("UTF-16BE")),
    (rb"PAR1(?=[\0-\xff]{0,16}[\0-\x08])", "a Parquet file",
     "write its rows as JSON lines; pairs in it are read by catalog=edges"),
    (rb"ARROW1\0\0", "an Arrow file (Feather)", "write its table as Parquet"),
    (rb"\xff\xff\xff\xff[\0-\xff]{3}\0", "an Arrow stream", "write its table as Parquet"),
    (rb"FEA1\0", "a Feather file of version 1", "write its table as Parquet"),
    (rb"Obj\x01", "an Avro file", "write its table as Parquet"),
    (rb"ORC(?=[\0-\xff]{0,16}[\0-\x08])", "an ORC file", "write its table as Parquet"),
    (rb"\x89HDF\r\n", "an HDF5 file", _TABLE),
    (rb"SQLite format 3\0", "an SQLite database", _TABLE),
    (rb"[\0-\xff]{8}DUCK", "a DuckDB database", _TABLE),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a spreadsheet of Excel 97 (or another file of OLE)",
     "save its table as CSV"),
    (rb"MATLAB 5\.0 MAT-file", "a MATLAB file",
     "write its matrix with scipy.io.mmwrite(NEW, scipy.io.loadmat(FILE)[NAME])"),
    (rb"RD[XA][23]\n|X\n\0\0\0", "R data", "write its table in R with write.csv(x, NEW, "
     "row.names = FALSE)"),
    (rb"\x93NUMPY", "an array of NumPy", "write it as text with np.savetxt(NEW, "
     "np.load(FILE), fmt='%s', delimiter='\\t'), one edge in a row"),
    (rb"\x80[\x02-\x05]|\(lp\d+\n|\(dp\d+\n|ccopy_reg", "a pickle, and a pickle can run code",
     "load it where you trust it, and write its table as CSV or Parquet"),
    (rb"%PDF-", "a PDF document", "give the data themselves"),
    (rb"version https://git-lfs", "a pointer of Git LFS, not the file itself",
     "fetch the file with git lfs pull"),
    (rb"(?i)\s*<!doctype html|\s*<html", "a web page (HTML), perhaps a page of a failed download",
     "download the file itself"),
    (rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<graphml", "GraphML", _NETWORKX.format("graphml")),
    (rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<gexf", "GEXF", _NETWORKX.format("gexf")),
    (rb"\s*<\?xml", "XML", _TABLE),
    (rb"\s*\*(?i:vertices|network)\b", "a Pajek network", _NETWORKX.format("pajek")),
    (rb"(?:\s*(?:#[^\n]*|Creator[^\n]*|comment[^\n]*|Version[^\n]*)\n)*\s*graph\s*\[\s",
     "GML", _NETWORKX.format("gml")),
    (rb"(?:\s*(?://[^\n]*|/\*.*?\*/))*\s*(?:strict\s+)?(?:di)?graph\s*(?:\"[^\"]*\"|\w+)?\s*\{(?![}'])",
     "DOT (Graphviz)", "write its edges with networkx: nx.write_edgelist(nx.nx_pydot.read_dot(FILE)"
     ", NEW, data=False)"),
    (rb"(?:c(?:[ \t][^\n]*)?\r?\n)*p[ \t]+(?:edge|col|sp|tsp)[ \t]", "a DIMACS graph",
     "write its edges with grep -E '^[ea] ' FILE | cut -d' ' -f2- > NEW"),
    (rb"(?i)dl\s+n\s*=", "a DL file of UCINET", "write its edges, a pair in a line, as CSV"),
    (rb">>graph6<<|>>sparse6<<|>>digraph6<<", "graph6 or sparse6", _NETWORKX.format("graph6")),
    (rb"(?:\s*(?:--[^\n]*|/\*.*?\*/;?)\s*\n)*\s*(?:CREATE\s+TABLE|INSERT\s+INTO|DROP\s+TABLE|COPY\s"
     rb"+\S+\s*(?:\([^)]*\)\s*)?FROM\s|BEGIN(?:\s+TRANSACTION)?;|PRAGMA\s|SET\s+\w+\s*=|START\s"
     rb"+TRANSACTION)", "an SQL dump", "load it into a database, and write the table as CSV"),
    (rb"\s*\xe2\x94\x8c[\xe2\x94\x80\x94\xac]+", "a table drawn with lines",
     "write it as CSV (duckdb -csv, sqlite3 -csv)"),
    (rb"(?:---[^\n]*\n)?[\w-]+:[ \t]*\r?\n[ \t]*- ", "YAML", "write its pairs as CSV"),
    (rb"\xba\x16\x4f\x2f", "a model of fastText", "write its vectors as text, the .vec file"),
)  # fmt: skip
_COMPILED = tuple((re.compile(begin, re.DOTALL), what, remedy) for begin, what, remedy in _FORMS)
_LOOKED_AT = 4096  # bytes
_TAR_PLACE = slice(257, 262)  # "ustar" in the header of the first member
_ENTRY_OF_ARCHIVE = {
    "[Content_Types].xml": ("a spreadsheet", "save its table as CSV"),
    "mimetype": ("a spreadsheet", "save its table as CSV"),
    ".npy": ("an archive of NumPy (.npz)",
             "load it, and write the edges as text with np.savetxt, or a sparse matrix with "
             "scipy.io.mmwrite"),
    "data.pkl": ("a file of torch, which holds a pickle, and a pickle can run code",
                 "load it where you trust it, and write its edges with np.savetxt"),
}  # fmt: skip


def foreign_form(first: bytes) -> tuple[str, str] | None:
    """What a file is that begins so, and what to do; None where it may be read.

    Args:
        first: the first bytes, unpacked or not.
    """
    begin = first[:_LOOKED_AT].removeprefix(b"\xef\xbb\xbf")
    if first[_TAR_PLACE] == b"ustar":
        return "a tar archive", "unpack it with tar xf FILE, and give a file of it"
    for pattern, what, remedy in _COMPILED:
        if pattern.match(begin):
            return what, remedy
    return None


def foreign_archive(names: list[str]) -> tuple[str, str] | None:
    """What a zip archive with these entries is, where it is no archive of text files."""
    for name in names:
        for entry, said in _ENTRY_OF_ARCHIVE.items():
            if name == entry or name.endswith(entry if entry[0] == "." else f"/{entry}"):
                return said
    return None
