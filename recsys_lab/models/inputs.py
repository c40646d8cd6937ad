"""The own vectors of items with those of their side information, for several builders."""

from collections.abc import Callable, Sequence

from recsys_lab.data.batch import FieldCodes, Items
from recsys_lab.models.encoders import Encoder, IdEncoder, SideInfoEncoder

_FIELDS = ("brand", "category", "price", "title")


def field_codes(items: Items, fields: Sequence[str]) -> list[FieldCodes]:
    """The fields by name; a model whose fields are all empty is one of ids alone, and refused."""
    codes = [items.field(name) for name in fields]
    if not fields or any(len(field.codes) for field in codes):
        return codes
    others = [name for name in _FIELDS if name not in fields and len(items.field(name).codes)]
    has = ", ".join(others) or "no side information"
    instead = f"take fields=[{','.join(others)}], or" if others else "take"
    raise ValueError(
        f"no item of the catalogue has a value of fields=[{','.join(fields)}], and it has {has}: "
        f"{instead} a model of item ids alone, such as model=skipgram"
    )


def over_inputs(
    build: Callable[[IdEncoder | SideInfoEncoder], Encoder],
    items: Items,
    fields: Sequence[str],
    embedding_dim: int,
    one_table: bool,
) -> tuple[Encoder, Encoder]:
    """Encoders of centers and contexts over the items' own vectors, or one encoder for both.

    The own vectors are pooled with those of `fields`.
    """
    codes, trained = field_codes(items, fields), items.degrees > 0

    def encoder(init_scale: float) -> Encoder:
        if codes:
            return build(SideInfoEncoder(trained, codes, embedding_dim, "mean", init_scale))
        return build(IdEncoder(len(trained), embedding_dim, init_scale))

    if one_table:
        both = encoder(scale_of_one_table(embedding_dim))
        return both, both
    return encoder(0.5), encoder(0.0)


def scale_of_one_table(embedding_dim: int) -> float:
    """Vectors start at +- 0.5 / sqrt(D), so that first scores are about 1 / (12 sqrt(D))."""
    return 0.5 * embedding_dim**0.5
