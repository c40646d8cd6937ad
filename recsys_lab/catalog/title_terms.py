"""Words of titles, and pairs of neighbouring words, as values of the field "title"."""

from zlib import crc32

import polars as pl

BUCKETS = 2**18  # of pairs of words; there are far more pairs than words, most of them rare
IS_BUCKET = pl.col("label").str.starts_with("#")
_WORD = r"[\p{L}\p{M}\p{N}]+"


def title_terms(titles: pl.Series) -> pl.DataFrame:
    """The distinct terms of each title: columns owner (place in `titles`) and label.

    A word is a run of letters, their marks and digits, in lower case and in Unicode's form NFKC. A
    pair of neighbouring words is hashed into a bucket, as fastText does with word n-grams (Joulin
    et al., EACL 2017), by the CRC-32 of "first second" in UTF-8. Its label is # and the bucket,
    which no word can be.
    """
    words = (
        pl.DataFrame({"label": titles.cast(pl.String)})
        .with_row_index("owner")
        .with_columns(
            pl.col("owner").cast(pl.Int64),
            pl.col("label").str.normalize("NFKC").str.to_lowercase().str.extract_all(_WORD),
        )
        .explode("label")
        .drop_nulls("label")
    )
    pairs = (
        words.with_columns(second=pl.col("label").shift(-1).over("owner"))
        .drop_nulls("second")
        .select("owner", pl.concat_str("label", "second", separator=" ").alias("pair"))
    )
    hashed = pairs.select(pl.col("pair").unique(maintain_order=True)).with_columns(
        label=pl.col("pair").map_elements(bucket_label, return_dtype=pl.String)
    )
    pairs = pairs.join(hashed, on="pair", maintain_order="left").select("owner", "label")
    return pl.concat([words.select("owner", "label"), pairs]).unique(maintain_order=True)


def bucket_label(pair: str) -> str:
    """The label of two words with a space between them."""
    return f"#{crc32(pair.encode()) % BUCKETS}"
