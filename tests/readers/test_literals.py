import ast
import contextlib
import json
import random
import string
import warnings
from collections import Counter
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.readers.lines import read_batches
from recsys_lab.readers.literals import parse_line
from tests.soak import times

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
TOKENS = "{ } [ ] ( , : ' \" \\ \\x4 1 u u'a' 'a' \\u00e9 \\' None True 'a': - . e5 \\N{DASH} \\7 #"
fragments = st.lists(
    st.sampled_from([*TOKENS.split(" "), " ", "\t"]) | st.sampled_from(string.printable)
).map("".join)


def both_names(text: str) -> object:
    """Python that may also name values as JSON does; numbers that are none are None."""
    names = {"true": True, "false": False, "null": None, "NaN": None, "nan": None}
    names |= {"Infinity": None, "inf": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text.strip("\ufeff \t\r"), mode="eval")

    class Named(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return ast.Constant(names[node.id]) if node.id in names else node

        def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
            inner = self.visit(node.operand)
            return inner if getattr(inner, "value", 0) is None else node

    return ast.literal_eval(Named().visit(tree))


def oracle(text: str) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unknown escapes
        return ast.literal_eval(text)


@settings(deadline=None)  # the first example compiles
@given(values)
def test_what_repr_writes_is_read_back(value):
    assert parse_line(repr(value).encode()) == value


@settings(deadline=None)  # the first example compiles
@given(values)
def test_json_is_read_as_json(value):
    try:
        line = orjson.dumps(value)
    except TypeError:  # lone surrogates
        return
    assert parse_line(line) == value


@settings(deadline=None)
@given(fragments)
def test_whatever_is_read_is_what_python_reads(text):
    try:
        value = parse_line(text.encode())
    except ValueError:
        return
    try:
        expected = oracle(text)
    except (ValueError, SyntaxError, MemoryError):
        # no Python, but JSON: its names, "\r" between tokens, "\/"
        assert value == orjson.loads(text)
        return
    assert value == expected


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(line):
    with contextlib.suppress(ValueError):
        parse_line(line)


RECORD = {
    "asin": "0000013714",
    "title": 'it\'s "new" \\ \n café 😀 \x07',
    "related": {"also_bought": ["a", "nan", "exactly 16 bytes"], "also_viewed": []},
    "price": 9.49,
    "rank": {"Music": 12345678901, "x": -1e-7},
    "categories": [["A & B", "C"], []],
    "odd": [None, True, False, ""],
}
PIECES = [bytes([c]) for c in b"'\"\\,:]}[{( 0-u\t\r\0\xff#"] + [
    b"1e999", b"\\ud800", b"\\ud83d\\ude00", b"NaN", b"None", b"true", b"''", b'""', b"\\x4",
    b"\\N{DASH}", "\u2028".encode(), b"u'a'", b"['']", b"0x1", b"1_0", b".5", b"5.", b"\\n",
]  # fmt: skip


def mutated(rng: random.Random, line: bytes) -> bytes:
    """One to three places of a line are replaced, doubled, dropped or cut."""
    for _ in range(rng.randint(1, 3)):
        low = rng.randrange(len(line) + 1)
        high = min(len(line), low + rng.choice((0, 1, 1, 2, 9)))
        new = rng.choice(
            (rng.choice(PIECES), line[low:high] * 2, b"", rng.randbytes(1).replace(b"\n", b""))
        )
        line = line[:low] + new + line[high:]
    return line[: rng.randrange(len(line) + 1)] if rng.random() < 0.03 else line


def joined(value: object) -> object:
    """Pairs of surrogates are one character, as in JSON; integers beyond 64 bits are floats."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    if isinstance(value, list):
        return [joined(inner) for inner in value]
    if isinstance(value, dict):
        return {joined(key): joined(inner) for key, inner in value.items()}
    is_large = type(value) is int and not -(2**63) <= value < 2**64
    return float(value) if is_large else value


def value_or_none(read: Callable[[str], object], line: bytes) -> tuple[object, ...] | None:
    """What a reader makes of a line, in a tuple; None where it refuses."""
    try:
        return (read(line.decode()),)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


@pytest.mark.parametrize(
    "count", [2000, pytest.param(times(1_000_000), marks=pytest.mark.soak, id="a million")]
)
def test_mutated_lines_are_read_as_python_and_json_read_them_or_refused(count: int) -> None:
    """What JSON reads is read; whatever is read is what `json` or `ast.literal_eval` reads."""
    rng, read = random.Random(0), Counter()
    sound = [repr(RECORD), json.dumps(RECORD), json.dumps(RECORD, ensure_ascii=False)]
    for _ in range(count):
        line = mutated(rng, rng.choice(sound).encode())
        of_json = value_or_none(orjson.loads, line)
        try:
            value = parse_line(line)
        except ValueError:
            assert of_json is None, line
            read["refused"] += 1
            continue
        if of_json is not None:
            assert value == of_json[0], line
            read["JSON"] += 1
        else:
            of_python = value_or_none(oracle, line)
            assert of_python is None or value == joined(of_python[0]), line
            if of_python is None:  # names of both, as `NaN` beside `None`
                assert value == joined(value_or_none(both_names, line)[0]), line
            read["Python" if of_python else "names of both"] += 1
    assert min(read["refused"], read["JSON"], read["Python"]) > count / 20, read
    print(dict(read))  # noqa: T201


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (rb"{'a': 'it\'s', \"b\": 1}".replace(b'\\"', b'"'), {"a": "it's", "b": 1}),
        (b"""{'a': "it's", 'b': 'say "x"'}""", {"a": "it's", "b": 'say "x"'}),
        (rb"{u'a': U'\x41\u00e9\U0001F600\101\60\777'}", {"a": "Aé😀A0ǿ"}),
        (rb"['\a\b\f\n\r\t\v\\', '\q\d\ ']", ["\a\b\f\n\r\t\v\\", "\\q\\d\\ "]),
        (b"['\ttab \x01\x7f']", ["\ttab \x01\x7f"]),
        (b"{'a': None, 'b': True, 'c': False,}", {"a": None, "b": True, "c": False}),
        (b"{'a': nan, 'b': -inf, 'c': inf}", {"a": None, "b": None, "c": None}),
        (b'{"a": NaN, "b": -Infinity, "c": true}', {"a": None, "b": None, "c": True}),
        (b"[-1, 2.5, 1e-3, 1E5]", [-1, 2.5, 1e-3, 1e5]),
        (rb"['\ud83d\ude00']", ["😀"]),
        (b"{'a': 1, 'a': 2}", {"a": 2}),
        (b"[123456789012345678901234567890]", [1.2345678901234568e29]),
        ("\ufeff{'é': 'ü\u2028'}".encode(), {"é": "ü\u2028"}),
        (b"'__import__'", "__import__"),
    ],
)
def test_hand_made_literals(line, value):
    assert parse_line(line) == value


@pytest.mark.parametrize(
    "line",
    [
        b"__import__('os').system('touch X')",
        b"{'asin': 'a', 'related': {'also_bought': [__import__('os').system('touch X')]}}",
        b"{'a': open('/etc/passwd')}",
        b"['a' + 'b']",
        b"['a' 'b']",
        b"[r'a']",
        b"[b'a']",
        b"[f'a']",
        rb"['\N{DASH}']",
        b"(1, 2)",
        b"{1, 2}",
        b"{1: 2}",
        b"[1, 2",
        b"[,]",
        b"[1,,]",
        b"{'a':,}",
        b"'a",
        rb"'a\'",
        rb"'\x4'",
        rb"'\uD83'",
        rb"'\U00110000'",
        rb"['\ud800']",
        b"['a\0b']",
        b"['a\rb']",
        b"['\xff']",
        b"\xff\xfe",
        b"1e999",
        b"[1] # comment",
        b"'''a'''",
        b"0x1f",
        b"1_000",
        b"\x80\x04\x95",
        b"",
        b"\0",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"{'a':" * 100_000,
        b"9" * 5000,
    ],
    ids=lambda line: repr(line[:30]),
)
def test_what_is_no_plain_literal_is_refused(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"."):
        parse_line(line)
    assert not list(tmp_path.iterdir())


def test_digital_music_equals_literal_eval(real_data):
    path = real_data("amazon_digital_music/meta_Digital_Music.first7419.json.gz")
    lines = [line for batch in read_batches(path) for line in batch]
    assert len(lines) == 7419
    for line in lines:
        assert parse_line(line) == oracle(line.decode())
