"""Damages of files, as bytes from bytes."""

import random
from collections.abc import Iterator
from pathlib import Path

ODD = {  # by the name of the file
    "metrics.json": [
        b"", b"[]", b"null", b'"text"', b"3", b"NaN", b"{}", b"[" * 9999, b'{"a":' * 9999,
        b'{"hash/split": "a", "hash/vocabulary": "b", "test/ndcg@10/all": NaN}',
        b'{"hash/split": "a", "hash/vocabulary": "b", "test/ndcg@10/all": 1e999}',
        b'{"hash/split": "a", "hash/vocabulary": "b", "test/ndcg@10/all": 1e300}',
        b'{"hash/split": "a", "hash/vocabulary": "b", "test/auc/uniform/seen": 7.786}',
        b'{"hash/split": "a", "hash/vocabulary": "b", "fit/seconds": ' + b"9" * 400 + b"}",
        b'{"hash/split": "a", "hash/vocabulary": "b", "fit/seconds": ' + b"9" * 9999 + b"}",
        b'{"hash/split": "a", "hash/vocabulary": "b", "test/ndcg@10/all": {"all": 1}}',
        b'{"hash/split": ["a"], "hash/vocabulary": "b"}',
        b'{"hash/split": "a", "hash/vocabulary": "b", "seed": [0]}',
        b'{"hash/split": "a", "hash/vocabulary": "b", "label/x": 3, "baseline/x/mrr/all": 1}',
        b'{"hash/split": "a", "hash/vocabulary": "b", "test/": 1, "baseline/": 2}',
        b'{"hash/split": "a", "hash/vocabulary": "b"}',
        '{"hash/split": "a"}'.encode("utf-16"),
    ],
    "curve.csv": [
        b"", b"\0" * 99, b"a,b\n1,2\n", b"step\nx\n", b"step,items\n1,nan\n2,inf\n",
        b"step,items\n1,2,3\n", b"step,items\n1\n2,3\n", b'step,items\n"1,2\n', b"step,step\n1,2\n",
        b"step,items,train/lr\n1,1e300,0\n", b"step,items\n" + b"9" * 5000 + b",1\n",
        "step,items\n１,２\n".encode(), "step,items\n1,2\n".encode("utf-16"), b"step\n1\n",
        b"step,train/lr\n1,1\n2,9\n",
    ],
    "precision_recall.csv": [
        b"", b"\0", b"slice,threshold,precision,recall\n", b"a\nall,1,2\n", b"a\nall,x,y,z\n",
        b"a\nall,nan,1,1\n", b"a\nall,1,1,1,1\n", b"a\nall,1e38,1,1\nall,-1e38,0,0\n", b"a\n\n\n",
        b"a\nall,1,1,1\n", b"a\nall,0,1,1\nseen,0,1,1\nall,1,1,1\n",
    ],
    "config.yaml": [
        b"", b"[]", b"- 1\n- 2\n", b"3", b"null", b"{", b"a: &x [*x]", b"\xff\xfe\0",
        b"!!python/object/apply:os.system ['true']\n", b"seed: [1]\n", b"seed: x\n",
        b"catalog: 3\nmodel: [1]\nsplit: text\n", b"a: ${b}\n", b"a: ${a}\n", b"a: ${oc.env:NO}\n",
        b"vectors: [1]\n", b"1: 2\nnull: 3\n", b"model: {_target_: [1]}\n", b"a: " + b"[" * 3000,
        b"ckpt_path: {a: 1}\ntrain: [1]\n",
    ],
    "hydra.yaml": [
        b"", b"[]", b"{", b"hydra: 3\n", b"hydra: {runtime: {choices: [1]}}\n",
        b"hydra: {runtime: {choices: {1: 2, experiment: [3], model: {a: 1}}}}\n",
        b"hydra: {runtime: {choices: {a: '${b}'}}}\n",
    ],
    "embeddings.json": [
        b"", b"[]", b"null", b"{}", b'{"format": 1}', b'{"format": "1"}', b"[" * 9999,
        b'{"format": 1, "num_items": -1, "num_scored": 0, "dimension": 0, "both_ways": true,'
        b' "biased": false}',
        b'{"format": 1, "num_items": 3, "num_scored": 3, "dimension": 4, "both_ways": 1,'
        b' "biased": false}',
    ],
    "train.log": [b"", b"\0" * 99, b"\xff\xfe\n", b"a" * 99999, b"10:00:00 ERROR\n"],
}  # fmt: skip


def mutated(whole: bytes, other: bytes, rng: random.Random) -> bytes:
    """Some bytes flipped, cut out, zeroed, repeated, or taken from another file."""
    data = bytearray(whole)
    start = rng.randrange(len(data) + 1)
    length = rng.choice([1, 3, 20, 400])
    kind = rng.randrange(7)
    if kind == 0:
        for _ in range(rng.choice([1, 5, 50])):
            if data:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[start:]
    elif kind == 2:
        del data[start : start + length]
    elif kind == 3:
        data[start : start + length] = bytes(length)
    elif kind == 4:
        data[start:start] = data[start : start + length]
    elif kind == 5:
        data[start : start + length] = other[start : start + length]
    else:
        data[start:start] = rng.choice([b"\n", b",", b"null", b"[", b"-", b"1e308", b'"', b"\xff"])
    return bytes(data)


def files_of(folder: Path) -> Iterator[Path]:
    """The files of a run folder that commands read."""
    names = (*ODD, "items.parquet", "pairs.parquet")
    return (path for path in sorted(folder.rglob("*")) if path.name in names)
